"""Which files of a folder are journeys: settings, called files and accounts stand beside them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synthmon.core.errors import Place, Problem
from synthmon.language.faults import keys_of
from synthmon.language.schema import JourneyKeys
from synthmon.language.settings_schema import SettingsKeys
from synthmon.language.sources import Sources
from synthmon.language.step_schema import CalledKeys

SETTINGS_FILE = "synthmon.yaml"


@dataclass(frozen=True, slots=True)
class Found:
    """The files to compile, in a stable order, and paths that lead nowhere."""

    files: tuple[str, ...]
    problems: tuple[Problem, ...]


def discover(paths: Sequence[str], settings_files: Sequence[str], sources: Sources, known: Mapping[str, str]) -> Found:
    """Every file that is named, and those below a folder that hold journeys. `known` were compiled before, with their
    fingerprints: unchanged, they need not be looked into again."""
    files: dict[str, None] = {}
    problems = []
    settings = {os.path.realpath(file) for file in settings_files}
    for path in paths:
        if os.path.isdir(path):
            for file in _below(path):
                if settings and os.path.realpath(file) in settings:
                    continue
                if known.get(file) == sources.fingerprint(file) or _is_of_journeys(file, sources):
                    files[file] = None
        elif os.path.exists(path):
            files[path] = None
        else:
            problems.append(
                Problem(Place(path), "unreadable-file", "There is no such file or folder.", "Check the path.")
            )
    return Found(tuple(files), tuple(problems))


def _below(folder: str) -> Iterator[str]:
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.endswith((".yaml", ".yml")) and not name.startswith("."):
                yield os.path.join(here, name)


def _is_of_journeys(file: str, sources: Sources) -> bool:
    """Whether to compile a file found in a folder: all but settings, called files, and lists or maps of values."""
    if os.path.basename(file) == SETTINGS_FILE:
        return False
    try:
        documents, problems = sources.documents(file)
    except OSError:
        return True
    return bool(problems) or not documents or any(_may_be_journey(document.tree) for document in documents)


def _may_be_journey(tree: Any) -> bool:
    if not isinstance(tree, dict):
        return False
    if "journey" in tree:
        return True
    if set(tree) <= set(keys_of(CalledKeys)) or set(tree) & set(keys_of(SettingsKeys)) - {"identities"}:
        return False
    return bool(set(tree) & set(keys_of(JourneyKeys)))
