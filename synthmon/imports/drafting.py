"""From captured exchanges to a draft: what was learnt is saved, secrets and people are taken out, writes are named."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

from synthmon.identities.literals import find_unsafe_literals
from synthmon.imports.draft import LEAVES_UNKNOWN, Draft, DraftStep, DraftSystem, Request
from synthmon.imports.exchanges import Exchange, write_rules
from synthmon.imports.expectations import expected
from synthmon.imports.links import find_links, in_place, linked
from synthmon.imports.naming import journey_name, step_id, system_name, unused
from synthmon.imports.own_ids import find_own_ids, with_own_ids
from synthmon.imports.people import fields_used, invented
from synthmon.imports.sealing import Safe, sealed
from synthmon.imports.texts import Text, Value, joined, shown


@dataclass(frozen=True, slots=True)
class Extras:
    """What a source knows beside the exchanges, by their index: comments, time limits; and who redirects."""

    comments: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    timeouts: Mapping[int, str] = field(default_factory=dict)
    follow: bool = False


def drafted(exchanges: Sequence[Exchange], notes: Sequence[str], extras: Extras | None = None) -> Draft:
    """One journey from exchanges in their order; there is at least one."""
    extras = extras or Extras()
    systems = _names_of_systems(exchanges)
    safe = Safe(systems[exchanges[0].origin])
    links = find_links(exchanges)
    own = find_own_ids(exchanges, links)
    ids = _ids(exchanges, {*links, *own})
    filled, saves = linked(exchanges, links, ids)
    clean = invented(sealed(with_own_ids(filled, own), safe), safe)
    steps = tuple(
        replace(
            _step(one, ids[i], saves[i], systems, safe, {*links, *own}),
            comments=extras.comments.get(i, ()),
            timeout=extras.timeouts.get(i, ""),
        )
        for i, one in enumerate(clean)
    )
    people = fields_used([[dict(one.params), one.body, dict(one.headers), list(one.path)] for one in clean])
    first = clean[0]
    return Draft(
        name=journey_name(
            first.method if len(clean) == 1 else systems[first.origin], ids[-1] if len(clean) > 1 else _words(first)
        ),
        title=_title(clean),
        systems=_systems(clean, systems, extras.follow),
        steps=steps,
        vars=dict(own.values()),
        every=_every(clean),
        secrets=dict(safe.variables),
        identity=people,
        notes=(*notes, *safe.notes, *_people_notes(clean, people)),
    )


def _names_of_systems(exchanges: Sequence[Exchange]) -> dict[str, str]:
    """Origin → name of its system, in order of appearance."""
    made: dict[str, str] = {}
    for exchange in exchanges:
        if exchange.origin not in made:
            made[exchange.origin] = unused(system_name(exchange.origin), made.values(), "-")
    return made


def _ids(exchanges: Sequence[Exchange], learnt: set[str]) -> list[str]:
    """An id for each step; what is another thing in every run takes no part in it."""
    made: list[str] = []
    for exchange in exchanges:
        path = tuple(None if _another(exchange.path, at, learnt) else piece for at, piece in enumerate(exchange.path))
        made.append(step_id(exchange.method, path, made))
    return made


def _another(path: Sequence[Value], at: int, learnt: set[str]) -> bool:
    """Whether a segment of a path names one thing, or somebody."""
    piece = unquote(str(path[at]))
    return piece in learnt or in_place(path, at) in learnt or bool(find_unsafe_literals(piece))


def _step(
    exchange: Exchange, name: str, save: Mapping[str, str], systems: Mapping[str, str], safe: Safe, learnt: set[str]
) -> DraftStep:
    own = next(iter(systems.values()))
    system = systems[exchange.origin]
    expect = tuple(
        check for check in expected(exchange) if safe.cover(check) == check and not any(v in check for v in learnt)
    )
    return DraftStep(
        id=name,
        request=Request(
            exchange.method, _url(exchange), exchange.params, exchange.headers, exchange.word, exchange.body
        ),
        expect=expect,
        system="" if system == own else system,
        save=save,
        within=_within(exchange),
        leaves="nothing" if exchange.write else "",
        leaves_remark=LEAVES_UNKNOWN if exchange.write else "",
    )


def _url(exchange: Exchange) -> str | Text:
    pieces: list[str | Text] = []
    for piece in exchange.path:
        pieces += ["/", piece]
    return joined(*pieces)


def _within(exchange: Exchange) -> str:
    if exchange.polled_s is None:
        return ""
    return f"{_wait_s(exchange):g}s"


def _wait_s(exchange: Exchange) -> float:
    """Twice as long as the recording waited, from ten seconds to five minutes."""
    if exchange.polled_s is None:
        return 0.0
    return min(max(10, math.ceil(exchange.polled_s * 2 / 5) * 5), 300)


def _every(exchanges: Sequence[Exchange]) -> str:
    """An interval that is longer than a run may take: 30 s and what it may wait."""
    longest_s = 30 + sum(map(_wait_s, exchanges))
    return next((every for limit_s, every in ((300, "5m"), (1800, "30m")) if longest_s <= limit_s), "4h")


def _systems(exchanges: Sequence[Exchange], names: Mapping[str, str], follow: bool) -> tuple[DraftSystem, ...]:
    writes: dict[str, dict[str, None]] = {origin: {} for origin in names}
    for exchange in exchanges:
        if exchange.write:
            writes[exchange.origin][write_rules(exchange.method, exchange.path)] = None
    return tuple(DraftSystem(name, origin, tuple(writes[origin]), follow) for origin, name in names.items())


def _words(exchange: Exchange) -> str:
    return "-".join(shown(piece).replace("…", "") for piece in exchange.path) or system_name(exchange.origin)


def _title(exchanges: Sequence[Exchange]) -> str:
    told = [f"{one.method} {shown(_url(one))}" for one in exchanges]
    return told[0] if len(told) == 1 else f"{told[0]} … {told[-1]}"


def _people_notes(exchanges: Sequence[Exchange], people: Sequence[str]) -> list[str]:
    if not people:
        return []
    notes = ["What may belong to a real person was replaced by an invented one: `identity.*`."]
    if any(
        str(piece).lower().replace("-", "").replace("_", "") in _LOGINS
        for one in exchanges
        if one.write
        for piece in one.path
    ):
        notes.append(
            "An invented person cannot log in: name test accounts under `identities:` (accounts: …), or a session."
        )
    return notes


_LOGINS = frozenset(("login", "signin", "session", "sessions", "token", "auth", "authenticate"))
