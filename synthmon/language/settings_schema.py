"""The keys of `synthmon.yaml`, each with what it means."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictBool, StrictInt, WithJsonSchema
from pydantic_core import PydanticCustomError

from synthmon.language.amounts import PerDay, PerHour, PerSecond, Seconds
from synthmon.language.schema import AlertKeys
from synthmon.language.schema_words import Keys, LocationName, SystemName, Text, Word
from synthmon.language.secret_places import secret_place


def _reference(value: Any) -> str:
    if isinstance(value, str) and value.startswith(("env:", "file:")) and value.partition(":")[2].strip():
        return value
    fault = "A secret is not written into the settings."
    raise PydanticCustomError(
        "bad-secret", "{fault}", {"fault": fault, "remedy": "Name its place: env:API_TOKEN or file:/run/secrets/token."}
    )


Reference = Annotated[str, BeforeValidator(_reference), WithJsonSchema({"type": "string", "pattern": "^(env|file):.+"})]
Secret = Annotated[
    str,
    BeforeValidator(secret_place),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": "^(env|file|exec|vault):.+"},
                {
                    "type": "object",
                    "properties": {"exec": {"type": "array", "items": {"type": "string"}, "minItems": 1}},
                    "required": ["exec"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
Globs = Annotated[list[Text], Field(min_length=1)]


class BudgetKeys(Keys):
    """How much of a system may be used; counted across restarts."""

    runs: PerHour | None = Field(None, description="Runs: `120/h`.")
    creates: PerDay | None = Field(None, description="Things made: `2000/d`.")
    debts: StrictInt = Field(
        100,
        ge=0,
        le=1_000_000,
        description="Things not yet taken back; with more nothing is created in it any more. Default 100.",
    )


class TlsKeys(Keys):
    """Certificates for a system that the public ones do not fit."""

    ca: str = Field("", description="A file with the certificates to trust.")
    cert: str = Field("", description="A file with the client's certificate.")
    key: str = Field("", description="Its key: a file, or `env:` / `file:`.")


def _by_location(value: Any) -> Any:
    return {"": value} if isinstance(value, str) else value


class SystemKeys(Keys):
    """A system under test: where it is, and what may be done to it."""

    base: Annotated[
        dict[str, Text],
        BeforeValidator(_by_location),
        WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": {"type": "string"}}]}),
    ] = Field(description="Its address: `https://shop.example.com`, or one for each location.")
    allow: list[Text] = Field(
        default_factory=list, description="Hosts that may be reached, `*.` for one label. Default: the host of `base`."
    )
    networks: list[Text] = Field(
        default_factory=list,
        description="Networks (CIDR) that these hosts may resolve to. Default: any but link-local.",
    )
    writes: StrictBool | list[Text] = Field(
        False, description="Whether it may be changed: `true`, `false`, or a list of what may be sent: `POST /graphql`."
    )
    rate: PerSecond | None = Field(None, description="Requests: `5/s`.")
    concurrency: StrictInt | None = Field(None, ge=1, le=10_000, description="Requests in flight.")
    budget: BudgetKeys = Field(BudgetKeys(), description="How much of it may be used.")
    replay: Literal["allow", "refuse"] = Field("refuse", description="Whether old runs may be replayed against it.")
    propagate: StrictBool = Field(True, description="Whether requests carry ids and baggage; `false` for strangers.")
    tls: TlsKeys = Field(TlsKeys(), description="Certificates.")
    follow: StrictBool = Field(False, description="Whether redirects are followed.")
    auth: str = Field("", description="The session for every request.")
    transport: Literal["wire", "stock"] = Field(
        "wire", description="Which HTTP client: `wire` times to the kernel, `stock` is httpx."
    )


class SessionKeys(Keys):
    """A login that journeys share: made when first needed, kept in memory, made again after a 401."""

    call: Text = Field(description="The file of steps that logs in.")
    keep: Seconds = Field(3000.0, validate_default=False, description="How long it lasts. Default 50m.")
    per: Literal["identity", "daemon"] = Field("daemon", description="One for each identity, or one for all.")
    system: SystemName | None = Field(None, description="Whom its steps talk to.")
    headers: dict[Text, Text] = Field(
        description='What every request carries then: {Authorization: "Bearer ${token.value}"}.', min_length=1
    )


class IdentityKeys(Keys):
    """As whom journeys act: `invent` people or lease `accounts`."""

    invent: list[Text] | None = Field(
        None, min_length=1, description="Fields to make up for each run: [name, email, phone]."
    )
    locale: Text = Field("en_GB", description="Language and country of invented people.")
    domain: Text = Field(
        "synthetic.example.com", description="The mail domain of invented people: reserved, or a sub-domain of yours."
    )
    accounts: Text | None = Field(
        None,
        description="A file with a list of test accounts, each a map of fields. What names a place (`env:NAME`), and "
        "what a key such as `password` or `api_key` holds, is secret: only joined to what is sent.",
    )
    cooldown: Seconds | None = Field(None, description="How long an account rests after a run.")
    max_use: StrictInt | None = Field(None, ge=1, description="How often an account may be used at all.")


class PropagationKeys(Keys):
    """What every request carries beside the default correlation headers."""

    headers: dict[Text, Text] = Field(
        default_factory=dict, description='Headers; values may use `run.*`: {X-Request-ID: "${run.id}"}.'
    )


class DefaultKeys(Keys):
    """What journeys have if they say nothing of their own."""

    journeys: Globs = Field(description='Which: names with `*`: ["order-*"].')
    owner: str = Field("", description="Who is told.")
    runbook: str = Field("", description="Where it is written what to do.")
    alert: AlertKeys | None = Field(None, description="Who is told, and when.")
    labels: dict[Word, Text] = Field(default_factory=dict, max_length=8, description="Labels for metrics, at most 8.")


class QuietKeys(Keys):
    """A time in which journeys do not start; it is shown as quiet, never as green."""

    cron: Text = Field(description="When it begins.")
    for_: Seconds = Field(alias="for", description="How long it lasts.")
    journeys: Globs = Field(["*"], description="Which journeys.")
    timezone: Text = Field("UTC", description="The IANA zone of `cron`.")


class LimitsKeys(Keys):
    """Limits of the whole daemon."""

    concurrency: StrictInt | None = Field(None, ge=1, le=100_000, description="Runs at once. Default 200.")
    grace: Seconds | None = Field(None, description="How long runs may go on after SIGTERM. Default 30s.")
    debts: StrictInt | None = Field(
        None,
        ge=0,
        le=1_000_000,
        description="Things not yet taken back; with more nothing is created any more. Default 500.",
    )
    refresh: Seconds | None = Field(
        None, description="How often `exec:` and `vault:` secrets are read again. Default 5m."
    )


class WebKeys(Keys):
    """Who may see the pages and use the API."""

    config: str = Field("", description="A web config file of Prometheus' exporter toolkit: TLS and basic auth.")
    token: Reference | None = Field(None, description="A bearer token: env: or file:.")


class HooksKeys(Keys):
    """Where others call us: hooks of journeys, and OTLP (`/v1/traces`, `/v1/logs`). A listener of its own."""

    listen: Text = Field("127.0.0.1:9881", description="Host and port. Default 127.0.0.1:9881.")
    url: Text | None = Field(
        None,
        description="What the addresses of hooks begin with, if a proxy stands before it: https://hooks.example.com.",
    )
    token: Reference | None = Field(
        None, description="The bearer token of who sends OTLP; needed unless only this machine can reach it."
    )


class AppRoleKeys(Keys):
    """A login by AppRole."""

    role_id: Reference = Field(description="Its id: env: or file:.")
    secret_id: Reference | None = Field(None, description="Its secret: env: or file:.")
    mount: Text = Field("approle", description="Where the method is mounted.")


class KubernetesKeys(Keys):
    """A login by the service account of a pod."""

    role: Text = Field(description="The role that Vault knows.")
    mount: Text = Field("kubernetes", description="Where the method is mounted.")
    token: Reference = Field(
        "file:/var/run/secrets/kubernetes.io/serviceaccount/token", description="The token of the service account."
    )


class VaultKeys(Keys):
    """A HashiCorp Vault, and how to log in there: one of `token`, `approle` and `kubernetes`."""

    address: Text = Field(description="https://vault.example.com:8200.")
    namespace: str = Field("", description="Its namespace (Enterprise, HCP).")
    token: Reference | None = Field(None, description="A token: env: or file:; read again at each refresh.")
    approle: AppRoleKeys | None = Field(None, description="A login by AppRole.")
    kubernetes: KubernetesKeys | None = Field(None, description="A login by a pod's service account.")
    tls: TlsKeys = Field(TlsKeys(), description="Certificates.")


class RetentionKeys(Keys):
    """How long records are kept."""

    passed: Seconds | None = Field(None, description="Of runs that passed. Default 30d.")
    failed: Seconds | None = Field(None, description="Of all others. Default 90d.")
    keep_evidence: StrictInt | None = Field(
        None, ge=0, description="How many good runs of a journey and location keep their evidence. Default 200."
    )


class SettingsKeys(Keys):
    """Settings. Repeatable: entries of a later file replace those of the same name."""

    systems: dict[SystemName, SystemKeys] = Field(default_factory=dict, description="The systems under test, by name.")
    connections: dict[SystemName, Any] = Field(
        default_factory=dict, description="Brokers, databases and mailboxes, by name: {bus: {nats: nats://host:4222}}."
    )
    evidence: dict[SystemName, Any] = Field(
        default_factory=dict,
        description="Where that is found what other systems report, by name: {logs: {jsonl: /var/log/shop/*.jsonl}}.",
    )
    secrets: dict[Word, Secret] = Field(
        default_factory=dict,
        description="Secrets by name, each a place: env:NAME, file:/path, exec:COMMAND or vault:PATH#FIELD.",
    )
    vault: VaultKeys | None = Field(None, description="The HashiCorp Vault of `vault:` places.")
    sessions: dict[Text, SessionKeys] = Field(default_factory=dict, description="Logins that journeys share, by name.")
    identities: dict[Text, IdentityKeys] = Field(default_factory=dict, description="As whom journeys act, by name.")
    propagation: PropagationKeys | None = Field(None, description="What every request carries besides.")
    defaults: list[DefaultKeys] = Field(
        default_factory=list, description="What journeys have if they say nothing; the first that fits counts."
    )
    quiet: list[QuietKeys] = Field(default_factory=list, description="Times in which journeys do not start.")
    store: Text | None = Field(
        None, description="Where history lives. Default sqlite:///synthmon.db; postgresql://… to share."
    )
    listen: Text | None = Field(None, description="Where pages, API and metrics are served. Default 127.0.0.1:9880.")
    limits: LimitsKeys | None = Field(None, description="Limits of the whole daemon.")
    web: WebKeys | None = Field(None, description="Who may see the pages and use the API.")
    hooks: HooksKeys | None = Field(None, description="Where others call us: hooks and OTLP.")
    retention: RetentionKeys | None = Field(None, description="How long records are kept.")
    stop_file: Text | None = Field(
        None,
        description="While this file exists everything is paused, clean-up apart. Default: `synthmon-stop` beside "
        "`synthmon.db`.",
    )
    location: LocationName | None = Field(None, description="The name of this place.")
    instance: LocationName | None = Field(
        None,
        description="The name of this installation or tenant: two that test one system need different names, so that "
        "neither sweeps away what the other made.",
    )
