"""Ids that steps save join evidence from then on, and nothing is judged by absence before all of them are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from heapq import heapify
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synthmon.core.acts import Act, Do, Seen, Watch, Widen
from synthmon.core.evidence import Evidence, Wanted, Watermark
from synthmon.core.journey import Journey, Promises
from synthmon.core.outcomes import Outcome
from synthmon.core.run import Original, Record, Run
from synthmon.core.secrets import Vault
from synthmon.core.sequence.clauses import Clause, EventSpec, Word
from synthmon.core.sequence.judgement import Verdict
from synthmon.core.sources import Source
from synthmon.core.transact.again import Again, names_of, twice
from synthmon.core.transact.own_keys import MOST_SAVED
from synthmon.core.transact.saved_ids import TOO_MANY
from synthmon.core.transact.verdict import record
from tests.core.scripted import PLACE, START, Answer, World, journey, step, together
from tests.core.sequences import clauses, copies
from tests.core.whole_trace import END_NS, EVENTS, NAMES, SOURCE_OF, Trace, oracle

BEGIN_NS = int(START.timestamp() * 1e9)
LOGS = Source("logs", "jsonl", None, lag_s=0.1)
SPANS = Source("spans", "otlp", None, lag_s=0.1)
DELAYS_S = st.sampled_from((0.0, 0.2, 0.55, 0.9))
RECORDS = st.lists(
    st.builds(
        lambda name, at, id, attempt: Evidence(SOURCE_OF[name], name, at, id=id, attempt=attempt),
        st.sampled_from(NAMES),
        st.integers(0, 130),
        st.sampled_from("1234"),
        st.integers(1, 2),
    ),
    max_size=9,
)


@dataclass(frozen=True)
class Happening:
    """Something that a source tells of whoever looks for its key; `key` empty: it bears the run's own mark."""

    record: Evidence
    key: str = ""
    lag_s: float = 0.1


@dataclass
class Telling(World):
    """A world whose sources look four times a second, tell what bears a key that they know by then, and a watermark of
    which they are sure by these keys."""

    happened: Sequence[Happening] = ()
    wanted: dict[str, Wanted] = field(default_factory=dict)
    watched: list[str] = field(default_factory=list)
    told: set[int] = field(default_factory=set)

    def perform(self, act: Act) -> None:
        super().perform(act)
        if isinstance(act, Watch):
            self.wanted[act.id] = act.wanted
            self.look(act.id, act.source.name, 0.0)
        elif isinstance(act, Widen):
            self.wanted[act.id] = self.wanted[act.id].widened(act.keys)
            self.heap = [each for each in self.heap if not self.is_mark(each[2], act.id)]
            heapify(self.heap)
            self.look(act.id, act.id.partition("/")[2], self.now_s)

    @staticmethod
    def is_mark(seen: Seen, act_id: str) -> bool:
        return seen.id == act_id and isinstance(seen.answer, Watermark)

    def look(self, act_id: str, source: str, from_s: float) -> None:
        keys = self.wanted[act_id].keys
        for n, one in enumerate(self.happened):
            happened_s = (one.record.at_ns - BEGIN_NS) / 1e9
            if one.record.source == source and n not in self.told and (not one.key or one.key in keys):
                self.told.add(n)
                self.push(Seen(act_id, max(from_s + 0.2, happened_s + one.lag_s), one.record))
        for n in range(1, 33):
            at_s = from_s + 0.25 * n
            self.push(Seen(act_id, at_s, Watermark(source, BEGIN_NS + round((at_s - 0.1) * 1e9))))


def event(name: str) -> EventSpec:
    return EventSpec(name, "logs", {"step": name})


def clause(word: Word, *events: str, **more: Any) -> Clause:
    return Clause(word, events, PLACE, **more)


def happened(name: str, at_s: float, key: str = "", source: str = "logs") -> Happening:
    at_ns = BEGIN_NS + round(at_s * 1e9)
    return Happening(Evidence(source, name, at_ns, id=f"{name}{at_s}", received_ns=at_ns), key)


def promising(*judged: Clause, steps: Sequence[Any] = (), within_s: float = 2.0) -> Journey:
    events = tuple(event(name) for name in ("placed", "posted"))
    reads = step("read", "GET /o/${order.id}", knows=("order.id",))
    ordering = (step("order", "POST /orders", save={"id": "body.id"}), reads)
    return journey(*(steps or ordering), promises=Promises(events, judged, (LOGS,), within_s))


def shop(order_s: float = 1.0, id: Any = "ORD-4711") -> Any:
    def answer(request: str, now_s: float, act: Do) -> Answer:
        if request.startswith("DELETE"):
            return Answer(404)
        return Answer(200, {"id": id}, delay_s=order_s if request.startswith("POST") else 0.01)

    return answer


def judged(world: Telling, probe: Journey) -> Record:
    return record(world.run(probe))


def widened(world: World) -> list[tuple[str, ...]]:
    return [act.keys for act in world.acts if isinstance(act, Widen)]


def test_what_bears_only_a_saved_id_is_found_whether_it_happened_before_or_after_the_answer() -> None:
    world = Telling(shop(), happened=[happened("placed", 0.5, "ORD-4711"), happened("posted", 1.5, "ORD-4711")])

    found = judged(world, promising(clause(Word.HAPPENS, "placed"), clause(Word.BEFORE, "placed", "posted")))

    assert (found.outcome, found.message) == (Outcome.PASSED, "")
    assert widened(world) == [("ORD-4711",)]


def test_a_short_number_joins_nothing() -> None:
    world = Telling(shop(id=4711), happened=[happened("placed", 0.5, "4711")])

    found = judged(world, promising(clause(Word.HAPPENS, "placed")))

    assert found.outcome is Outcome.FAILED
    assert widened(world) == []


def test_the_source_learns_it_as_soon_as_the_step_has_its_answer_and_not_when_its_siblings_have_theirs() -> None:
    slow = step("slow", "POST /slow", save={"id": "body.other"})
    both = together("both", step("order", "POST /orders", save={"id": "body.id"}), slow)
    answers = {"POST /orders": ("ORD-4711", 0.1), "POST /slow": ("SLO-4712", 3.0)}

    def answer(request: str, now_s: float, act: Do) -> Answer:
        id, delay_s = answers[request]
        return Answer(200, {"id": id, "other": id}, delay_s=delay_s)

    world = Telling(answer)
    first: list[float] = []
    perform = world.perform

    def noting(act: Act) -> None:
        if isinstance(act, Widen):
            first.append(world.now_s)
        perform(act)

    world.perform = noting  # type: ignore[method-assign]
    judged(world, promising(clause(Word.NEVER, "posted"), steps=(both,)))

    assert widened(world) == [("ORD-4711",), ("SLO-4712",)]
    assert first == [0.1, 3.0]


def test_an_order_that_an_id_of_a_later_step_overturns_was_not_judged_before() -> None:
    """`placed` bears the mark of the run, and no earlier `posted` is told by a source that does not know the id."""
    world = Telling(shop(3.0), happened=[happened("placed", 1.0), happened("posted", 0.5, "ORD-4711")])

    found = judged(world, promising(clause(Word.BEFORE, "placed", "posted")))

    assert [one.verdict for one in found.clauses] == [Verdict.FAIL]


def test_a_watermark_that_did_not_know_the_id_decides_nothing_after_it() -> None:
    class Stale(Telling):
        """Its sources say nothing any more once they learnt an id."""

        def look(self, act_id: str, source: str, from_s: float) -> None:
            super().look(act_id, source, from_s)
            if from_s:
                self.heap = [each for each in self.heap if not self.is_mark(each[2], act_id)]

    world = Stale(shop(3.0), happened=[happened("posted", 0.2)])

    found = judged(world, promising(clause(Word.NEVER, "placed", within_s=1.0)))

    assert [one.verdict for one in found.clauses] == [Verdict.UNKNOWN]


def test_where_no_step_saves_an_id_absence_is_judged_while_steps_go_on() -> None:
    steps = (step("order", "POST /orders"), step("read", "GET /o"))
    world = Telling(lambda request, now_s, act: Answer(delay_s=3.0), happened=[happened("posted", 0.2)])
    core = world.run(promising(clause(Word.NEVER, "placed", within_s=1.0), steps=steps, within_s=0.0))

    assert [one.verdict for one in core.monitor.judgements] == [Verdict.PASS]
    assert core.now_s == 6.0, "it was judged long before its last step ended"


def test_a_step_that_saves_and_is_skipped_or_never_reached_holds_nothing_up() -> None:
    skipped = step("order", "POST /orders", save={"id": "body.id"}, when="1 > 2")
    other = step("other", "POST /other")
    world = Telling(shop(), happened=[happened("posted", 0.2)])

    found = judged(world, promising(clause(Word.NEVER, "placed"), steps=(skipped, other)))

    assert [one.verdict for one in found.clauses] == [Verdict.PASS]
    assert found.ended is not None
    assert (found.ended - START).total_seconds() < 4.0


def test_a_secret_that_is_saved_never_becomes_a_key() -> None:
    kept = step("order", "POST /orders", save={"id": "body.id", "token": "secret(body.token)"})
    answer = Answer(200, {"id": "ORD-4711", "token": "tok-123456789"})
    world = Telling(lambda request, now_s, act: answer)

    judged(world, promising(clause(Word.NEVER, "posted"), steps=(kept,)))

    assert widened(world) == [("ORD-4711",)]


def test_more_ids_than_are_sought_are_noted() -> None:
    names = [f"id{n}" for n in range(MOST_SAVED + 2)]
    kept = step("order", "POST /orders", save={name: f"body.{name}" for name in names})
    answer = Answer(200, {name: f"ORD-{1000 + n}" for n, name in enumerate(names)})
    world = Telling(lambda request, now_s, act: answer)

    found = judged(world, promising(clause(Word.NEVER, "posted"), steps=(kept,)))

    assert [len(keys) for keys in widened(world)] == [MOST_SAVED]
    assert found.notes == (TOO_MANY,)


def test_what_a_run_that_is_sent_again_saved_then_is_no_key_of_now_and_a_new_id_is() -> None:
    probe = promising(clause(Word.ONCE, "posted"))
    undo = step("undone", "POST /orders", undo="DELETE /orders").undo
    probe = replace(probe, steps=(replace(probe.steps[0], undo=undo), probe.steps[1]))
    first = World(shop()).record(probe)
    was, run = (Run(id * 16, probe.name, probe.digest, START, START) for id in ("ab", "cd"))
    run = replace(run, again=Original(was, names_of(first)))

    def again(id: str) -> list[tuple[str, ...]]:
        core = Again(twice(probe, first).journey, run, {"identity.email": "a@example.com"}, Vault({}), 0.0)
        world = Telling(shop(id=id))
        world.opened = lambda: core.opened("http://shop")
        world.drive(core, core.start(), None)
        return widened(world)

    assert again("ORD-4711") == []
    assert again("ORD-4712") == [("ORD-4712",)]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(clauses, min_size=12, max_size=12), RECORDS, st.lists(st.booleans(), min_size=9, max_size=9), DELAYS_S)
def test_whatever_bears_nothing_but_the_id_the_verdict_is_that_of_a_judge_who_sees_all(
    some: list[Clause], happened: list[Evidence], keyed: list[bool], order_s: float
) -> None:
    """A nanosecond of the oracle is ten milliseconds here; what a record bears is no matter to it."""
    trace = Trace(tuple(happened), {})
    timed = [one for one in copies(some) if not one.after and one.word is not Word.EMPTY]
    scaled = [replace(one, within_s=None if one.within_s is None else one.within_s * 1e7) for one in timed]
    records = [replace(one, at_ns=BEGIN_NS + one.at_ns * 10**7) for one in trace.records]
    told = [Happening(one, "ORD-4711" if has_key else "") for one, has_key in zip(records, keyed, strict=False)]
    sources = (replace(LOGS, skew_s=0.0), replace(SPANS, skew_s=0.0))
    ordering = step("order", "POST /orders", save={"id": "body.id"})
    probe = journey(ordering, promises=Promises(EVENTS, tuple(scaled), sources, END_NS / 100 - order_s))

    core = Telling(shop(order_s), happened=told).run(probe)

    found = {id(one.clause): one for one in core.monitor.judgements}
    for was, now in zip(timed, scaled, strict=True):
        assert found[id(now)].verdict is oracle(was, trace), (now, told, found[id(now)])
