"""A shop on real NATS and somebody who talks to it over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from shop_visitor import Visitor, visiting

from synthmon.demo.shop import Shop, running_shop


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with running_shop(tmp_path, busy_rate=0.0) as shop:
        yield shop


@pytest.fixture
async def visitor(shop: Shop) -> AsyncIterator[Visitor]:
    async with visiting(shop) as visitor:
        yield visitor
