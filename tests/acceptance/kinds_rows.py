"""One row for each kind of step and of connection: where its marks, its guard and its secrets are shown to be safe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

WIRE = "wire"
"""Shown by what a listener of the table's own reads."""

MARKS = "test_the_answer_is_found_by_the_marks_that_the_message_carried"
NO_PACKET = "test_an_address_that_no_rule_allows_gets_no_packet"
NEVER_CONNECTED = "test_an_address_outside_of_the_allow_list_is_never_connected_to"
NEVER_SHOWN = "test_a_password_comes_from_a_reference_and_is_never_shown"


@dataclass(frozen=True, slots=True)
class Row:
    """One kind. `marks`, `guard` and `secrets` are each `WIRE`, the id of a test, or `no: ` and why there is nothing
    to show.

    `settings` (beside the system `shop`, which is the listener) and `steps` are what is run against the listener:
    `{port}` is its port, `{allow}` the host that may be reached, and the secret is that of `secrets: {key: …}`, or of
    `env:SAFETY_SECRET`. Without steps, tests alone show it.
    """

    marks: str
    guard: str = WIRE
    secrets: str = WIRE
    steps: str = ""
    settings: str = ""
    datagrams: bool = False
    plain: bool = False  # a secret of letters only: where it goes, nothing else may stand


STEPS: Mapping[str, Row] = MappingProxyType(
    {
        "http": Row(
            WIRE,
            steps="http: GET /ok\n  headers: {{X-Api-Key: '${{secret.key}}'}}\n  expect: [status == 500]",
        ),
        "sse": Row(
            WIRE,
            steps="sse: /feed\n  headers: {{X-Api-Key: '${{secret.key}}'}}\n  within: 1s\n  expect: [count == 1]",
        ),
        "websocket": Row(
            WIRE,
            steps="websocket: /live\n  headers: {{X-Api-Key: '${{secret.key}}'}}\n  within: 1s\n  expect: [count == 1]",
        ),
        "grpc": Row(
            "tests/steps/test_grpc.py::test_a_call_is_answered_as_json_and_bears_the_marks",
            secrets="tests/steps/test_grpc.py::test_over_tls_the_certificate_is_checked_and_a_secret_is_never_shown",
            steps="grpc: shop.Stocks/Get\n  reads: true\n  metadata: {{x-api-key: '${{secret.key}}'}}\n"
            "  expect: [status == 'OK']",
            plain=True,
        ),
        "tcp": Row(
            "no: TCP has no headers; `${run.id}` goes where its protocol has a place",
            steps="tcp: '${{vars.place}}'\n  say: 'LOGIN ${{secret.key}}'\n  until: ready\n  leaves: nothing\n"
            "  expect: [text == 'OK']",
        ),
        "dns": Row(
            "no: a question of DNS has no field for them",
            secrets="no: a name that is asked for is readable by everybody on its way",
            steps="dns: a.example.com\n  server: 127.0.0.1:{port}\n  timeout: 1s\n  expect: [count == 1]",
            datagrams=True,
        ),
        "hook": Row(
            "no: it sends nothing, it is called",
            guard="no: it sends nothing, it is called",
            secrets="tests/steps/test_hook.py::test_the_reply_is_what_the_journey_says_one_call_after_the_other",
        ),
        "browser": Row(
            "tests/steps/test_browser.py::test_a_form_is_filled_in_and_its_answer_read_and_every_request_bears_the_marks",
            guard="tests/steps/test_browser.py::test_no_page_reaches_a_host_that_is_not_allowed",
            secrets="tests/steps/test_browser.py::test_a_secret_goes_into_the_field_and_nowhere_else",
        ),
        "send": Row(
            f"tests/connections/test_nats.py::TestNats::{MARKS}",
            secrets="tests/connections/test_amqp.py::test_neither_a_password_nor_a_secret_header_is_ever_shown",
            settings="connections: {{bus: {{mqtt: 'mqtt://127.0.0.1:{port}', user: probe,"
            " password: 'env:SAFETY_SECRET', writes: true, allow: ['{allow}']}}}}",
            steps="send: bus\n  topic: a\n  headers: {{x-api-key: '${{secret.key}}'}}\n  body: b\n  leaves: nothing",
        ),
        "receive": Row(
            "no: it sends nothing but its subscription",
            secrets=f"tests/connections/test_nats.py::{NEVER_SHOWN}",
            settings="connections: {{bus: {{nats: 'nats://127.0.0.1:{port}', user: probe,"
            " password: 'env:SAFETY_SECRET', allow: ['{allow}']}}}}",
            steps="receive: bus\n  subject: a\n  within: 1s\n  timeout: 3s\n  expect: [count == 1]",
        ),
        "query": Row(
            "no: it changes nothing; a database shows them to nobody",
            secrets="tests/connections/test_sql.py::TestPostgres::test_a_secret_among_the_values_is_never_shown",
            settings="connections: {{bus: {{sql: 'mysql://127.0.0.1:{port}/a', user: probe,"
            " password: 'env:SAFETY_SECRET', allow: ['{allow}']}}}}",
            steps="query: bus\n  sql: select :a\n  params: {{a: '${{secret.key}}'}}\n  expect: [count == 1]",
        ),
        "mail": Row(
            "no: it reads, and leaves no trace in the mailbox",
            settings="connections: {{bus: {{imap: 'imap://127.0.0.1:{port}', user: probe,"
            " password: 'env:SAFETY_SECRET', allow: ['{allow}']}}}}",
            secrets="tests/connections/test_imap.py::test_a_password_is_never_shown",
            steps="mail: bus\n  to: '${{run.namespace}}@example.com'\n  within: 1s\n  timeout: 3s\n"
            "  expect: [count == 1]",
        ),
    }
)

SENT = "send: bus\n  {place}\n  headers: {{{{x-api-key: '${{{{secret.key}}}}'}}}}\n  body: b\n  leaves: nothing"


def _broker(word: str, address: str, place: str, marks: str, secrets: str, more: str = "") -> Row:
    return Row(
        marks,
        secrets=f"tests/connections/test_{word}.py::{secrets}",
        settings=f"connections: {{{{bus: {{{{{word}: '{address}', {more}writes: true, allow: ['{{allow}}']}}}}}}}}",
        steps=SENT.format(place=place),
    )


def _marks(word: str, test_class: str) -> str:
    return f"tests/connections/test_{word}.py::{test_class}::{MARKS}"


_LOGIN = "user: probe, password: 'env:SAFETY_SECRET', "
_AWS = "region: eu-west-1, access_key: 'env:SAFETY_KEY_ID', secret_key: 'env:SAFETY_SECRET', "
_KEYS_NEVER = "test_keys_come_from_references_and_nowhere_else_and_are_never_shown"
_NEITHER = "test_neither_a_password_nor_a_secret_header_is_ever_shown"


def _of_aws(word: str, place: str, marks: str, secrets: str = WIRE) -> Row:
    asked = (
        SENT.format(place=place).replace("body: b", "json: {{a: b}}")
        if place
        else "query: bus\n  sql: 'select * from \"a\" where \"id\" = :a'\n  params: {{a: '${{secret.key}}'}}\n"
        "  timeout: 3s\n  expect: [count == 1]"
    )
    entry = f"{word}: 'http://127.0.0.1:{{port}}', {_AWS}writes: true, allow: ['{{allow}}']"
    return Row(marks, secrets=secrets, settings=f"connections: {{{{bus: {{{{{entry}}}}}}}}}", steps=asked)


CONNECTIONS: Mapping[str, Row] = MappingProxyType(
    {
        "nats": _broker(
            "nats", "nats://127.0.0.1:{port}", "subject: a", _marks("nats", "TestNats"), NEVER_SHOWN, _LOGIN
        ),
        "amqp": _broker("amqp", "amqp://127.0.0.1:{port}", "queue: a", _marks("amqp", "TestAmqp"), _NEITHER, _LOGIN),
        "mqtt": _broker("mqtt", "mqtt://127.0.0.1:{port}", "topic: a", _marks("mqtt", "TestMqtt"), _NEITHER, _LOGIN),
        "kafka": _broker("kafka", "127.0.0.1:{port}", "topic: a", _marks("kafka", "TestKafka"), NEVER_SHOWN, _LOGIN),
        "redis": _broker(
            "redis", "redis://127.0.0.1:{port}", "stream: a", _marks("redis", "TestStream"), NEVER_SHOWN, _LOGIN
        ),
        "imap": STEPS["mail"],
        "sql": STEPS["query"],
        "sqs": _of_aws("sqs", "queue: a", _marks("sqs", "TestSqs"), f"tests/connections/test_sqs.py::{_KEYS_NEVER}"),
        "sns": _of_aws("sns", "topic: 'arn:aws:sns:eu-west-1:123456789012:a'", _marks("sns", "TestSns")),
        "eventbridge": _of_aws(
            "eventbridge", "bus: a\n  source: shop\n  type: placed", _marks("eventbridge", "TestEventBridge")
        ),
        "dynamodb": _of_aws("dynamodb", "", "no: it changes nothing; a table has no place for them"),
    }
)
