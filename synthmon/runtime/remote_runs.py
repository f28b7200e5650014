"""Lets a running daemon make runs and replays, and hands over their records as they come."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synthmon.core.finding.order import Finding
from synthmon.core.replaying import Refused, Stand, Wish
from synthmon.core.run import Record
from synthmon.core.timeline import Moment
from synthmon.runtime.remote import PREPARE_S, Daemon, Refusal, path
from synthmon.store.nouns import read

LOOK_EVERY_S = 0.5
PATIENCE_S = 120.0  # for a place to run in, and for clean-up, on top of a journey's deadline


@dataclass(frozen=True, slots=True)
class Shown:
    """A record as the API tells it: its evidence as moments. `order`: the one that a replay was to force."""

    record: Record
    moments: tuple[Moment, ...]
    order: str | None = None


def run_afar(daemon: Daemon, what: str, times: int) -> Iterator[Shown]:
    """Run a journey now, or every case of it, so many times, one after the other. Raises `Refusal`."""
    names = _names(daemon, what)
    limits_s = {name: float(daemon.get(f"journeys/{path(name)}")["deadline_s"]) + PATIENCE_S for name in names}
    for _ in range(times):
        for name in names:
            run_id = daemon.post(f"journeys/{path(name)}/run")["run"]
            yield _once_kept(daemon, run_id, limits_s[name])


def plan_afar(daemon: Daemon, wish: Wish, yes: bool) -> Mapping[str, Any]:
    """The plan of a replay in words; with `yes` it has begun. Raises `Refusal`."""
    asked = {"same_keys": wish.same_keys, "order": wish.order, "times": wish.times, "yes": yes}
    plan: Mapping[str, Any] = daemon.post(f"runs/{path(wish.run)}/replay", asked, PREPARE_S)["plan"]
    return plan


def replay_afar(daemon: Daemon, run_id: str) -> Iterator[Shown | Finding]:
    """The runs of a replay that has begun, and in the end what its orders come to.

    Raises `Refused` when no more are made before all were, `Refusal` when the daemon does not tell.
    """
    seen = 0
    while True:
        stands = daemon.get(f"runs/{run_id}/replay")
        for made in stands["runs"][seen:]:
            yield _shown(daemon.get(f"runs/{made['run']}"), made["order"])
        seen = len(stands["runs"])
        if stands["state"] == Stand.STOPPED:
            raise Refused(stands["said"])
        if stands["state"] == Stand.OVER:
            break
        time.sleep(LOOK_EVERY_S)
    if stands["finding"] is not None:
        yield read(Finding, stands["finding"])


def _names(daemon: Daemon, what: str) -> Sequence[str]:
    try:
        return [daemon.get(f"journeys/{path(what)}")["name"]]
    except Refusal as refusal:
        if refusal.status != 404:
            raise
        cases = daemon.get(f"journeys?limit=500&after={path(what)}/")["journeys"]
        names = [told["name"] for told in cases if told["name"].startswith(f"{what}/")]
        if not names:
            raise
        return names


def _once_kept(daemon: Daemon, run_id: str, limit_s: float) -> Shown:
    until_s = time.monotonic() + limit_s
    while True:
        try:
            return _shown(daemon.get(f"runs/{run_id}"))
        except Refusal as refusal:
            if refusal.status != 404:
                raise
        if time.monotonic() > until_s:
            raise Refusal(f"run {run_id} was begun, and there is no record of it after {limit_s:g} s.")
        time.sleep(LOOK_EVERY_S)


def _shown(told: Mapping[str, Any], order: str | None = None) -> Shown:
    words = {name: told[name] or "" for name in ("reason", "step", "system", "replay_of")}
    record = read(Record, {**told, **words, "run_id": told["id"] or ""})
    return Shown(record, tuple(read(Moment, moment) for moment in told["timeline"]), order)
