"""`dynamodb` is Amazon DynamoDB: its tables can be asked with SELECT of PartiQL, and not changed.

```yaml
connections:
  orders:
    dynamodb: "https://dynamodb.eu-west-1.amazonaws.com"
    access_key: "env:PROBE_KEY_ID"
    secret_key: "env:PROBE_KEY"
```

A `query` names the table in double quotes and gives values by name:
`select * from "orders" where "id" = :id`, `params: {id: "${order.id}"}`; an index is `"orders"."by-customer"`, a list
`[:a, :b]`. Anything but one SELECT is refused when the file is loaded and once more before it leaves. Reads are
strongly consistent (`consistent: true`); a global index knows only the others, so a connection of its own with
`consistent: false` asks those. At most 10,000 rows or 4 MiB are read, over as many pages as it takes.

A SELECT without the partition key reads the whole table, which costs what it costs: give the keys no right but
`dynamodb:PartiQLSelect`, and that one with the condition `dynamodb:FullTableScan: false`.

Values come as JSON has them: a whole number as a number, one with digits after the point as text (`"12.5"`:
`double(rows[0].amount)` computes with it); bytes as base64, sets as sorted lists. Keys and the region are as for `sqs`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import BaseModel, Field, StrictBool

from synthmon.connections.aws.endpoints import endpoint_of, hosts_of
from synthmon.connections.aws.opening import open_service
from synthmon.connections.aws.partiql import bound, json_of, names_of, row_of
from synthmon.connections.breaking import Breakable
from synthmon.connections.sql_values import MOST_BYTES
from synthmon.core.aws import SECRETS, AwsKeys
from synthmon.core.connections import ConnectionTrouble, Outlet
from synthmon.core.outcomes import Reason

if TYPE_CHECKING:
    from synthmon.connections.aws.client import Service


class DynamoDbKeys(AwsKeys):
    """The keys of a `dynamodb` connection."""

    dynamodb: str = Field(description="Its address: `https://dynamodb.eu-west-1.amazonaws.com`.")
    consistent: StrictBool = Field(True, description="Whether a read sees every write before it. Default true.")


class DynamoDbLink(Breakable):
    """The tables of one region (`core.connections.Answers`)."""

    def __init__(self, tables: Service, consistent: bool) -> None:
        super().__init__()
        self._tables, self._consistent = tables, consistent

    async def query(self, sql: str, params: Mapping[str, Any], limit: int) -> Sequence[Mapping[str, Any]]:
        try:
            statement, values = bound(sql, params)
        except ValueError as error:
            raise ConnectionTrouble(Reason.EXPRESSION, f"the query was not asked: {error}", sent=False) from error
        asked: dict[str, Any] = {"Statement": statement, "ConsistentRead": self._consistent}
        if values:
            asked["Parameters"] = values
        rows: list[Mapping[str, Any]] = []
        size = 0
        while True:
            page = await self._tables.ask("execute_statement", "DynamoDB refuses the query", **asked)
            for item in page.get("Items", ()):
                row = {name: json_of(attribute) for name, attribute in row_of(item)}
                size += len(orjson.dumps(row))
                rows.append(row)
                if len(rows) > limit:
                    said = f"the answer has more than {limit} rows; ask for fewer by their key"
                    raise ConnectionTrouble(Reason.TOO_MANY, said)
                if size > MOST_BYTES:
                    raise ConnectionTrouble(Reason.TOO_MANY, "the answer is larger than 4 MiB; ask for less of it")
            if not page.get("NextToken"):
                return rows
            asked["NextToken"] = page["NextToken"]

    async def aclose(self) -> None:
        await self._tables.aclose()
        self.break_off("it was closed")


_MANUAL = __doc__


class DynamoDbConnection:
    """The kind of connection that `dynamodb:` chooses (`core.connections.ConnectionKind`, `Asks`)."""

    word: str = "dynamodb"
    manual: str = _MANUAL
    extra: str = "aws"
    library: str = "aiobotocore"
    keys: type[BaseModel] = DynamoDbKeys
    secrets: frozenset[str] = SECRETS
    sends_to: Mapping[str, bool] = MappingProxyType({})
    hears_at: Mapping[str, bool] = MappingProxyType({})

    def hosts(self, keys: DynamoDbKeys) -> Sequence[str]:
        """The host of its address."""
        return hosts_of(endpoint_of(keys.dynamodb, keys.region))

    def parameters(self, keys: DynamoDbKeys, sql: str) -> Sequence[str]:
        """The `:names` in a SELECT."""
        return names_of(sql)

    async def open(self, keys: DynamoDbKeys, outlet: Outlet) -> DynamoDbLink:
        """Ready to be asked."""
        endpoint = endpoint_of(keys.dynamodb, keys.region)
        return DynamoDbLink(await open_service("dynamodb", endpoint, outlet), keys.consistent)


CONNECTION = DynamoDbConnection()
