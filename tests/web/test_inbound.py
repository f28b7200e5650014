"""Calls on hooks: who is heard, and what everybody else is told."""

from __future__ import annotations

import asyncio
import re
import time
from datetime import UTC, datetime, timedelta

import pytest

from synthmon.core.inbound import MOST_REFUSED, Crowded, Hook, Reply
from synthmon.web import switchboard as switchboards
from synthmon.web.collector import Collector
from synthmon.web.inbound import ROOM_BYTES, create_inbound
from synthmon.web.switchboard import Switchboard
from tests.web.calls import KEY, Awaited, a_caller, armed, signed


class Clock:
    """A clock that is set by hand."""

    def __init__(self, now_s=1000.0):
        self.now_s = now_s

    def __call__(self):
        return self.now_s


async def test_a_call_is_handed_on_whole():
    switchboard, address, awaited = armed()
    before = time.monotonic()
    async with a_caller(switchboard) as client:
        headers = [("X-One", "1"), ("x-one", "2"), ("Content-Type", "application/json")]
        answer = await client.post(f"{address.url}/more%2Fpath?a=1&b=%20", content=b'{"n": 1}', headers=headers)

    (call,) = awaited.calls
    assert (answer.status_code, answer.content) == (200, b"")
    assert (call.method, call.path, call.query, call.body) == ("POST", "/more%2Fpath", "a=1&b=%20", b'{"n": 1}')
    assert (call.headers["x-one"], call.headers["content-type"]) == ("1, 2", "application/json")
    assert before <= call.at_s <= time.monotonic()
    assert abs(call.at - datetime.now(UTC)) < timedelta(minutes=1)
    assert call.source == "127.0.0.1"
    assert call.message_id == ""


async def test_the_answer_is_as_it_was_programmed_and_the_last_is_repeated():
    first = Reply(503, {"Retry-After": "1", "X-Reason": "first try"})
    then = Reply(201, {"content-type": "application/json"}, b'{"ok": true}')
    switchboard, address, awaited = armed(Hook(replies=(first, then)))
    async with a_caller(switchboard) as client:
        answers = [await client.post(address.url) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [503, 201, 201]
    assert answers[0].headers["x-reason"] == "first try"
    assert answers[1].json() == {"ok": True}
    assert len(awaited.calls) == 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": 100},
        {"status": 600},
        {"status": 204, "body": b"x"},
        {"headers": {"X-A": "a\r\nSet-Cookie: b"}},
        {"headers": {"Content-Length": "5"}},
        {"headers": {"a b": "c"}},
        {"headers": {"x": "\u20ac"}},
    ],
)
def test_an_answer_that_http_cannot_say_is_refused_when_it_is_made(wrong):
    with pytest.raises(ValueError, match=r"."):
        Reply(**wrong)


def test_addresses_cannot_be_guessed():
    switchboard = Switchboard("https://hooks.example.com")
    tokens = {switchboard.open(Hook(), Awaited()).token for _ in range(1000)}

    assert len(tokens) == 1000
    assert all(re.fullmatch(r"[0-9A-Za-z]{32}", token) for token in tokens)
    used = set("".join(tokens))
    assert len(used) == 62


def test_an_address_is_not_shown_by_accident():
    address = Switchboard("https://hooks.example.com").open(Hook(key=KEY), Awaited())

    assert address.url == f"https://hooks.example.com/h/{address.token}"
    assert address.token not in repr(address)
    assert "0123" not in repr(Hook(key=KEY))


async def test_wrong_closed_and_expired_addresses_look_the_same():
    clock = Clock()
    switchboard, expired, awaited = armed(Hook(expires_s=60), monotonic_s=clock)
    closed = switchboard.open(Hook(), awaited)
    switchboard.close(closed)
    switchboard.close(closed)
    clock.now_s += 60
    async with a_caller(switchboard) as client:
        paths = [expired.url, closed.url, "/h/" + "0" * 32, "/h/x", "/h/%00%ff", "/h/\u00e9", "/h/" + "x" * 5000, "/h"]
        answers = [await client.post(path, content=b"x") for path in paths]

    told = {(answer.status_code, answer.content, tuple(answer.headers.items())) for answer in answers}
    assert len(told) == 1
    assert {answer.status_code for answer in answers} == {404}
    assert not awaited.calls


async def test_another_method_is_not_what_is_awaited():
    switchboard, address, awaited = armed(Hook("PUT"))
    async with a_caller(switchboard) as client:
        answers = [await client.request(method, address.url) for method in ("GET", "HEAD", "POST", "OPTIONS", "DELETE")]
        right = await client.put(address.url)

    assert {(answer.status_code, answer.headers["allow"]) for answer in answers} == {(405, "PUT")}
    assert right.status_code == 200
    assert len(awaited.calls) == 1


async def test_a_signed_call_is_heard_once():
    switchboard, address, awaited = armed(Hook(key=KEY))
    headers = signed(b"{}")
    async with a_caller(switchboard) as client:
        answers = [await client.post(address.url, content=b"{}", headers=headers) for _ in range(100)]

    assert [answer.status_code for answer in answers] == [200] + [409] * 99
    assert [call.message_id for call in awaited.calls] == ["msg_1"]


async def test_a_sender_that_was_told_to_try_again_may_use_its_id_again():
    switchboard, address, awaited = armed(Hook(key=KEY, replies=(Reply(500), Reply(200))))
    headers = signed(b"{}")
    async with a_caller(switchboard) as client:
        answers = [(await client.post(address.url, content=b"{}", headers=headers)).status_code for _ in range(3)]

    assert answers == [500, 200, 409]
    assert len(awaited.calls) == 2


async def test_two_of_the_same_call_at_once_are_heard_once():
    switchboard, address, awaited = armed(Hook(key=KEY))
    headers = signed(b"half" * 2)
    first_half = asyncio.Event()

    async def slowly():
        yield b"half"
        await first_half.wait()
        yield b"half"

    async with a_caller(switchboard) as client, asyncio.TaskGroup() as group:
        both = [group.create_task(client.post(address.url, content=slowly(), headers=headers)) for _ in range(2)]
        await asyncio.sleep(0)
        first_half.set()

    assert sorted(task.result().status_code for task in both) == [200, 409]
    assert len(awaited.calls) == 1


NOT_SIGNED = {
    "without headers": dict,
    "for another body": lambda: signed(b"other"),
    "with another key": lambda: signed(b"{}", key=b"another key"),
    "long ago": lambda: signed(b"{}", sent=int(time.time()) - 1000),
    "in the future": lambda: signed(b"{}", sent=int(time.time()) + 1000),
    "for another id": lambda: signed(b"{}") | {"webhook-id": "msg_2"},
    "with nothing": lambda: signed(b"{}") | {"webhook-signature": ""},
}


@pytest.mark.parametrize("way", NOT_SIGNED)
async def test_a_call_that_is_not_signed_is_not_heard(way):
    headers = NOT_SIGNED[way]()  # signed now: what is signed long before its test is stale by itself
    words = []
    switchboard, address, awaited = armed(Hook(key=KEY), refused=words.append)
    async with a_caller(switchboard) as client:
        answer = await client.post(address.url, content=b"{}", headers=headers)

    assert answer.status_code == 401
    assert not awaited.calls
    assert words == ["unsigned"]


async def test_a_call_that_was_refused_leaves_its_id_free():
    switchboard, address, awaited = armed(Hook(key=KEY))
    good = signed(b"{}")
    async with a_caller(switchboard) as client:
        forged = await client.post(address.url, content=b"forged", headers=good)
        honest = await client.post(address.url, content=b"{}", headers=good)

    assert (forged.status_code, honest.status_code) == (401, 200)
    assert len(awaited.calls) == 1


async def test_a_body_may_have_a_mebibyte_and_no_more():
    switchboard, address, awaited = armed()

    async def endless():
        while True:
            yield bytes(65536)

    async with a_caller(switchboard) as client:
        full = await client.post(address.url, content=bytes(1024 * 1024))
        declared = await client.post(address.url, content=b"x", headers={"content-length": str(50 * 10**9)})
        senseless = await client.post(address.url, content=b"x", headers={"content-length": "-1"})
        more = await client.post(address.url, content=endless())

    assert (full.status_code, declared.status_code, senseless.status_code, more.status_code) == (200, 413, 413, 413)
    assert [len(call.body) for call in awaited.calls] == [1024 * 1024]


async def test_bodies_never_take_more_room_than_there_is():
    switchboard, address, awaited = armed()
    going, let_go = [], asyncio.Event()

    async def slow():
        yield bytes(1024 * 1024 - 1)
        going.append(1)
        await let_go.wait()
        yield b"x"

    async with a_caller(switchboard) as client, asyncio.TaskGroup() as group:
        many = [group.create_task(client.post(address.url, content=slow())) for _ in range(20)]
        while len(going) < ROOM_BYTES // 1024 // 1024:  # noqa: ASYNC110  (sixteen tell, one after the other)
            await asyncio.sleep(0)
        let_go.set()
    codes = [task.result().status_code for task in many]
    async with a_caller(switchboard) as client:
        after = await client.post(address.url, content=bytes(1024 * 1024))

    assert codes.count(200) == len(awaited.calls) - 1 >= ROOM_BYTES // 1024 // 1024
    assert codes.count(503) == 20 - codes.count(200) > 0
    assert after.status_code == 200


async def test_no_more_calls_are_taken_than_were_asked_for():
    words = []
    switchboard, address, awaited = armed(Hook(most_calls=3), refused=words.append)
    async with a_caller(switchboard) as client:
        codes = [(await client.post(address.url)).status_code for _ in range(5)]

    assert codes == [200, 200, 200, 429, 429]
    assert len(awaited.calls) == 3
    assert words == ["too_many"] * 2


async def test_a_caller_is_told_to_come_again_when_nobody_has_room():
    words = []
    switchboard, address, _ = armed(room=1, refused=words.append)
    async with a_caller(switchboard) as client:
        answers = [await client.post(address.url) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 503]
    assert answers[1].headers["retry-after"] == "1"
    assert words == ["no_room"]


async def test_who_waits_at_an_address_hears_why_a_call_on_it_was_refused():
    words, told = [], []
    switchboard, address, _ = armed(Hook(key=KEY, most_calls=1), refused=words.append, told=told.append)
    async with a_caller(switchboard) as client:
        await client.put(address.url)
        await client.request("PROPFIND", address.url)
        await client.post(address.url, content=b"{}")
        await client.post(address.url, content=b"{}", headers=signed(b"other"))
        await client.post(address.url, content=bytes(1024 * 1024 + 1), headers=signed(b""))
        await client.post(address.url, content=b"{}", headers=signed(b"{}"))
        await client.post(address.url, content=b"{}", headers=signed(b"{}"))

    assert told == [
        "PUT instead of POST",
        "another method instead of POST",
        "unsigned (without webhook-id, webhook-timestamp, webhook-signature)",
        "unsigned (bad signature)",
        "larger than 1 MiB",
        "at most 1 are taken",
    ]
    assert words == ["method", "method", "unsigned", "unsigned", "too_large", "too_many"]


async def test_who_waits_hears_of_a_replay():
    told = []
    switchboard, address, _ = armed(Hook(key=KEY), told=told.append)
    async with a_caller(switchboard) as client:
        for _ in range(2):
            await client.post(address.url, content=b"{}", headers=signed(b"{}"))

    assert told == ["replayed (its webhook-id was taken already)"]


async def test_who_waits_hears_of_a_body_that_was_cut_short():
    words, told = [], []
    switchboard, address, awaited = armed(refused=words.append, told=told.append)
    scope = {"type": "http", "method": "POST", "path": f"/h/{address.token}", "query_string": b"", "headers": []}
    came = iter(({"type": "http.request", "body": b"half", "more_body": True}, {"type": "http.disconnect"}))

    async def receive():
        return next(came)

    async def send(message):
        """Nobody is there to read it."""

    await create_inbound(switchboard, Collector())(scope, receive, send)

    assert (told, words) == (["its body was cut short"], ["cut_short"])
    assert not awaited.calls


async def test_of_endless_refused_calls_a_hundred_are_told():
    words, told = [], []
    switchboard, address, _ = armed(refused=words.append, told=told.append)
    async with a_caller(switchboard) as client:
        for _ in range(MOST_REFUSED + 5):
            await client.put(address.url)

    assert (len(words), len(told)) == (MOST_REFUSED + 5, MOST_REFUSED)


def test_more_hooks_than_can_be_are_refused_until_some_expire(monkeypatch):
    monkeypatch.setattr(switchboards, "MOST_HOOKS", 3)
    clock = Clock()
    switchboard = Switchboard(monotonic_s=clock)
    for _ in range(3):
        switchboard.open(Hook(expires_s=10), Awaited())

    with pytest.raises(Crowded, match="3 addresses"):
        switchboard.open(Hook(), Awaited())
    clock.now_s += 10
    switchboard.open(Hook(), Awaited())


async def test_every_answer_of_this_door_is_safe_to_show():
    switchboard, address, _ = armed(Hook(replies=(Reply(200, {"content-type": "text/html"}, b"<script>1</script>"),)))
    async with a_caller(switchboard) as client:
        answers = [
            await client.post(address.url),
            await client.get(address.url),
            await client.get("/nowhere"),
            await client.get("/healthz"),
            await client.post("/healthz"),
            await client.post("/v1/traces"),
            await client.post("/v1/traces/"),
        ]

    assert [answer.status_code for answer in answers] == [200, 405, 404, 200, 405, 415, 404]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers
