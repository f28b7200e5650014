"""Opens the door for others on the address of `hooks:`: calls on hooks, and OTLP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import structlog

from synthmon.core.errors import Invalid, Place, Problem
from synthmon.core.inbound import Deaf, Hooks, Otlp
from synthmon.core.journey import Journey
from synthmon.language.settings import Settings
from synthmon.runtime.references import resolve
from synthmon.web.auth import SHORTEST_TOKEN, Access, is_loopback
from synthmon.web.collector import Collector
from synthmon.web.inbound import create_inbound
from synthmon.web.serve import bind, serving
from synthmon.web.switchboard import Switchboard

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Inbound:
    """What comes in; `base` is the URL that it is served on."""

    hooks: Hooks
    otlp: Otlp
    base: str


@asynccontextmanager
async def open_inbound(
    settings: Settings, refused: Callable[[str], None] = lambda word: None
) -> AsyncIterator[Inbound | None]:
    """Serve as long as the block lasts; None without `hooks:`. `refused` hears why a call on a hook was not taken.

    Raises `Invalid` for a token that is missing or can be guessed, `OSError` when the address is taken.
    """
    told = settings.hooks
    if told is None:
        yield None
        return
    access = Access(_tokens(told.token, Place(settings.files[0] if settings.files else "synthmon", path="hooks.token")))
    # with a public URL a proxy passes on what anybody sends, and it comes from this machine then
    local = is_loopback(told.listen.rpartition(":")[0]) and (not told.url or is_loopback(_host(told.url)))
    switchboard, collector = Switchboard(told.url, refused), Collector(access, local)
    async with serving(create_inbound(switchboard, collector), bind(told.listen)) as base:
        switchboard.base = told.url or base
        _log.info("hooks and otlp are taken", at=base, otlp="with the token" if access.tokens else _otlp(local))
        yield Inbound(switchboard, collector, base)


class CannotHear(Exception):
    """Another process listens on the address of `hooks:`, so nothing that a journey awaits would come here."""


@asynccontextmanager
async def open_hooks(
    settings: Settings, journeys: Iterable[Journey], deaf: bool = True
) -> AsyncIterator[tuple[Hooks, Otlp | None]]:
    """Serve as long as the block lasts if one of these journeys awaits calls or is told of by OTLP.

    Where the address is taken, that is told when it is used; unless they may be `deaf`, `CannotHear` is raised.
    Raises `Invalid` as `open_inbound`.
    """
    async with AsyncExitStack() as stack:
        hooks: Hooks = Deaf()
        otlp: Otlp | None = None
        if settings.hooks is not None and any(map(_awaits, journeys)):
            try:
                inbound = await stack.enter_async_context(open_inbound(settings))
            except OSError as error:
                fault = f"calls cannot be taken on {settings.hooks.listen}: {error.strerror or error}."
                if not deaf:
                    raise CannotHear(fault) from error
                hooks = Deaf(f"{fault} {beside_a_daemon(settings, 'run NAME')}")
                _log.warning("neither calls nor otlp can be taken", at=settings.hooks.listen, error=str(error))
            else:
                hooks, otlp = (inbound.hooks, inbound.otlp) if inbound else (hooks, otlp)
        yield hooks, otlp


def beside_a_daemon(settings: Settings, command: str) -> str:
    """The remedy where a daemon has the address of `hooks:`: that daemon can do it."""
    return f"If a daemon has that address, ask it: synthmon {command} --url http://{settings.listen}"


def _awaits(journey: Journey) -> bool:
    """Whether anybody is to come to us on account of a journey."""
    if any(source.word == "otlp" for source in journey.promises.sources):
        return True
    return any(step.spec is not None and step.spec.kind == "hook" for step in journey.listening)


def _otlp(local: bool) -> str:
    return "from this machine" if local else "refused: set hooks.token"


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _tokens(reference: str, place: Place) -> tuple[str, ...]:
    if not reference:
        return ()
    values, faults = resolve({"token": reference})
    if faults:
        raise Invalid([Problem(place, "no-secret", f"{faults['token']}.", "Check the reference.")])
    if len(values["token"]) < SHORTEST_TOKEN:
        fault, remedy = "the token is too short.", f"Use at least {SHORTEST_TOKEN} characters: `openssl rand -hex 24`."
        raise Invalid([Problem(place, "short-token", fault, remedy)])
    return (values["token"],)
