"""`kafka` counts by how many records a consumer group is behind on a topic.

```yaml
connections:
  bus: {kafka: "127.0.0.1:9092"}
evidence:
  backlog: {kafka: bus, topic: orders.placed, group: billing}
```

The sum over all partitions of what is written minus what the group has committed; nothing is consumed. For
`empty: backlog`; `exclusive: true` says that nobody else's messages go there.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from synthmon.evidence.counting import CountSource


class KafkaCountKeys(BaseModel):
    """The keys of a count over a `kafka` connection."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kafka: str = Field(description="A connection of the settings of kind `kafka`.", min_length=1)
    topic: str = Field(description="The topic.", min_length=1)
    group: str = Field(description="The consumer group.", min_length=1)


SOURCE = CountSource("kafka", __doc__, KafkaCountKeys, ("topic", "group"))
