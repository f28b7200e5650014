"""An entry of the journal as one tagged line of JSON, and back."""

from __future__ import annotations

from synthmon.core.undo.intents import Entry, Intent, Learned, Opened, Settled, Taken
from synthmon.store.nouns import microseconds, packed, read, unpacked

_NAMES: dict[type[Entry], str] = {
    Opened: "opened",
    Intent: "intent",
    Learned: "learned",
    Settled: "settled",
    Taken: "taken",
}
_KINDS = {name: kind for kind, name in _NAMES.items()}


def line_of(entry: Entry) -> str:
    """`{"intent": {…}}`. Raises `ValueError` for an instant without a time zone."""
    match entry:
        case Opened(started=at) | Intent(expires=at):
            microseconds(at)
    return packed({_NAMES[type(entry)]: entry}).decode()


def entry_from(line: str) -> Entry:
    """The entry again. Raises `ValueError` when the line is damaged."""
    ((name, document),) = unpacked(line).items()
    if name not in _KINDS:
        # A newer version wrote it. It keeps its number, because writers are fenced by numbers, and teaches nothing.
        return Learned(path="", values={})
    return read(_KINDS[name], document)
