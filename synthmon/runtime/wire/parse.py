"""Reads one HTTP/1.1 answer out of the bytes that came, and refuses one whose end is not certain.

httptools (llhttp in its strict mode) parses heads and chunks; where a message ends is decided here, by RFC 9112 §6.3:
the parser alone never ends an answer to HEAD, ends every 1xx on its own, hands trailers out as headers, cannot be told
of the end of the stream, has no limits, and lets a second answer overwrite the first.
"""

from __future__ import annotations

import re
from io import BytesIO

import httptools
import httpx

from synthmon.runtime.outbound.stamps import TooLarge, check_pieces

MOST_INTERIM_ANSWERS = 20
BLANK_LINE = re.compile(rb"\n\r?\n")  # bare line feeds are found too, so that they are refused at once
FOLD = re.compile(rb"[ \t]*\r\n[ \t]+")
CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class Answer:
    """One final answer, built from pieces of any size.

    `feed` and `feed_eof` raise `httpx.RemoteProtocolError` for what cannot be trusted and `TooLarge` past a limit;
    then the answer is over. `head_limit` holds for each head, for the trailers and for any stretch of chunk framing
    without a byte of body; `body_limit` is for the bytes of the body as they travel, before decompression.
    """

    def __init__(self, method: str, *, head_limit: int, body_limit: int) -> None:
        self.complete = False
        self.reusable = False  # the connection stands exactly behind this answer and may carry another request
        self.status = 0
        self.version = b"HTTP/1.1"
        self.reason = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self._to_head_request = method == "HEAD"
        self._head_limit, self._body_limit = head_limit, body_limit
        self._head = bytearray()
        self._searched = 0
        self._interim = 0
        self._body = BytesIO()  # hands out what it holds without a copy
        self._size = 0
        self._left: int | None = None  # of a Content-Length body
        self._chunks: httptools.HttpResponseParser | None = None
        self._in_head = True
        self._to_the_end = False
        self._framing_bytes = 0  # since the last byte of a chunked body
        self._pieces = 0  # of a chunked body
        self._tail = b""

    @property
    def body(self) -> bytes:
        """The body as it travelled, without its transfer coding."""
        return self._body.getvalue()

    def feed(self, data: bytes) -> bool:
        """Take the next bytes; True once the answer is complete. Bytes behind its end make `reusable` False."""
        if self.complete:
            self.reusable = False
        elif self._in_head:
            self._feed_head(data)
        else:
            self._feed_body(data)
        return self.complete

    def feed_eof(self) -> None:
        """The other side has ended the stream: this ends a body without a length, and breaks every other answer."""
        if self._to_the_end:
            self.complete = True
        elif not self.complete:
            raise httpx.RemoteProtocolError(self._what_is_missing())

    def _feed_head(self, data: bytes) -> None:
        while self._in_head and data:
            if self._head:
                self._head += data
                data = bytes(self._head)
            if not data.startswith(b"HTTP/"[: len(data)]):
                raise httpx.RemoteProtocolError(f"The answer is not HTTP/1: it begins with {data[:16]!r}.")
            blank = BLANK_LINE.search(data, self._searched)
            if (blank.end() if blank else len(data)) > self._head_limit:
                raise TooLarge(f"its headers are over {self._head_limit} bytes")
            if blank is None:
                self._head = bytearray(data)
                self._searched = max(0, len(data) - 2)
                return
            self._head.clear()
            self._searched = 0
            self._parse_head(data[: blank.end()])
            data = data[blank.end() :]
        if self.complete:
            self.reusable = self.reusable and not data
        elif data:
            self._feed_body(data)

    def _parse_head(self, head: bytes) -> None:
        self.headers, self.reason = [], b""
        parser = httptools.HttpResponseParser(self)
        try:
            parser.feed_data(_unfold(head))
        except httptools.HttpParserUpgrade:
            pass  # a 101; refused below
        except httptools.HttpParserError as error:
            raise httpx.RemoteProtocolError(f"The head of the answer is not valid HTTP: {error}.") from error
        self.status = parser.get_status_code()
        self.version = b"HTTP/" + parser.get_http_version().encode()
        if self.version not in (b"HTTP/1.1", b"HTTP/1.0") or self.status < 100:
            raise httpx.RemoteProtocolError(
                f"The answer is {self.version.decode()} with status {self.status}: not an HTTP/1.1 answer."
            )
        if CONTROL.search(self.reason):
            raise httpx.RemoteProtocolError("The reason of the answer's status holds a control character.")
        if self.status < 200:
            self._pass_over_interim()
        else:
            self._in_head = False
            self._choose_framing(parser)

    def _pass_over_interim(self) -> None:
        self._interim += 1
        if self.status == 101:
            raise httpx.RemoteProtocolError("The answer is 101: it switches to a protocol that nobody asked for.")
        if self._interim > MOST_INTERIM_ANSWERS:
            raise TooLarge(f"More than {MOST_INTERIM_ANSWERS} interim (1xx) answers and no final one.")

    def _choose_framing(self, parser: httptools.HttpResponseParser) -> None:
        """RFC 9112 §6.3, stricter where it lets a client guess. The parser has refused a Content-Length that is stated
        twice, beside a Transfer-Encoding, or no number of 64 bits."""
        lengths, codings, options = [], [], []
        for name, value in self.headers:
            size = len(name)
            if size == 14 and name.lower() == b"content-length":
                lengths.append(value)
            elif size == 17 and name.lower() == b"transfer-encoding":
                codings.append(value)
            elif size == 10 and name.lower() == b"connection":
                options += [option.strip() for option in value.lower().split(b",")]
        if codings and (len(codings) > 1 or codings[0].lower() != b"chunked" or self.version == b"HTTP/1.0"):
            raise httpx.RemoteProtocolError(f"Transfer-Encoding {b', '.join(codings)!r} is not understood.")
        keeps = b"close" not in options and (self.version == b"HTTP/1.1" or b"keep-alive" in options)
        if self._to_head_request or self.status in (204, 304):
            self.complete, self.reusable = True, keeps
        elif codings:
            self._chunks, self.reusable = parser, keeps
        elif lengths:
            self._left, self.reusable = int(lengths[0]), keeps
            self._check_size(self._left)
            self.complete = self._left == 0
        else:
            self._to_the_end = True

    def _feed_body(self, data: bytes) -> None:
        if self._chunks is not None:
            self._feed_chunks(self._chunks, data)
        elif self._left is not None:
            self._feed_measured(data, self._left)
        else:
            self._keep(data)
            self._check_size(self._size)

    def _feed_measured(self, data: bytes, left: int) -> None:
        if len(data) > left:
            data, self.reusable = data[:left], False
        self._left = left - len(data)
        if self._left == 0 and not self._size:
            self._body = BytesIO(data)  # all in one piece, the usual case: no copy
        else:
            self._keep(data)
        self.complete = self._left == 0

    def _feed_chunks(self, parser: httptools.HttpResponseParser, data: bytes) -> None:
        before = self._size
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self.complete:
                raise httpx.RemoteProtocolError(f"The chunks of the answer are not valid HTTP: {error}.") from error
            self.reusable = False  # what is wrong stands behind the end
        self._check_size(self._size)
        check_pieces(self._pieces, self._size)
        self._tail = (self._tail + data)[-6:]
        if self.complete:
            self._chunks = None
            # a chunked body ends with an empty line; bytes behind it that began no second answer show in the tail
            if not self._tail.endswith(b"\r\n\r\n") or self._tail[-5:-4] in (b"\r", b"\n"):
                self.reusable = False
            return
        self._framing_bytes = 0 if self._size > before else self._framing_bytes + len(data)
        if self._framing_bytes > self._head_limit:
            raise TooLarge(f"its chunk extensions or trailers are over {self._head_limit} bytes")

    def _keep(self, data: bytes) -> None:
        self._size += len(data)
        self._body.write(data)

    def _check_size(self, size: int) -> None:
        if size > self._body_limit:
            raise TooLarge(f"its body is over {self._body_limit} bytes")

    def _what_is_missing(self) -> str:
        if self._left is not None:
            return f"The connection was closed {self._left} bytes before the end of the body."
        if self._chunks is not None:
            return "The connection was closed before the last chunk of the body."
        if self._head or self._interim:
            return "The connection was closed before the end of the head."
        return "The connection was closed without an answer."

    # What httptools calls. A parser goes on behind the end of its message, so each looks whether it is still meant.

    def on_status(self, reason: bytes) -> None:
        if self._in_head:
            self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # later ones are trailers, which may not be merged (RFC 9110 §6.5.1)
            self.headers.append((name, value.rstrip(b" \t")))

    def on_body(self, data: bytes) -> None:
        if not self.complete:
            self._keep(data)
            self._pieces += 1

    def on_message_begin(self) -> None:
        if self.complete:
            self.reusable = False

    def on_message_complete(self) -> None:
        if not self._in_head:
            self.complete = True


def _unfold(head: bytes) -> bytes:
    """A folded header line on one line, as RFC 9112 §5.2 demands of a user agent."""
    if b"\n " not in head and b"\n\t" not in head:
        return head
    status_line_end = head.find(b"\n") + 1
    if head[status_line_end : status_line_end + 1] in (b" ", b"\t"):
        raise httpx.RemoteProtocolError("The head of the answer has white space before its first header.")
    return head[:status_line_end] + FOLD.sub(b" ", head[status_line_end:])
