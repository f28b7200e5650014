"""A target that knows how handles look gets none of them opened."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from synthmon.core.run import Record
from synthmon.core.secrets import compose, seal
from synthmon.language.load import load
from synthmon.runtime.once import run_once

VALUE = "t0p-s3cret-value"
PROBE = """
journey: forged
every: 1m
system: shop
steps:
  - id: taken
    http: GET /taken
    expect:
      - status == 200
    save:
      raw: string(bytes)
      packed: string(base64.decode(text))
  - id: sent
    http: POST /sent
    headers: {X-Raw: "a ${taken.raw}", X-Basic: '${basic(taken.packed, secret.token)}'}
    body: "${taken.raw} ${taken.packed}"
    leaves: nothing
    expect:
      - status == 200
"""


@pytest.mark.parametrize("forged", [seal("secret.token"), compose("basic", "me", seal("secret.token"))])
def test_a_handle_in_the_bytes_of_an_answer_is_not_filled_in(
    forged: str, httpserver: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORGED_TOKEN", VALUE)
    httpserver.expect_request("/taken").respond_with_data(base64.b64encode(forged.encode()), content_type="text/plain")
    httpserver.expect_request("/sent").respond_with_data("")
    (tmp_path / "synthmon.yaml").write_text(
        f'systems: {{shop: {{base: "{httpserver.url_for("").rstrip("/")}", writes: true}}}}\n'
        'secrets: {token: "env:FORGED_TOKEN"}\n'
    )
    (tmp_path / "forged.yaml").write_text(PROBE)
    loaded = load([tmp_path / "forged.yaml"], [tmp_path / "synthmon.yaml"])
    assert not loaded.errors, "\n".join(map(str, loaded.errors))

    async def story() -> list[Record]:
        return [record async for record in run_once(loaded.journeys, loaded.settings, "memory:")]

    (record,) = asyncio.run(story())

    sent = [request for request, _ in httpserver.log if request.path == "/sent"]
    assert len(sent) == 1, record.message
    basic = base64.b64decode(sent[0].headers["X-Basic"].removeprefix("Basic ")).decode()
    assert basic.endswith(f":{VALUE}")  # the journey's own use of it
    assert VALUE not in basic.removesuffix(f":{VALUE}")
    assert VALUE.encode() not in sent[0].get_data()
    assert base64.b64encode(f"me:{VALUE}".encode()) not in sent[0].get_data()
