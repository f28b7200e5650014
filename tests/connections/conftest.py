"""What the tests of AWS's services are given: an account as on the first day, filled by the `furnish` of their file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.connections.aws import Account, set_keys


@pytest.fixture(scope="module")
def cloud(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """One server for all tests of a file."""
    made = Account(tmp_path_factory.mktemp("moto"), request.module.furnish)
    yield made
    made.close()


@pytest.fixture
def account(cloud: Account, monkeypatch: pytest.MonkeyPatch) -> Account:
    """With the keys in the environment that its connections refer to."""
    set_keys(monkeypatch)
    return cloud.renew()
