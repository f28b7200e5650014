"""`query` is rows of a database that tell what happened: an audit table, an outbox, a ledger.

```yaml
connections:
  ledger: {sql: "postgresql://reader@127.0.0.1/ledger"}
evidence:
  rows:
    query: ledger
    sql: "select kind as step, id, created_at as at from audit where reference = :run or tag = :namespace"
    lag: 1s
```

The query is asked again and again while the run lasts; each row that it gives is told once. What its columns mean is
found by their names: `step`, `at`, `id`, `status`, `attempt`, `service` and their like, or as `map` says. A row
without an instant (`at`) is of no use, and is said.

`sql` may use `:run` and `:namespace` (texts), `:since` (when the run began, as RFC 3339 text in UTC) and `:keys` (the
run's own keys, ids that its steps saved among them, as a JSON list). What comes from a query that uses `:run`,
`:namespace` or `:keys` is the run's; from any other, only the rows that bear one of its marks.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from synthmon.core.door import OpenEar, Trouble
from synthmon.core.evidence import Blind, Evidence, Tell, Wanted, Watermark
from synthmon.core.fields import FIELDS, flat, from_fields, instant_ns
from synthmon.core.outcomes import Reason
from synthmon.core.sources import Means, Source
from synthmon.evidence.looking import Breath, Looking, every_s

NAMES = ("run", "namespace", "since", "keys")


class QueryKeys(BaseModel):
    """The keys of a `query` source."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    query: str = Field(description="A connection of the settings that is a database.", min_length=1)
    sql: str = Field(
        description="What it is asked; `:run`, `:namespace`, `:since` and `:keys` are bound.", min_length=1
    )


_MANUAL = __doc__


class QuerySource:
    """The kind of source that `query:` chooses (`core.sources.SourceKind`)."""

    word: str = "query"
    manual: str = _MANUAL
    extra: str = ""
    library: str = ""
    keys: type[BaseModel] = QueryKeys
    secrets: frozenset[str] = frozenset()
    counts: bool = False

    def base(self, keys: QueryKeys) -> str:
        """It has no address of its own. Raises `ValueError` for a name that nothing is bound to."""
        for name in sorted(names_in(keys.sql) - {*NAMES}):
            raise ValueError(f"nothing is bound to :{name}; use :run, :namespace, :since or :keys")
        return ""

    def connection(self, keys: QueryKeys) -> str:
        """The database."""
        return keys.query

    async def watch(self, source: Source, wanted: Wanted, means: Means, tell: Tell) -> OpenEar:
        """Ask until closed."""
        asking = Asking(source, wanted, means, tell)
        where = f"rows of {source.keys.query}"
        return Looking(source.name, where, every_s(source.lag_s), asking.look, tell, asking.widen)


SOURCE = QuerySource()


class Asking:
    """The query of one run, and what it gave already."""

    def __init__(self, source: Source, wanted: Wanted, means: Means, tell: Tell) -> None:
        self._source, self._wanted, self._means, self._tell = source, wanted, means, tell
        used = names_in(source.keys.sql)
        self._otherwise = "sql (key)" if "keys" in used else "sql" if used & {"run", "namespace"} else ""
        self._params = {name: value for name, value in _params(wanted).items() if name in used}
        self._told: set[str] = set()

    def widen(self, keys: tuple[str, ...]) -> None:
        """Look for these keys too: all rows are asked for in each look, and those that were nobody's looked at anew."""
        self._wanted = self._wanted.widened(keys)
        if "keys" in self._params:
            self._params = {**self._params, "keys": json.dumps(self._wanted.keys)}

    async def look(self) -> None:
        """Ask once."""
        asked_ns, wanted = self._means.now_ns(), self._wanted
        match await self._means.rows(self._source.keys.sql, self._params):
            case Trouble(reason, detail):
                self._tell(Blind(self._source.name, reason, detail))
            case got:
                await self._read(got.rows, asked_ns, wanted)

    async def _read(self, rows: tuple[Mapping[str, Any], ...], asked_ns: int, wanted: Wanted) -> None:
        name, renamed = self._source.name, self._source.map
        received_ns, same, timeless = self._means.now_ns(), Counter[str](), False
        breath = Breath()
        for row in rows:
            await breath.take()
            content = json.dumps(row, default=str, sort_keys=True)
            same[content] += 1
            key = f"{same[content]} {content}"  # two rows may be alike to the last column, and are two all the same
            if key in self._told:
                continue
            record = from_fields(name, row, wanted, received_ns, renamed, self._otherwise)
            if record is not None:
                self._told.add(key)
                self._tell(_own(record, same[content]))
            elif self._otherwise and not instant_ns(_instant(row, renamed)):
                timeless = True
        if timeless:
            fault = "a row has no instant; select one `as at`"
            self._tell(Blind(name, Reason.EXPRESSION, f"{fault} (columns: {', '.join(sorted(rows[0]))})"))
        elif self._wanted is wanted:  # else a key was learnt since it was asked
            self._tell(Watermark(name, asked_ns - round(self._source.lag_s * 1e9)))


def names_in(sql: str) -> frozenset[str]:
    """The `:names` that a query binds; not those in texts, quoted names and comments, and no `::type`."""
    return frozenset(_NAME.findall(_APART.sub(" ", sql)))


_APART = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/""", re.DOTALL)
_NAME = re.compile(r"(?<![:\w\\]):([A-Za-z_]\w*)")


def _params(wanted: Wanted) -> dict[str, Any]:
    since = datetime.fromtimestamp(wanted.since_ns / 1e9, UTC)
    return {
        "run": wanted.run_id,
        "namespace": wanted.namespace,
        "since": since.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "keys": json.dumps(wanted.keys),
    }


def _own(record: Evidence, nth: int) -> Evidence:
    """A row without an id is told from one that is alike by being the second of them."""
    return record if record.id or nth == 1 else replace(record, id=f"{record.at_ns}:{record.seq}#{nth}")


def _instant(row: Mapping[str, Any], renamed: Mapping[str, str]) -> str:
    texts = flat(row)
    names = (renamed["at"],) if "at" in renamed else FIELDS["at"]
    return next((texts[name] for name in names if texts.get(name)), "")
