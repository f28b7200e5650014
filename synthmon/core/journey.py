"""A journey as it is meant: its steps, checks, schedule and promises, with every expression compiled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from synthmon.core.errors import Place
from synthmon.core.expressions import Expression, Scope
from synthmon.core.sequence.clauses import Clause, EventSpec
from synthmon.core.sources import Source
from synthmon.core.templates import Template


class Spec(Protocol):
    """What one step does, compiled: a kind's own frozen dataclass (see `synthmon/steps/`)."""

    @property
    def kind(self) -> str:
        """The word that chose it, `http` for instance."""
        ...

    @property
    def effect(self) -> bool:
        """Whether performing it can change the system under test."""
        ...

    @property
    def refs(self) -> frozenset[str]:
        """The names that its texts read, `order.id` for instance."""
        ...

    def render(self, scope: Scope) -> Any:
        """The request with all values filled in. Raises `ExpressionError`."""
        ...

    def see(self, request: Any, answer: Any) -> Mapping[str, Any]:
        """The names that `expect` and `save` may use, from an answer."""
        ...

    def describe(self, request: Any, answer: Any) -> str:
        """One line for a person: `POST /orders → 201`; `answer` is None when none came."""
        ...

    def complaint(self, request: Any, answer: Any) -> str:
        """What is wrong with an answer that lacks a part which checks read; empty when nothing is known."""
        ...

    def excerpt(self, request: Any, answer: Any) -> tuple[str, str]:
        """Request and answer as a person reads them, cut and with secrets masked; asked for when a step failed."""
        ...


@dataclass(frozen=True, slots=True)
class Check:
    """One line of `expect`: passes only when its value is the boolean true."""

    expression: Expression
    place: Place
    name: str = ""
    when: Expression | None = None


@dataclass(frozen=True, slots=True)
class Within:
    """Ask again until every check holds, or until `limit_s` after the first byte of `after` left (else: step begin)."""

    limit_s: float
    after: str | None = None
    poll_s: float | None = None  # None: 200 ms growing to 2 s
    grace_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Retry:
    """How often more, after which troubles: `connect`, `timeout`, `5xx`, `reset`."""

    times: int
    on: frozenset[str]


@dataclass(frozen=True, slots=True)
class Look:
    """A read that belongs to clean-up: `find` (saves what it finds) or `gone` (its checks say: absent)."""

    spec: Spec
    expect: tuple[Check, ...] = ()
    save: tuple[tuple[str, Expression], ...] = ()


@dataclass(frozen=True, slots=True)
class Sweep:
    """How orphans are listed when no journal tells of them. `each` gives the items of an answer, the others read one.

    `next` gives the `page` that the request for the next answer reads; empty or missing: there is none.
    """

    spec: Spec
    each: Expression
    tag: Expression
    at: Expression
    save: tuple[tuple[str, Expression], ...] = ()
    next: Expression | None = None


@dataclass(frozen=True, slots=True)
class Undo:
    """How to take an effect back, and how to know that it is gone.

    `gone` None: `find` comes back empty or the undo repeated answers 404/410; `unchecked`: its success is enough.
    """

    spec: Spec
    ttl_s: float
    find: Look | None = None
    gone: Look | None = None
    unchecked: bool = False
    sweep: Sweep | None = None


@dataclass(frozen=True, slots=True)
class Hears:
    """What a step that listens takes for its own: what `where` says yes to, or else what bears a mark of the run.

    `addressed`: nobody else knows where to send it, so that all of it is the run's. It stays `settle_s` after the
    checks hold, for duplicates.
    """

    where: Expression | None = None
    needs: frozenset[str] = frozenset()  # what `where` reads that is not in the message
    settle_s: float = 0.0
    addressed: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One step; `together` holds the branches of steps side by side and then `spec` is None.

    `id` is unique in the journey; a called file's steps are named `call.step`.
    """

    id: str
    place: Place
    spec: Spec | None
    title: str = ""
    system: str = ""
    expect: tuple[Check, ...] = ()
    save: tuple[tuple[str, Expression], ...] = ()
    when: Expression | None = None
    within: Within | None = None
    retry: Retry | None = None
    timeout_s: float = 10.0
    undo: Undo | None = None
    leaves: str = ""
    repeatable: bool = False
    auth: str = ""
    blame: tuple[tuple[str, Expression], ...] = ()
    together: tuple[Step, ...] = ()
    pause_s: float | None = None
    delay_s: float = 0.0  # before it begins: how a replay puts it behind something else
    hears: Hears | None = None
    renders: frozenset[str] = field(init=False, repr=False)  # the names that its request reads
    reads: frozenset[str] = field(init=False, repr=False)  # the names that its checks and saves read

    def __post_init__(self) -> None:
        kept = [expression for _, expression in (*self.save, *self.blame)]
        kept += [e for check in self.expect for e in (check.expression, check.when) if e is not None]
        object.__setattr__(self, "renders", self.spec.refs if self.spec else frozenset())
        object.__setattr__(self, "reads", frozenset().union(*(expression.refs for expression in kept)))


@dataclass(frozen=True, slots=True)
class Every:
    """A fixed interval; the phase is stable and spread (see `core.slots`)."""

    interval_s: float


@dataclass(frozen=True, slots=True)
class Cron:
    """Five cron fields, weekdays by name, in an IANA zone."""

    text: str
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Slo:
    """What was promised: the share of good runs over a window, and latencies by quantile name (`p95`)."""

    objective: float  # 0.995
    window_s: float
    latency: Mapping[str, float] = field(default_factory=dict)  # p95 -> seconds


@dataclass(frozen=True, slots=True)
class Alert:
    """Who is told and when: after how many bad runs in a row, in how many locations."""

    severity: str = "ticket"
    after: int = 2
    locations: int = 1


@dataclass(frozen=True, slots=True)
class Promises:
    """What `verify` says about events: `events` are named records of `sources`, `clauses` what must hold of them.

    `within_s` counts from the end of the last step; `settle_s` is how long it stays even if all is decided; `linger_s`
    how long after the last step was sent it listens in any case, also when one failed: a replay wants to see in which
    order all came.
    """

    events: tuple[EventSpec, ...] = ()
    clauses: tuple[Clause, ...] = ()
    sources: tuple[Source, ...] = ()
    within_s: float = 30.0
    settle_s: float = 0.0
    linger_s: float = 0.0

    @property
    def patience_s(self) -> float:
        """How long the clauses may wait on purpose: for what happens, and then for it to be told."""
        if not self.clauses:
            return 0.0
        return self.within_s + self.settle_s + max((source.lag_s for source in self.sources), default=0.0)


@dataclass(frozen=True, slots=True)
class Journey:
    """One multi-step journey, ready to run. `name` is the metric label (`base/case` for a case)."""

    name: str
    place: Place
    digest: str  # sha256 of what it was made from, 64 hex: its version
    schedule: Every | Cron
    deadline_s: float
    system: str
    steps: tuple[Step, ...]
    verify: tuple[Check, ...] = ()
    promises: Promises = Promises()
    vars: tuple[tuple[str, Template], ...] = ()
    case: Mapping[str, Any] = field(default_factory=dict)
    case_name: str = ""
    title: str = ""
    owner: str = ""
    runbook: str = ""
    identity: str = ""
    auth: str = ""
    locations: tuple[str, ...] = ()
    slo: Slo | None = None
    alert: Alert = Alert()
    labels: Mapping[str, str] = field(default_factory=dict)
    text: str = ""  # the YAML it came from, for the journal and the page
    flat: tuple[Step, ...] = field(init=False, repr=False)  # every step in order, branches in place of their `together`
    listening: tuple[Step, ...] = field(init=False, repr=False)  # those of them that listen

    def __post_init__(self) -> None:
        object.__setattr__(self, "flat", _flat(self.steps))
        object.__setattr__(self, "listening", tuple(step for step in self.flat if step.hears is not None))

    @property
    def base_name(self) -> str:
        """The name without its case."""
        return self.name.partition("/")[0]


def _flat(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    return tuple(leaf for step in steps for leaf in (_flat(step.together) if step.together else (step,)))
