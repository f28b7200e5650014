"""`redis` counts the entries of a Redis stream, or those that a consumer group has not acknowledged.

```yaml
connections:
  cache: {redis: "redis://127.0.0.1:6379"}
evidence:
  dlq: {redis: cache, stream: billing.dead}
```

With `group`, what its consumers were given and have not acknowledged; without, the length of the stream. For
`empty: dlq`; `exclusive: true` says that nobody else's messages go there.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from synthmon.evidence.counting import CountSource


class RedisCountKeys(BaseModel):
    """The keys of a count over a `redis` connection."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    redis: str = Field(description="A connection of the settings of kind `redis`.", min_length=1)
    stream: str = Field(description="The stream.", min_length=1)
    group: str = Field("", description="A consumer group of it.")


SOURCE = CountSource("redis", __doc__, RedisCountKeys, ("stream", "group"))
