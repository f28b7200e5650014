"""`synthmon demo`: an event-driven shop, the daemon that watches it, and switches to break it."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.text import Text

import synthmon
from synthmon.cli.output import FAILED, people, screen, stop
from synthmon.demo.client import DemoTrouble, break_fault, faults, mend
from synthmon.language.documents import read

SHOP_PORT = 9870
_OPENS_WITHIN_S, _CLOSES_WITHIN_S = 30.0, 15.0


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the demo listens on 127.0.0.1: the shop at the first, the rest close behind it."""

    shop: int = SHOP_PORT

    @property
    def nats(self) -> int:
        """Its message bus."""
        return self.shop + 2

    @property
    def imap(self) -> int:
        """Its mailbox."""
        return self.shop + 3

    @property
    def page(self) -> int:
        """Of the daemon: page, API, metrics."""
        return self.shop + 10

    @property
    def hooks(self) -> int:
        """Of the daemon: where the shop calls back and sends its spans."""
        return self.shop + 11

    def taken(self) -> list[int]:
        """Those at which somebody listens already."""
        return [port for port in (self.shop, self.nats, self.imap, self.page, self.hooks) if _is_taken(port)]


app = typer.Typer(help="Run the demo shop under watch, or break and mend it.", invoke_without_command=True)

ShopUrl = Annotated[str, typer.Option("--shop", help="Where the shop is.", envvar="SYNTHMON_DEMO_SHOP")]


@app.callback()
def demo(
    context: typer.Context,
    for_: Annotated[str, typer.Option("--for", help="Stop by itself after this long, 60s for instance.")] = "",
    probes: Annotated[
        Path | None, typer.Option("--probes", help="The journeys to run; default: those shipped.")
    ] = None,
    folder: Annotated[Path | None, typer.Option("--dir", help="Where to keep history and logs.")] = None,
    port: Annotated[
        int, typer.Option("--port", min=1, max=65524, help="Of the shop; the others follow, the page ten behind it.")
    ] = SHOP_PORT,
) -> None:
    """Start the shop, the daemon and the page; the journeys shipped with synthmon run every few seconds."""
    if context.invoked_subcommand is not None:
        return
    for number in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C: a closed terminal must leave no shop behind
        signal.signal(number, signal.default_int_handler)
    ports = Ports(port)
    if taken := ports.taken():
        told = f"Somebody listens on 127.0.0.1 at {', '.join(map(str, taken))} already, another demo maybe."
        stop(
            f"{told} Stop it, or take other ports: synthmon demo --port {port + 1000 if port < 60000 else 10000}",
            FAILED,
        )
    with _folder(folder) as here, _shop(here, ports) as shop_url:
        raise typer.Exit(_daemon(probes or _shipped(), here, ports, shop_url, for_))


@app.command("break")
def break_(
    name: Annotated[str, typer.Argument(help="The fault; `synthmon demo faults` lists them.")],
    rate: Annotated[float | None, typer.Option("--rate", min=0.0, max=1.0, help="In which share of cases.")] = None,
    shop: ShopUrl = f"http://127.0.0.1:{SHOP_PORT}",
) -> None:
    """Switch a fault on."""
    _tell(lambda: break_fault(shop, name, rate), name)


@app.command("mend")
def mend_(
    name: Annotated[str, typer.Argument(help="The fault.")], shop: ShopUrl = f"http://127.0.0.1:{SHOP_PORT}"
) -> None:
    """Switch a fault off."""
    _tell(lambda: mend(shop, name), name)


@app.command("faults")
def faults_(shop: ShopUrl = f"http://127.0.0.1:{SHOP_PORT}") -> None:
    """List the faults, and which are on."""
    _tell(lambda: faults(shop))


def _tell(ask: Any, only: str = "") -> None:
    """Each fault, or the one that was switched: what it does, and where it shows."""
    try:
        known = ask()
    except DemoTrouble as trouble:
        stop(str(trouble), FAILED)
    for fault in known:
        if only in ("", fault["name"]):
            mark, style = (f"broken ×{fault['struck']}", "red") if fault["on"] else ("fine", "green")
            line = Text.assemble((f"{fault['name']:<18}", "bold"), (f"{mark:<12}", style), fault["does"])
            screen().print(line.append(f"\n{'':<30}{fault['shows']}", "dim"), soft_wrap=True)


def _daemon(probes: Path, here: Path, ports: Ports, shop_url: str, for_: str) -> int:
    said, listen = people(), f"127.0.0.1:{ports.page}"
    settings = _settings(probes, here, ports)
    command = [sys.executable, "-m", "synthmon", "serve", str(probes), "--settings", str(probes / "synthmon.yaml")]
    command += ["--settings", str(settings), "--listen", listen, *(["--for", for_] if for_ else [])]
    with (here / "daemon.log").open("ab") as log:
        process = subprocess.Popen(command, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        _wait_until_open(f"http://{listen}/readyz", process, here / "daemon.log")
        files = f"{probes / 'synthmon.yaml'} {os.path.abspath(settings)}"
        words = {"page": f"http://{listen}/", "shop": shop_url, "logs": here, "us": _command(), "settings": files}
        words["at"] = "" if ports == Ports() else f"\n    export SYNTHMON_DEMO_SHOP={shop_url}"
        said.print(_WELCOME.format(**words), soft_wrap=True)
        return process.wait()
    except KeyboardInterrupt:
        said.print("stopping: runs that are under way take back what they made …")
        return 0
    finally:
        _end(process)


@contextlib.contextmanager
def _shop(here: Path, ports: Ports) -> Iterator[str]:
    """The shop as a process of its own, in its own session, so that Ctrl-C reaches the daemon first."""
    url = f"http://127.0.0.1:{ports.shop}"
    command = [sys.executable, "-m", "synthmon.demo", "--port", str(ports.shop), "--dir", str(here / "shop")]
    command += ["--nats-port", str(ports.nats), "--imap-port", str(ports.imap)]
    command += ["--otlp", f"http://127.0.0.1:{ports.hooks}"]
    with (here / "shop.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        _wait_until_open(f"{url}/healthz", process, here / "shop.log")
        yield url
    finally:
        _end(process)


def _settings(probes: Path, here: Path, ports: Ports) -> Path:
    """What depends on folder and ports: they come behind those of the journeys, and replace what has the same name."""
    shop, moved = os.path.join(os.path.abspath(here), "shop"), _moved(probes / "synthmon.yaml", ports)
    inbox = {"imap": f"imap://127.0.0.1:{ports.imap}", "user": "shop", "password": f"file:{shop}/mail.password"}
    logs = {"jsonl": os.path.join(glob.escape(shop), "logs", "*.jsonl"), "lag": "1s", "skew": "0.001ms"}
    told = moved | {
        "store": f"sqlite:///{os.path.join(os.path.abspath(here), 'synthmon.db')}",
        "connections": moved.get("connections", {})
        | {"books": {"sql": f"sqlite:///{quote(shop)}/books.db"}, "inbox": inbox},
        "evidence": {"logs": logs},
        "hooks": {"listen": f"127.0.0.1:{ports.hooks}"},
    }
    file = here / "demo.yaml"
    head = "# Where this demo has its history, its logs, its books and its mails; written anew by each.\n"
    file.write_text(head + json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return file


def _moved(settings: Path, ports: Ports) -> dict[str, Any]:
    """The systems and connections of these settings, at other ports; nothing where the ports are the usual ones."""
    usual = Ports()
    if ports == usual:
        return {}
    documents, _ = read(str(settings), settings.read_text(encoding="utf-8"))
    tree = documents[0].tree if documents else {}
    text = json.dumps({part: tree[part] for part in ("systems", "connections") if part in tree})
    for here, there in ((usual.shop, ports.shop), (usual.nats, ports.nats), (usual.imap, ports.imap)):
        text = text.replace(f"127.0.0.1:{here}", f"127.0.0.1:{there}")
    moved: dict[str, Any] = json.loads(text)
    return moved


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait_until_open(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until_s = time.monotonic() + _OPENS_WITHIN_S
    while time.monotonic() < until_s:
        if process.poll() is not None:
            stop(f"it ended before it was open:\n{log.read_text()[-2000:]}", FAILED)
        try:
            with opener.open(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    stop(f"{url} did not answer within {_OPENS_WITHIN_S:g}s; see {log}", FAILED)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_CLOSES_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def _folder(chosen: Path | None) -> Iterator[Path]:
    if chosen is not None:
        os.makedirs(chosen, exist_ok=True)
        yield chosen
        return
    with tempfile.TemporaryDirectory(prefix="synthmon-demo-") as made:
        yield Path(made)


def _command() -> str:
    """What to type to be us: the name alone where the shell finds it."""
    ours = Path(sys.argv[0])
    if ours.name == "__main__.py":
        return f"{os.path.relpath(sys.executable)} -m synthmon"
    if shutil.which(ours.name) == str(ours) or not ours.is_absolute():
        return ours.name if shutil.which(ours.name) else str(ours)
    return os.path.relpath(ours)


def _shipped() -> Path:
    """The journeys in the package, or beside it in a checkout."""
    package = Path(synthmon.__file__).parent
    inside, beside = package / "demo" / "probes", package.parent / "probes"
    found = inside if inside.is_dir() else beside
    near = Path(os.path.relpath(found))
    return found if near.parts[0] == ".." else near  # as a person would write it: messages begin with it


_WELCOME = """
  The shop is open, and synthmon watches it.

    page      {page}
    metrics   {page}metrics
    shop      {shop}
    logs      {logs}

  In a second terminal, break something, and watch the page turn red:
{at}
    {us} demo faults                 what can be broken
    {us} demo break lose-event       an event is never published
    {us} demo mend lose-event

  To ask about it there, first say where this demo keeps its history:

    export SYNTHMON_SETTINGS="{settings}"
    {us} history --failed            the runs that failed, and why
    {us} investigate RUN             what happened in one of them

  Ctrl-C ends it.
"""
