"""No secret is seen again on any surface in any form."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.canaries.figure import measure


def test_no_canary_is_seen_where_it_would_be_kept_or_shown(tmp_path: Path) -> None:
    figure = measure(tmp_path, few=True)

    assert figure.hits == []
    assert (figure.canaries, figure.arrived) == (12, 7)
    assert len(figure.surfaces) >= 12


@pytest.mark.torture
def test_none_of_forty_canaries_is_seen_on_any_surface_in_any_form(tmp_path: Path) -> None:
    figure = measure(tmp_path)

    assert figure.hits == []
    assert figure.arrived >= 24  # the target did see what it repeated
    assert (figure.canaries, len(figure.surfaces) >= 16, figure.encodings >= 6) == (40, True, True)
    assert all(figure.surfaces.values())
