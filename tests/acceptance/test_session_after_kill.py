"""Clean-up after kill -9 logs in by itself: the login of the dead process is in no file."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from tests.acceptance.daemon import DaemonProcess, wait_for
from tests.runtime.test_sessions import LOGIN, PROBE, TOKEN, Shop

LONG = PROBE.replace("every: 1m", "every: 1h\ndeadline: 5m") + "  - id: rest\n    pause: 4m\n"


def test_what_a_killed_process_made_is_taken_back_under_a_login_of_the_next(
    httpserver: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLERK_PASSWORD", "correct-horse")
    shop = Shop(httpserver)
    (tmp_path / "probes").mkdir()
    (tmp_path / "probes" / "orders.yaml").write_text(LONG)
    (tmp_path / "login.yaml").write_text(LOGIN)
    (tmp_path / "synthmon.yaml").write_text(f"""
systems: {{shop: {{base: "{httpserver.url_for("").rstrip("/")}", writes: true}}}}
secrets: {{password: "env:CLERK_PASSWORD"}}
sessions:
  shop_api: {{call: login.yaml, keep: 50m, system: shop, headers: {{Authorization: "Bearer ${{token.value}}"}}}}
""")

    with DaemonProcess(tmp_path) as daemon:
        daemon.start()
        daemon.post("/api/v1/journeys/orders/run")
        wait_for(lambda: shop.there)
        daemon.kill()
        shop.known = ""  # the target forgets the login of the dead
        daemon.start()
        wait_for(lambda: not shop.there)

    assert shop.logins == 2
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    assert TOKEN.encode() not in kept
    assert b"correct-horse" not in kept
