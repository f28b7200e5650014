"""Does what a step says on a page, and says in words why something could not be done."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

from synthmon.core.browsing import Action, Verb
from synthmon.core.outcomes import Reason
from synthmon.core.secrets import Vault, sealed

if TYPE_CHECKING:
    from playwright.async_api import Page


class NotDone(Exception):
    """An action that could not be done; the message may hold what was filled in, and is to be redacted."""

    def __init__(self, reason: Reason, said: str) -> None:
        super().__init__(said)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Sealed:
    """An action as it is done: its value opened. Raises `SecretError`."""

    action: Action
    vault: Vault | None = None
    value: str = field(init=False, repr=False)
    target: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        reveal = self.vault.reveal if self.vault is not None else str
        object.__setattr__(self, "value", reveal(self.action.value))
        object.__setattr__(self, "target", reveal(self.action.target))

    @staticmethod
    def opening(url: str) -> Sealed:
        """The first one: to go to where the step leads, its secrets opened already."""
        return Sealed(Action(Verb.GOTO, url))

    @property
    def secret(self) -> bool:
        """Whether a secret is filled in."""
        return sealed(self.action.value)


async def act(page: Page, ready: Sealed, left_s: float, base: str = "") -> None:
    """Do it, on the first element that fits. Raises `NotDone`, and Playwright's `Error` when the browser is gone."""
    from playwright.async_api import Error
    from playwright.async_api import TimeoutError as TookTooLong

    limit_ms = max(1.0, left_s * 1e3)
    try:
        await _do(page, ready, limit_ms, base)
    except TookTooLong as error:
        raise NotDone(Reason.TIMEOUT, f"{ready.action}: {_waited(str(error))}; {_at(page)}") from error
    except Error as error:
        said = str(error).splitlines()[0]
        if page.is_closed() or _GONE.search(said):
            raise
        reason, words = _judge(said)
        raise NotDone(reason, f"{ready.action}: {words}; {_at(page)}") from error


async def _do(page: Page, ready: Sealed, limit_ms: float, base: str) -> None:
    first = page.locator(ready.target).first if ready.action.verb in _ON_AN_ELEMENT and ready.target else None
    match ready.action.verb, first:
        case Verb.GOTO, _:
            await page.goto(str(httpx.URL(base).join(ready.target)) if base else ready.target, timeout=limit_ms)
        case Verb.WAIT_URL, _:
            await page.wait_for_url(_as_pattern(ready.target), timeout=limit_ms)
        case Verb.PRESS, None:
            await page.keyboard.press(ready.value)
        case Verb.CLICK, element if element is not None:
            await element.click(timeout=limit_ms)
        case Verb.FILL, element if element is not None:
            await element.fill(ready.value, timeout=limit_ms)
        case Verb.SELECT, element if element is not None:
            await element.select_option(ready.value, timeout=limit_ms)
        case Verb.PRESS, element if element is not None:
            await element.press(ready.value, timeout=limit_ms)
        case Verb.WAIT, element if element is not None:
            await element.wait_for(state="visible", timeout=limit_ms)


def _as_pattern(text: str) -> re.Pattern[str]:
    """`/orders/*` at the end of a URL, or a whole one; `*` stands for anything but a slash."""
    inner = re.escape(text).replace(r"\*", "[^/]*")
    return re.compile(f"^{inner}$" if "://" in text else f"^[a-z]+://[^/]*{inner}$")


def _waited(said: str) -> str:
    """Of Playwright's log what was last waited for."""
    lines = [line.strip(" -") for line in said.partition("Call log:")[2].splitlines()]
    last = next((line for line in reversed(lines) if _TELLING.search(line)), "")
    took = re.search(r"Timeout (\d+)(?:\.\d+)?ms", said)
    return f"not within {int(took[1]) / 1e3:.3g} s" + (f" ({last[:160]})" if last else "") if took else said[:200]


def _judge(said: str) -> tuple[Reason, str]:
    if _SELECTOR.search(said):
        return Reason.EXPRESSION, f"that is no selector: {said.partition(': ')[2][:160]}"
    if "Download is starting" in said or "ERR_ABORTED" in said:
        return Reason.BAD_ANSWER, "it is no page but a download"
    if found := re.search(r"net::(ERR_\w+)", said):
        return Reason.BAD_ANSWER, f"the browser says {found[1]}"
    return Reason.BAD_ANSWER, said[:200]


def _at(page: Page) -> str:
    return f"the page was {page.url}"


_ON_AN_ELEMENT = frozenset((Verb.CLICK, Verb.FILL, Verb.SELECT, Verb.PRESS, Verb.WAIT))
_TELLING = re.compile(r"waiting for|is not|did not find|intercepts|outside|detached")
_GONE = re.compile(r"has been closed|crashed|Connection closed|Browser closed")
_SELECTOR = re.compile(r"selector|Unexpected token|Unknown engine|Malformed|is not a valid", re.IGNORECASE)
