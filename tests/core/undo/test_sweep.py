"""A sweep takes back what is surely ours, old, and owed by nobody; nothing else, whatever it looks like."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from synthmon.core.acts import Do
from synthmon.core.expressions import Compiler
from synthmon.core.journey import Step, Sweep
from synthmon.core.namespaces import namespace
from synthmon.core.undo.sweep import Bounds, Fate, SweepRun
from tests.core.scripted import START, Answer, World, spec, step

_COMPILER = Compiler()
_ANSWER = {"status": "int", "body": "dyn", "page": "string"}
_ITEM = {"item": "dyn"}
OLD, NEW = (START - timedelta(days=1)).isoformat(), START.isoformat()


def ordering(paged: bool = False) -> Step:
    """A step whose undo can list."""
    made = step("order", "POST /o", save={"id": "body.id"}, undo="DELETE /o/${order.id}")
    assert made.undo is not None
    listing = Sweep(
        spec("GET /o?${page}" if paged else "GET /o", {"page": "string"}),
        _COMPILER.compile("body.items", _ANSWER),
        _COMPILER.compile("item.tag", _ITEM),
        _COMPILER.compile("timestamp(item.at)", _ITEM),
        (("id", _COMPILER.compile("item.id", _ITEM)),),
        _COMPILER.compile("body.next", _ANSWER) if paged else None,
    )
    return replace(made, undo=replace(made.undo, sweep=listing))


class Shop:
    """Orders by id. `lie` leaves them there with a 204; `broken` fails from so many requests on."""

    def __init__(self, orders: list[dict[str, Any]], lie: bool = False, broken: int = 10**9, page: int = 0) -> None:
        self.orders = {order["id"]: order for order in orders}
        self.lie, self.broken, self.page, self.asked = lie, broken, page, 0

    def __call__(self, request: str, now_s: float, act: Do) -> Answer:
        self.asked += 1
        if self.asked > self.broken:
            return Answer(503)
        verb, _, path = request.partition(" ")
        if verb == "GET" and self.page:
            begin = int(path.partition("?")[2] or 0)
            items = list(self.orders.values())[begin : begin + self.page]
            more = {"next": begin + self.page} if begin + self.page < len(self.orders) else {}
            return Answer(200, {"items": items, **more})
        if verb == "GET":
            return Answer(200, {"items": list(self.orders.values())})
        if not self.lie:
            return Answer(204 if self.orders.pop(path.rpartition("/")[2], None) else 404)
        return Answer(204)


def swept(
    shop: Callable[[str, float, Do], Answer], dry: bool = False, owed: frozenset[str] = frozenset(), paged: bool = False
) -> tuple[SweepRun, World]:
    bounds = Bounds("ours", "eu", START - timedelta(hours=1), owed)
    core = SweepRun(ordering(paged), {"run.location": "eu", "run.instance": "ours"}, bounds, "ab" * 16, 0.0, START, dry)
    world = World(shop)
    world.drive(core, core.start(), None)
    assert core.done
    return core, world


def ours(n: int) -> str:
    return namespace(f"{n:016x}{0:016x}", "ours", "eu")


def order(n: int, tag: Any, at: str = OLD) -> dict[str, Any]:
    return {"id": f"o{n}", "tag": tag, "at": at}


def look_alikes(count: int) -> list[Any]:
    """Tags that are not ours, in every way that somebody thought of."""
    chance = random.Random(5)
    forms: list[Callable[[int], Any]] = [
        lambda n: f"syn-{chance.randbytes(8).hex()}",
        lambda n: f"syn-{chance.randbytes(12).hex()}",
        lambda n: f"{ours(n)}-copy",
        lambda n: f"copy of {ours(n)}",
        lambda n: ours(n)[:-1],
        lambda n: ours(n).upper(),
        lambda n: f"{ours(n)}\n",
        lambda n: namespace(f"{n:016x}{0:016x}", "theirs", "eu"),
        lambda n: namespace(f"{n:016x}{0:016x}", "ours", "us"),
        lambda n: namespace(f"{n:016x}{0:016x}", "", ""),
        lambda n: None,
        lambda n: n,
        lambda n: [ours(n)],
        lambda n: "",
    ]
    return [forms[n % len(forms)](n) for n in range(count)]


@pytest.mark.parametrize("page", [0, 50])
def test_every_orphan_goes_and_no_look_alike_is_touched(page: int) -> None:
    """500 orders: 140 orphans, 300 look-alikes, 30 young, 30 owed."""
    made = [order(n, tag) for n, tag in enumerate(look_alikes(300))]
    made += [order(300 + n, ours(n)) for n in range(140)]
    made += [order(440 + n, ours(1000 + n), NEW) for n in range(30)]
    made += [order(470 + n, ours(2000 + n)) for n in range(30)]
    random.Random(2).shuffle(made)
    shop = Shop(made, page=page)

    core, _world = swept(shop, owed=frozenset(ours(2000 + n) for n in range(30)), paged=bool(page))

    counts = [sum(item.fate is fate for item in core.items) for fate in Fate]
    assert dict(zip(Fate, counts, strict=True)) == {
        Fate.ORPHAN: 0,
        Fate.REMOVED: 140,
        Fate.LEFT: 0,
        Fate.LOOK_ALIKE: 300,
        Fate.YOUNG: 30,
        Fate.OWED: 30,
        Fate.UNREADABLE: 0,
    }
    assert sorted(shop.orders) == sorted(f"o{n}" for n in (*range(300), *range(440, 500)))
    assert core.fault == ""


def test_a_dry_run_sends_the_listing_and_nothing_else() -> None:
    shop = Shop([order(1, ours(1)), order(2, "syn-0123456789abcdef")])

    core, world = swept(shop, dry=True)

    assert world.requests() == ["GET /o"]
    assert [(item.fate, item.undo) for item in core.items] == [
        (Fate.ORPHAN, "DELETE /o/o1 → nothing"),
        (Fate.LOOK_ALIKE, ""),
    ]


def test_an_undo_that_says_yes_and_does_nothing_is_found_out_by_a_second_listing() -> None:
    core, _ = swept(Shop([order(1, ours(1))], lie=True))

    assert [(item.fate, item.why) for item in core.items] == [
        (Fate.LEFT, "its undo was answered, and it is still listed")
    ]
    assert core.fault == "not everything could be taken back"


def test_a_system_that_stops_answering_is_not_asked_on() -> None:
    shop = Shop([order(n, ours(n)) for n in range(20)], broken=4)

    core, _ = swept(shop)

    assert shop.asked == 5
    assert [item.fate for item in core.items] == [Fate.LEFT] * 20  # whether the first are gone could not be seen
    assert core.fault


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (Answer(500), "the listing cannot be had"),
        (Answer(404), "the listing cannot be had"),
        (Answer(200, {}), "`each` does not fit the answer"),
        (Answer(200, {"items": "none"}), "`each` is not a list"),
    ],
)
def test_a_listing_that_is_none_is_told_and_nothing_is_touched(answer: Answer, fault: str) -> None:
    core, world = swept(lambda request, now_s, act: answer)

    assert core.fault.startswith(fault)
    assert (core.items, len(world.requests())) == ([], 1)


@pytest.mark.parametrize("at", ["", "yesterday", None, 12])
def test_what_has_no_time_or_no_id_is_left_alone(at: Any) -> None:
    shop = Shop([{"id": "o1", "tag": ours(1), "at": at}])

    core, _ = swept(shop)

    assert [item.fate for item in core.items] == [Fate.UNREADABLE]
    assert "o1" in shop.orders


def test_what_is_made_in_the_future_is_not_old() -> None:
    shop = Shop([order(1, ours(1), (START + timedelta(days=400)).isoformat())])

    core, _ = swept(shop)

    assert [item.fate for item in core.items] == [Fate.YOUNG]


def test_pages_that_go_in_a_circle_end() -> None:
    core, world = swept(lambda request, now_s, act: Answer(200, {"items": [], "next": "a"}), paged=True)

    assert (core.fault, world.requests()) == ("", ["GET /o?", "GET /o?a"])
