"""The servers that other tests start: they answer when told so, and are gone afterwards."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import nats as client
import pytest

from tests.servers.alertmanager import alertmanager
from tests.servers.nats import nats
from tests.servers.process import program
from tests.servers.prometheus import prometheus


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_message_outlives_a_killed_nats_server(tmp_path: Path) -> None:
    async with nats(tmp_path, options=["--name", "first"]) as first:
        connection = await client.connect(first.url, allow_reconnect=False)
        stream = connection.jetstream()
        await stream.add_stream(name="runs", subjects=["runs.*"])
        await stream.publish("runs.one", b"kept")
        await connection.close()
        os.kill(first.pid, signal.SIGKILL)

    async with nats(tmp_path, port=first.port) as second:
        connection = await client.connect(second.url)
        kept = await connection.jetstream().get_msg("runs", seq=1)
        await connection.close()

    assert kept.data == b"kept"
    assert second.url == first.url
    assert not _alive(first.pid)
    assert not _alive(second.pid)


async def test_prometheus_and_alertmanager_answer_and_are_gone_afterwards(tmp_path: Path) -> None:
    (tmp_path / "prometheus.yml").write_text("global: {scrape_interval: 1s}\n")
    (tmp_path / "alertmanager.yml").write_text("route: {receiver: none}\nreceivers: [{name: none}]\n")

    async with (
        prometheus(tmp_path / "prometheus.yml", tmp_path / "p") as metrics,
        alertmanager(tmp_path / "alertmanager.yml", tmp_path / "a") as alerts,
    ):
        (two,) = await metrics.query("vector(1 + 1)")
        assert two["value"][1] == "2"
        assert await alerts.alerts() == []

    assert not _alive(metrics.pid)
    assert not _alive(alerts.pid)


async def test_a_server_that_cannot_start_shows_its_own_words(tmp_path: Path) -> None:
    (tmp_path / "prometheus.yml").write_text("nonsense: true\n")

    with pytest.raises(RuntimeError, match="field nonsense not found"):
        async with prometheus(tmp_path / "prometheus.yml", tmp_path / "p"):
            pass


def test_a_server_that_is_not_installed_names_the_command_that_installs_it() -> None:
    with pytest.raises(FileNotFoundError, match="make services"):
        program("no-such-server")
