"""A secret that a system wrote into its log, or answered with, stands on no surface that shows the run."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from typer.testing import CliRunner

from synthmon.cli.main import app
from synthmon.core.run import Record
from synthmon.language.load import load
from synthmon.runtime.once import run_once
from synthmon.store.open import open_history
from tests.evidence.back_ends import Asked, Said, a_back_end
from tests.runtime.test_saved_keys import PROBE, Shop
from tests.web.conftest import a_client
from tests.web.some import a_monitor

TOKEN, PASSWORD = 'Zq7w+open/sesame %20&<"é', "correct horse battery"
MORE = """
secrets: {api: env:API_TOKEN}
identities: {staff: {accounts: accounts.yaml}}
"""
SURFACES = ["store", "show", "investigate", "compare", "history", "api", "page"]


class Leaky(Shop):
    """Writes what it must not into a step, its status, its service and what else a line has."""

    async def answer(self, asked: Asked) -> Said:
        said = await super().answer(asked)
        assert isinstance(said.body, dict)
        return Said({**said.body, "echo": f"you are {PASSWORD}"}, 201)

    def write(self, step: str, order: str) -> None:
        super().write(step, order)
        line = {"time": json.loads(self.log.read_text().splitlines()[-1])["time"], "orderId": order, "service": "shop"}
        leaks = (
            {"step": TOKEN, "status": PASSWORD, "eventId": f"{step}-{TOKEN}", "note": PASSWORD},
            {"step": f"{step}d", "service": TOKEN, "note": quote(TOKEN), PASSWORD: "x", "status": "error"},
            {"step": f"{step}s", "note": base64.b64encode(TOKEN.encode()).decode(), "causes": [PASSWORD]},
        )
        with self.log.open("a") as file:
            file.writelines(json.dumps(line | leak) + "\n" for leak in leaks)


async def two_runs(folder: Path, store: str) -> list[Record]:
    shop = Leaky(folder / "shop.jsonl")
    probe = PROBE.replace("save: {id: body.id}", "save: {id: body.id, echo: body.echo}").replace("20s", "5s")
    (folder / "probe.yaml").write_text(probe)
    (folder / "accounts.yaml").write_text("- {name: ada, password: env:ADA_PASSWORD}\n")
    async with a_back_end(shop.answer) as target:
        (folder / "synthmon.yaml").write_text(
            f'systems: {{shop: {{base: "{target.url}", writes: true}}}}\n'
            f'evidence: {{logs: {{jsonl: "{shop.log}", lag: 200ms}}}}\n{MORE}'
        )
        loaded = load([folder / "probe.yaml"], [folder / "synthmon.yaml"])
        assert not loaded.errors, loaded.errors
        return [record async for record in run_once(loaded.journeys, loaded.settings, store, times=2)]


async def web(store: str, run_id: str) -> dict[str, str]:
    monitor, history = await a_monitor(), await open_history(store)
    record = await history.run(run_id)
    await history.aclose()
    assert record is not None
    await monitor.keep(record)
    async with a_client(monitor) as client:
        return {
            "api": (await client.get(f"/api/v1/runs/{run_id}")).text,
            "page": (await client.get(f"/runs/{run_id}")).text,
        }


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What each surface says of a run that was told secrets."""
    folder = tmp_path_factory.mktemp("masked")
    store = f"sqlite:///{folder}/store.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("API_TOKEN", TOKEN)
        patch.setenv("ADA_PASSWORD", PASSWORD)
        one, other = asyncio.run(two_runs(folder, store))
        assert len(one.evidence) == 8, (one.message, one.evidence)  # so that all of it was taken in

        def ask(*words: str) -> str:
            more = ("--settings", "synthmon.yaml", "--store", store, "--json")
            return CliRunner().invoke(app, [*words, *more]).output

        kept = b"".join(file.read_bytes() for file in sorted(folder.glob("store*")))
        yield {
            "store": kept.decode(errors="replace") + repr(one),
            "show": ask("show", one.run_id),
            "investigate": ask("investigate", one.run_id),
            "compare": ask("compare", one.run_id, other.run_id),
            "history": ask("history"),
            **asyncio.run(web(store, one.run_id)),
        }


@pytest.mark.parametrize("surface", SURFACES)
def test_a_secret_that_a_system_wrote_down_stands_on_no_surface(shown: dict[str, str], surface: str) -> None:
    said = shown[surface]

    assert ("•••" in said) is (surface != "history")  # a list has no texts of theirs
    for secret in (TOKEN, PASSWORD):
        forms = (secret, quote(secret), base64.b64encode(secret.encode()).decode(), json.dumps(secret)[1:-1])
        assert not [form for form in forms if form in said]
