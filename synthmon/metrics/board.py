"""What every journey's metrics stand at, and their lines, written again only when they changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from synthmon.core.families import (
    CLAUSES,
    CONSECUTIVE,
    CONSTANTS,
    FAMILIES,
    LAST_RUN,
    LAST_SUCCESS,
    LATER,
    PAUSED,
    Family,
    Form,
)
from synthmon.core.journey import Every, Journey
from synthmon.core.run import Record
from synthmon.core.samples import Add, Detail, Put, Update, after, constants, starts
from synthmon.core.slots import unit
from synthmon.metrics.lines import (
    Cell,
    Numbers,
    Tally,
    cell_text,
    common_labels,
    constant_line,
    without_exemplars,
)
from synthmon.metrics.pieces import Piece, pack

_INDEX = {family: at for at, family in enumerate(FAMILIES)}


RECALLED = frozenset({CONSECUTIVE, LAST_RUN, LAST_SUCCESS})
"""What goes on from where an earlier process stopped: without it, every restart would resolve the alerts that fire."""


class Board:
    """Counters, gauges and histograms of all journeys; every call is from the event loop's thread.

    `home` is the location of a journey that names none.
    """

    def __init__(self, detail: Detail | None = None, home: str = "") -> None:
        self._detail = detail or Detail()
        self._home = home
        self._cards: dict[str, Card] = {}
        self.shelves: Sequence[Shelf] = ()

    def load(self, journeys: Iterable[Journey]) -> None:
        """Take the journeys there are now: new ones stand at 0, gone ones vanish, changed ones keep their counts."""
        cards: dict[str, Card] = {}
        for journey in journeys:
            card = self._cards.get(journey.name)
            if card is None or card.journey.digest != journey.digest:
                card = Card(journey, self._detail, self._home, card)
            cards[journey.name] = card
        self._cards = cards
        # in the order in which they run: what changed since the last scrape then stands on few shelves
        ordered = sorted(cards.values(), key=_phase)
        self.shelves = _shelve(ordered, {shelf.cards: shelf for shelf in self.shelves})

    def record(self, record: Record, journey: Journey) -> None:
        """Add a record that history kept; one of a journey that is gone counts nowhere."""
        if card := self._cards.get(journey.name):
            card.take(record, journey)

    def recall(self, record: Record, journey: Journey) -> None:
        """Take up, at the start and oldest first, what an earlier process measured: gauges go on from there.

        Counters do not: they count what this process has seen, and rules expect them to begin at 0.
        """
        if card := self._cards.get(journey.name):
            card.take(record, journey, RECALLED)

    def pause(self, name: str, paused: bool) -> None:
        """Tell whether a journey is paused."""
        if card := self._cards.get(name):
            card.pause(paused)

    def value(self, family: Family, name: str, location: str = "", labels: tuple[str, ...] = ()) -> float | None:
        """What a counter or gauge stands at; None when there is no such series."""
        card = self._cards.get(name)
        cell = card.cell(location or self._home, family) if card else None
        return cell.values.get(labels) if isinstance(cell, Numbers) else None


class Shelf:
    """A few journeys that are written and compressed together."""

    __slots__ = ("_packed", "cards")

    def __init__(self, cards: tuple[Card, ...]) -> None:
        self.cards = cards
        self._packed: dict[bool, list[Piece | None]] = {}
        for card in cards:
            card.shelf = self

    def text(self, at: int, openmetrics: bool) -> bytes:
        """The lines of the family at an index of `FAMILIES`."""
        text = b"".join([card.text(at) for card in self.cards])
        return text if openmetrics or not FAMILIES[at].exemplar else without_exemplars(text)

    def kept(self, at: int, openmetrics: bool) -> Piece | None:
        """The compressed lines, if nothing changed since they were made."""
        pieces = self._packed.get(openmetrics)
        return pieces[at] if pieces else None

    def pack(self, at: int, openmetrics: bool) -> Piece:
        """Write and compress the lines of one family, which then need not be kept as text as well."""
        pieces = self._packed.setdefault(openmetrics, [None] * len(FAMILIES))
        piece = pieces[at] = pack(self.text(at, openmetrics))
        for card in self.cards:
            card.let_go(at)
        return piece

    def forget(self, at: int) -> None:
        """One family changed."""
        for pieces in self._packed.values():
            pieces[at] = None


@dataclass(frozen=True, slots=True)
class Place:
    """One journey in one location: the labels of all its samples, and what each family holds."""

    labels: str
    cells: Mapping[Family, Cell]


class Card:
    """One journey: its cells by location, and its lines by family."""

    __slots__ = ("_detail", "_places", "_texts", "journey", "paused", "shelf")
    _places: dict[str, Place]
    paused: bool

    def __init__(self, journey: Journey, detail: Detail, home: str, old: Card | None = None) -> None:
        self.journey = journey
        self.paused = old.paused if old else False
        self.shelf: Shelf | None = None
        self._detail = detail
        self._texts: list[bytes | None] = [None] * len(FAMILIES)
        self._places = {}
        before = old._places if old else {}
        for location in journey.locations or (home, *before):
            self._open(location, before.get(location))

    def take(self, record: Record, journey: Journey, only: Collection[Family] = FAMILIES) -> None:
        """Add what one record adds."""
        place = self._places.get(record.location) or self._open(record.location)
        cells = place.cells
        at_s = (record.ended or record.slot).timestamp()
        for update in after(record, journey, self._detail):
            if update.family in only and (cell := cells.get(update.family)) is not None:
                if update.family is CLAUSES and isinstance(cell, Numbers) and update.labels not in cell.values:
                    continue  # of a run that began before a reload: the journey has no such clause any more
                _apply(update, cell, record.run_id, at_s)
                self._forget(_INDEX[update.family])

    def pause(self, paused: bool) -> None:
        """Tell whether it is paused."""
        if paused != self.paused:
            self.paused = paused
            self._forget(_INDEX[PAUSED])

    def cell(self, location: str, family: Family) -> Cell | None:
        """What a family holds in a location."""
        place = self._places.get(location)
        return place.cells.get(family) if place else None

    def text(self, at: int) -> bytes:
        """The lines of one family, with exemplars; kept until it changes."""
        text = self._texts[at]
        if text is None:
            if FAMILIES[at] in CONSTANTS:
                self._write_constants()
            else:
                self._texts[at] = self._measured(FAMILIES[at]).encode()
            text = self._texts[at] or b""
        return text

    def let_go(self, at: int) -> None:
        """Forget the lines of a family that runs change: 2 kB a journey. The cards of a shelf run at about the same
        time, so when one changes nearly all are written again anyway."""
        if FAMILIES[at] not in CONSTANTS:
            self._texts[at] = None

    def _write_constants(self) -> None:
        lines = dict.fromkeys(CONSTANTS, "")
        for sample in constants(self.journey, self.paused):
            # the case is one of INFO's own labels
            case = self.journey.case_name if sample.family.form is not Form.INFO else ""
            lines[sample.family] += constant_line(common_labels(self.journey.name, case), sample)
        for family, text in lines.items():
            self._texts[_INDEX[family]] = text.encode()

    def _measured(self, family: Family) -> str:
        texts = [
            cell_text(family, place.labels, cell)
            for place in self._places.values()
            if (cell := place.cells.get(family)) is not None
        ]
        return "".join(texts)

    def _open(self, location: str, before: Place | None = None) -> Place:
        labels = common_labels(self.journey.name, self.journey.case_name, location)
        place = Place(labels, _cells(self.journey, self._detail, before.cells if before else {}))
        self._places[location] = place
        self._forget(*_INDEX.values())
        return place

    def _forget(self, *indices: int) -> None:
        for at in indices:
            self._texts[at] = None
            if self.shelf is not None:
                self.shelf.forget(at)


def _phase(card: Card) -> tuple[float, float]:
    schedule = card.journey.schedule
    return (schedule.interval_s if isinstance(schedule, Every) else 0, unit(card.journey.name))


def _cells(journey: Journey, detail: Detail, before: Mapping[Family, Cell]) -> dict[Family, Cell]:
    """The cells of one journey in one location, with the counts that a former version of it had."""
    cells: dict[Family, Cell] = {}
    for family in LATER:
        cells[family] = before.get(family) or Numbers()
    for start in starts(journey, detail):
        old = before.get(start.family)
        if start.family.form is Form.HISTOGRAM:
            tallies = cells.setdefault(start.family, {})
            kept = old.get(start.labels) if isinstance(old, dict) else None
            assert isinstance(tallies, dict)
            tallies[start.labels] = kept if kept and kept.bounds == start.buckets else Tally(start.buckets)
        else:
            numbers = cells.setdefault(start.family, Numbers())
            assert isinstance(numbers, Numbers)
            numbers.values[start.labels] = old.values.get(start.labels, 0) if isinstance(old, Numbers) else 0
    return cells


def _apply(update: Update, cell: Cell, run_id: str, at_s: float) -> None:
    family = update.family
    if isinstance(update, Put):
        assert isinstance(cell, Numbers)
        cell.values[update.labels] = update.value
        return
    value = update.by if isinstance(update, Add) else update.value
    exemplar = (run_id, value, at_s) if family.exemplar and run_id else None
    if isinstance(cell, Numbers):
        cell.add(update.labels, value, family.most, exemplar)
    elif tally := cell.get(update.labels):
        tally.add(value, exemplar)


def _shelve(cards: list[Card], known: Mapping[tuple[Card, ...], Shelf]) -> Sequence[Shelf]:
    # small shelves are cheap to write again, large ones compress well; that matters on large pages only
    size = min(32, max(4, len(cards) // 128))
    rows = [tuple(cards[i : i + size]) for i in range(0, len(cards), size)]
    return [known.get(row) or Shelf(row) for row in rows]
