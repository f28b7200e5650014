"""`imap` and `mail` against a real Dovecot: heard as it comes, untouched, lost, twice, late, and killed meanwhile."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
import trustme

from synthmon.connections.imap_mail import addresses_of, read_mail
from synthmon.core.messages import as_map
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record
from tests.connections.running import faults, run_probe
from tests.servers.dovecot import PASSWORD, USER, Dovecot, dovecot
from tests.servers.process import until
from tests.servers.shop import Shop, shop

Act = Callable[[str], Awaitable[None]]

PROBE = """
journey: welcome
every: 1m
deadline: 90s
system: shop
identity: shopper
steps:
  - id: sign_up
    http: POST /customers
    json: {{email: "${{identity.email}}"}}
    leaves: nothing
    expect: [status == 202]
  - id: mail
    mail: inbox
    within: {within} after sign_up
    timeout: 30s
    {more}
    expect:
      - count == 1
      - message.subject == "Welcome"
"""


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INBOX_PASSWORD", PASSWORD)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where Dovecot, which is not root, may enter."""
    with tempfile.TemporaryDirectory(prefix="synthmon-dovecot-", ignore_cleanup_errors=True) as made:
        yield Path(made)


@pytest.fixture
async def inbox(folder: Path) -> AsyncIterator[Dovecot]:
    async with dovecot(folder) as server:
        yield server


def mail(to: str, subject: str = "Welcome", text: str = "hello") -> bytes:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "The Shop <shop@example.com>", f"Somebody <{to}>", subject
    made.set_content(text)
    return bytes(made)


def settings(target: Shop, inbox: Dovecot, options: str = "", scheme: str = "imap") -> str:
    address = f"{scheme}://127.0.0.1:{inbox.port}"
    return f"""
systems:
  shop: {{base: "{target.url}", writes: true}}
identities:
  shopper: {{invent: [email]}}
connections:
  inbox: {{imap: "{address}", user: {USER}, password: "env:INBOX_PASSWORD"{options}}}
"""


async def run(
    tmp_path: Path, inbox: Dovecot, act: Act, within: str = "30s", more: str = "", options: str = ""
) -> Record:
    """One sign-up; `act` is what the shop does with the address, right after it answered."""
    async with shop(lambda body: act(body["email"])) as target:
        probe = PROBE.format(within=within, more=more)
        return await run_probe(tmp_path, probe, settings(target, inbox, options))


async def test_a_mail_to_the_identity_is_found_among_others_and_stays_unread(tmp_path: Path, inbox: Dovecot) -> None:
    inbox.deliver(mail("earlier@example.com"))
    inbox.deliver(mail("somebody-else@example.com"))

    async def answer(to: str) -> None:
        inbox.deliver(mail("stranger@example.com", "Stranger"))
        inbox.deliver(mail(to.upper()))

    record = await run(tmp_path, inbox, answer)

    assert record.outcome is Outcome.PASSED, record.message
    assert len(inbox.flags()) == 4
    assert [name for name in inbox.flags() if name.partition(":2,")[2]] == []  # a Maildir says `S` of what was read


async def test_a_mail_that_was_there_before_the_run_is_not_taken_for_ours(tmp_path: Path, inbox: Dovecot) -> None:
    inbox.deliver(mail("fixed@example.com"))

    async def silent(to: str) -> None:
        """It has lost the mail."""

    more = 'to: fixed@example.com\n    where: message.subject == "Welcome"'
    record = await run(tmp_path, inbox, silent, within="2s", more=more)

    assert (record.outcome, record.reason, record.step) == (Outcome.FAILED, Reason.LOST, "mail"), record.message


async def test_a_wrong_subject_is_shown(tmp_path: Path, inbox: Dovecot) -> None:
    async def wrong(to: str) -> None:
        inbox.deliver(mail(to, "Goodbye"))

    record = await run(tmp_path, inbox, wrong, within="3s")

    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.EXPECTATION), record.message
    assert 'message.subject is "Goodbye"' in record.message


async def test_a_second_mail_is_a_duplicate(tmp_path: Path, inbox: Dovecot) -> None:
    async def twice(to: str) -> None:
        inbox.deliver(mail(to))
        await asyncio.sleep(0.5)
        inbox.deliver(mail(to))

    record = await run(tmp_path, inbox, twice, more="settle: 10s")

    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.DUPLICATE), record.message


async def test_a_mail_after_its_time_is_late_and_not_lost(tmp_path: Path, inbox: Dovecot) -> None:
    async def late(to: str) -> None:
        await asyncio.sleep(3)
        inbox.deliver(mail(to))

    record = await run(tmp_path, inbox, late, within="1s", more="grace: 30s")

    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.LATE), record.message


async def test_a_server_without_idle_is_asked_again_and_again(tmp_path: Path, folder: Path) -> None:
    async with dovecot(folder, idle=False) as inbox:

        async def answer(to: str) -> None:
            await asyncio.sleep(0.5)
            inbox.deliver(mail(to))

        record = await run(tmp_path, inbox, answer)

    assert record.outcome is Outcome.PASSED, record.message


@pytest.mark.parametrize(
    ("answers", "options", "outcome", "reason"),
    [
        (True, "", Outcome.PASSED, Reason.NONE),
        (False, "", Outcome.UNKNOWN, Reason.CONNECTION),
        (False, ", watches: true", Outcome.FAILED, Reason.RESET),
    ],
)
async def test_a_mail_that_came_while_the_server_was_down_is_found_and_nothing_else_is_called_lost(
    tmp_path: Path, folder: Path, answers: bool, options: str, outcome: Outcome, reason: Reason
) -> None:
    again: asyncio.Task[None] | None = None
    over = asyncio.Event()

    async with dovecot(folder) as inbox:

        async def restarted() -> None:
            async with dovecot(folder, inbox.port):
                await over.wait()

        async def killed(to: str) -> None:
            nonlocal again
            await inbox.kill()
            if answers:
                inbox.deliver(mail(to))
            again = asyncio.create_task(restarted())

        record = await run(tmp_path, inbox, killed, within="40s" if answers else "5s", options=options)
        over.set()
        assert again is not None
        await again

    assert (record.outcome, record.reason) == (outcome, reason), record.message


async def test_a_server_that_is_down_is_ours(tmp_path: Path, inbox: Dovecot) -> None:
    await inbox.kill()

    async def silent(to: str) -> None:
        """It is not even asked."""

    record = await run(tmp_path, inbox, silent, within="3s")

    assert (record.outcome, record.step) == (Outcome.UNKNOWN, "mail"), record.message


async def test_a_password_is_never_shown(tmp_path: Path, inbox: Dovecot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INBOX_PASSWORD", "not-the-right-one")

    async def silent(to: str) -> None:
        """It is not even asked."""

    record = await run(tmp_path, inbox, silent, within="3s")

    assert record.outcome is Outcome.UNKNOWN
    assert "not-the-right-one" not in repr(record)
    assert "refused" in record.message


async def test_starttls_is_used_where_it_is_offered_and_verified(tmp_path: Path, folder: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    certificate, key, ca = tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "ca.pem"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(ca)
    async with dovecot(folder, tls=(certificate, key)) as inbox:

        async def answer(to: str) -> None:
            inbox.deliver(mail(to))

        trusting = await run(tmp_path / "a", inbox, answer, options=f', tls: {{ca: "{ca}"}}')
        doubting = await run(tmp_path / "b", inbox, answer)

    assert trusting.outcome is Outcome.PASSED, trusting.message
    assert doubting.outcome is Outcome.UNKNOWN
    assert "certificate" in doubting.message


async def test_an_address_outside_of_the_allow_list_is_never_dialled(tmp_path: Path) -> None:
    dialled = asyncio.Event()

    async def taken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dialled.set()
        writer.close()

    server = await asyncio.start_server(taken, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    elsewhere = Dovecot(tmp_path, port, None)  # type: ignore[arg-type]  # only its port is asked for

    async def silent(to: str) -> None:
        """It is not even asked."""

    record = await run(tmp_path, elsewhere, silent, within="3s", options=", allow: [imap.example.com]")
    server.close()
    await server.wait_closed()

    assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.EGRESS_BLOCKED), record.message
    assert not dialled.is_set()


async def test_the_link_is_let_go_after_the_run(tmp_path: Path, inbox: Dovecot) -> None:
    async def answer(to: str) -> None:
        inbox.deliver(mail(to))

    await run(tmp_path, inbox, answer)

    async def logged_out() -> bool | None:
        return "Logged out" in (inbox.folder / "dovecot.log").read_text() or None

    assert await until(logged_out, "the log-out")


def test_a_mail_is_read_with_its_parts() -> None:
    made = EmailMessage()
    made["From"], made["To"] = "Shop <shop@example.com>", "a@example.com, B <b@example.com>"
    made["Subject"] = "Grüße"
    made.set_content("plain € text")
    made.add_alternative('<p>rich</p><a href="https://shop.example.com/confirm/7">go</a>', subtype="html")
    made.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="bill.pdf")

    seen = as_map(read_mail(bytes(made)))

    assert seen["subject"] == "Grüße"
    assert seen["text"].strip() == "plain € text"
    assert "confirm/7" in seen["html"]
    assert (seen["from"], seen["to"]) == ("shop@example.com", ["a@example.com", "b@example.com"])
    assert seen["attachments"] == [{"name": "bill.pdf", "type": "application/pdf", "size": 4}]


def test_of_a_mail_that_is_only_html_the_text_is_that_of_the_page() -> None:
    made = EmailMessage()
    made["Subject"] = "a"
    made.set_content("<html><body><h1>Hello</h1> <p>you</p></body></html>", subtype="html")

    assert as_map(read_mail(bytes(made)))["text"] == "Hello you"


MIXED = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"Subject: =?nosuch?B?////?=\r\nContent-Type: text/plain; charset=nosuch\r\n\r\n\xff",
        b"To: \r\nFrom: <<>>,,@\r\nContent-Type: multipart/mixed\r\n\r\nno parts",
        MIXED + (b"--x\r\n" + MIXED) * 300,
        b"Content-Transfer-Encoding: base64\r\n\r\n*not base64*",
        "Subject: \ue000secret.token\ue001\r\n\r\n\ue000secret.token\ue001".encode(),
    ],
)
def test_whatever_comes_is_read_without_a_fault_and_forges_no_secret(content: bytes) -> None:
    seen = as_map(read_mail(content))

    assert "\ue000" not in repr(seen)


@pytest.mark.parametrize(
    "head",
    [
        b"To: A <probe+1@Example.com>\r\n\r\n",
        b"To: x@y.z\r\nDelivered-To: probe+1@example.com\r\n\r\n",
        b"To: undisclosed-recipients:;\r\nX-Original-To: probe+1@example.com\r\n\r\n",
        b"To: a@b.c,\r\n  probe+1@example.com\r\n\r\n",
    ],
)
def test_whom_a_mail_is_for_is_read_from_every_line_that_tells(head: bytes) -> None:
    assert "probe+1@example.com" in addresses_of(head)
    assert "probe@example.com" not in addresses_of(head)


STEP = "journey: a\nevery: 1m\n{identity}steps:\n  - {{id: got, mail: inbox, {more}expect: [count == 1]}}\n"
GOOD = 'imap: "imaps://imap.example.com", user: a, password: "env:INBOX_PASSWORD"'


@pytest.mark.parametrize(
    ("connection", "identity", "more", "code"),
    [
        (GOOD, "", "", "undeclared-name"),
        (GOOD, "", "to: a@example.com, ", "shared-address"),
        (GOOD.replace("imaps:", "pop3:"), "identity: shopper\n", "", "bad-connection"),
        (GOOD.replace("//imap", "//a:b@imap"), "identity: shopper\n", "", "bad-connection"),
        (GOOD.replace("env:INBOX_PASSWORD", "sesame"), "identity: shopper\n", "", "bad-secret"),
        (GOOD + ", folder: Entwürfe", "identity: shopper\n", "", "bad-connection"),
        ('nats: "nats://127.0.0.1:4222"', "identity: shopper\n", "", "cannot-do"),
    ],
)
def test_what_cannot_work_is_told_at_load(tmp_path: Path, connection: str, identity: str, more: str, code: str) -> None:
    told = f"identities:\n  shopper: {{invent: [email]}}\nconnections:\n  inbox: {{{connection}}}\n"

    found = faults(tmp_path, STEP.format(identity=identity, more=more), told)

    assert any(one.startswith(f"{code}:") for one in found), found


def test_a_mailbox_is_not_for_receive(tmp_path: Path) -> None:
    probe = "journey: a\nevery: 1m\nsteps:\n  - {id: got, receive: inbox, queue: a, expect: [count == 1]}\n"

    found = faults(tmp_path, probe, f"connections:\n  inbox: {{{GOOD}}}\n")

    assert any(one.startswith("cannot-do:") for one in found), found
