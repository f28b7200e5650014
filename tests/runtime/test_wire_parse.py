"""The traps of answers, fed to the reader without a socket."""

from __future__ import annotations

import httpx
import pytest

from synthmon.runtime.outbound.stamps import TooLarge
from synthmon.runtime.wire.parse import MOST_INTERIM_ANSWERS, Answer


def feed(*pieces: bytes, method: str = "GET", eof: bool = False, head: int = 65_536, body: int = 1_000_000) -> Answer:
    answer = Answer(method, head_limit=head, body_limit=body)
    for piece in pieces:
        answer.feed(piece)
    if eof:
        answer.feed_eof()
    return answer


def test_an_answer_to_head_is_complete_with_its_head() -> None:
    answer = feed(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n", method="HEAD")

    assert answer.complete
    assert answer.reusable
    assert answer.headers == [(b"Content-Length", b"50")]
    assert answer.body == b""


def test_an_answer_to_head_may_announce_more_than_the_limit() -> None:
    assert feed(b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n", method="HEAD").complete


def test_bytes_behind_an_answer_to_head_make_the_connection_dirty() -> None:
    answer = feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", method="HEAD")

    assert answer.complete
    assert not answer.reusable


def test_interim_answers_are_passed_over_and_leave_no_headers() -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + b"HTTP/1.1 100 Continue\r\n\r\n"

    answer = feed(interim + b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok")

    assert (answer.status, answer.reason, answer.body) == (201, b"Created", b"ok")
    assert answer.headers == [(b"Content-Length", b"2")]
    assert answer.reusable


def test_interim_answers_without_end_are_refused() -> None:
    interim = b"HTTP/1.1 102 Processing\r\n\r\n"
    assert feed(interim * MOST_INTERIM_ANSWERS).complete is False
    with pytest.raises(TooLarge, match="interim"):
        feed(interim * (MOST_INTERIM_ANSWERS + 1))


def test_switching_protocols_is_refused() -> None:
    with pytest.raises(httpx.RemoteProtocolError, match="101"):
        feed(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")


@pytest.mark.parametrize("cut", [2, 30, 60, 65, 70, 75, 80])
def test_trailers_are_not_headers(cut: int) -> None:
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\nX-Admin: yes\r\nStatus: 9\r\n\r\n"

    answer = feed(data[:cut], data[cut:])

    assert answer.headers == [(b"Transfer-Encoding", b"chunked")]
    assert answer.body == b"ok"
    assert answer.reusable


def test_a_body_without_a_length_ends_with_the_stream() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"
    assert feed(head + b"one", b"two").complete is False

    answer = feed(head + b"one", b"two", eof=True)

    assert answer.complete
    assert answer.body == b"onetwo"
    assert not answer.reusable


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"", "without an answer"),
        (b"HTTP/1.1 200 O", "end of the head"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "end of the head"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", "3 bytes before the end"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", "last chunk"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n", "last chunk"),
    ],
)
def test_an_answer_cut_short_is_refused(sent: bytes, told: str) -> None:
    with pytest.raises(httpx.RemoteProtocolError, match=told):
        feed(sent, eof=True)


def test_a_second_answer_does_not_overwrite_the_first() -> None:
    second = b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\nevil"
    for first in (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ):
        answer = feed(first + second)

        assert (answer.status, answer.reason, answer.body) == (200, b"OK", b"ok")
        assert not answer.reusable


@pytest.mark.parametrize("extra", [b"\r", b"\r\n", b"\r\n\r\n", b"H", b"\0", b"GET / HTTP/1.1\r\n\r\n"])
@pytest.mark.parametrize(
    "framing", [b"Content-Length: 2\r\n\r\nok", b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"]
)
@pytest.mark.parametrize("at_once", [True, False])
def test_any_byte_behind_the_end_makes_the_connection_dirty(extra: bytes, framing: bytes, at_once: bool) -> None:
    whole = b"HTTP/1.1 200 OK\r\n" + framing
    assert feed(whole).reusable

    answer = feed(whole + extra) if at_once else feed(whole, extra)

    assert answer.complete
    assert answer.body == b"ok"
    assert not answer.reusable


def test_a_head_of_two_megabytes_is_refused() -> None:
    head = b"HTTP/1.1 200 OK\r\nX: " + b"a" * 2_000_000 + b"\r\n\r\n"
    with pytest.raises(TooLarge, match="headers"):
        feed(head)
    with pytest.raises(TooLarge, match="headers"):
        feed(*(head[start : start + 9000] for start in range(0, len(head), 9000)))


def test_a_head_just_within_its_limit_passes() -> None:
    frame = len(b"HTTP/1.1 204 OK\r\nX: \r\n\r\n")
    assert feed(b"HTTP/1.1 204 OK\r\nX: " + b"a" * (1000 - frame) + b"\r\n\r\n", head=1000).complete
    with pytest.raises(TooLarge):
        feed(b"HTTP/1.1 204 OK\r\nX: " + b"a" * (1001 - frame) + b"\r\n\r\n", head=1000)


@pytest.mark.parametrize("status", [204, 304])
def test_some_answers_have_no_body_whatever_their_headers_say(status: int) -> None:
    answer = feed(b"HTTP/1.1 %d X\r\nContent-Length: 7\r\n\r\n" % status)

    assert answer.complete
    assert answer.body == b""
    assert answer.reusable


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: 2\r\nContent-Length: 3\r\n",
        b"Content-Length: 2\r\nContent-Length: 2\r\n",
        b"Content-Length: 2, 2\r\n",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: identity\r\n",
        b"Content-Length: +2\r\n",
        b"Content-Length: 0x2\r\n",
        b"Content-Length: -2\r\n",
        b"Content-Length: 99999999999999999999\r\n",
        b"Content-Length:\r\n",
    ],
)
def test_a_length_that_two_readers_could_read_differently_is_refused(lines: bytes) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        feed(b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n2\r\nok\r\n0\r\n\r\n")


def test_chunked_in_http_1_0_is_refused() -> None:
    with pytest.raises(httpx.RemoteProtocolError, match="Transfer-Encoding"):
        feed(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")


def test_a_folded_header_is_read_as_one_line() -> None:
    answer = feed(b"HTTP/1.1 200 OK\r\nX-Note: one \r\n  two\r\n\tthree\r\nContent-Length: 0\r\n\r\n")

    assert answer.headers == [(b"X-Note", b"one two three"), (b"Content-Length", b"0")]


def test_white_space_before_the_first_header_is_refused() -> None:
    with pytest.raises(httpx.RemoteProtocolError, match="white space"):
        feed(b"HTTP/1.1 200 OK\r\n X: a\r\n\r\n")


def test_chunk_extensions_without_end_are_refused() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with pytest.raises(TooLarge, match="extensions"):
        feed(head, b"2;", *(b"a" * 500 for _ in range(10)), head=1000)


def test_trailers_without_end_are_refused() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with pytest.raises(TooLarge, match="trailers"):
        feed(head, b"0\r\n", *(b"X-%d: %s\r\n" % (n, b"a" * 100) for n in range(20)), head=1000)


def test_a_body_past_its_limit_is_refused_as_soon_as_it_is_known() -> None:
    with pytest.raises(TooLarge, match="1000 bytes"):
        feed(b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", body=1000)
    with pytest.raises(TooLarge, match="1000 bytes"):
        feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"3e9\r\n" + b"a" * 1001, body=1000)
    with pytest.raises(TooLarge, match="1000 bytes"):
        feed(b"HTTP/1.1 200 OK\r\n\r\n", b"a" * 1001, body=1000)
    assert feed(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"a" * 1000, body=1000).complete


@pytest.mark.parametrize(
    "banner", [b"SSH-2.0-OpenSSH_9.6\r\n", b"\x15\x03\x01\x00\x02", b"ICY 200 OK\r\n", b"\r\nHTTP/1.1 "]
)
def test_another_protocol_is_told_at_once(banner: bytes) -> None:
    with pytest.raises(httpx.RemoteProtocolError, match="not HTTP"):
        feed(banner)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 200 OK\r\nX : a\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n",
        b"HTTP/1.1 99 Low\r\n\r\n",
        b"HTTP/1.1 099 Low\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nok\n0\n\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    ],
)
def test_what_is_not_http_is_refused(data: bytes) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        feed(data)


@pytest.mark.parametrize(
    ("head", "reusable"),
    [
        (b"HTTP/1.1 200 OK\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\n", False),
        (b"HTTP/1.1 200 OK\r\nConnection: x, close\r\n", False),
        (b"HTTP/1.0 200 OK\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n", True),
    ],
)
def test_the_other_side_says_whether_the_connection_stays(head: bytes, reusable: bool) -> None:
    assert feed(head + b"Content-Length: 0\r\n\r\n").reusable is reusable


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 9\r\n\r\nfour five", b"Transfer-Encoding: chunked\r\n\r\n9\r\nfour five\r\n0\r\n\r\n"]
)
def test_an_answer_may_come_byte_by_byte(framing: bytes) -> None:
    data = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX: a\r\n b\r\n" + framing

    answer = feed(*(data[at : at + 1] for at in range(len(data))))

    assert answer.body == b"four five"
    assert answer.headers[0] == (b"X", b"a b")
    assert answer.reusable


def test_stray_line_ends_behind_a_chunked_body_make_the_connection_unfit() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n"

    assert feed(head).reusable
    assert not feed(head + b"\n\r\n\r\n").reusable
