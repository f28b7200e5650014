"""Clients of the web application."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta

import httpx

from synthmon.metrics.board import Board
from synthmon.metrics.exposition import Page
from synthmon.metrics.own import Own
from synthmon.web.app import create_app
from synthmon.web.gate import Doors
from tests.metrics.some import NOON

MAY_CHANGE = {"X-Synthmon": "1"}


def an_app(monitor, doors=None):
    """The application as the daemon puts it together."""
    board = Board()
    board.load(monitor.loaded)
    for journey in monitor.loaded:
        for record in monitor.kept.get(journey.name, []):
            board.record(record, journey)
    page = Page(board, Own("1.2.3"))
    return create_app(monitor, page, doors or Doors(), "1.2.3", now=lambda: NOON + timedelta(seconds=12))


@asynccontextmanager
async def a_client(monitor, doors=None, base="http://127.0.0.1:9880", **more):
    """Ask the application without a socket."""
    transport = httpx.ASGITransport(an_app(monitor, doors), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=base, **more) as client:
        yield client
