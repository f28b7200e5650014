"""`nats` counts the messages of a JetStream stream, or those that wait for one of its consumers.

```yaml
connections:
  bus: {nats: "nats://127.0.0.1:4222"}
evidence:
  dlq: {nats: bus, stream: DEAD, exclusive: true}
```

With `consumer`, what it has still to deliver or to have acknowledged; without, all that the stream holds. Nothing is
consumed. For `empty: dlq`; `exclusive: true` says that nobody else's messages go there.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from synthmon.evidence.counting import CountSource


class NatsCountKeys(BaseModel):
    """The keys of a count over a `nats` connection."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    nats: str = Field(description="A connection of the settings of kind `nats`.", min_length=1)
    stream: str = Field(description="The stream.", min_length=1)
    consumer: str = Field("", description="A consumer of it.")


SOURCE = CountSource("nats", __doc__, NatsCountKeys, ("stream", "consumer"))
