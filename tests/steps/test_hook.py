"""`hook`: calls of a real target on a real listener, as `synthmon run` and the runner of the daemon take them."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
import pytest

from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record
from synthmon.core.signatures import read_key
from synthmon.language.load import load
from synthmon.runtime.house import open_house
from synthmon.runtime.inbound import open_hooks
from synthmon.runtime.once import run_once
from synthmon.runtime.runner import Runner
from tests.connections.running import faults, run_probe
from tests.servers.shop import shop
from tests.web.calls import signed

Act = Callable[[Mapping[str, Any]], Awaitable[None]]
KEY = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"

PROBE = """
journey: paid
every: 1m
deadline: 90s
system: shop
steps:
  - id: pay
    http: POST /payments
    json: {{callback: "${{hook.told.url}}", reference: "${{run.namespace}}"}}
    leaves: nothing
    expect: [status == 202]
  - id: told
    hook: POST
    within: {within} after pay
    {more}
    expect:
      - count == 1
      - message.json.status == "paid"
"""
PAID = json.dumps({"status": "paid"}).encode()


def settings(url: str, listen: str = "127.0.0.1:0") -> str:
    secrets = "secrets: {webhook_key: env:WEBHOOK_KEY}"
    return f'systems:\n  shop: {{base: "{url}", writes: true}}\n{secrets}\nhooks: {{listen: "{listen}"}}\n'


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_KEY", KEY)


async def call(
    url: str, body: bytes = PAID, method: str = "POST", headers: Mapping[str, str] | None = None
) -> httpx.Response:
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        return await client.request(method, url, content=body, headers=headers)


async def run(tmp_path: Path, act: Act, within: str = "30s", more: str = "", probe: str = PROBE) -> Record:
    """One payment; `act` is what the shop does with it, right after it answered."""
    async with shop(act) as target:
        return await run_probe(tmp_path, probe.format(within=within, more=more), settings(target.url))


async def test_a_call_on_the_address_passes_with_the_instant_of_its_arrival(tmp_path: Path) -> None:
    answers: list[httpx.Response] = []

    async def pay(order: Mapping[str, Any]) -> None:
        await asyncio.sleep(0.3)
        answers.append(await call(order["callback"]))

    record = await run(tmp_path, pay)

    assert record.outcome is Outcome.PASSED, record.message
    assert [answer.status_code for answer in answers] == [200]
    assert record.steps[1].latency_ms is not None
    assert record.steps[1].latency_ms >= 290


async def test_path_query_headers_and_body_are_told(tmp_path: Path) -> None:
    async def pay(order: Mapping[str, Any]) -> None:
        await call(order["callback"] + "/done?id=7&a=b", headers={"X-Event": "payment.done"})

    probe = (
        PROBE
        + """
      - message.subject == "/done?id=7&a=b"
      - message.headers["x-event"] == "payment.done"
      - message.text.startsWith("{{")
      - messages[0].json.status == "paid"
"""
    )
    record = await run(tmp_path, pay, probe=probe)

    assert record.outcome is Outcome.PASSED, record.message


async def test_a_call_that_never_comes_is_lost(tmp_path: Path) -> None:
    async def silent(order: Mapping[str, Any]) -> None:
        """It has lost the payment."""

    record = await run(tmp_path, silent, within="1s")

    assert (record.outcome, record.reason, record.step) == (Outcome.FAILED, Reason.LOST, "told"), record.message


async def test_a_second_call_is_a_duplicate(tmp_path: Path) -> None:
    async def twice(order: Mapping[str, Any]) -> None:
        await call(order["callback"])
        await call(order["callback"])

    record = await run(tmp_path, twice, more="settle: 10s")

    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.DUPLICATE), record.message


async def test_a_call_after_its_time_is_late_and_not_lost(tmp_path: Path) -> None:
    async def late(order: Mapping[str, Any]) -> None:
        await asyncio.sleep(2)
        await call(order["callback"])

    record = await run(tmp_path, late, within="500ms", more="grace: 30s")

    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.LATE), record.message


async def test_what_comes_elsewhere_otherwise_or_too_big_is_refused_and_not_heard(tmp_path: Path) -> None:
    answers: list[int] = []

    async def wrong(order: Mapping[str, Any]) -> None:
        url = order["callback"]
        for asked in (
            call(url[:-1] + ("a" if url[-1] != "a" else "b")),
            call(url, method="PUT"),
            call(url, b"x" * (1024 * 1024 + 1)),
        ):
            answers.append((await asked).status_code)

    record = await run(tmp_path, wrong, within="5s")

    assert answers == [404, 405, 413]
    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.LOST), record.message
    told = r"; 2 calls were refused: PUT instead of POST at \+\d\.\ds, larger than 1 MiB at \+\d\.\ds$"
    assert re.search(told, record.message), record.message


async def test_the_reply_is_what_the_journey_says_one_call_after_the_other(tmp_path: Path) -> None:
    answers: list[httpx.Response] = []

    async def insist(order: Mapping[str, Any]) -> None:
        for _ in range(3):
            answers.append(await call(order["callback"]))

    more = """reply:
      - {status: 503, headers: {Retry-After: 1}, body: "busy ${run.namespace}"}
      - {status: 201, json: {known: "${vars.reference}", key: "${secret.webhook_key}"}}"""
    probe = PROBE.replace("count == 1", "count == 3")
    probe = probe.replace("system: shop", 'system: shop\nvars: {{reference: "inv-${{run.id}}"}}')
    record = await run(tmp_path, insist, more=more, probe=probe)

    assert record.outcome is Outcome.PASSED, record.message
    assert [answer.status_code for answer in answers] == [503, 201, 201]
    assert answers[0].headers["retry-after"] == "1"
    assert answers[0].text.startswith("busy syn-")
    assert answers[1].json() == {"known": f"inv-{record.run_id}", "key": KEY}
    assert KEY not in repr(record)


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        (lambda: signed(PAID, key=read_key(KEY)), ""),
        (lambda: signed(PAID, key=b"another key"), "bad signature"),
        (lambda: signed(b"another body", key=read_key(KEY)), "bad signature"),
        (lambda: signed(PAID, sent=1, key=read_key(KEY)), "stale: its webhook-timestamp is"),
        (dict, "without webhook-id, webhook-timestamp, webhook-signature"),
    ],
    ids=["good", "another key", "another body", "old", "unsigned"],
)
async def test_with_a_key_only_signed_calls_are_heard(
    tmp_path: Path, headers: Callable[[], dict[str, str]], refused: str
) -> None:
    answers: list[int] = []

    async def pay(order: Mapping[str, Any]) -> None:
        answers.append((await call(order["callback"], headers=headers())).status_code)

    record = await run(tmp_path, pay, within="2s" if refused else "30s", more='hmac: "${secret.webhook_key}"')

    awaited = ([401], Outcome.FAILED) if refused else ([200], Outcome.PASSED)
    assert (answers, record.outcome) == awaited, record.message
    assert (f"; 1 call was refused: unsigned ({refused}" if refused else "") in record.message


async def test_a_signed_call_that_is_replayed_is_refused_and_no_duplicate(tmp_path: Path) -> None:
    answers: list[int] = []

    async def replayed(order: Mapping[str, Any]) -> None:
        for _ in range(2):
            answers.append((await call(order["callback"], headers=signed(PAID, key=read_key(KEY)))).status_code)

    record = await run(tmp_path, replayed, more='hmac: "${secret.webhook_key}"\n    settle: 2s')

    assert (answers, record.outcome) == ([200, 409], Outcome.PASSED), record.message


async def test_a_key_that_cannot_be_read_is_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_KEY", "whsec_not base64!")

    async def silent(order: Mapping[str, Any]) -> None:
        """It is not even asked."""

    record = await run(tmp_path, silent, more='hmac: "${secret.webhook_key}"')

    assert record.outcome is Outcome.UNKNOWN
    assert "not base64" in record.message
    assert "whsec_not" not in repr(record)


async def test_the_address_stands_in_vars_and_in_a_called_file(tmp_path: Path) -> None:
    (tmp_path / "pay.yaml").write_text("""
steps:
  - id: ask
    http: POST /payments
    json: {callback: "${vars.back}", own: "${hook.told.url}"}
    leaves: nothing
    expect: [status == 202]
  - id: told
    hook: POST
    within: 30s after ask
    expect: [message.json.status == "inside"]
""")
    probe = """
journey: paid
every: 1m
deadline: 90s
system: shop
vars:
  back: "${hook.last.url}?from=vars"
  inner: "${hook.called.told.url}"
steps:
  - id: called
    call: pay.yaml
    with: {back: "${vars.back}"}
  - id: last
    hook: POST
    within: 30s after called.ask
    expect: [message.json.status == "outside", message.subject == "?from=vars"]
"""
    seen: list[Mapping[str, Any]] = []

    async def pay(order: Mapping[str, Any]) -> None:
        seen.append(order)
        await call(order["own"], b'{"status": "inside"}')
        await call(order["callback"], b'{"status": "outside"}')

    async with shop(pay) as target:
        record = await run_probe(tmp_path, probe, settings(target.url))

    assert record.outcome is Outcome.PASSED, record.message
    assert record.vars["inner"] == seen[0]["own"]
    assert seen[0]["callback"].startswith(record.vars["back"])


async def test_two_runs_at_once_never_hear_each_others_calls(tmp_path: Path) -> None:
    orders: list[Mapping[str, Any]] = []
    both = asyncio.Event()

    async def crosswise(order: Mapping[str, Any]) -> None:
        orders.append(order)
        if len(orders) == 2:
            both.set()
        await asyncio.wait_for(both.wait(), 60)
        if order["name"] == "one":  # only this one is told, on its own address
            await call(order["callback"])

    probe = PROBE.replace('reference: "${{run.namespace}}"', 'name: "NAME"').format(within="4s", more="")
    async with shop(crosswise) as target:
        for name in ("one", "two"):
            (tmp_path / f"{name}.yaml").write_text(probe.replace("NAME", name).replace("paid\nevery", f"{name}\nevery"))
        (tmp_path / "synthmon.yaml").write_text(settings(target.url))
        loaded = load([str(tmp_path / "one.yaml"), str(tmp_path / "two.yaml")], [str(tmp_path / "synthmon.yaml")])
        assert loaded.errors == ()
        records: asyncio.Queue[Record] = asyncio.Queue()
        async with open_house("memory:") as house, open_hooks(loaded.settings, loaded.journeys) as (hooks, _):
            house.doors.hooks = hooks
            lent, _ = house.lend(loaded.settings)
            runner = Runner(lent, house.journal, house.history, house.clock, lambda r, _: records.put_nowait(r))
            for journey in loaded.journeys:
                runner.run_now(journey)
            both_told = {record.journey: record for record in [await records.get(), await records.get()]}
            await runner.stop(10)

    assert both_told["one"].outcome is Outcome.PASSED, both_told["one"].message
    assert (both_told["two"].outcome, both_told["two"].reason) == (Outcome.FAILED, Reason.LOST)


async def test_an_address_is_gone_after_its_run(tmp_path: Path) -> None:
    urls: list[str] = []

    async def pay(order: Mapping[str, Any]) -> None:
        urls.append(order["callback"])
        await call(order["callback"])

    async with shop(pay) as target:
        (tmp_path / "probe.yaml").write_text(PROBE.format(within="30s", more=""))
        (tmp_path / "synthmon.yaml").write_text(settings(target.url))
        loaded = load([str(tmp_path / "probe.yaml")], [str(tmp_path / "synthmon.yaml")])
        async with aclosing(run_once(loaded.journeys, loaded.settings, "memory:", 2)) as records:
            record = await anext(records)
            after = await call(urls[0])
            second = await anext(records)

    assert (record.outcome, after.status_code, second.outcome) == (Outcome.PASSED, 404, Outcome.PASSED)
    assert urls[0] != urls[1]


async def test_where_the_port_is_taken_the_run_is_unknown_and_says_so(tmp_path: Path) -> None:
    async def silent(order: Mapping[str, Any]) -> None:
        """It is not even asked."""

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        async with shop(silent) as target:
            record = await run_probe(tmp_path, PROBE.format(within="1s", more=""), settings(target.url, listen))

    assert (record.outcome, record.reason, record.step) == (Outcome.UNKNOWN, Reason.NO_LISTENER, "told")
    assert listen in record.message
    assert "If a daemon has that address, ask it: synthmon run NAME --url http://" in record.message


@pytest.mark.parametrize(
    ("journey", "told", "code"),
    [
        (PROBE.format(within="1s", more=""), "", "no-hooks"),
        (PROBE.format(within="1s", more="").replace("hook: POST", "hook: FETCH"), None, "hook-method"),
        (PROBE.format(within="1s", more="hmac: open-sesame-please"), None, "hook-key"),
        (PROBE.format(within="1s", more="reply: {status: 204, body: a}"), None, "hook-reply"),
        (PROBE.format(within="1s", more="reply: {json: {a: 1}, body: a}"), None, "http-bodies"),
        (PROBE.format(within="1s", more="reply: {headers: {Content-Length: 1}}"), None, "http-header"),
        (PROBE.format(within="1s", more='reply: {body: "${hook.told.url}"}'), None, "no-value-yet"),
        (PROBE.format(within="1s", more="").replace("hook.told.url", "hook.tld.url"), None, "undeclared-name"),
        (
            PROBE.format(within="1s", more='reply: {body: "${vars.b}"}').replace(
                "system: shop", 'system: shop\nvars: {a: "${hook.told.url}", b: "x"}'
            ),
            None,
            "no-value-yet",
        ),
    ],
)
def test_what_cannot_work_is_told_at_load(tmp_path: Path, journey: str, told: str | None, code: str) -> None:
    whole = settings("http://127.0.0.1:1")

    found = faults(tmp_path, journey, whole if told is None else whole.partition("hooks:")[0])

    assert any(one.startswith(f"{code}:") for one in found), found
