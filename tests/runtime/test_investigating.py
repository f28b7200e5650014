"""Somebody's request is put together from what sources of evidence keep, and nothing else is touched."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from synthmon.core.evidence import COUNTED, Blind, Evidence, Watermark
from synthmon.core.finding.investigation import Investigation
from synthmon.core.finding.peers import Peers
from synthmon.core.outcomes import Reason
from synthmon.language.load import load
from synthmon.runtime.investigating import Gathered, Question, Unanswerable, look_into
from tests.core.told import told
from tests.evidence.back_ends import Asked, Said, a_back_end
from tests.evidence.test_tempo import Kept, tempo

TRACE, LINKED, FOREIGN = "11" * 16, "22" * 16, "33" * 16


def line(step: str, ago_s: float = 1.0, **more: Any) -> str:
    at = datetime.now(UTC) - timedelta(seconds=ago_s)
    return json.dumps({"time": at.isoformat(), "step": step, "service": "shop", "status": "ok", **more}) + "\n"


def question(correlation: str = "ORD-1", wait_s: float = 30.0, **more: Any) -> Question:
    now = datetime.now(UTC)
    known = {"since": now - timedelta(hours=1), "until": now} | more
    return Question(correlation, wait_s=wait_s, **known)


async def investigated(folder: Path, asked: Question, evidence: str, known: Peers | None = None) -> Investigation:
    """With these entries of `evidence:`."""
    (folder / "synthmon.yaml").write_text(f"evidence:\n{evidence}")
    loaded = load((), [folder / "synthmon.yaml"], environ={})
    assert not loaded.errors, loaded.errors
    return await look_into(asked, loaded.settings, known, "orders" if known else "")


def logs_in(folder: Path, *lines: str) -> str:
    (folder / "logs").mkdir(exist_ok=True)
    (folder / "logs" / "shop.jsonl").write_text("".join(lines))
    return f"  logs: {{jsonl: '{folder}/logs/*.jsonl', lag: 1ms}}\n"


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def steps(found: Investigation) -> list[str]:
    return [record.step for record in found.record.evidence]


async def test_the_lines_of_a_request_are_found_and_no_others(tmp_path: Path) -> None:
    logs = logs_in(
        tmp_path,
        line("placed", 5, reference="ORD-1"),
        line("another", 4, reference="ORD-10"),
        line("paid", 3, message="took the money of ORD-1, twice"),
        line("yesterday", 86_400, reference="ORD-1"),
    )

    found = await investigated(tmp_path, question(), logs)

    assert steps(found) == ["placed", "paid"]
    assert found.record.run_id == "ORD-1"
    assert not found.ours
    assert found.next == ()


async def test_a_line_far_back_in_a_large_file_is_found(tmp_path: Path) -> None:
    noise = line("other", 2, reference="x" * 1000) * 4000
    logs = logs_in(tmp_path, line("placed", 1800, reference="ORD-1"), noise)

    assert steps(await investigated(tmp_path, question(), logs)) == ["placed"]


async def test_what_happened_after_until_is_left_out(tmp_path: Path) -> None:
    logs = logs_in(tmp_path, line("placed", 600, reference="ORD-1"), line("later", 5, reference="ORD-1"))

    found = await investigated(tmp_path, question(until=datetime.now(UTC) - timedelta(minutes=5)), logs)

    assert steps(found) == ["placed"]


async def test_a_trace_that_a_line_names_is_read_where_spans_are_kept_with_what_links_to_it(tmp_path: Path) -> None:
    at_ns = time.time_ns() - 60 * 10**9
    kept = [
        Kept(TRACE, "charge", at_ns=at_ns),
        Kept(LINKED, "deliver", links=(TRACE,), at_ns=at_ns + 1),
        Kept(FOREIGN, "somebody-else", at_ns=at_ns + 2),
    ]
    logs = logs_in(tmp_path, line("placed", 61, reference="ORD-1", traceId=TRACE))

    async with a_back_end(tempo(kept)) as back_end:
        spans = f"  spans: {{tempo: '{back_end.url}', lag: 1ms, networks: [127.0.0.0/8]}}\n"
        found = await investigated(tmp_path, question(), logs + spans)

    assert steps(found) == ["placed", "charge", "deliver"]
    assert {asked.method for asked in back_end.asked} == {"GET"}


async def test_a_text_of_a_stranger_is_searched_for_and_never_part_of_a_path(tmp_path: Path) -> None:
    async with a_back_end(tempo([])) as back_end:
        spans = f"  spans: {{tempo: '{back_end.url}', lag: 1ms, networks: [127.0.0.0/8]}}\n"
        with pytest.raises(Unanswerable, match=re.escape("no source told anything of '../../x'")):
            await investigated(tmp_path, question("../../x"), spans)

    assert {asked.path for asked in back_end.asked} == {"/api/search"}


async def test_nothing_is_written_beside_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    logs = logs_in(tmp_path, line("placed", 5, reference="ORD-1"))

    await investigated(tmp_path, question(), logs)

    assert files_in(tmp_path) == {"synthmon.yaml", "logs", "logs/shop.jsonl"}


async def test_a_source_that_cannot_tell_is_noted_and_the_others_tell(tmp_path: Path) -> None:
    logs = logs_in(tmp_path, line("placed", 5, reference="ORD-1"))

    async with a_back_end(lambda _: Said("no", 503)) as back_end:
        spans = f"  spans: {{tempo: '{back_end.url}', lag: 1ms, networks: [127.0.0.0/8]}}\n"
        found = await investigated(tmp_path, question(wait_s=1.0), logs + spans)

    assert steps(found) == ["placed"]
    assert any(note.startswith("spans cannot tell: Tempo at") and "503" in note for note in found.notes)


async def test_a_source_that_hangs_is_not_waited_for_longer_than_asked(tmp_path: Path) -> None:
    logs, never = logs_in(tmp_path, line("placed", 5, reference="ORD-1")), asyncio.Event()

    async def hang(_: Asked) -> Said:
        await never.wait()
        return Said({})

    async with a_back_end(hang) as back_end:
        spans = f"  spans: {{tempo: '{back_end.url}', lag: 1ms, networks: [127.0.0.0/8]}}\n"
        found = await investigated(tmp_path, question(wait_s=1.0), logs + spans)

    assert steps(found) == ["placed"]
    assert "spans had not told everything in time: wait longer with --wait" in found.notes


async def test_what_only_hears_cannot_tell_of_the_past(tmp_path: Path) -> None:
    with pytest.raises(Unanswerable, match="no source of evidence can tell of the past"):
        await investigated(tmp_path, question(), "  spans: {otlp: {}}\n")

    logs = logs_in(tmp_path, line("placed", 5, reference="ORD-1"))
    found = await investigated(tmp_path, question(), logs + "  spans: {otlp: {}}\n")
    assert any(
        note.startswith("spans was not asked: it hears what is sent to a running daemon") for note in found.notes
    )


async def test_it_is_compared_with_the_good_runs_of_a_journey(tmp_path: Path) -> None:
    logs = logs_in(tmp_path, line("a", 5, reference="ORD-1"), line("b", 4, reference="ORD-1"))

    found = await investigated(tmp_path, question(), logs, Peers((told("a b c"),) * 20, (), "v1"))

    assert found.verdict.startswith("c (shop) did not happen: the chain ends behind b")
    assert found.comparison.good == 20


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (question(""), "a correlation id is 1 to 200 printable characters"),
        (question("x" * 201), "a correlation id is 1 to 200 printable characters"),
        (question("a\nb"), "a correlation id is 1 to 200 printable characters"),
        (question(sources=("lags",)), "the settings have no source 'lags' under `evidence:`. There are: logs"),
        (question(until=datetime(2020, 1, 1, tzinfo=UTC)), "--until lies before --since"),
        (question("ORD-2"), "no source told anything of 'ORD-2'"),
    ],
)
async def test_a_question_that_nobody_can_answer_is_refused_with_the_remedy(
    tmp_path: Path, asked: Question, said: str
) -> None:
    logs = logs_in(tmp_path, line("placed", 5, reference="ORD-1"))

    with pytest.raises(Unanswerable, match=re.escape(said)):
        await investigated(tmp_path, asked, logs)


def test_all_have_told_when_each_has_told_until_the_end_or_is_given_up() -> None:
    asked = question()
    found, until_ns = Gathered(asked), round(asked.until.timestamp() * 1e9)
    found.begin(["logs", "dead"])

    found.take(Watermark("logs", until_ns))
    assert not found.whole.is_set()
    found.take(Evidence("dead", "count", until_ns + 1, attrs={"count": "3"}, matched_by=COUNTED))
    found.take(Blind("dead", Reason.CONNECTION, "away"))
    assert found.notes() == ("dead cannot tell: away", "dead holds 3 by now")
    found.take(Watermark("dead", until_ns))

    assert found.whole.is_set()
    assert found.notes() == ("dead holds 3 by now",)
    assert found.records == {}


SECRETS = {
    "API_TOKEN": 'Zq7w+open/sesame %20&<"é',
    "ADA_PASSWORD": "correct horse battery",
    "LOGS_TOKEN": "logs-t0ken-canary",
}
HELD = """
secrets: {api: env:API_TOKEN}
systems:
  shop: {base: "http://127.0.0.1:1", networks: [127.0.0.0/8]}
identities:
  staff: {accounts: accounts.yaml}
"""


@pytest.mark.usefixtures("environment")
async def test_a_secret_of_ours_that_somebody_wrote_down_is_masked_wherever_it_stands(tmp_path: Path) -> None:
    token, password, logs_token = SECRETS.values()
    logs = logs_in(
        tmp_path,
        line(token, 5, reference="ORD-1", status=password, workflow=token, dependency=password, eventId=token),
        line("paid", 4, reference="ORD-1", service=password, message=f"sent {quote(token)}", **{password: "x"}),
        line("mailed", 3, reference="ORD-1", note=base64.b64encode(token.encode()).decode(), causes=[password]),
    )
    said = json.dumps({"message": f"wrong token {logs_token}"})

    async with a_back_end(lambda _: Said(said, 500)) as back_end:
        spans = f"  spans: {{tempo: '{back_end.url}', lag: 1ms, networks: [127.0.0.0/8], token: env:LOGS_TOKEN}}\n"
        (tmp_path / "accounts.yaml").write_text("- {name: ada, password: env:ADA_PASSWORD}\n")
        (tmp_path / "synthmon.yaml").write_text(f"evidence:\n{logs}{spans}{HELD}")
        loaded = load((), [tmp_path / "synthmon.yaml"])
        assert not loaded.errors, loaded.errors
        found = await look_into(question(wait_s=1.0), loaded.settings, None)
        with pytest.raises(Unanswerable) as nobody:
            await look_into(question("ORD-2", wait_s=1.0), loaded.settings)

    shown = repr(found) + str(nobody.value)
    assert len(found.record.evidence) == 3
    assert "•••" in shown
    for secret in SECRETS.values():
        for form in (secret, quote(secret), base64.b64encode(secret.encode()).decode(), json.dumps(secret)[1:-1]):
            assert form not in shown


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ({"AWS_KEY": "AKIDEXAMPLE00", "AWS_SECRET": "s3cret-of-aws"} | SECRETS).items():
        monkeypatch.setenv(name, value)


AWS = "access_key: env:AWS_KEY, secret_key: env:AWS_SECRET, region: eu-west-1"
HOSTILE = (
    'x" or 1==1 or "',
    "x\\",
    'ORD-1\\" } || { true',
    "*",
    "ORD-*?",
    ".*|.+",
    '"} |= "" | {a="b',
    "a) OR (_exists_:message",
    "/../../_all/_delete_by_query?q=*",
    "' or ''='",
    "'; drop table audit; --",
    "$..[?(@.a)]",
    "${secret.api} {{ .Env }}",
    "\u041eRD-1 \uff0a",
    "%22%20OR%201",
    "?a -b",
)


def back_ends(asked: Asked) -> Said:
    """Six of them, none of which has anything."""
    match asked.path:
        case "/loki/api/v1/query_range":
            return Said({"data": {"resultType": "streams", "result": []}})
        case "/logs/_search":
            return Said({"_shards": {"failed": 0, "total": 1}, "hits": {"hits": []}})
        case "/api/search":
            return Said({"traces": []})
        case "/api/traces":
            return Said({"data": []})
        case "/":
            return Said({"events": []})
        case "/TraceSummaries":
            return Said({"TraceSummaries": []})
    return Said({}, 418)


def means_only(asked: Asked, text: str) -> bool:
    """Whether a question is for just this text, by the grammar of the language that it is asked in."""
    quoted = r'"(?:[^"\\]|\\.)*"'
    told = json.loads(asked.body) if asked.body else {}
    match asked.path:
        case "/loki/api/v1/query_range":
            pattern = re.fullmatch(rf'\{{app="shop"\}} \|~ ({quoted})', asked.params["query"])
            found = re.compile(json.loads(pattern[1])) if pattern else None
            return bool(found and found.search(f"a {text} b") and not found.search("another line ORD-2 x a b 1"))
        case "/logs/_search":
            query = told["query"]["bool"]["filter"][1]["query_string"]["query"]
            phrases = re.fullmatch(f"{quoted}(?: OR {quoted})*", query)
            return bool(phrases) and f'"{text}"' in re.sub(r"\\(.)", r"\1", query)
        case "/api/search":
            one = rf"\.[\w.]+ = {quoted}"
            return re.fullmatch(rf"\{{ {one}(?: \|\| {one})* \}}", asked.params["q"]) is not None
        case "/api/traces":
            return set(json.loads(asked.params["tags"]).values()) == {text}
        case "/":
            return (
                re.fullmatch(
                    r'\?"[A-Za-z0-9 _@.:+=,;#-]{4,}"(?: \?"[A-Za-z0-9 _@.:+=,;#-]{4,}")*', told["filterPattern"]
                )
                is not None
            )
        case "/TraceSummaries":
            one = r'annotation\[\w+\] = "[^"\\]*"'
            return re.fullmatch(f"{one}(?: OR {one})*", told["FilterExpression"]) is not None
    return False


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.usefixtures("environment")
async def test_a_text_is_asked_for_and_never_part_of_the_language_of_the_question(tmp_path: Path, text: str) -> None:
    logs = logs_in(tmp_path, line("another", 4, reference="ORD-2"), line("mine", 3, reference=text))

    async with a_back_end(back_ends) as there:
        at = "lag: 1ms, networks: [127.0.0.0/8]"
        (tmp_path / "synthmon.yaml").write_text(
            f"evidence:\n{logs}"
            f"  loki: {{loki: '{there.url}', select: '{{app=\"shop\"}}', {at}}}\n"
            f"  elastic: {{elasticsearch: '{there.url}', index: logs, {at}}}\n"
            f"  tempo: {{tempo: '{there.url}', {at}}}\n"
            f"  jaeger: {{jaeger: '{there.url}', services: [shop], {at}}}\n"
            f"  watch: {{cloudwatch: '{there.url}', groups: [/shop], {AWS}, {at}}}\n"
            f"  xray: {{xray: '{there.url}', {AWS}, {at}}}\n"
        )
        loaded = load((), [tmp_path / "synthmon.yaml"])
        assert not loaded.errors, loaded.errors
        found = await look_into(question(text, wait_s=5.0), loaded.settings)

    assert steps(found) == ["mine"]
    assert [one.path for one in there.asked if not means_only(one, text)] == []
    unasked = {"watch", "xray"} - {{"/": "watch", "/TraceSummaries": "xray"}.get(one.path) for one in there.asked}
    assert {name for name in unasked if any(note.startswith(f"{name} cannot tell") for note in found.notes)} == unasked


@pytest.mark.usefixtures("environment")
async def test_a_request_of_days_ago_is_sought_over_all_these_days(tmp_path: Path) -> None:
    now = datetime.now(UTC)

    async with a_back_end(back_ends) as there:
        (tmp_path / "synthmon.yaml").write_text(
            f"evidence:\n  xray: {{xray: '{there.url}', {AWS}, lag: 1ms, networks: [127.0.0.0/8]}}\n"
        )
        loaded = load((), [tmp_path / "synthmon.yaml"])
        with pytest.raises(Unanswerable, match="all of them answered"):
            await look_into(question("ORD-1", since=now - timedelta(days=2)), loaded.settings)

    spans = sorted((told["StartTime"], told["EndTime"]) for one in there.asked if (told := json.loads(one.body)))
    assert spans[0][0] <= (now - timedelta(days=2)).timestamp()
    assert spans[-1][1] >= now.timestamp()
    assert all(end - begin <= 6 * 3600 for begin, end in spans)
    assert all(later <= end + 1 for (_, end), (later, _) in pairwise(spans))
