"""The shop's mails are in a real mailbox: read by IMAP, with the library of the standard."""

from __future__ import annotations

import asyncio
import email
import imaplib
import stat
from email.message import Message
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from shop_visitor import Visitor, until, visiting

from synthmon.demo import mailbox
from synthmon.demo.shop import Shop, running_shop


def mails_in(shop: Shop) -> list[Message]:
    """All mails, read as a customer's program does."""
    parts = urlsplit(shop.mail_url)
    with imaplib.IMAP4(str(parts.hostname), parts.port or 0, timeout=30) as client:
        client.login(mailbox.USER, shop.mail_password.read_text())
        client.select("INBOX", readonly=True)
        _, (numbers,) = client.search(None, "ALL")
        found = [client.fetch(number.decode(), "(BODY.PEEK[])")[1][0] for number in numbers.split()]
        return [email.message_from_bytes(one[1]) for one in found if isinstance(one, tuple)]


async def test_who_orders_gets_a_mail_with_the_amount_and_the_id_of_the_order(shop: Shop, visitor: Visitor) -> None:
    async def look() -> list[Message]:
        return await asyncio.to_thread(mails_in, shop)

    order = await visitor.order({"X-Correlation-ID": "c-1"}, email="ann@example.com")

    (mail,) = await until(look)
    assert mail["To"] == "ann@example.com"
    assert mail["Subject"] == f"Your order {order['reference']} is on its way"
    assert mail["X-Correlation-ID"] == "c-1"
    assert "25.00 EUR" in str(mail.get_payload())


async def test_only_who_knows_the_password_reads_them(shop: Shop) -> None:
    def guess() -> None:
        parts = urlsplit(shop.mail_url)
        with imaplib.IMAP4(str(parts.hostname), parts.port or 0, timeout=30) as client:
            client.login(mailbox.USER, "open-sesame")

    assert stat.S_IMODE(shop.mail_password.stat().st_mode) == 0o600
    with pytest.raises(imaplib.IMAP4.error):
        await asyncio.to_thread(guess)


async def test_the_oldest_mails_go(monkeypatch: pytest.MonkeyPatch, shop: Shop, visitor: Visitor) -> None:
    monkeypatch.setattr(mailbox, "KEEP", 1)
    monkeypatch.setattr(mailbox, "_PRUNED", 1)

    async def look() -> bool:
        return [mail["To"] for mail in await asyncio.to_thread(mails_in, shop)] == ["c@example.com", "d@example.com"]

    for who in "abcd":
        await visitor.mailed(await visitor.order(email=f"{who}@example.com"))

    await until(look)


async def test_without_the_library_the_shop_is_open_all_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(mailbox, "is_there", lambda: False)

    async with running_shop(tmp_path, bus="memory") as shop, visiting(shop) as visitor:
        await visitor.mailed(await visitor.order())

        assert shop.mail_url == ""
        assert not shop.mail_password.exists()
