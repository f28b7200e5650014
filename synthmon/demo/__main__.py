"""`python -m synthmon.demo`: runs the shop until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import sys
from contextlib import suppress
from pathlib import Path

from synthmon.demo.nats_server import NoServer
from synthmon.demo.serving import PortTaken
from synthmon.demo.shop import running_shop

DEFAULT_PORT, DEFAULT_NATS_PORT, DEFAULT_IMAP_PORT = 9870, 9872, 9873
_DURATION = re.compile(r"^(\d+(?:\.\d+)?)(ms|s|m|h)$")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def main(arguments: list[str] | None = None) -> int:
    """0 after a stop that was asked for, 1 when the shop could not open."""
    told = _arguments(arguments)
    try:
        asyncio.run(_keep_open(told))
    except (PortTaken, NoServer) as exc:
        print(f"The shop cannot open: {exc}", file=sys.stderr)
        return 1
    return 0


async def _keep_open(told: argparse.Namespace) -> None:
    told_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, told_to_stop.set)
    nats_port = _beside(told.nats_port, DEFAULT_NATS_PORT, told.port)
    imap_port = _beside(told.imap_port, DEFAULT_IMAP_PORT, told.port)
    async with running_shop(told.dir, told.port, nats_port=nats_port, imap_port=imap_port, otlp=told.otlp) as shop:
        there = f"bus: {shop.nats_url or shop.bus}, mail: {shop.mail_url or 'none'}, logs: {shop.logs}"
        print(f"The shop is open at {shop.url} ({there}).", flush=True)
        print(f"Break something: curl -X POST {shop.url}/_demo/faults/lose-event. Stop with Ctrl-C.", flush=True)
        with suppress(TimeoutError):
            await asyncio.wait_for(told_to_stop.wait(), told.for_s)


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m synthmon.demo", description="A small event-driven shop.")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="on 127.0.0.1; 0 takes a free one")
    parser.add_argument(
        "--nats-port",
        type=int,
        help=f"of its NATS server; 0 takes a free one (default: {DEFAULT_NATS_PORT}; beside another --port 0)",
    )
    parser.add_argument("--imap-port", type=int, help=f"of its mailbox, likewise (default: {DEFAULT_IMAP_PORT})")
    parser.add_argument(
        "--dir",
        type=Path,
        help="for logs, books and more; without it a temporary folder, removed at the end",
    )
    parser.add_argument(
        "--otlp",
        default=os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"),
        help="base URL of an OTLP/HTTP collector (default: $OTEL_EXPORTER_OTLP_ENDPOINT, else no spans)",
    )
    parser.add_argument("--for", dest="for_s", type=_duration_s, metavar="60s", help="stop after this long")
    return parser.parse_args(arguments)


def _beside(chosen: int | None, usual: int, port: int) -> int:
    """The usual port goes with the usual port of the gateway; beside another one there may be another shop."""
    if chosen is not None:
        return chosen
    return usual if port == DEFAULT_PORT else 0


def _duration_s(text: str) -> float:
    found = _DURATION.match(text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration such as 90s, 5m or 1h")
    return float(found[1]) * _UNIT_S[found[2]]


if __name__ == "__main__":
    sys.exit(main())
