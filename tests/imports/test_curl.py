"""curl commands become drafts that load, without what they gave away."""

from __future__ import annotations

from pathlib import Path

import pytest

from synthmon.core.errors import Invalid
from synthmon.imports.curl import from_curl
from synthmon.imports.draft import render, render_settings
from tests.imports.loading import assert_loads, texts

CHROME = r"""curl 'https://api.shop.example.com/v1/orders?debug=1&api_key=k3y-abcdef123456' \
  -H 'accept: application/json' \
  -H 'accept-language: en-GB,en;q=0.9' \
  -H 'authorization: Bearer s3cr3t-bearer-value-1' \
  -H 'content-type: application/json' \
  -b 'sid=s3ss10n-cookie-value; theme=dark' \
  -H 'origin: https://shop.example.com' \
  -H 'priority: u=1, i' \
  -H 'sec-ch-ua: "Chromium";v="130"' \
  -H 'sec-fetch-mode: cors' \
  -H 'user-agent: Mozilla/5.0 (X11; Linux x86_64)' \
  --data-raw $'{"sku":"mug","email":"jane.doe@gmail.com","note":"it\'s \u0041 ${x}","qty":2,"a":"k3y-abcdef123456"}'"""

CHROME_ON_WINDOWS = (
    'curl ^"https://api.shop.example.com/orders^" ^\n  -H ^"accept: */*^" ^\n  -H ^"content-type: application/json^"'
    ' ^\n  -H ^"sec-fetch-mode: cors^" ^\n  --data-raw ^"^{^\\^"sku^\\^":^\\^"mug^\\^"^}^"'
)

COMMANDS = {
    "plain": "curl https://shop.example.com",
    "no scheme": "curl -sS shop.example.com/health",
    "chrome": CHROME,
    "chrome on windows": CHROME_ON_WINDOWS,
    "basic": "curl -u 'bob:hunter2hunter2' -L -m 5 https://x.example.org/search",
    "query": "curl -G https://x.example.org/search -d q=tea -d 'page=1' --data-urlencode 'text=a b&c'",
    "form": "curl -X POST https://x.example.org/login -d 'user=bob' -d 'password=hunter2hunter2' -d 'tag=a&tag=b'",
    "multipart": "curl -F name=mug -F 'size=2;type=text/plain' https://x.example.org/upload",
    "json": """curl --json '{"a": [1, 2.5, null, true, {"b": "${c}"}]}' https://x.example.org/things""",
    "variable": 'curl -H "Authorization: Bearer $SHOP_TOKEN" https://x.example.org/me',
    "combined": "$ curl -sSfLXPUT https://x.example.org/things/7 -H'X-Trace: on' -d'plain text' | jq .",
    "head": "curl -I https://x.example.org/",
    "xml": "curl https://x.example.org/soap -H 'Content-Type: text/xml' --data-binary '<a>#1: \"x\"</a>'",
    "docs": 'curl --request DELETE --url https://x.example.org/v1/things/42 --header "x-api-key: YOUR_API_KEY"',
    "odd values": "curl 'https://x.example.org/a%20b/%E2%82%AC?on=NO&t=12:30:45&d=2026-01-01&e=' -A probe/1 -e https://r.example.org/",
    "user in the url": "curl 'https://bob:hunter2hunter2@x.example.org/a'",
    "broken json": "curl -H 'Content-Type: application/json' -d '{\"a\": 1, \"a\": 2}' https://x.example.org/a",
    "ipv6": "curl 'http://[::1]:8080/a' --http1.1 --compressed",
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_every_command_becomes_a_draft_that_loads(command: str, tmp_path: Path) -> None:
    assert_loads(tmp_path, from_curl(command))


def test_what_chrome_copied_is_a_step_with_what_was_meant() -> None:
    probe = render(from_curl(CHROME))

    assert probe.startswith("# yaml-language-server: $schema=")
    assert "  - id: order\n    http: POST /v1/orders\n" in probe
    assert "      Authorization: Bearer ${secret.shop_token}\n" in probe
    assert "      Cookie: ${secret.shop_cookie}\n" in probe
    assert "      note: it's A $${x}\n      qty: 2\n      a: ${secret.shop_api_key}\n" in probe
    assert "      email: ${identity.email}\n" in probe
    assert "    leaves: nothing  # say what this leaves behind, or write undo:\n" in probe
    assert not any(
        word in probe for word in ("sec-", "Mozilla", "accept-language", "origin", "priority", "content-type")
    )


def test_the_settings_name_the_system_the_write_and_the_places_of_secrets() -> None:
    settings = render_settings(from_curl(CHROME))

    assert "  shop:\n    base: https://api.shop.example.com\n" in settings
    assert "    writes:\n      - POST /v1/orders\n" in settings
    assert "  shop_token: env:SHOP_TOKEN\n" in settings
    assert "    invent:\n      - email\n" in settings


@pytest.mark.parametrize(
    "secret",
    ["s3cr3t-bearer-value-1", "k3y-abcdef123456", "s3ss10n-cookie-value", "jane.doe", "gmail.com"],
)
def test_nothing_of_a_secret_or_a_person_is_left(secret: str) -> None:
    assert secret not in texts(from_curl(CHROME))


@pytest.mark.parametrize(
    "command",
    [
        "curl -u bob:c4n4ry-value https://x.example.org/",
        "curl -H 'X-Auth-Token: c4n4ry-value' https://x.example.org/",
        "curl --oauth2-bearer c4n4ry-value https://x.example.org/?q=c4n4ry-value",
        "curl https://x.example.org/c4n4ry-value/a -H 'Authorization: c4n4ry-value'",
        "curl https://x.example.org/ -b 'sid=c4n4ry-value'",
        "curl https://x.example.org/?access_token=c4n4ry-value",
        'curl --json \'{"a": {"clientSecret": "c4n4ry-value"}}\' https://x.example.org/',
        "curl -d 'grant_type=password&password=c4n4ry-value' https://x.example.org/oauth/token",
        "curl https://bob:c4n4ry-value@x.example.org/",
        'curl -H \'Authorization: Digest username="bob", response="c4n4ry-value"\' https://x.example.org/',
        "curl https://x.example.org/?t=eyJhbGciOiJIUzI1NiJ9.c4n4ry-value.c2lnbmF0dXJl",
    ],
)
def test_a_secret_is_found_wherever_curl_can_put_it(command: str, tmp_path: Path) -> None:
    draft = from_curl(command)

    assert "c4n4ry" not in texts(draft)
    assert draft.secrets
    assert_loads(tmp_path, draft)


def test_a_password_in_a_sign_up_is_invented(tmp_path: Path) -> None:
    draft = from_curl(
        """curl --json '{"mail": "jo@corp.com", "password": "hunter2hunter2"}' https://x.example.org/users"""
    )

    assert draft.identity == ("email", "password")
    assert_loads(tmp_path, draft)


def test_cards_phones_accounts_and_numbers_are_never_those_of_a_person(tmp_path: Path) -> None:
    body = '{"card": 4539578763621486, "a": "ring +44 20 7183 8750", "b": "DE89370400440532013000", "n":"123-45-6789"}'
    draft = from_curl(f"curl --json '{body}' https://x.example.org/people/jane%40corp.com")

    assert not any(
        word in texts(draft) for word in ("4539578763621486", "7183", "DE89370400440532013000", "123-45", "corp")
    )
    assert "a: ring ${identity.phone}" in render(draft)
    assert "http: POST /people/${identity.email}" in render(draft)
    assert_loads(tmp_path, draft)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("curl -k https://x.example.org", "-k switches off the check of certificates"),
        ("curl -sk https://x.example.org", "`tls: {ca: ca.pem}`"),
        ("curl --telnet-option A=1 https://x.example.org", "The option --telnet-option is not known here."),
        ("curl -@ https://x.example.org", "The option -@ is not known here."),
        ("curl", "There is no URL."),
        ("curl https://a.example.org https://b.example.org", "There are 2 URLs."),
        ("curl ftp://x.example.org", "not http or https"),
        ("curl -X BREW https://x.example.org", "The method BREW is not known here."),
        ("curl https://a.example.org --next https://b.example.org", "several requests"),
        ("curl 'https://a.example.org", "A quote is never closed."),
        ("wget https://a.example.org", "This is no curl command."),
        ("", "This is no curl command."),
        ("curl https://x.example.org/a/../b", "climbs"),
        ("curl 'https://$HOST/a'", "no host name"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_remedy(command: str, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        from_curl(command)

    assert said in str(refused.value)
    assert all(problem.remedy for problem in refused.value.problems)


def test_all_faults_of_a_command_are_told_at_once() -> None:
    with pytest.raises(Invalid) as refused:
        from_curl("curl -k --brew -X BREW https://x.example.org")

    assert {problem.code for problem in refused.value.problems} == {"curl-insecure", "curl-option", "curl-method"}


def test_an_option_that_is_left_out_is_told() -> None:
    draft = from_curl("curl --cacert ca.pem -x http://proxy:1 -d @body.json https://x.example.org")

    assert [note.partition(" ")[0] for note in draft.notes] == ["--cacert", "--proxy", "Put"]


def test_a_forged_handle_of_a_secret_is_disarmed() -> None:
    draft = from_curl('curl --json \'{"a": "\ue000secret.token\ue001"}\' https://x.example.org')

    assert "\ue000" not in repr(draft) + render(draft)
    assert "\\ue000" not in render(draft).lower()
