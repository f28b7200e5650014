"""`synthmon identities`: who has which account, and whom a run id invents."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from synthmon.cli.main import app
from synthmon.core.namespaces import namespace
from synthmon.identities.invent import invent
from synthmon.identities.open import open_leases
from synthmon.identities.pools import read_pool
from synthmon.runtime.house import journal_file

RUN = "4bf92f3577b34da6a3ce929d0e0e4736"
SECRET = "written-into-the-file"
ROWS = [{"name": f"clerk-{number}", "password": SECRET, "team": "blue"} for number in (1, 2, 3)]
POOL = read_pool("clerk", ROWS, cooldown_s=600, max_use=2)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clerks.yaml").write_text(json.dumps(ROWS))
    (tmp_path / "synthmon.yaml").write_text("""
identities:
  clerk: {accounts: clerks.yaml, cooldown: 10m, max_use: 2}
  shopper: {invent: [name, email, phone], locale: en_GB, domain: people.shop.eu}
store: sqlite:///store.db
instance: north
location: rack-1
""")
    return tmp_path / "synthmon.yaml"


def ask(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["identities", *arguments])
    assert done.exit_code == code, done.output
    return done.output


def told(*arguments: str) -> Any:
    return json.loads(ask("--json", *arguments))


async def lease_some(store: str) -> None:
    """clerk-1 is held by a run, clerk-2 rests, clerk-3 is free."""
    leases, now = open_leases(store, journal_file(store)), time.time()
    held = await leases.lease(POOL, RUN, now, now + 3600)
    back = await leases.lease(POOL, "another", now, now + 3600)
    assert held is not None
    assert back is not None
    await leases.release(back, now)
    await leases.aclose()


def test_accounts_are_listed_with_who_holds_them_and_no_secret(settings: Path) -> None:
    asyncio.run(lease_some("sqlite:///store.db"))

    shown, (pool,) = ask("--pool", "clerk"), told("--pool", "clerk")

    assert SECRET not in shown + json.dumps(pool)
    assert (pool["kind"], pool["cooldown_s"], pool["max_use"]) == ("accounts", 600, 2)
    assert (pool["fields"], pool["secret_fields"]) == (["name", "password", "team"], ["password"])
    assert [(one["name"], one["state"], one["run"], one["fence"], one["used"]) for one in pool["accounts"]] == [
        ("clerk-1", "leased", RUN, 1, 1), ("clerk-2", "resting", "", 1, 1), ("clerk-3", "free", "", 0, 0)
    ]  # fmt: skip
    assert pool["counts"] == {"free": 1, "leased": 1, "resting": 1, "used up": 0}
    first, second, third = pool["accounts"]
    assert first["until"]
    assert second["free_at"]
    assert third["until"] is third["free_at"] is None
    lines = shown.splitlines()
    assert lines[0] == "clerk  3 accounts of clerks.yaml, rest 600s, at most 2 uses each, secret: password"
    assert lines[2].split()[:6] == ["clerk-1", "leased", "1", "1", "run", RUN[:12]]
    assert lines[3].split()[:6] == ["clerk-2", "resting", "1", "1", "free", "at"]


def test_looking_makes_no_file(settings: Path) -> None:
    ask()

    assert {file.name for file in settings.parent.iterdir()} == {"clerks.yaml", "synthmon.yaml"}


def test_the_person_of_a_run_is_the_one_that_the_run_had(settings: Path) -> None:
    (shopper,) = told("--pool", "shopper", "--run", RUN)

    fields = ("name", "email", "phone")
    assert shopper["person"] == invent(fields, RUN, "en_GB", "people.shop.eu", namespace(RUN, "north", "rack-1"))
    assert shopper["person"]["email"] in ask("--pool", "shopper", "--run", RUN)


def test_without_a_run_the_fields_are_told(settings: Path) -> None:
    (shopper,) = told("--pool", "shopper")

    assert (shopper["locale"], shopper["domain"]) == ("en_GB", "people.shop.eu")
    assert shopper["fields"] == ["name", "first_name", "last_name", "email", "phone"]
    assert "person" not in shopper


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("--run", "abc"), "a run id is 32 hex digits"), (("--pool", "clerks"), "there are clerk, shopper")],
)
def test_a_wrong_argument_is_told(settings: Path, arguments: tuple[str, str], said: str) -> None:
    assert said in ask(*arguments, code=3)


def test_wrong_settings_are_told(settings: Path) -> None:
    settings.write_text("identities: {a: {}}")

    assert "bad-identity" in ask(code=3)
