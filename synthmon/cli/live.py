"""A run while it is going on: one line that says which step it is in, redrawn in place."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from synthmon.core.transact.transaction import Transaction
from synthmon.core.undo.debts import Clean


class Stage:
    """Draws on a terminal only; elsewhere it is silent."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, transient=True, refresh_per_second=12) if console.is_terminal else None
        self._began_s = time.monotonic()

    def __enter__(self) -> Stage:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def show(self, core: Clean) -> None:
        """What has come true, and what is being waited for."""
        if self._live is None or not isinstance(core, Transaction):
            return
        line = Text(f"{core.journey.name}  ", style="bold")
        for course in core.courses.values():
            if course.outcome is None:
                looks = f" look {len(course.attempts)}" if len(course.attempts) > 1 else ""
                line.append(f"◌ {course.step.id}{looks} ", "yellow")
                if course.judged.message:
                    line.append(f" {core.vault.redact(course.judged.message)}", "dim")
            else:
                line.append(f"✓ {course.step.id} ", "green")
        if core.forward_end_s is not None:
            line.append("cleaning up", "dim")
        self._live.update(line)

    def clear(self) -> None:
        """The run is over; what comes next is drawn by others."""
        if self._live:
            self._live.update(Text(""))
