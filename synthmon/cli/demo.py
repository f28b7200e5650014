"""`synthmon demo`: an event-driven shop, the daemon that watches it, and switches to break it."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.text import Text

import synthmon
from synthmon.cli.output import FAILED, people, screen, stop
from synthmon.demo.client import DemoTrouble, break_fault, faults, mend

SHOP_PORT, NATS_PORT, IMAP_PORT, LISTEN, HOOKS = 9870, 9872, 9873, "127.0.0.1:9880", "127.0.0.1:9881"
_OPENS_WITHIN_S, _CLOSES_WITHIN_S = 30.0, 15.0

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
) -> None:
    """Start the shop, the daemon and the page; the journeys shipped with synthmon run every few seconds."""
    if context.invoked_subcommand is not None:
        return
    for number in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C: a closed terminal must leave no shop behind
        signal.signal(number, signal.default_int_handler)
    with _folder(folder) as here, _shop(here) as shop_url:
        raise typer.Exit(_daemon(probes or _shipped(), here, shop_url, for_))


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


def _daemon(probes: Path, here: Path, shop_url: str, for_: str) -> int:
    said = people()

    command = [sys.executable, "-m", "synthmon", "serve", str(probes), "--settings", str(probes / "synthmon.yaml")]
    command += [
        "--settings",
        str(_settings(here)),
        "--listen",
        LISTEN,
        *(["--for", for_] if for_ else []),
    ]
    with (here / "daemon.log").open("ab") as log:
        process = subprocess.Popen(command, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        _wait_until_open(f"http://{LISTEN}/readyz", process, here / "daemon.log")
        settings = f"{probes / 'synthmon.yaml'} {os.path.abspath(here / 'demo.yaml')}"
        words = {"page": f"http://{LISTEN}/", "shop": shop_url, "logs": here, "us": _command(), "settings": settings}
        said.print(_WELCOME.format(**words), soft_wrap=True)
        return process.wait()
    except KeyboardInterrupt:
        said.print("stopping: runs that are under way take back what they made …")
        return 0
    finally:
        _end(process)


@contextlib.contextmanager
def _shop(here: Path) -> Iterator[str]:
    """The shop as a process of its own, in its own session, so that Ctrl-C reaches the daemon first."""
    url = f"http://127.0.0.1:{SHOP_PORT}"
    command = [sys.executable, "-m", "synthmon.demo", "--port", str(SHOP_PORT), "--dir", str(here / "shop")]
    command += ["--nats-port", str(NATS_PORT), "--imap-port", str(IMAP_PORT), "--otlp", f"http://{HOOKS}"]
    with (here / "shop.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        _wait_until_open(f"{url}/healthz", process, here / "shop.log")
        yield url
    finally:
        _end(process)


def _settings(here: Path) -> Path:
    """What depends on the folder: they come behind those of the journeys, and replace what has the same name."""
    shop = os.path.join(os.path.abspath(here), "shop")
    logs = os.path.join(glob.escape(shop), "logs", "*.jsonl")
    books, password = f"sqlite:///{quote(shop)}/books.db", f"file:{shop}/mail.password"
    history = f"sqlite:///{os.path.join(os.path.abspath(here), 'synthmon.db')}"
    file = here / "demo.yaml"
    file.write_text(f"""# Where this demo has its history, its logs, its books and its mails; written anew by each.
store: {json.dumps(history)}
connections:
  books: {{sql: {json.dumps(books)}}}
  inbox: {{imap: "imap://127.0.0.1:{IMAP_PORT}", user: shop, password: {json.dumps(password)}}}
evidence:
  logs: {{jsonl: {json.dumps(logs)}, lag: 1s, skew: 0.001ms}}
hooks: {{listen: "{HOOKS}"}}
""")
    return file


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

    {us} demo faults                 what can be broken
    {us} demo break lose-event       an event is never published
    {us} demo mend lose-event

  To ask about it there, first say where this demo keeps its history:

    export SYNTHMON_SETTINGS="{settings}"
    {us} history --failed            the runs that failed, and why
    {us} investigate RUN             what happened in one of them

  Ctrl-C ends it.
"""
