"""What a page shows: its texts, what it complained of, when it was painted, and a picture."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from synthmon.core.browsing import Visit, Visited
from synthmon.core.timing import Timing

if TYPE_CHECKING:
    from playwright.async_api import ConsoleMessage, Error, Page, Request, Response

TEXT_LETTERS = 256 * 1024
VALUE_LETTERS = 16 * 1024
MOST_COMPLAINTS, COMPLAINT_LETTERS = 20, 500
CLOSE_S = 5.0


class Watcher:
    """Notes what one page tells by itself; what its console says of URLs that do not matter is left out.

    `asked_for` is the URL of its last main document, `status` that of its answer.
    """

    def __init__(self, page: Page, redact: Callable[[str], str], matters: Callable[[str], bool]) -> None:
        self._page, self._redact, self._matters = page, redact, matters
        self.stirred = asyncio.Event()  # a main document came, or did not
        self.status, self.asked_for = 0, ""
        self.console: list[str] = []
        page.on("request", self._asks)
        page.on("response", self._hears)
        page.on("requestfailed", self._fails_to_load)
        page.on("console", self._complains)
        page.on("pageerror", self._fails)

    async def close(self) -> None:
        """Close the page and what it opened. Never raises."""
        with suppress(Exception):
            async with asyncio.timeout(CLOSE_S):
                for page in self._page.context.pages:
                    await page.close()

    def _asks(self, request: Request) -> None:
        if self._is_main(request):
            self.asked_for = request.url

    def _hears(self, response: Response) -> None:
        if self._is_main(response.request):
            self.status = response.status
            self.stirred.set()

    def _fails_to_load(self, request: Request) -> None:
        if self._is_main(request):
            self.stirred.set()

    def _is_main(self, request: Request) -> bool:
        # a request of a page that is only beginning has no frame yet: it is no document of ours
        return request.is_navigation_request() and request.frame == self._page.main_frame

    def _complains(self, message: ConsoleMessage) -> None:
        if message.type == "error" and self._matters(message.location.get("url", "")):
            self._note(message.text)

    def _fails(self, error: Error) -> None:
        self._note(str(error))

    def _note(self, said: str) -> None:
        if len(self.console) < MOST_COMPLAINTS:
            self.console.append(self._redact(said)[:COMPLAINT_LETTERS])


async def look_at(page: Page, visit: Visit, watcher: Watcher) -> Visited:
    """The page as it is now. Raises Playwright's `Error`."""
    read, count = {}, {}
    for name, selector in visit.read:
        found = page.locator(selector)
        if await found.count():
            read[name] = str(await found.first.evaluate(_VALUE, VALUE_LETTERS))
    for name, selector in visit.count:
        count[name] = await page.locator(selector).count()
    told = await page.evaluate(_SHOWN, TEXT_LETTERS)
    return Visited(
        status=watcher.status,
        url=page.url,
        title=told["title"],
        text=told["text"],
        timing=Timing(),
        read=read,
        count=count,
        console=tuple(watcher.console),
        load_ms=told["load"],
        first_paint_ms=told["first"],
        largest_paint_ms=told["largest"],
    )


async def take_picture(page: Page, filled: Sequence[str], holds: Callable[[str], bool], limit_s: float) -> bytes:
    """What is visible as PNG, what was filled in as secret covered. Empty when a secret stands there in clear, or when
    none can be taken in time."""
    with suppress(Exception):
        async with asyncio.timeout(limit_s):
            if holds(str(await page.evaluate("() => document.documentElement.innerText"))):
                return b""
            return await page.screenshot(
                mask=[page.locator(selector) for selector in filled], animations="disabled", timeout=limit_s * 1e3
            )
    return b""


_VALUE = """(element, most) => {
  const isField = /^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName)
  return String(isField ? element.value : element.innerText ?? element.textContent ?? '').trim().slice(0, most)
}"""

_SHOWN = """async (most) => {
  const largest = await new Promise((done) => {
    setTimeout(() => done(null), 100)
    try {
      new PerformanceObserver((list) => done(list.getEntries().at(-1)?.startTime ?? null))
        .observe({type: 'largest-contentful-paint', buffered: true})
    } catch { done(null) }
  })
  const page = performance.getEntriesByType('navigation')[0]
  return {
    title: document.title,
    text: (document.body?.innerText ?? '').slice(0, most),
    load: page && page.loadEventEnd > 0 ? page.loadEventEnd : null,
    first: performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null,
    largest,
  }
}"""
"""LCP is told once the page is asked for what it has kept (W3C Largest Contentful Paint 2.1); none is told of a page
that was never painted."""
