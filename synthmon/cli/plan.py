"""Draws what would be sent, before anything is: `synthmon run --dry-run`, and the plan of a replay."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.text import Text

from synthmon.core.journey import Journey
from synthmon.language.settings import Settings
from synthmon.runtime.sending import Line, plan_lines


def draw_plan(journey: Journey, settings: Settings) -> RenderableType:
    """Every step with its request as far as its values are known before anything is sent, its checks, its undo."""
    return draw_lines(plan_lines(journey, settings))


def draw_lines(lines: Iterable[Line]) -> RenderableType:
    """Lines as a terminal sets them."""
    return Group(*(Text.assemble(*line) for line in lines))
