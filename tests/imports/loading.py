"""Writes drafts and their settings to a folder and loads them as anyone would."""

from __future__ import annotations

from pathlib import Path

from synthmon.imports.draft import Draft, render, render_settings
from synthmon.language.load import Loaded, load


def loaded(folder: Path, *drafts: Draft) -> Loaded:
    """What the language makes of these drafts."""
    for draft in drafts:
        (folder / f"{draft.name}.yaml").write_text(render(draft), encoding="utf-8")
    (folder / "synthmon.yaml").write_text(render_settings(*drafts), encoding="utf-8")
    return load([folder], [folder / "synthmon.yaml"], environ={})


def assert_loads(folder: Path, *drafts: Draft) -> Loaded:
    """Every draft is a journey, and nothing is said of it."""
    found = loaded(folder, *drafts)
    assert not found.errors, "\n".join(map(str, found.errors))
    assert sorted(journey.name for journey in found.journeys) == sorted(draft.name for draft in drafts)
    return found


def texts(*drafts: Draft) -> str:
    """Everything that is shown or written for these drafts."""
    return "\n".join((*map(render, drafts), render_settings(*drafts), *(repr(draft) for draft in drafts)))
