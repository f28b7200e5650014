"""The kind `http`: what it sends, what it offers, what it refuses."""

from __future__ import annotations

import json
import math
import re
from datetime import timedelta
from email import message_from_bytes
from email.policy import HTTP
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from synthmon.core.door import Envelope, HttpAnswer, HttpRequest, Trouble
from synthmon.core.expressions import Compiler, ExpressionError, Scope
from synthmon.core.outcomes import Reason
from synthmon.core.secrets import Vault, seal
from synthmon.core.timing import Timing
from synthmon.language.load import load_text
from synthmon.language.settings import Settings
from synthmon.steps.http import KIND, HttpKeys, HttpSpec
from tests.runtime.door_servers import ENVELOPE, Target, answered, door_to, shop, talking
from tests.steps.making import TestMaker, scope


def spec_of(keys: dict[str, Any], folder: Path = Path("/nowhere")) -> HttpSpec:
    maker = TestMaker(folder)
    spec = KIND.compile(HttpKeys.model_validate(keys), maker)
    assert maker.faults == []
    return spec


def rendered(keys: dict[str, Any], **names: Any) -> HttpRequest:
    return spec_of(keys).render(scope(**names))


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("42", "/orders/42/lines"),
        ("a/b", "/orders/a%2Fb/lines"),
        ("a?b=c", "/orders/a%3Fb%3Dc/lines"),
        ("a#b", "/orders/a%23b/lines"),
        ("a b", "/orders/a%20b/lines"),
        ("a%2Fb", "/orders/a%252Fb/lines"),
        ("a&b", "/orders/a%26b/lines"),
        ("a;b", "/orders/a%3Bb/lines"),
        ("a\\b", "/orders/a%5Cb/lines"),
        ("a\r\nb", "/orders/a%0D%0Ab/lines"),
        ("é", "/orders/%C3%A9/lines"),
        ("...", "/orders/.../lines"),
        (7, "/orders/7/lines"),
        (True, "/orders/true/lines"),
    ],
)
def test_a_value_in_the_path_stays_one_segment(value: Any, path: str) -> None:
    assert rendered({"http": "GET /orders/${order.id}/lines"}, order__id=value).url == path


@pytest.mark.parametrize("value", ["", ".", "..", None, [1], {"a": 1}, b"x"])
def test_a_value_that_would_lead_elsewhere_is_refused(value: Any) -> None:
    spec = spec_of({"http": "DELETE /orders/${order.id}"})

    with pytest.raises(ExpressionError):
        spec.render(scope(order__id=value))


@pytest.mark.parametrize(
    ("url", "names", "becomes"),
    [
        ("GET /a?q=${vars.text}&n=1", {"vars__text": "x&y=z"}, "/a?q=x%26y%3Dz&n=1"),
        ("GET ${vars.link}", {"vars__link": "https://shop.test/a?b=c%20d"}, "https://shop.test/a?b=c%20d"),
        ("GET ${vars.link}/${vars.text}", {"vars__link": "/base", "vars__text": "a/b"}, "/base/a%2Fb"),
        ("GET https://${vars.host}.test/x", {"vars__host": "eu-1.shop"}, "https://eu-1.shop.test/x"),
        ("GET /it%20is/as;written", {}, "/it%20is/as;written"),
        ("GET   /spaces", {}, "/spaces"),
        ("GET /$${x}", {}, "/${x}"),
    ],
)
def test_values_are_encoded_for_their_spot_and_literal_parts_stay_as_written(
    url: str, names: dict[str, Any], becomes: str
) -> None:
    assert rendered({"http": url}, **names).url == becomes


@pytest.mark.parametrize("host", ["evil.test/x", "evil.test#", "evil.test?", "a@evil.test", "", "a b", "[::1]"])
def test_a_value_in_the_host_can_only_be_a_name(host: str) -> None:
    spec = spec_of({"http": "GET https://${vars.host}.shop.test/x"})

    with pytest.raises(ExpressionError, match="no part of a host"):
        spec.render(scope(vars__host=host))


def test_params_are_encoded_once_and_lists_repeat() -> None:
    keys = {
        "http": "GET /search?fixed=1",
        "params": {
            "q": "tea & ${vars.text}",
            "n": "${vars.number}",
            "tag": ["a", "${vars.text}"],
            "all": True,
            "r": 1.5,
        },
    }

    request = rendered(keys, vars__text="a%b=c", vars__number=3)

    assert request.url == "/search?fixed=1&q=tea%20%26%20a%25b%3Dc&n=3&tag=a&tag=a%25b%3Dc&all=true&r=1.5"


async def test_a_secret_in_the_url_is_encoded_once_by_the_door() -> None:
    target = Target()
    spec = spec_of({"http": "GET /x/${secret.token}", "params": {"t": "a/${secret.token}"}})
    request = spec.render(scope(secret__token=seal("secret.token")))
    async with talking(target.talk) as port, door_to(shop(port), Vault({"secret.token": "p/q r%+secret"})) as door:
        answered(await KIND.perform(request, door, ENVELOPE))

    assert "p/q" not in request.url
    assert target.heard[0].path == "/x/p%2Fq%20r%25%2Bsecret?t=a%2Fp%2Fq%20r%25%2Bsecret"
    assert spec.describe(request, None) == "GET /x/•••?t=a%2F•••"


def test_json_keeps_the_types_of_its_values() -> None:
    keys = {
        "http": "POST /orders",
        "json": {"n": "${vars.number}", "t": "n is ${vars.number}", "l": [1, None, "${order.id}"]},
    }

    request = rendered(keys, vars__number=3, order__id={"a": [True]})

    assert json.loads(request.body or b"") == {"n": 3, "t": "n is 3", "l": [1, None, {"a": [True]}]}
    assert request.headers == (("Content-Type", "application/json"),)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_that_json_cannot_write_is_refused(value: float) -> None:
    spec = spec_of({"http": "POST /orders", "json": {"n": ["${vars.ratio}"]}})

    with pytest.raises(ExpressionError, match="NaN or Infinity"):
        spec.render(scope(vars__ratio=value))


def test_a_body_without_values_is_written_once() -> None:
    spec = spec_of({"http": "POST /orders", "json": None})

    assert spec.render(Scope({})).body == b"null"
    assert spec.render(Scope({})).body is spec.render(Scope({})).body


def test_the_other_bodies_say_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "order.xml").write_bytes(b"<order>${vars.text}</order>")
    text = rendered({"http": "POST /x", "body": "é ${vars.text}"}, vars__text="y")
    file = spec_of({"http": "PUT /x", "body": {"file": "order.xml", "type": "application/xml"}}, tmp_path)
    form = rendered({"http": "POST /x", "form": {"a": "1 &${vars.text}", "b": [1, 2]}}, vars__text="+")
    mine = rendered({"http": "POST /x", "body": "{}", "headers": {"content-type": "application/vnd.x+json"}})

    assert (text.body, text.headers) == ("é y".encode(), (("Content-Type", "text/plain; charset=utf-8"),))
    as_it_is = HttpRequest("PUT", "/x", (("Content-Type", "application/xml"),), b"<order>${vars.text}</order>")
    assert file.render(Scope({})) == as_it_is
    assert (form.body, form.headers[0][1]) == (b"a=1+%26%2B&b=1&b=2", "application/x-www-form-urlencoded")
    assert mine.headers == (("content-type", "application/vnd.x+json"),)


def test_a_form_with_a_file_is_multipart(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(b"\x89PNG\r\n\x00")
    form = {"title": 'a "${vars.text}"', "photo": {"file": "cat.png", "type": "image/png"}}

    request = spec_of({"http": "POST /x", "form": form}, tmp_path).render(scope(vars__text="cat"))

    head = f"Content-Type: {dict(request.headers)['Content-Type']}\r\n\r\n".encode()
    title, photo = message_from_bytes(head + (request.body or b""), policy=HTTP).iter_parts()
    assert (title.get_param("name", header="content-disposition"), title.get_content()) == ("title", 'a "cat"')
    assert (photo.get_filename(), photo.get_content_type()) == ("cat.png", "image/png")
    assert photo.get_payload(decode=True) == b"\x89PNG\r\n\x00"


@pytest.mark.parametrize(
    ("method", "effect"),
    [("GET", False), ("HEAD", False), ("OPTIONS", False), ("TRACE", False)]
    + [(method, True) for method in ("POST", "PUT", "PATCH", "DELETE")],
)
def test_everything_but_a_read_is_an_effect(method: str, effect: bool) -> None:
    assert spec_of({"http": f"{method} /x"}).effect is effect


def test_the_names_that_a_step_reads_are_known() -> None:
    keys = {
        "http": "POST /x/${order.id}",
        "params": {"a": "${vars.text}"},
        "json": {"b": "${vars.number}"},
        "headers": {"C": "${run.id}"},
    }

    assert spec_of(keys).refs == {"order.id", "vars.text", "vars.number", "run.id"}
    assert spec_of({"http": "GET /"}).refs == frozenset()


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({"http": "get /x"}, "http-method"),
        ({"http": "FETCH /x"}, "http-method"),
        ({"http": "/x"}, "http-method"),
        ({"http": "${vars.text} /x"}, "http-method"),
        ({"http": "GET"}, "http-method"),
        ({"http": "GET "}, "http-url"),
        ({"http": "GET /x#part"}, "http-fragment"),
        ({"http": "POST /x", "json": {}, "body": "x"}, "http-bodies"),
        ({"http": "POST /x", "json": None, "form": {}}, "http-bodies"),
        ({"http": "GET /x", "headers": {"Host": "evil"}}, "http-header"),
        ({"http": "GET /x", "headers": {"content-LENGTH": 3}}, "http-header"),
        ({"http": "GET /x", "headers": {"X A": "1"}}, "http-header"),
    ],
)
def test_a_mistake_is_told_with_its_code(keys: dict[str, Any], code: str) -> None:
    maker = TestMaker()

    KIND.compile(HttpKeys.model_validate(keys), maker)

    assert [fault[1] for fault in maker.faults] == [code]


def test_unknown_keys_are_refused_and_every_key_is_described() -> None:
    with pytest.raises(ValidationError):
        HttpKeys.model_validate({"http": "GET /", "query": {}})
    schema = HttpKeys.model_json_schema()
    assert set(schema["properties"]) == {"http", "params", "json", "body", "form", "headers"}
    assert all(each.get("description") for each in schema["properties"].values())


TIMING = Timing(dns_ms=1, connect_ms=2, tls_ms=4, wait_ms=8, read_ms=16, total_ms=32.5)


def seen(content: bytes, *headers: tuple[str, str], status: int = 200, method: str = "GET", **timing: Any) -> Any:
    answer = HttpAnswer(status, headers, content, Timing(**timing) if timing else TIMING)
    return spec_of({"http": f"{method} /"}).see(HttpRequest(method, "/"), answer)


JSON = ("content-type", "application/json; charset=utf-8")


def test_an_answer_offers_what_it_promises() -> None:
    names = seen(
        b'{"id": 7}', JSON, ("set-cookie", "a=1"), ("set-cookie", "b=2"), tls_expires_in_s=86400, total_ms=32.5
    )

    assert set(names) == set(KIND.offers)
    assert names["status"] == 200
    assert names["headers"] == {"content-type": "application/json; charset=utf-8", "set-cookie": "a=1, b=2"}
    assert (names["body"], names["text"], names["bytes"]) == ({"id": 7}, '{"id": 7}', b'{"id": 7}')
    assert names["elapsed"] == timedelta(milliseconds=32.5)
    assert names["tls.expires_in"] == timedelta(days=1)


def test_the_phases_are_durations_and_plain_http_has_no_certificate() -> None:
    names = seen(b"{}", JSON)

    phases = [names[f"phase.{word}"] / timedelta(milliseconds=1) for word in ("dns", "connect", "tls", "wait", "read")]
    assert phases == [1, 2, 4, 8, 16]
    assert "tls.expires_in" not in names


def test_what_is_offered_has_the_types_that_are_promised() -> None:
    names = seen(b'{"id": 7}', JSON, tls_expires_in_s=1)
    compiler = Compiler()
    checks = [
        "status == 200",
        'headers["content-type"].startsWith("application/json")',
        "body.id == 7",
        'text.contains("id")',
        "size(bytes) == 9",
        'elapsed < duration("1h")',
        'phase.wait >= duration("0s")',
        'tls.expires_in > duration("1ms")',
    ]

    for check in checks:
        assert compiler.compile(check, KIND.offers).holds(Scope(names)).ok, check


@pytest.mark.parametrize(
    ("content", "kind", "body"),
    [
        (b"<p>hello</p>", "text/html", "<p>hello</p>"),
        (b'{"a": 1}', "text/plain", '{"a": 1}'),
        (b'{"a": 1}', None, {"a": 1}),
        (b"no json", None, "no json"),
        (b"", None, ""),
        (b"\xef\xbb\xbf[1]", "application/json", [1]),
        (b"[1]", "application/problem+json", [1]),
        (b"[1]", "text/json", [1]),
        (b"null", "application/json", None),
        ("é".encode("latin-1"), "text/plain; charset=ISO-8859-1", "é"),
        ("é".encode("utf-16"), "text/plain; charset=utf-16", "é"),
        (b"\xff", "text/plain", "\ufffd"),
        (b"abc", "text/plain; charset=rot13", "abc"),
        (b"abc", "text/plain; charset=punycode", "abc"),
        (b"abc", "text/plain; charset=cp99999", "abc"),
    ],
)
def test_the_body_is_json_where_the_answer_says_so_else_text(content: bytes, kind: str | None, body: Any) -> None:
    headers = (("content-type", kind),) if kind else ()

    assert seen(content, *headers)["body"] == body


@pytest.mark.parametrize(("status", "method"), [(204, "GET"), (304, "GET"), (200, "HEAD"), (205, "DELETE")])
def test_an_answer_that_can_have_no_content_is_no_invalid_json(status: int, method: str) -> None:
    assert seen(b"", JSON, status=status, method=method)["body"] == ""


def test_an_answer_cannot_forge_the_handle_of_a_secret() -> None:
    forged = seal("secret.token")
    names = seen(json.dumps({"id": forged, forged: [forged]}).encode(), JSON, ("x-id", forged))
    raw = seen(forged.encode(), ("content-type", "text/plain"))
    vault = Vault({"secret.token": "t0p-s3cret-value"})

    for text in (repr(names["body"]), names["body"]["�secret.token�"][0], names["headers"]["x-id"], raw["text"]):
        assert "t0p" not in vault.reveal(text)
    assert rendered({"http": "GET /${order.id}"}, order__id=names["body"]["�secret.token�"][0]).url.startswith(
        "/%EF%BF%BD"
    )


def test_a_step_is_described_in_one_line() -> None:
    spec = spec_of({"http": "POST /orders"})
    request = HttpRequest("POST", "/orders")

    assert spec.describe(request, None) == "POST /orders"
    assert spec.describe(request, HttpAnswer(201, (JSON,), b"{}", TIMING)) == "POST /orders → 201"


def test_a_body_that_says_it_is_json_and_is_none_is_complained_of() -> None:
    spec, request = spec_of({"http": "POST /orders"}), HttpRequest("POST", "/orders")

    broken = spec.complaint(request, HttpAnswer(200, (JSON,), b'{"a": 1, "a": 2}', TIMING))

    assert broken == 'its body is not valid JSON: Detected duplicate key "a" at line 1 column 14'
    assert spec.complaint(request, HttpAnswer(200, (JSON,), b"{}", TIMING)) == ""


async def test_performing_is_the_doors_business() -> None:
    class Recording:
        async def http(self, request: HttpRequest, envelope: Envelope) -> Trouble:
            return Trouble(Reason.REFUSED, f"{request.method} {envelope.run_id}")

        async def aclose(self) -> None: ...

    trouble = await KIND.perform(HttpRequest("GET", "/"), Recording(), ENVELOPE)

    assert isinstance(trouble, Trouble)
    assert trouble.detail.startswith("GET ")


def test_the_sample_of_the_manual_loads() -> None:
    (sample,) = re.findall(r"```yaml\n(.*?)```", KIND.manual, re.DOTALL)

    loaded = load_text(sample, "catalogue.yaml", Settings())

    assert loaded.problems == ()
    assert [journey.name for journey in loaded.journeys] == ["catalogue"]
