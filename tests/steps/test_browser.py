"""`browser` in a real Chromium against real servers: what it does, what it may not do, and whose fault it is."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import trustme
from typer.testing import CliRunner
from websockets.asyncio.server import ServerConnection, serve

from synthmon.cli.main import app
from synthmon.core.browsing import Action, Verb, Visit
from synthmon.core.door import Envelope, Trouble
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record
from synthmon.core.secrets import Vault
from synthmon.core.system import System
from synthmon.runtime.browser.chromium import Browsers
from synthmon.runtime.doors import Doors
from tests.connections.running import faults, run_probe
from tests.servers.ports import free_port
from tests.servers.process import program
from tests.steps.pages import browse, processes_of, redirect, site
from tests.steps.speaking import listening, probe, settings

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browsers() -> AsyncIterator[Browsers]:
    """One browser for all tests of this file."""
    try:
        program("chromium")
    except FileNotFoundError as error:
        pytest.skip(str(error))
    made = Browsers()
    yield made
    await made.aclose()


SHOP = """<!doctype html><title>Shop</title><h1>Tea</h1>
<form method=post action=/orders>
  <input id=email name=email><input id=pin name=pin type=password>
  <select id=country name=country><option value=DE>Germany<option value=SE>Sweden</select>
  <button>Pay</button>
</form>"""
RECEIPT = "<title>Receipt</title><p id=receipt>Total <b class=total>12.50 EUR</b><ul><li>tea<li>mug</ul></p>"

PAY = """
- id: pay
  browser: /shop
  timeout: 30s
  do:
    - fill: {"#email": "probe@synthetic.example.com"}
    - select: {"#country": Sweden}
    - click: text=Pay
    - wait: {url: /orders}
    - wait: "#receipt"
  read: {total: "#receipt .total", absent: "#nowhere"}
  count: {items: li}
  writes: true
  leaves: nothing
  expect:
    - status == 200
    - title == "Receipt"
    - url.endsWith("/orders")
    - text.contains("12.50 EUR")
    - read.total == "12.50 EUR"
    - count.items == 2
    - size(console) == 0
    - requests == 2
    - failed == 0
    - elapsed > phase.wait
    - phase.load > duration("0s")
    - paint.first > duration("0s")
    - paint.largest > duration("0s")
  save:
    total: read.total
"""


def one(path: str = "/shop", expect: str = 'title == "Shop"', more: str = "", timeout: str = "30s") -> str:
    return f"- {{id: page, browser: {path}, timeout: {timeout}, expect: ['{expect}']{more}}}"


def told(record: Record) -> tuple[Outcome, Reason, str]:
    return record.outcome, record.reason, record.message


# what it does -----------------------------------------------------------------------------------------------------


async def test_a_form_is_filled_in_and_its_answer_read_and_every_request_bears_the_marks(
    browsers: Browsers, tmp_path: Path
) -> None:
    async with site(shop=SHOP, orders=RECEIPT) as shop:
        record = await browse(browsers, tmp_path, PAY, shop.base, "writes: true")

    assert record.outcome is Outcome.PASSED, record.message
    assert record.steps[0].saved == {"total": "12.50 EUR"}
    (order,) = shop.of("POST")
    assert order.body == "email=probe%40synthetic.example.com&pin=&country=SE"
    assert len(shop.asked) >= 2
    for asked in shop.asked:
        assert asked.headers["x-correlation-id"] == record.run_id
        assert asked.headers["traceparent"].split("-")[1] == record.run_id
        assert "synthetic_request=true" in asked.headers["baggage"]
        assert "synthmon/" in asked.headers["user-agent"]
        assert not {"idempotency-key", "proxy-authorization"} & asked.headers.keys()
    timing = record.steps[0].attempts[0].timing
    assert timing.connect_ms > 0
    assert timing.address == "127.0.0.1"


async def test_without_propagation_only_the_user_agent_tells_who_asks(browsers: Browsers, tmp_path: Path) -> None:
    async with site(shop=SHOP) as shop:
        record = await browse(browsers, tmp_path, one(), shop.base, "propagate: false")

    assert record.outcome is Outcome.PASSED, record.message
    for asked in shop.asked:
        assert "synthmon/" in asked.headers["user-agent"]
        assert not {"traceparent", "baggage", "tracestate", "x-correlation-id"} & asked.headers.keys()


async def test_another_text_fails_and_what_matches_nothing_is_told(browsers: Browsers, tmp_path: Path) -> None:
    steps = """
    - id: page
      browser: /shop
      timeout: 30s
      read: {title: h1, absent: "#nowhere"}
      expect:
        - read.title == "Coffee"
        - read.absent == "x"
    """
    async with site(shop=SHOP) as shop:
        record = await browse(browsers, tmp_path, steps, shop.base)

    assert told(record)[:2] == (Outcome.FAILED, Reason.EXPECTATION), record.message
    assert record.steps[0].checks[0].values == (("read.title", '"Tea"'),)
    assert record.steps[0].checks[1].ok is False
    assert "Tea" in record.steps[0].attempts[-1].answer


async def test_cookies_last_for_the_steps_of_a_run_and_no_longer(browsers: Browsers, tmp_path: Path) -> None:
    steps = one("/login", "status == 200") + "\n" + one("/shop").replace("id: page", "id: shop")
    login = "HTTP/1.1 200 OK\r\nSet-Cookie: sid=a1b2c3d4e5f6\r\nContent-Length: 2\r\nContent-Type: text/html\r\n\r\nok"
    async with site(login=login, shop=SHOP) as shop:
        first = await browse(browsers, tmp_path, steps, shop.base)
        second = await browse(browsers, tmp_path, one(), shop.base)

    assert (first.outcome, second.outcome) == (Outcome.PASSED, Outcome.PASSED), (first.message, second.message)
    asked = [asked.headers.get("cookie") for asked in shop.asked if asked.path == "/shop"]
    assert asked == ["sid=a1b2c3d4e5f6", None]


async def test_a_page_over_tls_is_verified_by_the_authority_of_its_system_and_shown_our_certificate(
    browsers: Browsers, tmp_path: Path
) -> None:
    authority, strangers = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    strangers.cert_pem.write_to_path(str(tmp_path / "other.pem"))
    mine = authority.issue_cert("probe.example.com")
    mine.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "mine.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(tls)
    authority.configure_trust(tls)
    tls.verify_mode = ssl.CERT_REQUIRED
    options = f"tls: {{ca: {tmp_path}/ca.pem, cert: {tmp_path}/mine.pem}}"

    async with site(tls, shop=SHOP) as shop:
        secure = shop.base.replace("http:", "https:")
        good = await browse(browsers, tmp_path, one(expect='phase.tls > duration("0s")'), secure, options)
        seen = len(shop.asked)
        bad = await browse(browsers, tmp_path, one(), secure, options.replace("/ca.pem", "/other.pem"))

    assert good.outcome is Outcome.PASSED, good.message
    assert all(asked.headers["x-correlation-id"] == good.run_id for asked in shop.asked)
    assert (bad.outcome, bad.reason) == (Outcome.FAILED, Reason.TLS), bad.message
    assert "not to be trusted" in bad.message
    assert len(shop.asked) == seen


async def test_a_websocket_of_a_page_that_may_write_is_carried(browsers: Browsers, tmp_path: Path) -> None:
    heard: list[tuple[str, str]] = []

    async def echo(connection: ServerConnection) -> None:
        assert connection.request is not None
        async for message in connection:
            heard.append((str(message), connection.request.headers["x-correlation-id"]))
            await connection.send(f"echo {message}")

    async with site() as shop, serve(echo, "127.0.0.1", 0) as feed:
        port = next(iter(feed.sockets)).getsockname()[1]
        shop.pages["/live"] = f"""<p id=said></p><script>
        const socket = new WebSocket('ws://localhost:{port}/feed')
        socket.onopen = () => socket.send('x'.repeat(100000))
        socket.onmessage = (event) => {{ said.textContent = `got ${{event.data.length}}` }}
        </script>"""
        more = ", do: [{wait: text=got 100005}], writes: true, leaves: nothing"
        record = await browse(browsers, tmp_path, one("/live", "status == 200", more), shop.base, "writes: true")

    assert record.outcome is Outcome.PASSED, record.message
    assert heard == [("x" * 100000, record.run_id)]


# what it may not do -----------------------------------------------------------------------------------------------

STRANGERS = {
    "img": "<img src=http://{at}/x.png>",
    "script": "<script src=http://{at}/x.js></script>",
    "style": "<link rel=stylesheet href=http://{at}/x.css>",
    "iframe": "<iframe src=http://{at}/x></iframe>",
    "fetch": "<script>fetch('http://{at}/x', {{mode: 'no-cors'}}).catch(() => 0)</script>",
    "https": "<script>fetch('https://{at}/x', {{mode: 'no-cors'}}).catch(() => 0)</script>",
    "xhr": "<script>const x = new XMLHttpRequest(); x.open('GET', 'http://{at}/x'); x.send()</script>",
    "websocket": "<script>new WebSocket('ws://{at}/x')</script>",
    "worker": "<script>new Worker(URL.createObjectURL(new Blob([`fetch('http://{at}/x')`])))</script>",
    "refresh": "<meta http-equiv=refresh content='0; url=http://{at}/x'>",
    "redirect": "",
}


@pytest.mark.parametrize("how", sorted(STRANGERS))
async def test_no_page_reaches_a_host_that_is_not_allowed(browsers: Browsers, tmp_path: Path, how: str) -> None:
    async with site(x="never") as other, site() as shop:
        page = STRANGERS[how].format(at=other.stranger)
        shop.pages["/page"] = page + "<title>Shop</title>" if page else redirect(f"http://{other.stranger}/x")
        more = ", do: [{wait: '#never'}], writes: true, leaves: nothing"
        record = await browse(browsers, tmp_path, one("/page", "status == 200", more), shop.base, "writes: true")

    assert told(record)[:2] == (Outcome.UNKNOWN, Reason.EGRESS_BLOCKED), record.message
    assert "127.0.0.1 is not in `allow` of system shop" in record.message
    assert other.connections == 0


async def test_hints_and_calls_from_browser_to_browser_reach_nobody_either(browsers: Browsers, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stun:
        stun.bind(("127.0.0.1", 0))
        stun.setblocking(False)
        port = stun.getsockname()[1]
        async with site() as other, site() as shop:
            shop.pages["/page"] = f"""<title>Shop</title><link rel=preconnect href=http://{other.stranger}>
            <link rel=dns-prefetch href=http://{other.stranger}><p id=p>…</p><script>
            const peer = new RTCPeerConnection({{iceServers: [{{urls: 'stun:127.0.0.1:{port}'}}]}})
            peer.createDataChannel('x')
            peer.onicegatheringstatechange = () => {{ p.textContent = peer.iceGatheringState }}
            peer.createOffer().then((offer) => peer.setLocalDescription(offer))
            </script>"""
            more = ", do: [{wait: text=complete}]"
            record = await browse(browsers, tmp_path, one("/page", "status == 200", more), shop.base)

        with pytest.raises(BlockingIOError):
            stun.recv(1)
    assert record.outcome is Outcome.PASSED, record.message
    assert other.connections == 0


async def test_what_the_page_need_not_have_is_refused_without_a_word(browsers: Browsers, tmp_path: Path) -> None:
    async with site() as other, site() as shop:
        shop.pages["/page"] = STRANGERS["img"].format(at=other.stranger) + "<title>Shop</title>"
        record = await browse(browsers, tmp_path, one("/page", more=", without: ['127.0.0.*']"), shop.base)

    assert record.outcome is Outcome.PASSED, record.message
    assert other.connections == 0


@pytest.mark.parametrize("tls", [False, True])
async def test_a_step_that_only_reads_sends_nothing_else(browsers: Browsers, tmp_path: Path, tls: bool) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if tls else None
    if context is not None:
        authority.issue_cert("localhost").configure_cert(context)
    steps = PAY.replace("  writes: true\n  leaves: nothing\n", "")

    async with site(context, shop=SHOP, orders=RECEIPT) as shop:
        base = shop.base.replace("http:", "https:") if tls else shop.base
        options = f"writes: true\ntls: {{ca: {tmp_path}/ca.pem}}"
        record = await browse(browsers, tmp_path, steps, base, options)

    assert told(record)[:2] == (Outcome.UNKNOWN, Reason.EGRESS_BLOCKED), record.message
    assert "POST may change the system, and the step does not say `writes: true`" in record.message
    assert shop.of("GET")
    assert shop.of("POST") == []


async def test_of_a_system_with_a_list_of_writes_only_those_leave(browsers: Browsers, tmp_path: Path) -> None:
    async with site(shop=SHOP, orders=RECEIPT) as shop:
        good = await browse(browsers, tmp_path, PAY, shop.base, 'writes: ["POST /orders"]')
        bad = await browse(browsers, tmp_path, PAY, shop.base, 'writes: ["POST /carts"]')

    assert good.outcome is Outcome.PASSED, good.message
    assert told(bad)[:2] == (Outcome.UNKNOWN, Reason.EGRESS_BLOCKED), bad.message
    assert len(shop.of("POST")) == 1


async def test_a_websocket_needs_a_step_that_may_write(browsers: Browsers, tmp_path: Path) -> None:
    async with site() as shop:
        shop.pages["/page"] = f"<script>new WebSocket('ws://localhost:{shop.stranger.partition(':')[2]}/x')</script>"
        record = await browse(
            browsers,
            tmp_path,
            one("/page", "status == 200", ", do: [{wait: '#never'}]"),
            shop.base,
            "writes: true",
        )

    assert told(record)[:2] == (Outcome.UNKNOWN, Reason.EGRESS_BLOCKED), record.message
    assert "a WebSocket may change the system" in record.message
    assert "/x" not in [asked.path for asked in shop.asked]


async def test_nobody_without_the_token_of_a_run_is_let_through(browsers: Browsers, tmp_path: Path) -> None:
    async with site(shop=SHOP) as shop:
        await browse(browsers, tmp_path, one(), shop.base)
        seen = shop.connections
        assert browsers._proxy is not None
        answers = []
        for login in ("", "Proxy-Authorization: Basic c3ludGhtb246Z3Vlc3M=\r\n"):
            for first in (f"GET {shop.base}/shop HTTP/1.1", f"CONNECT localhost:{shop.stranger[10:]} HTTP/1.1"):
                reader, writer = await asyncio.open_connection("127.0.0.1", browsers._proxy.port)
                writer.write(f"{first}\r\nHost: localhost\r\n{login}\r\n".encode())
                answers.append(await reader.readline())
                writer.close()
                await writer.wait_closed()

    assert all(b" 407 " in answer for answer in answers), answers
    assert shop.connections == seen


async def test_the_headers_of_a_session_go_to_the_origin_of_the_page_alone(
    browsers: Browsers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNTHMON_TEST_PIN", PIN)
    (tmp_path / "login.yaml").write_text(
        "steps:\n  - {id: token, http: GET /token, expect: [status == 200], save: {value: secret(text)}}\n"
    )
    sessions = 'sessions: {shop: {call: login.yaml, system: shop, headers: {Authorization: "Bearer ${token.value}"}}}'
    async with site(token="a-token-for-nobody-else-1") as shop, site() as assets:
        assets.pages["/a.js"] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        shop.pages["/shop"] = f"<title>Shop</title><script src={assets.base}/a.js></script>"
        record = await browse(browsers, tmp_path, one(more=", auth: shop"), shop.base, secrets=sessions)

    assert record.outcome is Outcome.PASSED, record.message
    (page,) = [asked for asked in shop.asked if asked.path == "/shop"]
    (script,) = [asked for asked in assets.asked if asked.path == "/a.js"]
    assert page.headers["authorization"] == "Bearer a-token-for-nobody-else-1"
    assert "authorization" not in script.headers
    assert script.headers["x-correlation-id"] == record.run_id


async def test_a_visit_ends_when_everything_is_told_to_stop_and_no_other_begins(
    browsers: Browsers, tmp_path: Path
) -> None:
    visit, run_id = Visit("/shop", (Action(Verb.WAIT, "#never"),)), "ab" * 16
    envelope = Envelope(run_id, "stopping", "shop", timeout_s=60)
    async with site(shop=SHOP) as shop, Doors({"shop": System("shop", {"": shop.base}, ("localhost",))}) as doors:
        own, doors.browsers = doors.browsers, browsers
        door = doors.open(run_id, "stopping", Vault({}))
        running = asyncio.create_task(door.visit(visit, envelope))
        async with asyncio.timeout(60):
            while not shop.asked:  # noqa: ASYNC110  it happens in another process
                await asyncio.sleep(0.01)
        door.withdraw()
        async with asyncio.timeout(30):
            stopped = await running
            seen = len(shop.asked)
            after = await door.visit(visit, envelope)
        await door.aclose()
        doors.browsers = own

    assert isinstance(stopped, Trouble)
    assert (stopped.reason, stopped.sent) == (Reason.INTERRUPTED, True), stopped
    assert isinstance(after, Trouble)
    assert (after.reason, after.sent) == (Reason.INTERRUPTED, False), after
    assert len(shop.asked) == seen


# secrets ----------------------------------------------------------------------------------------------------------

SECRETS = "secrets: {pin: 'env:SYNTHMON_TEST_PIN'}"
PIN = "kestrel-417-harbour"


async def test_a_secret_goes_into_the_field_and_nowhere_else(
    browsers: Browsers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNTHMON_TEST_PIN", PIN)
    steps = PAY.replace("- select:", '- fill: {"#pin": "${secret.pin}"}\n    - select:').replace(
        "    - size(console) == 0\n", '    - text.contains("no such thing")\n'
    )
    async with site(shop=SHOP, orders=RECEIPT) as shop:
        shop.pages["/orders"] = RECEIPT + f"<p>your pin is {PIN}</p><script>console.error('{PIN}')</script>"
        store = f"sqlite:///{tmp_path}/synthmon.db"
        echoed = await browse(browsers, tmp_path, steps, shop.base, "writes: true", SECRETS, store)
        silent = await browse(
            browsers, tmp_path, steps.replace("#receipt .total", "#pin"), shop.base, "writes: true", SECRETS
        )
        shop.pages["/shop"] = SHOP.replace("<button>", "<button style='visibility: hidden'>")
        stuck = await browse(browsers, tmp_path, steps.replace("30s", "10s"), shop.base, "writes: true", SECRETS, store)

    assert f"pin={PIN}" in shop.of("POST")[0].body
    assert echoed.outcome is silent.outcome is Outcome.FAILED
    assert (stuck.outcome, stuck.reason) == (Outcome.FAILED, Reason.TIMEOUT), stuck.message
    assert PIN not in repr((echoed, silent, stuck))
    assert [attempt.shot for attempt in echoed.steps[0].attempts] == [""]  # it could be read on the page
    assert stuck.steps[0].attempts[-1].shot
    for file in await asyncio.to_thread(lambda: [path for path in tmp_path.glob("*.db*") if path.is_file()]):
        assert PIN.encode() not in await asyncio.to_thread(file.read_bytes)


# whose fault it is ------------------------------------------------------------------------------------------------


async def test_what_never_appears_is_a_timeout_that_says_what_was_waited_for(
    browsers: Browsers, tmp_path: Path
) -> None:
    async with site(shop=SHOP) as shop:
        record = await browse(browsers, tmp_path, one(more=", do: [{click: '#buy'}]", timeout="8s"), shop.base)

    assert told(record)[:2] == (Outcome.FAILED, Reason.TIMEOUT), record.message
    assert "click #buy: not within" in record.message
    assert "/shop" in record.message


async def test_a_page_that_never_comes_is_a_timeout(browsers: Browsers, tmp_path: Path) -> None:
    async with site(shop="never") as shop:
        record = await browse(browsers, tmp_path, one(timeout="8s"), shop.base)

    assert told(record)[:2] == (Outcome.FAILED, Reason.TIMEOUT), record.message


async def test_where_nobody_listens_it_is_refused(browsers: Browsers, tmp_path: Path) -> None:
    record = await browse(browsers, tmp_path, one(), f"http://localhost:{free_port()}")

    assert told(record)[:2] == (Outcome.FAILED, Reason.REFUSED), record.message


async def test_a_server_that_dies_in_between_is_told_as_such_and_gets_no_order_twice(
    browsers: Browsers, tmp_path: Path
) -> None:
    async with site(shop=SHOP, orders="never") as shop:
        assert shop.server is not None
        running = asyncio.create_task(browse(browsers, tmp_path, PAY, shop.base, "writes: true"))
        async with asyncio.timeout(60):
            while not shop.of("POST"):  # noqa: ASYNC110  it happens in another process
                await asyncio.sleep(0.01)
        shop.server.break_off()
        record = await running

    assert record.outcome is Outcome.FAILED, record.message
    assert record.reason in (Reason.RESET, Reason.NO_ANSWER), record.message
    assert len(shop.of("POST")) == 1


async def test_what_is_no_http_or_no_page_is_a_bad_answer(browsers: Browsers, tmp_path: Path) -> None:
    async def garble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 mail.example.com ESMTP\r\n")
        await writer.drain()

    download = "HTTP/1.1 200 OK\r\nContent-Type: application/zip\r\nContent-Length: 2\r\n\r\nPK"
    async with listening(garble) as mail, site(zip=download) as shop:
        first = await browse(browsers, tmp_path, one(), f"http://localhost:{mail.port}")
        second = await browse(browsers, tmp_path, one("/zip"), shop.base)

    assert told(first)[:2] == (Outcome.FAILED, Reason.BAD_ANSWER), first.message
    assert told(second)[:2] == (Outcome.FAILED, Reason.BAD_ANSWER), second.message
    assert "download" in second.message


async def test_a_selector_that_is_none_is_ours(browsers: Browsers, tmp_path: Path) -> None:
    async with site(shop=SHOP) as shop:
        record = await browse(browsers, tmp_path, one(more=", do: [{click: 'div[['}]"), shop.base)

    assert told(record)[:2] == (Outcome.UNKNOWN, Reason.EXPRESSION), record.message
    assert "no selector" in record.message


async def test_a_browser_that_is_killed_is_ours_and_the_next_run_has_another(
    browsers: Browsers, tmp_path: Path
) -> None:
    async with site(shop=SHOP) as shop:
        await browse(browsers, tmp_path, one(), shop.base)
        assert browsers._proxy is not None
        running = asyncio.create_task(browse(browsers, tmp_path, one(more=", do: [{wait: '#never'}]"), shop.base))
        async with asyncio.timeout(60):
            while len([a for a in shop.asked if a.path == "/shop"]) < 2:  # noqa: ASYNC110  in another process
                await asyncio.sleep(0.01)
        for process in await processes_of(f"--proxy-server=http://127.0.0.1:{browsers._proxy.port}"):
            os.kill(process, signal.SIGKILL)
        killed = await running
        after = await browse(browsers, tmp_path, one(), shop.base)

    assert told(killed)[:2] == (Outcome.UNKNOWN, Reason.BROWSER), killed.message
    assert "our browser ended" in killed.message
    assert after.outcome is Outcome.PASSED, after.message


async def test_without_a_browser_it_is_unknown_and_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNTHMON_CHROMIUM", "/nowhere/chromium")
    lost = await run_probe(tmp_path, probe(one()), settings("http://localhost:1"))
    monkeypatch.setenv("SYNTHMON_CHROMIUM", "/bin/false")
    broken = await run_probe(tmp_path, probe(one()), settings("http://localhost:1"))

    assert told(lost)[:2] == (Outcome.UNKNOWN, Reason.BROWSER), lost.message
    assert "SYNTHMON_CHROMIUM names /nowhere/chromium" in lost.message
    assert told(broken)[:2] == (Outcome.UNKNOWN, Reason.BROWSER), broken.message
    assert "/bin/false does not start" in broken.message


async def test_waiting_for_one_of_the_few_pages_is_in_no_latency(
    browsers: Browsers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browsers, "_places", asyncio.Semaphore(1))
    slow = "<title>Shop</title><p id=p></p><script>setTimeout(() => { p.textContent = 'there' }, 1500)</script>"
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    async with site(shop=slow) as shop:
        steps = one(more=", do: [{wait: text=there}]")
        records = await asyncio.gather(*(browse(browsers, tmp_path / name, steps, shop.base) for name in ("a", "b")))

    assert [record.outcome for record in records] == [Outcome.PASSED] * 2, [record.message for record in records]
    timings = sorted((record.steps[0].attempts[0].timing for record in records), key=lambda timing: timing.ours_ms)
    assert timings[1].ours_ms >= 1400
    assert timings[1].total_ms < timings[1].ours_ms + timings[0].total_ms


# pictures ---------------------------------------------------------------------------------------------------------


async def test_a_picture_is_kept_of_a_failure_only_and_for_the_owner_alone(browsers: Browsers, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/synthmon.db"
    async with site(shop=SHOP) as shop:
        good = await browse(browsers, tmp_path, one(), shop.base, store=store)
        bad = await browse(browsers, tmp_path, one(expect='title == "Bank"'), shop.base, store=store)
        never = await browse(
            browsers, tmp_path, one(expect='title == "Bank"', more=", screenshot: never"), shop.base, store=store
        )
        always = await browse(browsers, tmp_path, one(more=", screenshot: always"), shop.base, store=store)
        nowhere = await browse(browsers, tmp_path, one(expect='title == "Bank"'), shop.base)

    shots = [record.steps[0].attempts[-1].shot for record in (good, bad, never, always, nowhere)]
    assert [bool(shot) for shot in shots] == [False, True, False, True, False]
    folder = tmp_path / "synthmon-shots"
    files = {path.name: path for path in await asyncio.to_thread(lambda: list(folder.iterdir()))}
    assert files.keys() == {shots[1], shots[3]}
    assert shots[1].startswith(bad.run_id)
    assert folder.stat().st_mode & 0o777 == 0o700
    for path in files.values():
        assert path.stat().st_mode & 0o777 == 0o600
        assert (await asyncio.to_thread(path.read_bytes)).startswith(b"\x89PNG")
    shown = await asyncio.to_thread(CliRunner().invoke, app, ["show", bad.run_id[:12], "--store", store])
    assert str(folder / shots[1]) in shown.output


# when it is loaded ------------------------------------------------------------------------------------------------


async def test_a_page_that_may_write_needs_a_system_that_allows_it_and_a_way_back(tmp_path: Path) -> None:
    found = faults(tmp_path, probe(PAY.replace("  leaves: nothing\n", "")), settings("http://localhost:1"))

    assert any(fault.startswith("write-not-allowed") for fault in found), found
    assert any(fault.startswith("write-without-undo") for fault in found), found
