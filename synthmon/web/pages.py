"""The pages: all journeys, one journey, one run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

import jinja2
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from synthmon.core.finding.investigation import Investigation
from synthmon.core.finding.peers import BAD, GOOD
from synthmon.core.finding.story import Line
from synthmon.core.journey import Journey
from synthmon.core.run import Record
from synthmon.core.status import JourneyStatus, Monitor
from synthmon.core.timeline import timeline
from synthmon.core.undo.debt_budget import DebtBudget
from synthmon.web import shapes, words
from synthmon.web.answers import Html
from synthmon.web.chart import chart
from synthmon.web.insight import Crowded, Insight, skew_of
from synthmon.web.standing import Standing, State, standing, state_of
from synthmon.web.strip import LENGTH, strip
from synthmon.web.waterfall import attempt_bars, waterfall

ROWS = 60
MOST_DEBTS = 200
REPLAYS_AMONG = 200  # of the newest runs of a journey, those that replay a run are linked on its page
MOST_MOMENTS = 500
MOST_SUSPECTS = 20
TILES = 600

Now = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Pages:
    """Draws pages from what the monitor tells; `now` gives the instant in UTC."""

    monitor: Monitor
    now: Now
    version: str
    templates: jinja2.Environment
    insight: Insight

    def routes(self) -> list[BaseRoute]:
        """Where the pages are."""
        return [
            Route("/", self.index),
            Route("/journeys/{name:path}", self.journey),
            Route("/suspects/{name:path}", self.suspects),
            Route("/runs/{id}/investigation", self.investigation),
            Route("/runs/{id}", self.run),
            Route("/debts", self.debts),
            Route("/shots/{name}", self.shot),
        ]

    async def index(self, request: Request) -> Response:
        """All journeys, the worst first."""
        query = request.query_params
        sought, only = query.get("q", "").strip()[:100], query.get("state", "")
        wall = query.get("view") == "wall"
        groups, found, counts = await self._groups(sought.lower(), only)
        most = TILES if wall else ROWS
        number = _page_number(query.get("page", ""), found, most)
        shown = _slice(groups, (number - 1) * most, most)
        drawn = [(state, await _with_standings(members)) for state, members in shown]
        return await self._page(
            "wall.html" if wall else "index.html",
            groups=drawn,
            counts=counts,
            total=sum(counts.values()),
            sought=sought,
            only=only,
            page=number,
            pages=max(1, -(-found // most)),
            link=lambda **changed: _link(query, changed),
            problems=self.monitor.problems,
            debts=self.monitor.debts(),
            too_many=too_many(self.monitor.debt_budget()),
            ready=self.monitor.ready(),
        )

    async def journey(self, request: Request) -> Response:
        """One journey: how it stands, its runs, its text."""
        status = self.monitor.journey(request.path_params["name"])
        if status is None:
            return await self._missing("No such journey", "It is not loaded. A file with problems loads nothing.")
        records = await self.monitor.history.recent(status.journey.name, limit=100)
        slo = status.journey.slo
        promised_ms = max(slo.latency.values()) * 1000 if slo and slo.latency else None
        return await self._page(
            "journey.html",
            status=status,
            journey=status.journey,
            stands=standing(status),
            records=records,
            chart=chart(records, promised_ms),
            schedule=shapes.schedule(status.journey),
            failing=sum(record.outcome in BAD for record in records),
            bad=next((r for r in records if r.run_id and r.outcome not in GOOD), None),
        )

    async def suspects(self, request: Request) -> Response:
        """What goes along with the failures of a journey."""
        name = request.path_params["name"]
        status = self.monitor.journey(name)
        if status is None:
            return await self._missing("No such journey", "It is not loaded. A file with problems loads nothing.")
        try:
            found = await self.insight.rank(name, status.journey.digest, skew_of(self.monitor, name))
        except Crowded as crowded:
            return await self._missing("Busy", str(crowded), watch=True, status_code=503)
        return await self._page("suspects.html", journey=status.journey, found=found, most=MOST_SUSPECTS)

    async def investigation(self, request: Request) -> Response:
        """One run, looked into."""
        record = await self._record(request)
        if record is None:
            return await self._missing("No such run", "It is still going, or it is not kept any more.", watch=True)
        try:
            found = await self.insight.investigate(record, skew_s=skew_of(self.monitor, record.journey))
        except Crowded as crowded:
            return await self._missing("Busy", str(crowded), watch=True, status_code=503)
        return await self._page(
            "investigation.html", record=record, found=found, lines=lines_of(found), most=MOST_SUSPECTS
        )

    async def run(self, request: Request) -> Response:
        """One run, whole."""
        record = await self._record(request)
        if record is None:
            return await self._missing("No such run", "It is still going, or it is not kept any more.", watch=True)
        return await self._page(
            "run.html",
            record=record,
            status=self.monitor.journey(record.journey),
            fall=waterfall(record),
            moments=timeline(record)[:MOST_MOMENTS] if record.evidence else (),
            attempt_bars=attempt_bars,
            labels=_run_labels(record),
            replays=await self._replays(record),
            replaying=self.monitor.replaying(record.run_id),
        )

    async def shot(self, request: Request) -> Response:
        """A picture of a page that a run kept."""
        found = await self.monitor.picture(request.path_params["name"])
        if found is None:
            return await self._missing("No such picture", "It is not kept any more.")
        return Response(found, media_type="image/png", headers={"cache-control": "private, max-age=3600"})

    async def debts(self, request: Request) -> Response:
        """What runs left behind, the oldest first, and what a person would do about it."""
        budget = self.monitor.debt_budget()
        debts = self.monitor.debts()
        return await self._page(
            "debts.html", debts=debts[:MOST_DEBTS], total=len(debts), budget=budget, too_many=too_many(budget)
        )

    async def _replays(self, record: Record) -> Sequence[Record]:
        """The runs that are replays of it, among the newest of its journey."""
        newest = await self.monitor.history.recent(record.journey, limit=REPLAYS_AMONG) if record.run_id else ()
        return [replay for replay in newest if replay.replay_of == record.run_id]

    async def _record(self, request: Request) -> Record | None:
        try:
            return await self.monitor.history.run(request.path_params["id"])
        except LookupError:
            return None

    async def _groups(
        self, sought: str, only: str
    ) -> tuple[list[tuple[State, list[JourneyStatus]]], int, Mapping[State, int]]:
        """Journeys by state that fit what is sought; how many fit; how many there are of each state."""
        groups: dict[State, list[JourneyStatus]] = {state: [] for state in State}
        counts = dict.fromkeys(State, 0)
        for at, status in enumerate(self.monitor.journeys()):
            state = state_of(status)
            counts[state] += 1
            if only in ("", state) and _fits(status.journey, sought):
                groups[state].append(status)
            if at % 500 == 499:
                await asyncio.sleep(0)  # thousands of journeys must not hold the loop
        for members in groups.values():
            members.sort(key=lambda status: status.journey.name)
        fitting = [(state, members) for state, members in groups.items() if members]
        return fitting, sum(len(members) for _, members in fitting), counts

    async def _missing(self, title: str, detail: str, watch: bool = False, status_code: int = 404) -> Response:
        return await self._page("missing.html", status_code, title=title, detail=detail, watch=watch)

    async def _page(self, template: str, status_code: int = 200, **names: Any) -> Response:
        drawn = self.templates.get_template(template)
        names |= {"now": self.now(), "version": self.version}
        # in a thread: a large page takes some 20 ms
        return Html(await asyncio.to_thread(drawn.render, names), status_code)


def templates() -> jinja2.Environment:
    """The templates with their words; everything is escaped, an unknown name is an error."""
    env = jinja2.Environment(
        loader=jinja2.PackageLoader("synthmon.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {
        "duration": words.duration,
        "clock": words.clock,
        "reason": words.reason,
        "symbol": words.symbol,
        "ago": words.ago,
        "since": lambda text, now: words.ago(datetime.fromisoformat(text), now),
        "age": words.age,
        "due": words.due,
        "spaced": words.spaced,
        "file": words.file,
        "strip": strip,
        "path": lambda text: quote(str(text), safe="/", errors="replace"),
    }
    env.globals |= {"strip_length": LENGTH}
    return env


def lines_of(found: Investigation) -> Sequence[tuple[str, Line]]:
    """The lines of a story, each with its form."""
    return [(type(line).__name__.lower(), line) for line in found.lines[:MOST_MOMENTS]]


def too_many(budget: DebtBudget) -> Sequence[str]:
    """A sentence for each system, or all of them, where nothing is created any more."""
    return [
        f"{budget.open[name]} of at most {budget.limits[name]} {f'in {name}' if name else 'in all systems together'}"
        for name in budget.over
    ]


async def _with_standings(members: Sequence[JourneyStatus]) -> Sequence[tuple[JourneyStatus, Standing]]:
    told = []
    for at, status in enumerate(members):
        told.append((status, standing(status)))
        if at % 20 == 19:
            await asyncio.sleep(0)
    return told


def _fits(journey: Journey, sought: str) -> bool:
    if not sought:
        return True
    said = (journey.name, journey.title, journey.owner, journey.system, *journey.labels.values())
    return any(sought in text.lower() for text in said)


def _page_number(text: str, found: int, most: int) -> int:
    last = max(1, -(-found // most))
    return min(int(text[:6]), last) if text.isascii() and text.isdecimal() and int(text[:6]) > 0 else 1


def _slice(
    groups: list[tuple[State, list[JourneyStatus]]], begin: int, most: int
) -> list[tuple[State, list[JourneyStatus]]]:
    """The groups of one page of rows."""
    shown = []
    for state, members in groups:
        if part := members[max(0, begin) : max(0, begin + most)]:
            shown.append((state, part))
        begin -= len(members)
    return shown


def _link(query: Mapping[str, str], changed: Mapping[str, Any]) -> str:
    names = {key: query.get(key, "") for key in ("q", "state", "view", "page")}
    names |= {key: str(value) for key, value in changed.items()}
    kept = {key: value for key, value in names.items() if value and (key, value) != ("page", "1")}
    return f"/?{urlencode(kept)}" if kept else "/"


def _run_labels(record: Record) -> list[tuple[str, str]]:
    """What is told beside the verdict."""
    told = [
        ("Slot", words.clock(record.slot)),
        ("Started", words.clock(record.started)),
        ("Lateness", words.duration(record.lateness_ms)),
        ("Outcome latency", words.duration(record.outcome_ms)),
        ("Took", words.duration(record.took_ms)),
        ("Location", record.location),
        ("Cause", record.cause),
        ("Booked on", record.system),
        ("Version", record.version[:12]),
    ]
    return [(name, text) for name, text in told if text and text != "–"]
