"""`redis` is a Redis or Valkey server: its streams, and its channels of pub/sub.

```yaml
connections:
  bus: {redis: "redis://127.0.0.1:6379/0", user: probe, password: "env:BUS_PASSWORD", writes: true}
```

`rediss://` asks for TLS. A place is a `stream` or a `channel`, one of them.

A message goes to a `stream` as one entry: its content is the field `body`, its headers are fields as well. To a
`channel` only the content goes: pub/sub has no headers, so put `${run.namespace}` into it.

To `receive`, a `stream` is read from its last entry on, in no consumer group; after a lost connection it is read on
from the last entry that was heard. If exactly one field of an entry is called `body`, `data`, `payload` or `message`
and is a JSON object or list, that is the content (`message.json`) and the other fields are headers; of any other entry
the content is the map of its fields, and they are headers too. A `channel` may be a pattern (`orders.*`).

A node of a cluster serves its own slots only: it is not followed to other nodes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from synthmon.connections.breaking import Breakable
from synthmon.connections.opening import opened
from synthmon.core.connections import ConnectionTrouble, Outlet
from synthmon.core.door import Hear, OpenEar
from synthmon.core.messages import Publication
from synthmon.core.outcomes import Reason

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from synthmon.connections.reading import ReadingEar

PORT = 6379
ANSWER_S = 8.0
BODY = "body"


class RedisKeys(BaseModel):
    """The keys of a `redis` connection."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    redis: str = Field(description="Its address: `redis://host:6379/0`, or `rediss://host:6379/0` for TLS.")
    user: str = Field("", description="The user to log in as; without one, the default user.")
    password: str | None = Field(None, description="Its password, by reference: `env:BUS_PASSWORD`.")


class RedisLink(Breakable):
    """Connections to one server (`core.connections.Publishes`, `Resumes`, `Counts`)."""

    def __init__(self) -> None:
        super().__init__()
        self._client: Redis | None = None
        self._ears: set[ReadingEar] = set()

    async def connect(self, keys: RedisKeys, outlet: Outlet) -> None:
        """To the first address that answers. Raises what the library raises."""
        from redis.asyncio import ConnectionPool, Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        from synthmon.connections.pinned.redis import PinnedConnection

        host, port, db, secure = _address(keys.redis)
        pool = ConnectionPool(
            connection_class=PinnedConnection,
            host=host,
            port=port,
            addresses=await outlet.pinned(host, port),
            tls=outlet.tls() if secure else None,
            db=db,
            username=keys.user or None,
            password=outlet.secret("password") or None,
            client_name="synthmon",
            protocol=2,  # with 3 a server may push notices that send clients to other addresses
            socket_timeout=ANSWER_S,
            socket_connect_timeout=ANSWER_S,
            retry=Retry(NoBackoff(), 0),  # what was sent once may have been done
        )
        self._client = Redis(connection_pool=pool)
        await self._client.ping()

    async def publish(self, publication: Publication) -> None:
        word, name = _place(publication.to)
        async with self._asked(name) as client:
            if word == "channel":
                await client.publish(name, publication.content)
                return
            await client.xadd(name, {**dict(publication.headers), BODY: publication.content})

    async def listen(self, to: Mapping[str, str], hear: Hear) -> OpenEar:
        return await self._bound(to, hear, "")

    async def resume(self, to: Mapping[str, str], hear: Hear, stopped: OpenEar) -> OpenEar:
        return await self._bound(to, hear, getattr(stopped, "after", ""))

    async def count(self, at: Mapping[str, str]) -> int:
        """The length of the stream `at["stream"]`, or how many of its entries the consumers of the group `at["group"]`
        were given and have not acknowledged."""
        stream, group = at["stream"], at.get("group")
        async with self._asked(stream) as client:
            if not group:
                return int(await client.xlen(stream))
            summary: Any = await client.xpending(stream, group)
            return int(summary["pending"])

    async def aclose(self) -> None:
        self.break_off("it was closed")
        await asyncio.gather(*(ear.aclose() for ear in list(self._ears)))
        if self._client is not None:
            with suppress(Exception):  # it is let go of, whatever it says
                await self._client.aclose(close_connection_pool=True)

    async def _bound(self, to: Mapping[str, str], hear: Hear, after: str) -> ReadingEar:
        from synthmon.connections.pinned.redis_ears import ChannelEar, StreamEar

        word, name = _place(to)
        async with self._asked(name) as client:
            ear: StreamEar | ChannelEar
            if word == "stream":
                ear = StreamEar(name, client, hear, self.break_off, self._ears.discard)
            else:
                ear = ChannelEar(name, client.pubsub(), hear, self.break_off, self._ears.discard)
            self._ears.add(ear)
            try:
                await (ear.begin(after) if isinstance(ear, StreamEar) else ear.begin())
            except BaseException:
                await ear.aclose()
                raise
            return ear

    @asynccontextmanager
    async def _asked(self, name: str) -> AsyncIterator[Redis]:
        """The client. What the server says of a key is told in words; a connection that failed breaks the link."""
        from redis import exceptions

        if self._client is None or self.broken:
            raise ConnectionTrouble(Reason.RESET, "the connection to Redis was lost", sent=False)
        try:
            yield self._client
        except (exceptions.ConnectionError, exceptions.TimeoutError) as error:
            self.break_off(str(error))
            raise
        except exceptions.ResponseError as error:
            if isinstance(error, exceptions.MovedError) or str(error).startswith("MOVED "):  # by the library's version
                moved = f"{name} belongs to another node of a cluster ({error}), which is not followed; name that node"
                raise ConnectionTrouble(Reason.NO_ANSWER, moved, sent=False) from error
            if not str(error).startswith("WRONGTYPE"):
                raise
            wrong = f"{name} is no stream: the server keeps a value of another type under this name"
            raise ConnectionTrouble(Reason.NO_ANSWER, wrong, sent=False) from error


_MANUAL = __doc__


class RedisConnection:
    """The kind of connection that `redis:` chooses (`core.connections.ConnectionKind`)."""

    word: str = "redis"
    manual: str = _MANUAL
    extra: str = "redis"
    library: str = "redis"
    keys: type[BaseModel] = RedisKeys
    secrets: frozenset[str] = frozenset(("password",))
    sends_to: Mapping[str, bool] = MappingProxyType({"stream": False, "channel": False})
    hears_at: Mapping[str, bool] = MappingProxyType({"stream": False, "channel": False})

    def hosts(self, keys: RedisKeys) -> Sequence[str]:
        """The host of its address."""
        if keys.user and not keys.password:
            raise ValueError("there is a `user` without a `password`")
        return (_address(keys.redis)[0],)

    async def open(self, keys: RedisKeys, outlet: Outlet) -> RedisLink:
        """Connect to it."""
        link = RedisLink()
        return await opened(link, link.connect(keys, outlet))


CONNECTION = RedisConnection()


def _address(address: str) -> tuple[str, int, int, bool]:
    """Host, port, number of the database, TLS. Raises `ValueError` with the words for a person."""
    parts = urlsplit(address)
    if parts.username is not None or parts.password is not None:
        raise ValueError("the address holds a user or a password; write `user:` and `password: env:NAME`")
    db = parts.path.strip("/") or "0"
    if parts.scheme not in ("redis", "rediss") or not parts.hostname or not db.isdecimal() or parts.query:
        raise ValueError(f"{address!r} is not an address such as redis://host:6379/0")
    return parts.hostname, parts.port or PORT, int(db), parts.scheme == "rediss"


def _place(to: Mapping[str, str]) -> tuple[str, str]:
    """`stream` or `channel`, and its name. Raises `ConnectionTrouble` unless there is one of them."""
    given = [(word, name) for word, name in to.items() if name]
    if len(given) != 1:
        raise ConnectionTrouble(
            Reason.EXPRESSION, "a place in Redis is a `stream` or a `channel`, not both", sent=False
        )
    return given[0]
