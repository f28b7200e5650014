"""`cloudwatch` and `xray` against moto's server, a stand-in of AWS in a process of its own.

moto lets every event through a pattern with `?`, which our own second filter must stand, and has no filter expressions
for X-Ray: what it cannot do is tested against answers as they are documented (test_cloudwatch.py, test_xray.py).
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import boto3

from synthmon.core.evidence import Wanted
from synthmon.core.secrets import Vault
from synthmon.language.evidence import find_sources
from synthmon.runtime.doors import Doors
from synthmon.runtime.gathering import Gatherer
from tests.evidence.aws_back_ends import KNOWN
from tests.evidence.back_ends import a_source, looking, thing
from tests.evidence.lending import Heard, wanted
from tests.evidence.test_cloudwatch import KEYS, event
from tests.evidence.test_xray import Kept
from tests.servers.moto import Moto, moto_server

GROUP = KEYS["groups"][0]
POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["logs:FilterLogEvents"], "Resource": "*"}],
}


@contextmanager
def client(service: str, url: str) -> Iterator[Any]:
    """AWS's own library, as who is watched uses it."""
    made = boto3.client(
        service,
        endpoint_url=url,
        region_name="eu-west-1",
        aws_access_key_id="AKIDOFTHESHOP",
        aws_secret_access_key="a-secret-of-the-shop",
    )
    try:
        yield made
    finally:
        made.close()


def make_group(url: str) -> None:
    with client("logs", url) as logs:
        logs.create_log_group(logGroupName=GROUP)
        logs.create_log_stream(logGroupName=GROUP, logStreamName="s")


def put(url: str, *messages: str, ago_ms: int = 0) -> None:
    at_ms = time.time_ns() // 10**6 - ago_ms
    with client("logs", url) as logs:
        logs.put_log_events(
            logGroupName=GROUP,
            logStreamName="s",
            logEvents=[{"timestamp": at_ms, "message": message} for message in messages],
        )


def check_from_now_on(url: str) -> None:
    """Signatures and permissions of every request."""
    body: dict[str, Any] = {"data": b"0", "headers": {"Content-Type": "text/plain"}}
    with urllib.request.urlopen(urllib.request.Request(f"{url}/moto-api/reset-auth", method="POST", **body)) as answer:
        assert answer.status == 200


def line(run: Wanted, step: str, ago_ms: float = 0) -> str:
    return event(thing(run, step, ago_ms)).message


async def test_what_a_group_holds_is_found_by_run_and_by_key_and_nothing_of_others(tmp_path: Path) -> None:
    run, other = wanted("a", keys=("ORD-4711",)), wanted("b")
    by_key = json.dumps({"step": "billed", "orderId": "ORD-4711", "eventId": "b-1"})

    async with moto_server(tmp_path) as moto:
        await asyncio.to_thread(make_group, moto.url)
        await asyncio.to_thread(put, moto.url, line(run, "posted"), line(other, "theirs"), by_key)
        async with looking("cloudwatch", moto.url, run, KEYS) as told:
            await told.until_told("posted", "billed")
            many = [line(run, f"step-{n}") for n in range(300)]
            await asyncio.to_thread(put, moto.url, line(run, "late", 4000), *many, ago_ms=4000)
            await told.until_told("posted", "billed", "late", *(f"step-{n}" for n in range(300)))

    assert not told.blind
    why = {record.step: record.matched_by for record in told.records}
    assert (why["posted"], why["billed"]) == ("correlationId", "orderId (key)")
    assert {record.attrs["logGroup"] for record in told.records} == {GROUP}


async def test_one_that_is_killed_is_blind_and_tells_everything_when_it_is_back(tmp_path: Path) -> None:
    run = wanted()

    async with moto_server(tmp_path / "first") as moto:
        port = moto.port
        await asyncio.to_thread(make_group, moto.url)
        await asyncio.to_thread(put, moto.url, line(run, "before"))
        async with looking("cloudwatch", moto.url, run, KEYS) as told:
            await told.until_told("before")
            os.kill(moto.pid, signal.SIGKILL)
            await told.until(lambda: bool(told.blind))
            async with moto_server(tmp_path / "second", port) as again:
                await told.until(lambda: any("has no log group" in said for said in told.blind))
                await asyncio.to_thread(make_group, again.url)
                await asyncio.to_thread(put, again.url, line(run, "after"))
                await told.until(lambda: "after" in told.steps)
                await told.until_sure()

    assert sorted(told.steps) == ["after", "before"]


async def test_the_run_s_own_trace_is_read_from_xray(tmp_path: Path) -> None:
    run = wanted()
    kept = [Kept(run.run_id, "posted"), Kept(run.run_id, "mailed"), Kept("9" * 32, "theirs")]

    def send(url: str) -> None:
        with client("xray", url) as xray:
            answer = xray.put_trace_segments(TraceSegmentDocuments=[one.document for one in kept])
            assert not answer["UnprocessedTraceSegments"]

    async with moto_server(tmp_path) as moto:
        await asyncio.to_thread(send, moto.url)
        async with looking("xray", moto.url, run, {**KNOWN, "annotations": []}) as told:
            await told.until_told("posted", "mailed")
            await told.until_sure()

    assert sorted(told.steps) == ["mailed", "posted"]
    assert not told.blind


async def test_a_server_that_checks_signatures_and_permissions_lets_the_right_key_in(tmp_path: Path) -> None:
    run = wanted()

    def make_user(url: str) -> tuple[str, str]:
        with client("iam", url) as iam:
            iam.create_user(UserName="synthmon")
            iam.put_user_policy(UserName="synthmon", PolicyName="reads", PolicyDocument=json.dumps(POLICY))
            key = iam.create_access_key(UserName="synthmon")["AccessKey"]
            return key["AccessKeyId"], key["SecretAccessKey"]

    async with moto_server(tmp_path) as moto:
        await asyncio.to_thread(make_group, moto.url)
        await asyncio.to_thread(put, moto.url, line(run, "posted"))
        key, secret = await asyncio.to_thread(make_user, moto.url)
        await asyncio.to_thread(check_from_now_on, moto.url)
        async with asking(moto, run, {"access_key": key, "secret_key": secret}.__getitem__) as told:
            await told.until_told("posted")
        async with asking(moto, run, {"access_key": key, "secret_key": secret[::-1]}.__getitem__) as refused:
            await refused.until(lambda: bool(refused.blind))

    assert not told.blind
    assert "does not let us in" in refused.blind[0]
    assert secret not in repr((told.reports, refused.reports))
    assert secret[::-1] not in repr(refused.reports)


@asynccontextmanager
async def asking(moto: Moto, run: Wanted, secret: Callable[[str], str]) -> AsyncIterator[Heard]:
    """What the source tells with these secrets."""
    source, heard = a_source("cloudwatch", moto.url, KEYS), Heard()
    assert source.system is not None
    gatherer = Gatherer({"cloudwatch": find_sources()["cloudwatch"].kind}, lambda: None, lambda _, key: secret(key))
    async with Doors({source.system.name: source.system}) as doors:
        door = doors.open(run.run_id, "order-ships", Vault({}))
        ear = await gatherer.watch(source, run, door, "order-ships", heard)
        try:
            yield heard
        finally:
            await ear.aclose()
            await door.aclose()
