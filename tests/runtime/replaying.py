"""A folder with a journey, its settings and its history, whose runs are replayed as the command does it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from synthmon.core.replaying import Plan, Wish
from synthmon.core.run import Record
from synthmon.language.load import Loaded, load
from synthmon.runtime.house import open_house
from synthmon.runtime.once import run_once
from synthmon.runtime.replay import replay
from synthmon.runtime.replay_plan import prepare
from tests.acceptance.things import Things

JOURNEY = """
journey: making
every: 1m
deadline: 20s
system: things
identity: maker
vars:
  number: ${digits("number", 8)}
  reference: ${run.namespace}
steps:
  - id: one
    http: POST /things
    json: {reference: "${vars.reference}", number: "${vars.number}", by: "${identity.name}", at: "${identity.email}"}
    expect:
      - status == 201
    save:
      id: body.id
    undo:
      http: DELETE /things/${one.id}
      find:
        http: GET /things
        params: {reference: "${vars.reference}"}
        save:
          id: body.things[0].id
      ttl: 10m
    repeatable: true
  - id: there
    http: GET /things
    params: {reference: "${vars.reference}"}
    expect:
      - size(body.things) == 1
"""
SETTINGS = """
systems:
  things: {{base: "{url}", writes: true{more}}}
identities:
  maker: {{invent: [name, email], locale: en_GB, domain: synthetic.example.com}}
"""
ALLOWED = ", replay: allow"


class Forgetful(Things):
    """Takes an idempotency key and does not heed it."""

    def make(self, key: str, reference: str) -> str:
        return super().make(f"{key} {len(self.answers)}", reference)


@dataclass
class Scene:
    """Where it all lies."""

    folder: Path

    @property
    def store(self) -> str:
        return f"sqlite:///{self.folder / 'store.db'}"

    def lay_out(self, url: str, more: str = ALLOWED, journey: str = JOURNEY) -> None:
        (self.folder / "probes").mkdir(exist_ok=True)
        (self.folder / "probes/making.yaml").write_text(journey)
        (self.folder / "synthmon.yaml").write_text(SETTINGS.format(url=url, more=more))

    def load(self) -> Loaded:
        loaded = load([self.folder / "probes"], [self.folder / "synthmon.yaml"])
        assert not loaded.errors, "\n".join(map(str, loaded.errors))
        return loaded

    async def run(self) -> Record:
        loaded = self.load()
        (record,) = [one async for one in run_once(loaded.journeys, loaded.settings, self.store)]
        return record

    async def plan(self, run: str, same_keys: bool = False, order: str = "", times: int = 0) -> Plan:
        async with open_house(self.store) as house:
            return await prepare(Wish(run, same_keys, order, times), self.load(), house)

    async def replay(self, run: str, same_keys: bool = False, times: int = 0) -> list[Record]:
        plan = await self.plan(run, same_keys, times=times)
        return await self.make(plan)

    async def make(self, plan: Plan) -> list[Record]:
        return [record async for _, record in replay(plan, self.load().settings, self.store)]

    async def kept(self, run: str) -> Record:
        async with open_house(self.store) as house:
            record = await house.history.run(run)
        assert record is not None
        return record
