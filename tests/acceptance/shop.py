"""The demo shop as a process of its own, and the shipped journeys rewritten for its port."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.ports import free_port

SHIPPED = Path(__file__).parents[2] / "probes"
CLOSES_S = 30.0


@dataclass(frozen=True, slots=True)
class OpenShop:
    """Where a shop is: its gateway, its NATS server, its mailbox, the folder of its logs."""

    url: str
    bus: str
    mail: str
    logs: str
    hooks: str  # where it sends its spans, and a daemon is to listen


@contextmanager
def open_shop(folder: Path) -> Iterator[OpenShop]:
    """A shop on free ports, with its logs in `folder`."""
    hooks = f"127.0.0.1:{free_port()}"  # the shop is there before the daemon that hears its spans
    command = [sys.executable, "-m", "synthmon.demo", "--port", "0", "--dir", str(folder), "--otlp", f"http://{hooks}"]
    with (folder.parent / f"{folder.name}.log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        opened = re.search(r"open at (http://\S+) \(bus: (\S+), mail: (\S+), logs: (.+)\)\.", said)
        assert opened is not None, said
        yield OpenShop(opened[1], opened[2], opened[3], opened[4], hooks)
    finally:
        process.terminate()
        try:
            process.wait(CLOSES_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()


def lay_out_shipped(folder: Path, shop: OpenShop, every: str) -> list[str]:
    """Copy the shipped journeys and settings for this shop, at another pace; answers the names of the journeys."""
    shutil.copytree(SHIPPED, folder / "probes")
    settings = folder / "probes" / "synthmon.yaml"
    (folder / "synthmon.yaml").write_text(_aimed_at(shop, settings.read_text()))
    settings.unlink()
    names = []
    for probe in sorted((folder / "probes").iterdir()):
        text, rewritten = re.subn(r"^every: 15s$", f"every: {every}", probe.read_text(), flags=re.MULTILINE)
        assert rewritten == 1, f"{probe.name} has another pace"
        probe.write_text(text)
        names.append(probe.stem)
    return names


def _aimed_at(shop: OpenShop, settings: str) -> str:
    """The shipped settings for another shop, and for a daemon beside others."""
    there = {
        "http://127.0.0.1:9870": shop.url,
        "nats://127.0.0.1:9872": shop.bus,
        "imap://127.0.0.1:9873": shop.mail,
        "shop/logs/*.jsonl": f"{shop.logs}/*.jsonl",
        "sqlite:///shop/books.db": f"sqlite:///{Path(shop.logs).parent}/books.db",
        "file:shop/mail.password": f"file:{Path(shop.logs).parent}/mail.password",
        "127.0.0.1:9881": shop.hooks,
    }
    for shipped, here in there.items():
        assert shipped in settings, f"{shipped} is not in the shipped settings"
        settings = settings.replace(shipped, here)
    return settings
