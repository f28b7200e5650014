"""A PostgreSQL for the session, and a fresh database for each test that asks."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.servers.postgres import Postgres, postgres_or_skip


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    with postgres_or_skip() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: Postgres) -> str:
    return postgres_server.new_database(f"test_{uuid4().hex}")
