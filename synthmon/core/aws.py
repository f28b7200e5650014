"""Who we are at AWS, and in which region: the keys of everything in the settings that asks it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

SECRETS = frozenset(("access_key", "secret_key", "session_token"))
"""The words of `AwsKeys` whose values are references."""


class AwsKeys(BaseModel):
    """The keys of every connection to AWS and of every source there, beside its address."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    region: str = Field("", description="The region, `eu-west-1`. Default: that of the address.")
    access_key: str = Field(description="The access key id, by reference: `env:PROBE_KEY_ID`.")
    secret_key: str = Field(description="The secret access key, by reference: `env:PROBE_KEY`.")
    session_token: str | None = Field(None, description="The session token of keys for a while, by reference.")
