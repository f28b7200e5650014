"""From an OpenAPI description to drafts of probes: create, read, undo, gone where it can be; reading where not."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from synthmon.core.errors import Invalid, Place, Problem
from synthmon.imports.draft import Draft
from synthmon.imports.naming import unused
from synthmon.imports.openapi_document import Api, Operation, read_api
from synthmon.imports.openapi_journeys import Writer

MOST_DRAFTS = 40
MOST_STEPS = 12


def from_openapi(text: str, base: str | None = None, only: Collection[str] | None = None) -> list[Draft]:
    """Drafts for OpenAPI 3.0 or 3.1, JSON or YAML.

    A collection with POST and DELETE of one thing becomes a whole journey; what can only be read becomes one draft a
    tag. `base` says where the API is; `only` are tags, operation ids or beginnings of paths. References inside the file
    are followed, others are left out and noted. Raises `Invalid`.
    """
    api = read_api(text, base or "")
    wanted = tuple(one for one in api.operations if _wanted(one, only))
    if not wanted:
        raise Invalid([_nothing(api, only)])
    writer = Writer(api)
    made: list[Draft] = []
    rest: dict[str, list[_Reads]] = {}
    for things in _things(wanted):
        if things.create and things.delete:
            made.append(writer.whole(things.create, things.read, things.delete, things.others))
        elif things.listing or things.read:
            rest.setdefault((things.listing or things.read or wanted[0]).tag, []).append(
                _Reads(things.listing, things.read, things.others)
            )
        else:
            writer.leave_out(things.others)
    for tag, reads in rest.items():
        pairs = [(one.listing, one.read) for one in reads]
        writer.leave_out([one for each in reads for one in each.others])
        made += filter(
            None, (writer.reading(tag, pairs[at : at + MOST_STEPS]) for at in range(0, len(pairs), MOST_STEPS))
        )
    if not made:
        raise Invalid(
            [
                Problem(
                    Place("openapi"),
                    "openapi-nothing",
                    f"Nothing can be drafted: {'; '.join(writer.left_out)}.",
                    _BY_HAND,
                )
            ]
        )
    return _finished(made, writer)


@dataclass(frozen=True, slots=True)
class _Things:
    """A collection and what can be done to one of its things."""

    listing: Operation | None
    create: Operation | None
    read: Operation | None
    delete: Operation | None
    others: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class _Reads:
    listing: Operation | None
    read: Operation | None
    others: tuple[Operation, ...]


def _things(operations: Sequence[Operation]) -> Iterator[_Things]:
    """Operations by their collection: `/orders` and `/orders/{id}` belong together."""
    groups: dict[tuple[str, ...], dict[str, Operation]] = {}
    for one in operations:
        item = one.path[-1].startswith("{") and one.path[-1].endswith("}") and len(one.path) > 1
        key = one.path[:-1] if item else one.path
        name = f"item {one.method}" if item else one.method
        groups.setdefault(key, {}).setdefault(name, one)
    for found in groups.values():
        whole = "POST" in found and "item DELETE" in found
        used = ("GET", "item GET", *(("POST", "item DELETE") if whole else ()))
        others = tuple(one for name, one in found.items() if name not in used)
        yield _Things(
            found.get("GET"),
            found.get("POST") if whole else None,
            found.get("item GET"),
            found.get("item DELETE") if whole else None,
            others,
        )


def _wanted(one: Operation, only: Collection[str] | None) -> bool:
    if not only:
        return True
    return any(word in (one.tag, one.name) or (word.startswith("/") and one.url.startswith(word)) for word in only)


def _finished(made: list[Draft], writer: Writer) -> list[Draft]:
    """Names of their own, and the notes that concern the whole description on the first."""
    notes = list(dict.fromkeys((*writer.api.notes, *(f"Not drafted: {one}." for one in writer.left_out))))
    if len(made) > MOST_DRAFTS:
        notes.append(f"Only {MOST_DRAFTS} of {len(made)} drafts were made: choose tags or paths with `only`.")
    names: list[str] = []
    finished = []
    for draft in made[:MOST_DRAFTS]:
        names.append(unused(draft.name, names, "-"))
        finished.append(_renamed(draft, names[-1], notes if len(names) == 1 else ()))
    return finished


def _renamed(draft: Draft, name: str, notes: Sequence[str]) -> Draft:
    return replace(draft, name=name, notes=(*draft.notes, *notes))


def _nothing(api: Api, only: Collection[str] | None) -> Problem:
    tags = ", ".join(sorted({one.tag for one in api.operations})[:20])
    fault = f"Nothing in it is {', '.join(only)}." if only else "It has no operations."
    return Problem(Place("openapi"), "openapi-nothing", fault, f"Its tags are {tags}." if tags else "Add paths.")


_BY_HAND = "Write these probes by hand: a write needs to be taken back."
