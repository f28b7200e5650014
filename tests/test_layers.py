"""The house stands: imports point down and never in a circle, the core touches nothing outside, one door a library."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "synthmon"

MAY_IMPORT = {
    "core": set(),
    "steps": {"core"},
    "connections": {"core"},
    "evidence": {"core"},
    "identities": {"core"},
    "store": {"core"},
    "language": {"core", "identities"},  # fields and literals are refused when a file is loaded
    "metrics": {"core"},
    "web": {"core"},
    "imports": {"core", "language", "identities"},
    "runtime": {"core", "language", "identities", "store", "metrics", "web"},  # the daemon puts the house together
    "demo": set(),
    "cli": {"core", "language", "identities", "store", "metrics", "web", "imports", "runtime", "demo"},
}
"""Room → rooms it may import. Steps are found by name, never imported by the shell."""

ONE_DOOR = {
    "websockets": {"steps/websocket_frames.py"},
    "grpc": {"steps/grpc_call.py", "steps/grpc_methods.py"},
    "grpc_reflection": {"steps/grpc_methods.py"},
    "google": {"steps/grpc_methods.py"},
    "dns": {"steps/dns.py"},
    "h11": {"steps/sse_stream.py", "runtime/browser/relay.py", "runtime/browser/proxy.py"},
    "playwright": {f"runtime/browser/{file}.py" for file in ("chromium", "visits", "way", "acting", "looking")},
    "cryptography": {"runtime/browser/authority.py"},
    "apscheduler": {"runtime/clock.py"},
    "faker": {"identities/invent.py"},
    "yaml": {"language/documents.py"},
    "cel_expr_python": {"core/expressions.py"},
    "prometheus_client": {"metrics/own.py"},
    "aiormq": {"connections/amqp.py", "connections/amqp_messages.py", "connections/amqp_words.py"},
    "aiokafka": {
        "connections/kafka.py",
        *(f"connections/pinned/{file}.py" for file in ("kafka", "kafka_calls", "kafka_ear")),
    },
    "redis": {"connections/redis.py", "connections/pinned/redis.py", "connections/pinned/redis_ears.py"},
    "aiobotocore": {"connections/aws/client.py"},
    "botocore": {"connections/aws/client.py", "connections/aws/words.py"},
    "aiohttp": {"connections/aws/client.py"},
    "paho": {"connections/mqtt_session.py"},
    "pymysql": {"connections/sql_mysql.py"},
    "nats": {"demo/nats_bus.py", "connections/nats.py"},  # what is tested, and the monitor: neither knows the other
}
"""Library → the files that may import it."""

NOT_IN_CORE = {
    *("asyncio", "socket", "ssl", "threading", "multiprocessing", "subprocess", "selectors", "signal"),
    *("os", "io", "pathlib", "shutil", "tempfile", "time", "random", "secrets", "sqlite3", "logging"),
    *("httpx", "starlette", "sqlalchemy", "structlog", "anyio", "urllib.request", "http"),
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@cache
def imports_of(file: Path) -> tuple[tuple[str, int], ...]:
    """Every module that a file imports, with the line; those for type checkers too."""
    return tuple(_imports(file))


def _imports(file: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if parts[0] == "synthmon" and len(parts) > 1 else ""


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_imports_of_a_room_point_down(room: str) -> None:
    wrong = [
        f"{file.relative_to(ROOT)}:{line} imports {name}"
        for file in sorted((PACKAGE / room).rglob("*.py"))
        for name, line in imports_of(file)
        if room_of(name) in MAY_IMPORT and room_of(name) not in MAY_IMPORT[room] | {room}
    ]

    assert not wrong, "\n".join(wrong)


def test_every_room_is_known_here() -> None:
    rooms = {folder.name for folder in PACKAGE.iterdir() if folder.is_dir() and any(folder.rglob("*.py"))}

    assert rooms <= MAY_IMPORT.keys()


def test_no_file_imports_in_a_circle() -> None:
    names = {".".join(file.relative_to(ROOT).with_suffix("").parts): file for file in modules()}
    arrows = {
        name: {imported for imported, _ in imports_of(file) if imported in names and imported != name}
        for name, file in names.items()
    }

    assert _circle(arrows) == []


def _circle(arrows: dict[str, set[str]]) -> list[str]:
    done: set[str] = set()

    def visit(name: str, trail: list[str]) -> list[str]:
        if name in trail:
            return [*trail[trail.index(name) :], name]
        if name in done:
            return []
        for imported in sorted(arrows[name]):
            if found := visit(imported, [*trail, name]):
                return found
        done.add(name)
        return []

    for name in sorted(arrows):
        if found := visit(name, []):
            return found
    return []


def test_a_circle_would_be_found() -> None:
    assert _circle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == ["a", "b", "c", "a"]


def test_the_core_touches_nothing_outside() -> None:
    wrong = []
    for file in sorted((PACKAGE / "core").rglob("*.py")):
        tree = ast.parse(file.read_text())
        wrong += [f"{file.name}:{line} imports {name}" for name, line in imports_of(file) if name in NOT_IN_CORE]
        for node in ast.walk(tree):
            if isinstance(node, ast.Await | ast.AsyncWith | ast.AsyncFor):
                wrong.append(f"{file.name}:{node.lineno} awaits")
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("open", "print", "datetime.now", "input"):
                wrong.append(f"{file.name}:{node.lineno} calls {ast.unparse(node.func)}")

    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("library", sorted(ONE_DOOR))
def test_each_library_has_one_door(library: str) -> None:
    importers = {
        str(file.relative_to(PACKAGE))
        for file in modules()
        for name, _ in imports_of(file)
        if name.partition(".")[0] == library
    }

    assert importers <= ONE_DOOR[library]


def test_only_the_runtime_speaks_http() -> None:
    importers = {
        file.relative_to(PACKAGE).parts[0]
        for file in modules()
        for name, _ in imports_of(file)
        if name.partition(".")[0] in ("httpx", "httpcore", "httptools")
    }

    assert importers == {"runtime"}


def test_a_new_kind_of_step_is_found_and_not_imported() -> None:
    importers = [
        f"{file.relative_to(ROOT)}:{line}"
        for file in modules()
        if file.parent.name != "steps"
        for name, line in imports_of(file)
        if name.startswith("synthmon.steps")
    ]

    assert not importers


def test_folders_of_the_top_level_are_those_that_were_agreed() -> None:
    known = {"synthmon", "probes", "tests", "deploy", ".ci", ".git", ".venv", "dist"}
    folders = {entry.name for entry in ROOT.iterdir() if entry.is_dir() and not entry.name.startswith((".", "__"))}

    assert folders <= known | {f"{name}.egg-info" for name in ("synthmon",)}
