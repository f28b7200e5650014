"""Whom a step talks to, and whether the settings allow what it does there."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from synthmon.core.system import System
from synthmon.language.faults import Faults
from synthmon.language.marks import Path
from synthmon.language.words import listed, meant
from synthmon.language.workshop import Progress, Workshop

_ABSOLUTE = re.compile(r"(?<!\S)(https?|wss?)://([^/\s?#]*)", re.IGNORECASE)
_PORT = re.compile(r"()((?:\[[0-9A-Fa-f:.]+\]|[^\s/:\[]+):(?:\d+|\$\{.*\}))")  # host:port, all there is
_HTTP = {"": "http", "ws": "http", "wss": "https"}  # a base is a URL of HTTP


def find_system(
    asked: str | None, text: str, path: Path, asked_path: Path, shop: Workshop, progress: Progress, faults: Faults
) -> System | None:
    """The system of a step: the one it asks for, the journey's, or without settings the one host of its URLs.

    `text` is the value of the key that chose the kind, `GET /orders`, `wss://host/feed` or `host:993`; `path` is its
    place. None after a fault.
    """
    name = asked or progress.system
    absolute = _ABSOLUTE.search(text) or _PORT.fullmatch(text.strip())
    if name:
        system = shop.settings.systems.get(name)
        if system is None:
            if asked:
                say_unknown_system(asked, asked_path, shop, faults)
            return None
        progress.systems[name] = system
        if absolute:
            _check_host(system, absolute, path, faults)
        return system
    if absolute is None:
        fault = "The address is relative, and nothing says to which system."
        remedy = (
            f"Add `system:` to the journey: {listed(shop.settings.systems)}."
            if shop.settings.systems
            else "Write an absolute URL, or name a `system:` of the settings."
        )
        faults.say(path, "no-system", fault, remedy)
        return None
    return _implicit(absolute, path, progress, faults)


def say_unknown_system(name: str, path: Path, shop: Workshop, faults: Faults) -> None:
    """Report a system that the settings do not have."""
    fault = (
        f"The settings have no system `{name}`."
        if shop.given
        else f"There is no system `{name}`: no settings were read."
    )
    remedy = meant(
        name,
        shop.settings.systems,
        f"Add it to `systems:` in synthmon.yaml; there {'is' if len(shop.settings.systems) == 1 else 'are'} "
        f"{listed(shop.settings.systems)}.",
    )
    faults.say(path, "unknown-system", fault, remedy)


def check_write(system: System, text: str, path: Path, implicit: bool, faults: Faults) -> None:
    """A write needs a system that may be written to: `writes: true`, or a list with this method and path.

    `text` is the request as written; empty: what it sends is known only in the run, and looked at then.
    """
    match system.writes:
        case True:
            return
        case tuple() as allowed:
            if text and not any(_covers(entry, text) for entry in allowed):
                fault = f"The system `{system.name}` allows only {listed(allowed)} to be sent."
                faults.say(
                    path, "write-not-allowed", fault, "Send one of these, or add this one to `writes:` in the settings."
                )
        case _ if implicit:
            faults.say(
                path,
                "write-not-allowed",
                "A write needs a system.",
                "Name one with `writes: true` under `systems:` in synthmon.yaml.",
            )
        case _:
            fault = f"The system `{system.name}` may only be read."
            faults.say(
                path, "write-not-allowed", fault, "Set `writes: true` for it in the settings, if it may be changed."
            )


def _covers(entry: str, text: str) -> bool:
    """Whether an entry of `writes` (`POST /graphql`, `*` for anything) covers a request as written."""
    method, _, place = entry.partition(" ")
    sent, space, url = text.strip().partition(" ")
    if not space:  # `shop.Orders/Get` of gRPC, as it travels
        sent, url = "POST", f"/{sent.lstrip('/')}"
    way = urlsplit(url.strip()).path if "://" in url else url.strip().partition("?")[0]
    return method.upper() in (sent.upper(), "*") and fnmatchcase(way, place.strip() or "*")


def _check_host(system: System, absolute: re.Match[str], path: Path, faults: Faults) -> None:
    host = _host(absolute[2])
    if host is not None and not any(fnmatchcase(host, allowed.lower()) for allowed in system.allow):
        fault = f"The host {host} is not one of the system `{system.name}`."
        faults.say(
            path,
            "host-not-allowed",
            fault,
            f"Allowed are {listed(system.allow)}; add it to `allow:` in the settings, or name another system.",
        )


def _implicit(absolute: re.Match[str], path: Path, progress: Progress, faults: Faults) -> System | None:
    host = _host(absolute[2])
    if host is None:
        fault = "The host is not known before the run, and no system says which hosts are allowed."
        faults.say(path, "no-system", fault, "Write the host, or name a `system:` of the settings.")
        return None
    authority = absolute[2].rpartition("@")[2].lower()
    if progress.implicit is None:
        scheme = absolute[1].lower()
        progress.implicit = System(authority, {"": f"{_HTTP.get(scheme, scheme)}://{authority}"}, (host,))
        progress.systems[authority] = progress.implicit
    elif progress.implicit.name != authority:
        fault = (
            f"Without a system a journey may read one host; this is {authority}, the first was "
            f"{progress.implicit.name}."
        )
        faults.say(path, "two-hosts", fault, "Name systems under `systems:` in synthmon.yaml.")
        return None
    return progress.implicit


def _host(authority: str) -> str | None:
    """The host without user and port; None if it is only known in a run."""
    bare = authority.rpartition("@")[2]
    host = bare.partition("]")[0].removeprefix("[") if bare.startswith("[") else re.sub(r":(\d*|\$\{.*)$", "", bare)
    return None if "${" in host or not host else host.lower()
