"""`grpc` against a real server: by reflection and by file, every kind of end, and whose fault it was."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
import trustme

from synthmon.core.outcomes import Outcome, Reason
from synthmon.steps.grpc_methods import NoMethod, from_server
from tests.connections.running import faults
from tests.servers.ports import free_port
from tests.servers.stock_grpc import described, shop
from tests.steps.speaking import listening, probe, run_steps, settings

CALL = """
- id: tea
  grpc: shop.Stocks/{method}
  json: {{sku: "{sku}", amount: 3}}
  metadata: {{x-tenant: synthetic}}
  reads: true
  timeout: {timeout}
  {more}
  expect:
    - {check}
"""


def call(
    method: str = "Get", check: str = "body.inStock == 3", sku: str = "tea", timeout: str = "30s", more: str = ""
) -> str:
    return CALL.format(method=method, check=check, sku=sku, timeout=timeout, more=more)


def base(port: int) -> str:
    return f"http://localhost:{port}"


@pytest.mark.parametrize("described_too", [True, False], ids=["reflection", "file"])
async def test_a_call_is_answered_as_json_and_bears_the_marks(tmp_path: Path, described_too: bool) -> None:
    (tmp_path / "shop.pb").write_bytes(described().SerializeToString())
    check = 'status == "OK" && body.inStock == 3 && body.sku == "tea" && trailers["x-served-by"] == "one" && count == 1'
    more = "" if described_too else "descriptor: shop.pb"
    async with shop(described_too) as server:
        record = await run_steps(tmp_path, call(check=f"'{check}'", more=more), base(server.port))

    assert record.outcome is Outcome.PASSED, record.message
    (metadata,) = server.metadata
    assert metadata["x-correlation-id"] == record.run_id
    assert metadata["traceparent"].split("-")[1] == record.run_id
    assert "synthetic_request=true" in metadata["baggage"]
    assert metadata["user-agent"].startswith("synthmon/")
    assert metadata["x-tenant"] == "synthetic"


async def test_fields_that_were_not_set_have_their_default(tmp_path: Path) -> None:
    async with shop() as server:
        record = await run_steps(tmp_path, call(check="body.sku == ''", sku=""), base(server.port))

    assert record.outcome is Outcome.PASSED, record.message


async def test_of_a_stream_the_first_messages_are_read(tmp_path: Path) -> None:
    check = "count == 2 && messages[0].inStock == 3 && messages[1].inStock == 2"
    async with shop() as server:
        record = await run_steps(tmp_path, call("Watch", check, more="first: 2"), base(server.port))
        ended = await run_steps(tmp_path, call("Watch", "count == 3", more="first: 9"), base(server.port))

    assert record.outcome is Outcome.PASSED, record.message
    assert ended.outcome is Outcome.PASSED, ended.message


async def test_another_answer_fails(tmp_path: Path) -> None:
    async with shop() as server:
        record = await run_steps(tmp_path, call(check="body.inStock == 4"), base(server.port))

    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.EXPECTATION), record.message
    assert "body.inStock is 3" in record.message


@pytest.mark.parametrize(("sku", "status"), [("milk", "NOT_FOUND"), ("down", "UNAVAILABLE")])
async def test_a_status_is_an_answer_and_its_words_can_be_checked(tmp_path: Path, sku: str, status: str) -> None:
    check = f"""'status == "{status}" && details == "no {sku} here"'"""
    async with shop() as server:
        expected = await run_steps(tmp_path, call("Fail", check, sku), base(server.port))
        unexpected = await run_steps(tmp_path, call("Fail", "body.sku == 'x'", sku), base(server.port))

    assert expected.outcome is Outcome.PASSED, expected.message
    assert (unexpected.outcome, unexpected.reason) == (Outcome.FAILED, Reason.EXPECTATION), unexpected.message
    assert f"it answered {status}: no {sku} here" in unexpected.message


async def test_silence_is_a_timeout(tmp_path: Path) -> None:
    async with shop() as server:
        record = await run_steps(tmp_path, call("Sleep", timeout="1s"), base(server.port))

    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.TIMEOUT), record.message


async def test_where_nobody_listens_it_is_refused(tmp_path: Path) -> None:
    record = await run_steps(tmp_path, call(), base(free_port()))

    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.REFUSED), record.message


async def test_a_server_that_is_killed_meanwhile_fails_the_step(tmp_path: Path) -> None:
    async with shop() as server:
        running = asyncio.create_task(run_steps(tmp_path, call("Sleep"), base(server.port)))
        await server.sleeping.wait()
        await server.kill()
        record = await running

    assert record.outcome is Outcome.FAILED, record.message


@pytest.mark.parametrize(
    ("steps", "reason", "said"),
    [
        (call("Got"), Reason.BAD_ANSWER, "has no method Got; it has Get, Watch"),
        (call("Upload"), Reason.BAD_ANSWER, "stream of requests"),
        (call().replace("amount:", "amont:"), Reason.EXPRESSION, 'no field named "amont"'),
    ],
)
async def test_what_does_not_fit_the_method_is_told(tmp_path: Path, steps: str, reason: Reason, said: str) -> None:
    async with shop() as server:
        record = await run_steps(tmp_path, steps, base(server.port))

    assert record.reason is reason, record.message
    assert said in record.message
    assert not server.asked


async def test_a_server_without_reflection_asks_for_a_file(tmp_path: Path) -> None:
    async with shop(described_too=False) as server:
        record = await run_steps(tmp_path, call(), base(server.port))

    assert "reflection is off" in record.message


async def test_a_server_that_refuses_at_once_to_describe_itself_is_understood_each_time() -> None:
    """The refusal may be there before the question has left, for the server does not wait for our loop."""
    server = grpc.server(ThreadPoolExecutor(2))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()

    async def asked() -> str:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            with pytest.raises(NoMethod) as caught:
                await from_server(channel, "shop.Stocks", "Get", ())
            return str(caught.value)

    try:
        for _ in range(20):
            for said in await asyncio.gather(*(asked() for _ in range(16))):
                assert "reflection is off" in said
    finally:
        server.stop(None).wait()


async def test_over_tls_the_certificate_is_checked_and_a_secret_is_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPOKEN_PIN", "open-sesame-please")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    issued = ca.issue_cert("localhost")
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    tls = grpc.ssl_server_credentials([(issued.private_key_pem.bytes(), chain)])
    steps = call("Fail", "status == 'OK'", "${secret.pin}").replace("synthetic}", '"${secret.pin}"}')
    secrets = "secrets: {pin: env:SPOKEN_PIN}"
    async with shop(tls=tls) as server:
        at = f"https://localhost:{server.port}"
        record = await run_steps(tmp_path, steps, at, f"tls: {{ca: {tmp_path / 'ca.pem'}}}", secrets)
        mistrusted = await run_steps(tmp_path, steps, at, "", secrets)

    assert [asked.sku for asked in server.asked] == ["open-sesame-please"]
    assert server.metadata[0]["x-tenant"] == "open-sesame-please"
    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.EXPECTATION), record.message
    assert "open-sesame-please" not in repr(record)
    assert (mistrusted.outcome, mistrusted.reason) == (Outcome.FAILED, Reason.TLS), mistrusted.message


async def test_an_address_that_no_rule_allows_gets_no_packet(tmp_path: Path) -> None:
    async def nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(nothing) as server:
        record = await run_steps(tmp_path, call(), base(server.port), "allow: [shop.example.com]")

    assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.EGRESS_BLOCKED), record.message
    assert server.connections == 0


WRITING = call().replace("  reads: true\n", "  leaves: nothing\n")


async def test_a_call_that_may_write_goes_where_the_settings_say_so(tmp_path: Path) -> None:
    async with shop() as server:
        record = await run_steps(tmp_path, WRITING, base(server.port), 'writes: ["POST /shop.Stocks/Get"]')

    assert record.outcome is Outcome.PASSED, record.message
    assert server.metadata[0]["idempotency-key"].startswith(record.run_id)


@pytest.mark.parametrize(
    ("steps", "options", "code"),
    [
        ("- {id: s, grpc: Get, reads: true, expect: [status == 'OK']}", "", "grpc-method"),
        (call(more="descriptor: nowhere.pb"), "", "unreadable-file"),
        (call(more="descriptor: probe.yaml"), "", "grpc-method"),
        (call(more="first: 0"), "", "out-of-range"),
        (call().replace("x-tenant", "X-Tenant"), "", "http-header"),
        (call().replace("x-tenant", "grpc-timeout"), "", "http-header"),
        (WRITING, "", "write-not-allowed"),
        (WRITING, 'writes: ["POST /shop.Stocks/Put"]', "write-not-allowed"),
        (
            WRITING.replace("leaves: nothing", "timeout: 3s").replace("timeout: 30s", ""),
            "writes: true",
            "write-without-undo",
        ),
    ],
)
def test_what_cannot_work_is_told_at_load(tmp_path: Path, steps: str, options: str, code: str) -> None:
    found = faults(tmp_path, probe(steps), settings("https://shop.example.com", options))

    assert any(one.startswith(f"{code}:") for one in found), found
