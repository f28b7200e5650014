"""Our reader of answers beside h11's: the same answer from the same bytes, or both refuse."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import h11
import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from synthmon.runtime.wire.parse import MOST_INTERIM_ANSWERS, Answer

LIMIT = 1_000_000


@dataclass(frozen=True)
class Read:
    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    reusable: bool


@dataclass(frozen=True)
class Refused:
    why: str


def read_ours(pieces: list[bytes], method: str) -> Read | Refused:
    answer = Answer(method, head_limit=LIMIT, body_limit=LIMIT)
    try:
        for piece in pieces:
            answer.feed(piece)
        if not answer.complete:
            answer.feed_eof()
    except httpx.HTTPError as error:
        return Refused(str(error))
    headers = tuple((name.lower(), value) for name, value in answer.headers)
    headers = tuple((n, v.lower() if n == b"transfer-encoding" else v) for n, v in headers)  # h11 tells it so
    return Read(answer.status, headers, answer.body, answer.reusable)


def read_h11(pieces: list[bytes], method: str) -> Read | Refused:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=LIMIT)
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "shop.test")]))
    connection.send(h11.EndOfMessage())
    status, headers, body, complete = 0, (), b"", False
    try:
        for piece in [*pieces, b""]:
            if complete and not piece:
                break
            connection.receive_data(piece)
            while not complete and (event := connection.next_event()) is not h11.NEED_DATA:
                if isinstance(event, h11.Response):
                    status, headers = event.status_code, tuple(event.headers)
                elif isinstance(event, h11.Data):
                    body += bytes(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    complete = True
                elif event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
                    return Refused(f"no answer: {event}")
    except h11.RemoteProtocolError as error:
        return Refused(str(error))
    if not complete:
        return Refused("incomplete")
    left = connection.trailing_data[0]
    clean = connection.their_state is h11.DONE and connection.our_state is h11.DONE and not left
    return Read(status, headers, body, clean)


# Where the two may differ. Ours refuses (told by our message) what h11 lets pass:
STRICTER: dict[str, Callable[[bytes, str], bool]] = {
    "bare line feeds (RFC 9112 §2.2: a recipient MAY take them)": lambda data, why: (
        re.search(rb"(?<!\r)\n", data) is not None and "not valid HTTP" in why
    ),
    "carriage returns inside a line": lambda data, why: "expected lf" in why.lower(),
    "control characters in a reason": lambda data, why: "control character" in why,
    "control characters in a header": lambda data, why: "Invalid header value char" in why,
    "a length stated twice, even alike (RFC 9112 §6.3: MUST or MAY refuse)": lambda data, why: (
        "Duplicate Content-Length" in why
        or "can't be present with" in why
        or "Invalid character in Content-Length" in why
    ),
    "a Content-Length that fits no machine word": lambda data, why: "Content-Length overflow" in why,
    "versions other than 1.0 and 1.1": lambda data, why: (
        "Invalid HTTP version" in why or "not an HTTP/1.1 answer" in why
    ),
    "a transfer coding in HTTP/1.0 (RFC 9112 §6.1: faulty)": lambda data, why: (
        "b'chunked' is not understood" in why.lower()
    ),
    "white space behind a chunk size": lambda data, why: "Invalid character in chunk size" in why,
    "chunk extensions that are not tokens": lambda data, why: "chunk extension" in why.lower(),
    "chunk sizes past 64 bits": lambda data, why: "Chunk size overflow" in why,
    "folded trailers": lambda data, why: "chunks" in why and "Unexpected whitespace after header value" in why,
    "many interim answers": lambda data, why: f"More than {MOST_INTERIM_ANSWERS} interim" in why,
}


# Ours takes what h11 refuses: nothing. And one kept connection more:
def keeps_http_1_0(data: bytes) -> bool:
    """RFC 9112 §9.3 lets a client keep an HTTP/1.0 connection that says keep-alive; h11 never does."""
    return b"HTTP/1.0" in data


def unfolded(headers: tuple[tuple[bytes, bytes], ...]) -> list[tuple[bytes, bytes]]:
    """RFC 9112 §5.2 counts the white space before a fold to the fold; h11 keeps it."""
    return [(name, re.sub(rb"[ \t]+", b" ", value)) for name, value in headers]


def differ(data: bytes, pieces: list[bytes], method: str) -> str | None:
    ours, theirs = read_ours(pieces, method), read_h11(pieces, method)
    match ours, theirs:
        case Refused(why), Read():
            return None if any(known(data, why) for known in STRICTER.values()) else f"only ours refuses: {why}"
        case Read(), Refused(why):
            return f"only h11 refuses: {why} {ours}"
        case Read(), Read():
            if (ours.status, unfolded(ours.headers), ours.body) != (
                theirs.status,
                unfolded(theirs.headers),
                theirs.body,
            ):
                return f"ours {ours}, h11 {theirs}"
            if ours.reusable and not theirs.reusable and not keeps_http_1_0(data):
                return f"ours reuses the connection, h11 does not: {ours}"
    return None


# --- answers, mostly valid, then spoilt

NAMES = st.sampled_from([b"X-A", b"x-b", b"Content-Type", b"Set-Cookie", b"Trailer", b"Connection", b"Upgrade"])
VALUES = st.sampled_from(
    [b"", b"a", b"a b", b"close", b"keep-alive", b" padded\t", b"a, b", b"\xe4\xff", b"a\r\n folded"]
)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=4)
STATUSES = st.sampled_from([b"200 OK", b"201", b"204 No Content", b"304 ", b"404 Not Found", b"500 \xe4"])
BODIES = st.sampled_from([b"", b"a", b"hello", b"0\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"\n\n", b"x" * 300])
SPOILERS = st.sampled_from(
    [
        *(
            b"\r\n",
            b"\n",
            b"\r",
            b"\0",
            b" ",
            b"\t",
            b":",
            b";",
            b",",
            b"0",
            b"5",
            b"f",
            b"-",
            b"+",
            b"\x80",
            b"\x7f",
            b"\x01",
        ),
        *(
            b"\r\n\r\n",
            b"0\r\n\r\n",
            b"1\r\nx\r\n",
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"\r\n x",
        ),
        *(
            b"Content-Length: 5\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"Connection: close\r\n",
            b"X: y\r\n",
            b';a="b"',
        ),
    ]
)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    interim = draw(
        st.sampled_from([b"", b"", b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 X\r\nLink: a\r\n\r\n"])
    )
    version = draw(st.sampled_from([b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0"]))
    head = version + b" " + draw(STATUSES) + b"\r\n"
    head += b"".join(b"%s: %s\r\n" % header for header in draw(HEADERS))
    body = draw(BODIES)
    match draw(st.sampled_from(["length", "chunks", "end"])):
        case "length":
            return interim + head + b"Content-Length: %d\r\n\r\n" % len(body) + body
        case "chunks":
            head += b"Transfer-Encoding: " + draw(st.sampled_from([b"chunked", b"Chunked"])) + b"\r\n\r\n"
            return interim + head + draw(chunked(body))
        case _:
            return interim + head + b"\r\n" + body


@st.composite
def chunked(draw: st.DrawFn, body: bytes) -> bytes:
    cut = draw(st.integers(0, len(body)))
    extension = draw(st.sampled_from([b"", b"", b";a", b";a=b", b';a="b c"']))
    trailers = draw(st.sampled_from([b"", b"", b"X-T: 1\r\n", b"Content-Type: evil\r\n"]))
    size = draw(st.sampled_from([b"%x%s\r\n%s\r\n", b"%X%s\r\n%s\r\n", b"0%x%s\r\n%s\r\n"]))
    parts = b"".join(size % (len(part), extension, part) for part in (body[:cut], body[cut:]) if part)
    return parts + b"0" + extension + b"\r\n" + trailers + b"\r\n"


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    data = draw(answers())
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["insert", "replace", "cut", "end", "repeat"])):
            case "insert":
                data = data[:at] + draw(SPOILERS) + data[at:]
            case "replace":
                data = data[:at] + draw(SPOILERS) + data[at + 1 :]
            case "cut":
                data = data[:at] + data[at + draw(st.integers(1, 4)) :]
            case "end":
                data = data[:at]
            case _:
                data += data[at:]
    return data


@st.composite
def split(draw: st.DrawFn, data: bytes) -> list[bytes]:
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=6)))
    edges = [0, *cuts, len(data)]
    return [data[a:b] for a, b in pairwise(edges) if a < b]


# the same examples each time, so that a gate does not fail by chance; SYNTHMON_FUZZ=1 draws new ones
FUZZ = settings(deadline=None, database=None, derandomize="SYNTHMON_FUZZ" not in os.environ)


@settings(FUZZ, max_examples=800)
@given(spoilt().flatmap(lambda data: st.tuples(st.just(data), split(data))), st.sampled_from(["GET", "GET", "HEAD"]))
def test_the_same_bytes_are_the_same_answer_to_h11(case: tuple[bytes, list[bytes]], method: str) -> None:
    data, pieces = case

    assert differ(data, pieces, method) is None


@settings(FUZZ, max_examples=300)
@given(spoilt().flatmap(lambda data: st.tuples(st.just(data), split(data))), st.sampled_from(["GET", "HEAD"]))
def test_where_the_bytes_are_cut_does_not_matter(case: tuple[bytes, list[bytes]], method: str) -> None:
    data, pieces = case

    at_once, in_pieces = (read_ours(parts, method) for parts in ([data] if data else [], pieces))

    assert type(at_once) is type(in_pieces)
    if isinstance(at_once, Read):
        assert at_once == in_pieces
