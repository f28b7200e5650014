"""What answers say, whatever their protocol, and what is put right of them before it leaves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from synthmon.core.browsing import Visited
from synthmon.core.door import HttpRequest, Rows
from synthmon.core.messages import Publication
from synthmon.core.proof.contents import Telling, content_of, erroneous, told_as, with_content
from synthmon.core.proof.mutations import Change, How, changed, ways_of
from synthmon.core.proof.transposed import transposed
from synthmon.core.proof.true_values import put_right
from synthmon.core.run import Run
from synthmon.core.timing import Timing
from synthmon.steps.dns import DnsAnswer
from synthmon.steps.grpc_call import GrpcAnswer, GrpcRequest
from synthmon.steps.send import SendRequest
from synthmon.steps.tcp import TcpAnswer

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ONE = GrpcAnswer("OK", "", ({"sku": "tea", "left": 3},), {}, Timing())
STREAM = GrpcAnswer("OK", "", ({"left": 2}, {"left": 1}), {}, Timing())
NAMES = DnsAnswer("NOERROR", ("192.0.2.1", "192.0.2.2"), 300, Timing())
GREETING = TcpAnswer(b"220 ready\r\n", Timing())
PAGE = Visited(200, "https://shop.example.com/", "Shop", "3 mugs", Timing(), {"total": "9.00"}, {"items": 3})
EACH_KIND = pytest.mark.parametrize(
    "answer", [ONE, STREAM, NAMES, GREETING, PAGE], ids=["grpc", "stream", "dns", "tcp", "browser"]
)


@EACH_KIND
def test_an_answer_that_says_what_it_said_is_the_same(answer: Any) -> None:
    assert isinstance(answer, Telling)
    assert with_content(answer, content_of(answer)) == answer
    assert told_as(answer, answer) == answer


@EACH_KIND
def test_a_broken_target_says_something_else_or_has_no_word_for_it(answer: Any) -> None:
    assert erroneous(answer) != answer


@pytest.mark.parametrize(
    ("answer", "change", "says"),
    [
        (ONE, Change(("body", "left"), How.CHANGED), {"body": {"sku": "tea", "left": 4}}),
        (ONE, Change(("body", "sku"), How.MISSING), {"body": {"left": 3}}),
        (STREAM, Change(("messages",), How.EMPTY), {"messages": []}),
        (STREAM, Change(("messages",), How.TWICE), {"messages": [{"left": 2}, {"left": 1}, {"left": 1}]}),
        (NAMES, Change(("answers", "[]"), How.CHANGED), {"answers": ["1.2.0.291", "2.2.0.291"]}),
        (NAMES, Change(("answers",), How.EMPTY), None),
        (GREETING, Change(("text",), How.CHANGED), {"text": "\n\rydaer 022"}),
        (PAGE, Change(("read", "total"), How.CHANGED), {"read": {"total": "0.11"}, "count": {"items": 3}}),
        (PAGE, Change(("read", "total"), How.MISSING), {"count": {"items": 3}}),
        (PAGE, Change(("count", "items"), How.CHANGED), {"read": {"total": "9.00"}, "count": {"items": 4}}),
    ],
)
def test_one_part_of_an_answer_is_wrong(answer: Any, change: Change, says: Any) -> None:
    made = changed(answer, change)

    if change.path == ("read", "total") and change.how is How.CHANGED:
        assert made.read["total"] != "9.00"
        assert made.count == PAGE.count
    else:
        assert content_of(made) == says
    assert type(made) is type(answer)


@pytest.mark.parametrize(
    ("answer", "path", "ways"),
    [
        (ONE, ("body", "sku"), (How.MISSING, How.TYPE)),
        (NAMES, ("answers", "[]"), ()),  # a record is a text, and there or not
        (GREETING, ("text",), ()),
        (PAGE, ("read", "total"), (How.MISSING,)),
        (PAGE, ("count", "items"), ()),
        (Rows(({"n": 1},), Timing()), ("rows", "[]", "n"), (How.MISSING, How.TYPE)),
        (Rows(({"n": [1]},), Timing()), ("rows", "[]", "n", "[]"), (How.TYPE,)),  # then the list is shorter
    ],
)
def test_nothing_is_made_wrong_that_cannot_be(answer: Any, path: tuple[str, ...], ways: tuple[How, ...]) -> None:
    assert ways_of(answer, path) == ways


def test_what_a_call_was_told_reads_as_this_run_would_have_got_it() -> None:
    runs = [Run(run_id * 32, "j", "v", NOW, at) for run_id, at in (("a", NOW), ("b", NOW + timedelta(minutes=2)))]
    then, now = (
        (GrpcRequest("s", "m", {"name": name}), run) for name, run in zip(("alice", "robert"), runs, strict=True)
    )
    told = GrpcAnswer("OK", "", ({"greeted": "alice", "trace": runs[0].id, "id": "o-1"},), {}, Timing())

    made = transposed(told, then, now)

    assert content_of(made) == {"body": {"greeted": "robert", "trace": runs[1].id, "id": "o-1"}}


@pytest.mark.parametrize(
    ("false", "true"),
    [
        (HttpRequest("POST", "/o/a%20b", (("x", "a b"),), b"a b"), HttpRequest("POST", "/o/c", (("x", "c"),), b"c")),
        (SendRequest("bus", Publication({"key": "a b"}, (("k", "a b"),), b"a b")),
         SendRequest("bus", Publication({"key": "c"}, (("k", "c"),), b"c"))),
        (GrpcRequest("s", "m", {"id": ["a b"], "n": 7007}), GrpcRequest("s", "m", {"id": ["c"], "n": 7})),
        ({"id": "a b", "ok": True, "n": 7007, "f": 1.5}, {"id": "c", "ok": True, "n": 7, "f": 1.5}),
    ],
    ids=["http", "send", "grpc", "values"],
)  # fmt: skip
def test_what_was_told_wrongly_is_put_right_wherever_it_stands(false: Any, true: Any) -> None:
    assert put_right(false, {"a b": "c", "7007": "7"}) == true
    assert put_right(false, {}) is false
