"""`query` asks a database of the settings, which lets nothing be changed.

```yaml
journey: order-booked
every: 5m
system: shop
steps:
  - id: order
    http: POST /orders
    json: {reference: "${run.namespace}"}
    expect:
      - status == 201
    save:
      id: string(body.id)
    undo:
      http: DELETE /orders/${order.id}
      find:
        query: ledger
        sql: select id from orders where reference = :reference
        params: {reference: "${run.namespace}"}
        save:
          id: string(rows[0].id)
      gone:
        query: ledger
        sql: select 1 from orders where reference = :reference
        params: {reference: "${run.namespace}"}
        expect:
          - count == 0
  - id: booked
    query: ledger
    sql: select account, amount from bookings where order_id = :order order by account
    params: {order: "${order.id}"}
    within: 10s after order
    expect:
      - count == 2
      - rows.all(row, row.amount == "12.50")
```

A value reaches the database as a value: `:name` in `sql` stands for it, and `${…}` goes into `params`. Every name needs
its value, and every value its name. With `within` it asks again until the checks hold. What the database refuses (a
mistake in the SQL, a write) is a mistake of the journey and not a failure of the system. How values of a database look
in JSON, and how much is read, tells `synthmon explain sql`.

Offers: `rows`, a list of maps from column to value; `count`, how many; `elapsed`, from asking to the last row.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from synthmon.core.connections import Asks
from synthmon.core.door import Door, Envelope, Rows, Trouble
from synthmon.core.expressions import Scope
from synthmon.core.kinds import Maker
from synthmon.core.secrets import masked
from synthmon.core.templates import Tree

EXCERPT_BYTES = 4096
EXCERPT_ROWS = 20


class QueryKeys(BaseModel):
    """The keys of a `query` step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    query: str = Field(description="The connection: a name under `connections:` in the settings.")
    sql: str = Field(min_length=1, description="One statement that reads; `:name` stands for a value of `params`.")
    params: Mapping[str, Any] = Field({}, description="The values, by name; `${…}` may stand in them.")


@dataclass(frozen=True, slots=True)
class QueryRequest:
    """A query with its values; secrets in them are sealed."""

    connection: str
    sql: str
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class QuerySpec:
    """A query with values still to be filled in (`core.journey.Spec`)."""

    connection: str
    sql: str
    params: Tree | None

    @property
    def kind(self) -> str:
        """The word that chose it."""
        return "query"

    @property
    def effect(self) -> bool:
        """It changes nothing: the database sees to that."""
        return False

    @property
    def refs(self) -> frozenset[str]:
        """The names that its values read."""
        return self.params.refs if self.params is not None else frozenset()

    def render(self, scope: Scope) -> QueryRequest:
        """The query with all values filled in. Raises `ExpressionError`."""
        return QueryRequest(self.connection, self.sql, {} if self.params is None else self.params.render(scope))

    def see(self, request: QueryRequest, answer: Rows) -> Mapping[str, Any]:
        """The names that `expect` and `save` may use."""
        elapsed = timedelta(milliseconds=answer.timing.total_ms)
        return {"rows": list(answer.rows), "count": len(answer.rows), "elapsed": elapsed}

    def describe(self, request: QueryRequest, answer: Rows | None) -> str:
        """`query ledger → 2 rows`."""
        asked = f"query {request.connection}"
        return asked if answer is None else f"{asked} → {len(answer.rows)} row{'' if len(answer.rows) == 1 else 's'}"

    def complaint(self, request: QueryRequest, answer: Rows | None) -> str:
        """What is missing in an answer without rows."""
        return "the query gave no rows" if answer is not None and not answer.rows else ""

    def excerpt(self, request: QueryRequest, answer: Rows | None) -> tuple[str, str]:
        """The query with its values, and the first rows, one a line; cut, the handles of secrets masked."""
        values = "".join(f"\n:{name} = {_shown(value)}" for name, value in request.params.items())
        asked = masked(f"{request.sql}{values}"[:EXCERPT_BYTES])
        if answer is None:
            return asked, ""
        lines = [_shown(row) for row in answer.rows[:EXCERPT_ROWS]]
        more = f"\n… {len(answer.rows)} rows in all" if len(answer.rows) > EXCERPT_ROWS else ""
        return asked, masked("\n".join(lines)[:EXCERPT_BYTES] + more)


_MANUAL = __doc__


class QueryKind:
    """The kind of step that `query:` chooses (`core.kinds.Performs`)."""

    word: str = "query"
    manual: str = _MANUAL
    extra: str = ""
    library: str = ""
    keys: type[BaseModel] = QueryKeys
    offers: Mapping[str, str] = MappingProxyType({"rows": "list", "count": "int", "elapsed": "duration"})
    via: Literal["connection"] = "connection"

    def compile(self, keys: QueryKeys, make: Maker) -> QuerySpec:
        """From checked keys to a spec; faults go to `make`."""
        found = make.connection(keys.query, ("query",))
        if "${" in keys.sql:
            fault = "A value cannot be put into the text of a query: it would be a part of the SQL."
            make.fault(("sql",), "query-text", fault, 'Write `:name` there and `params: {name: "${…}"}`.')
        elif found is not None:
            connection, kind = found
            if isinstance(kind, Asks):
                _check_names(keys, kind, connection.keys, make)
            else:
                fault = f"`{keys.query}` cannot be asked: it is {kind.word}."
                make.fault(("query",), "cannot-do", fault, "Name a database under `connections:`, such as `sql:`.")
        params = make.tree(dict(keys.params), ("params",)) if keys.params else None
        return QuerySpec(keys.query, keys.sql, params)

    async def perform(self, request: QueryRequest, door: Door, envelope: Envelope) -> Rows | Trouble:
        """Ask through the door."""
        return await door.query(request.connection, request.sql, request.params, envelope)


KIND = QueryKind()


def _check_names(keys: QueryKeys, kind: Asks, of_connection: Any, make: Maker) -> None:
    try:
        wanted = kind.parameters(of_connection, keys.sql)
    except ValueError as error:
        make.fault(("sql",), "query-text", f"The query cannot be read: {error}.", "Correct it.")
        return
    for name in wanted:
        if name not in keys.params:
            fault = f"`:{name}` has no value."
            make.fault(("sql",), "query-params", fault, f"Add `{name}:` to `params`.")
    for name in keys.params:
        if name not in wanted:
            fault = f"The query does not use `{name}`."
            remedy = f"Write `:{name}` where its value is meant (not inside quotes), or leave it out."
            make.fault(("params", name), "query-params", fault, remedy)


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
