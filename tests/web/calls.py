"""Hooks that are armed, and callers who sign."""

from __future__ import annotations

import base64
import time
from contextlib import asynccontextmanager

import httpx

from synthmon.core.inbound import Hook, unheard
from synthmon.core.signatures import sign
from synthmon.web.collector import Collector
from synthmon.web.inbound import create_inbound
from synthmon.web.switchboard import Switchboard

KEY = b"0123456789abcdef01234567"
BASE = "http://127.0.0.1:9881"


class Awaited:
    """Takes calls and keeps them; `room` more, then none."""

    def __init__(self, room=1_000_000):
        self.calls, self.room = [], room

    def __call__(self, call):
        if len(self.calls) >= self.room:
            return False
        self.calls.append(call)
        return True


def signed(body, message_id="msg_1", sent=None, key=KEY):
    """The headers of an honest sender."""
    sent = int(time.time()) if sent is None else sent
    signature = base64.b64encode(sign(message_id, sent, body, key)).decode()
    return {"webhook-id": message_id, "webhook-timestamp": str(sent), "webhook-signature": f"v1,{signature}"}


@asynccontextmanager
async def a_caller(switchboard=None, collector=None, base=BASE, **more):
    """Call without a socket."""
    app = create_inbound(switchboard or Switchboard(BASE), collector or Collector())
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=base, **more) as client:
        yield client


def armed(hook=None, room=1_000_000, told=unheard, **more):
    """A switchboard with one hook: the switchboard, its address, the calls that came; `told` hears of the others."""
    switchboard, awaited = Switchboard(BASE, **more), Awaited(room)
    return switchboard, switchboard.open(hook or Hook(), awaited, told), awaited
