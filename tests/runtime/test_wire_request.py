"""What leaves is exactly one request."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from synthmon.runtime.wire.request import write_request


async def test_a_request_is_its_line_its_headers_in_order_and_its_body() -> None:
    request = httpx.Request("POST", "http://shop.test/a%20b?x=1#part", headers={"X-Tag": "a b"}, content=b"hello")

    written = await write_request(request)

    assert (
        written.data == b"POST /a%20b?x=1 HTTP/1.1\r\nHost: shop.test\r\nX-Tag: a b\r\nContent-Length: 5\r\n\r\nhello"
    )
    assert not written.idempotent


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Tag", "a\r\nX-Admin: yes"),
        ("X-Tag", "a\nX-Admin: yes"),
        ("X-Tag", "a\rb"),
        ("X-Tag", "a\0b"),
        ("X-Tag: a\r\nX-Admin", "yes"),
        ("X Tag", "a"),
        ("X-Tag:", "a"),
        ("", "a"),
    ],
)
async def test_no_header_can_add_a_line(name: str, value: str) -> None:
    request = httpx.Request("GET", "http://shop.test/", headers=[(name, value)])

    with pytest.raises(httpx.LocalProtocolError, match="line break"):
        await write_request(request)


@pytest.mark.parametrize("method", ["GET / HTTP/1.1\r\nX: y\r\n\r\nGET", "GE T", ""])
async def test_no_method_can_add_a_line(method: str) -> None:
    with pytest.raises(httpx.LocalProtocolError):
        await write_request(httpx.Request(method, "http://shop.test/"))


async def test_a_body_that_is_streamed_leaves_in_one_chunk() -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"one "
        yield b"two"

    written = await write_request(httpx.Request("PUT", "http://shop.test/", content=parts()))

    assert b"Transfer-Encoding: chunked\r\n" in written.data
    assert written.data.endswith(b"\r\n\r\n7\r\none two\r\n0\r\n\r\n")


async def test_a_form_with_files_leaves_with_its_length() -> None:
    request = httpx.Request("POST", "http://shop.test/", files={"f": ("a.txt", b"hello")})

    head, _, body = (await write_request(request)).data.partition(b"\r\n\r\n")

    assert b"Content-Length: %d" % len(body) in head
    assert b"hello" in body


@pytest.mark.parametrize("headers", [{"Content-Length": "3"}, {"Content-Length": "5", "Transfer-Encoding": "chunked"}])
async def test_headers_that_contradict_the_body_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(httpx.LocalProtocolError, match="5 bytes"):
        await write_request(httpx.Request("POST", "http://shop.test/", headers=headers, content=b"hello"))


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"])
async def test_only_idempotent_methods_are_known_as_such(method: str) -> None:
    assert (await write_request(httpx.Request(method, "http://shop.test/"))).idempotent
    assert not (await write_request(httpx.Request("PATCH", "http://shop.test/"))).idempotent
