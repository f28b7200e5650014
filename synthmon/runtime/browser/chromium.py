"""The one Chromium of the process: found, started when it is first needed, started again when it has died."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING

from synthmon.core.browsing import PROGRAM_AT, PROGRAMS
from synthmon.runtime.browser.passage import Passage

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Playwright

    from synthmon.runtime.browser.proxy import Proxy

AT_ONCE = 2  # pages; each takes 50 to 300 MB
START_S = 30.0
CLOSE_S = 5.0
SANDBOX_AT = "SYNTHMON_CHROMIUM_SANDBOX"


class NoBrowser(Exception):
    """There is none, or it does not start; the message says what to do."""


class Browsers:
    """Shared by all runs. Nothing is started before somebody asks for a room."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ
        self._places = asyncio.Semaphore(AT_ONCE)
        self._starting = asyncio.Lock()
        self._play: Playwright | None = None
        self._browser: Browser | None = None
        self._proxy: Proxy | None = None
        self._home: tempfile.TemporaryDirectory[str] | None = None

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """One of the few pages that may be open at once."""
        async with self._places:
            yield

    async def open(self, passage: Passage) -> BrowserContext:
        """A context of its own, whose every request goes through the passage. Raises `NoBrowser`."""
        browser, proxy = await self._ready()
        proxy.admit(passage)
        from synthmon.runtime.browser.proxy import USER

        return await browser.new_context(
            accept_downloads=False,
            service_workers="block",
            proxy={"server": f"http://127.0.0.1:{proxy.port}", "username": USER, "password": passage.token},
        )

    async def close(self, context: BrowserContext, passage: Passage) -> None:
        """Close a context; what it had under way is broken off. Never raises."""
        if self._proxy is not None:
            await self._proxy.revoke(passage)
        await _quietly(context.close())

    async def aclose(self) -> None:
        """End the browser, and everything that it was started with."""
        async with self._starting:
            await self._end()
            if self._proxy is not None:
                await self._proxy.aclose()
                self._proxy = None

    async def _ready(self) -> tuple[Browser, Proxy]:
        async with self._starting:
            if self._browser is None or not self._browser.is_connected() or self._proxy is None:
                await self._end()
                await self._start()
            assert self._browser is not None  # `_start` raises otherwise
            assert self._proxy is not None
            return self._browser, self._proxy

    async def _start(self) -> None:
        program = find_chromium(self._environ)
        try:
            await asyncio.to_thread(import_module, "playwright.async_api")  # takes up to a second
            from playwright.async_api import Error, async_playwright

            if self._proxy is None:
                from synthmon.runtime.browser.authority import Authority
                from synthmon.runtime.browser.proxy import Proxy

                self._proxy = Proxy(await asyncio.to_thread(Authority))
                await self._proxy.start()
        except ImportError as error:
            raise NoBrowser(f"{error.name} is not installed: pip install 'synthmon[browser]'") from error
        self._home = tempfile.TemporaryDirectory(prefix="synthmon-browser-", ignore_cleanup_errors=True)
        try:
            self._play = await async_playwright().start()
            self._browser = await self._play.chromium.launch(
                executable_path=program,
                args=_switches(self._proxy),
                chromium_sandbox=self._sandboxed(),
                env=_environment(self._environ, self._home.name),
                timeout=START_S * 1e3,
                handle_sigint=False,
                handle_sigterm=False,
                handle_sighup=False,
            )
        except Error as error:
            await self._end()
            raise NoBrowser(f"{program} does not start: {_why(str(error))}") from error
        except BaseException:
            await self._end()
            raise

    async def _end(self) -> None:
        browser, self._browser = self._browser, None
        play, self._play = self._play, None
        if browser is not None:
            await _quietly(browser.close())
        if play is not None:
            await _quietly(play.stop())
        if self._home is not None:
            await asyncio.to_thread(self._home.cleanup)
            self._home = None

    def _sandboxed(self) -> bool:
        """Chromium's own sandbox, which root cannot have."""
        return os.geteuid() != 0 and self._environ.get(SANDBOX_AT, "") not in ("0", "off", "false")


def find_chromium(environ: Mapping[str, str] = os.environ) -> str:
    """The path of the program. Raises `NoBrowser`."""
    named = environ.get(PROGRAM_AT, "")
    for name in (named,) if named else PROGRAMS:
        if found := shutil.which(name, path=environ.get("PATH")):
            return found
    if named:
        raise NoBrowser(f"{PROGRAM_AT} names {named}, which is no program here")
    raise NoBrowser(f"there is no Chromium here: install it (Debian: chromium), or name it in {PROGRAM_AT}")


def _switches(proxy: Proxy) -> list[str]:
    """On top of Playwright's own, which switch off its background networking, updates and extensions."""
    return [
        f"--proxy-server=http://127.0.0.1:{proxy.port}",  # what belongs to no context has no token there
        "--proxy-bypass-list=<-loopback>",
        f"--ignore-certificate-errors-spki-list={proxy.authority.pin}",
        "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",  # names are the proxy's to resolve
        "--dns-prefetch-disable",
        "--disable-quic",
        "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
        "--webrtc-ip-handling-policy=disable_non_proxied_udp",
        "--disable-client-side-phishing-detection",
        "--safebrowsing-disable-auto-update",
        "--disable-domain-reliability",
        "--no-pings",
        "--disable-gpu",
        "--mute-audio",
    ]


def _environment(environ: Mapping[str, str], home: str) -> dict[str, str | float | bool]:
    """No secret of ours, no proxy, no profile of anybody."""
    kept = {name: environ[name] for name in ("PATH", "LANG", "LC_ALL", "TZ", "FONTCONFIG_PATH") if name in environ}
    return {**kept, "HOME": home, "XDG_CONFIG_HOME": home, "XDG_CACHE_HOME": home, "TMPDIR": home}


def _why(said: str) -> str:
    """The one line of Playwright's that helps."""
    if "sandbox" in said.lower() and ("No usable sandbox" in said or "namespace" in said):
        return f"this machine gives it no sandbox; allow user namespaces, or set {SANDBOX_AT}=off and trust the pages"
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if "[err]" in line or "error" in line.lower()]
    return (telling or lines or ["it says nothing"])[-1][:300]


async def _quietly(work: object) -> None:
    """It may be gone, or hang: it is let go of."""
    with suppress(Exception):
        async with asyncio.timeout(CLOSE_S):
            await work  # type: ignore[misc]
