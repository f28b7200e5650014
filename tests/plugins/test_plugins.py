"""What other packages add is listed, explained, offered, checked and run like our own; a bad one costs nobody else."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.documented import README
from tests.steps.speaking import listening

PACKAGES = Path(__file__).parent
PASSWORD = "Kx9!board-word"

FTP = """journey: files
every: 1m
deadline: 30s
system: shop
steps:
  - id: greeting
    ftp_banner: localhost:{port}
    expect:
      - code == {code}
      - text.endsWith("ready\\r\\n")
      - elapsed >= duration("0s")
"""
NOTICE = """journey: notices
every: 1m
deadline: 30s
system: shop
events:
  seen: {from: kept, step: noticed}
steps:
  - id: post
    send: town
    topic: lost-and-found
    json: {reference: "${run.namespace}"}
    leaves: a notice
verify:
  within: 20s
  expect:
    - once: seen
"""


@dataclass(frozen=True, slots=True)
class Installed:
    """A folder in which packages are installed, beside all that we have."""

    folder: Path

    def install(self, package: Path, work: Path) -> None:
        """As anybody would, but without a network."""
        shutil.copytree(package, work / package.name, ignore=shutil.ignore_patterns("__pycache__"))
        told = self._python(
            *("-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"),
            *("--disable-pip-version-check", "--target", str(self.folder), str(work / package.name)),
        )
        assert told.returncode == 0, told.stderr

    def add(self, name: str, group: str, points: dict[str, str], code: str = "") -> None:
        """A package as it stands in a folder once it is installed."""
        about = self.folder / f"{name.replace('-', '_')}-1.0.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in points.items()))
        if code:
            (self.folder / f"{name.replace('-', '_')}.py").write_text(code)

    def synthmon(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return self._python("-m", "synthmon", *arguments, cwd=cwd)

    def rows(self) -> dict[tuple[str, str], dict[str, Any]]:
        """What `synthmon kinds` lists, by word and origin."""
        told = self.synthmon("kinds", "--json")
        assert told.returncode == 0, told.stderr
        return {(row["word"], row["origin"]): row for row in json.loads(told.stdout)}

    def _python(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, "PYTHONPATH": f"{self.folder}{os.pathsep}{PACKAGES.parents[1]}"}
        return subprocess.run(
            [sys.executable, *arguments],
            env={**environ, "BOARD_PASSWORD": PASSWORD},
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=120,
        )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    made = Installed(tmp_path_factory.mktemp("installed"))
    for package in ("ftp_banner", "notice_board"):
        made.install(PACKAGES / package, tmp_path_factory.mktemp("work"))
    return made


@pytest.fixture
def alone(tmp_path: Path) -> Installed:
    (tmp_path / "installed").mkdir()
    return Installed(tmp_path / "installed")


def test_what_a_package_adds_is_listed_with_its_origin_and_ours_without(installed: Installed) -> None:
    rows = installed.rows()

    assert rows["ftp_banner", "synthmon-ftp-banner 0.1.0"]["what"] == "step"
    assert rows["board", "synthmon-notice-board 2.1"]["what"] == "connection"
    assert rows["notebook", "synthmon-notice-board 2.1"]["what"] == "source of evidence"
    assert rows["http", ""]["unusable"] == ""
    assert "[from: synthmon-ftp-banner 0.1.0]" in installed.synthmon("kinds").stdout


@pytest.mark.parametrize(
    ("word", "said"),
    [("ftp_banner", "Where to: `host:port`."), ("board", "topic (must be there)"), ("notebook", "The file.")],
)
def test_its_manual_is_shown(installed: Installed, word: str, said: str) -> None:
    told = installed.synthmon("explain", word)

    assert told.returncode == 0
    assert f"`{word}`" in told.stdout
    assert said in told.stdout
    assert "It comes with synthmon-" in told.stdout


def test_editors_are_offered_it(installed: Installed) -> None:
    journeys = Draft202012Validator(json.loads(installed.synthmon("schema").stdout))
    settings = Draft202012Validator(json.loads(installed.synthmon("schema", "--settings").stdout))
    step = {"ftp_banner": "localhost:21", "expect": ["code == 220"]}

    assert journeys.is_valid({"journey": "a", "every": "1m", "steps": [step]})
    assert not journeys.is_valid({"journey": "a", "every": "1m", "steps": [{**step, "baner": 1}]})
    assert settings.is_valid({"connections": {"town": {"board": "h:1"}}, "evidence": {"kept": {"notebook": "f"}}})
    assert not settings.is_valid({"connections": {"town": {"board": "h:1", "colour": "red"}}})


def test_a_probe_with_it_is_checked_to_the_key(installed: Installed, tmp_path: Path) -> None:
    (tmp_path / "synthmon.yaml").write_text("systems: {shop: {base: http://localhost}}\n")
    good, wrong = FTP.format(port=2121, code=220), FTP.format(port=2121, code=220) + "    untill: ready\n"
    (tmp_path / "good.yaml").write_text(good)
    (tmp_path / "wrong.yaml").write_text(wrong.replace("code ==", "cod ==").replace("journey: files", "journey: two"))
    (tmp_path / "place.yaml").write_text(good.replace("localhost:2121", "localhost").replace("files", "three"))

    fine = installed.synthmon("check", "good.yaml", cwd=tmp_path)
    bad = installed.synthmon("check", "wrong.yaml", "place.yaml", cwd=tmp_path)

    assert fine.returncode == 0, fine.stdout + fine.stderr
    assert bad.returncode == 3
    said = bad.stdout + bad.stderr
    assert re.search(r"wrong\.yaml:12:5 \S+untill  There is no key `untill`.*\[unknown-key\]", said), said
    assert re.search(r"wrong\.yaml:9:9 .*`cod`.*`code`.*\[undeclared-name\]", said), said
    assert re.search(r"place\.yaml:7:17 \S+  'localhost' is not a host and a port\. Write host:21\.", said), said


async def test_it_is_run_against_a_real_server_and_only_where_it_may(installed: Installed, tmp_path: Path) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220-welcome\r\n")
        await writer.drain()
        writer.write(b"220 ready\r\n")
        await reader.read()

    async with listening(greet) as server:
        passed = await _run(installed, tmp_path, FTP.format(port=server.port, code=220))
        failed = await _run(installed, tmp_path, FTP.format(port=server.port, code=120))
        made = server.connections
        elsewhere = FTP.format(port=server.port, code=220).replace("localhost:", "${'127.0.0.1'}:")
        refused = await _run(installed, tmp_path, elsewhere)
        unheard = server.connections - made

    assert passed["outcome"] == "passed", passed
    assert (failed["outcome"], failed["reason"]) == ("failed", "expectation")
    assert "code is 220" in failed["message"]
    assert (refused["outcome"], refused["reason"], unheard) == ("unknown", "egress_blocked", 0), refused


async def test_a_connection_and_a_source_of_another_package_carry_a_journey(
    installed: Installed, tmp_path: Path
) -> None:
    async with _board(tmp_path / "notebook") as port:
        record = await _run(
            installed,
            tmp_path,
            NOTICE,
            f"connections: {{town: {{board: 'localhost:{port}', password: 'env:BOARD_PASSWORD', writes: true}}}}\n"
            f"evidence: {{kept: {{notebook: {tmp_path / 'notebook'}, lag: 200ms}}}}\n",
        )

    (noticed,) = (tmp_path / "notebook").read_text().splitlines()
    assert record["outcome"] == "passed", record
    assert record["run_id"] in json.loads(noticed)["headers"]["traceparent"]
    assert PASSWORD not in json.dumps(record)


BROKEN = {
    "synthmon-stranger": ({"stranger": "synthmon_stranger:KIND"}, "import a_library_that_is_not_there\n"),
    "synthmon-quitter": ({"quitter": "synthmon_quitter:KIND"}, "raise SystemExit(7)\n"),
    "synthmon-empty": ({"empty": "synthmon_empty:KIND"}, "KINDS = 1\n"),
    "synthmon-half": (
        {"half": "synthmon_half:KIND"},
        "class Half:\n    word, manual, extra, library, offers, via, keys = 'half', 'm', '', '', {}, 'nothing', dict\n"
        "    def compile(self, keys, make): ...\n\nKIND = Half()\n",
    ),
}
WHY = {
    "stranger": "cannot be imported (ModuleNotFoundError: No module named 'a_library_that_is_not_there')",
    "quitter": "cannot be imported (SystemExit: 7)",
    "empty": "synthmon_empty has no KIND",
    "half": "its KIND has no perform",
}


def test_broken_packages_cost_nobody_else_and_say_what_is_wrong(alone: Installed, tmp_path: Path) -> None:
    for name, (points, code) in BROKEN.items():
        alone.add(name, "synthmon.steps", points, code)
    (tmp_path / "good.yaml").write_text(
        "journey: a\nevery: 1m\nsteps:\n  - tcp: localhost:1\n    expect: [text == '']\n"
    )
    words = "".join(f"  - {word}: somewhere\n    expect: [a == 1]\n" for word in WHY)
    (tmp_path / "bad.yaml").write_text(f"journey: b\nevery: 1m\nsteps:\n{words}")

    rows, listing = alone.rows(), alone.synthmon("kinds")
    fine, bad = alone.synthmon("check", "good.yaml", cwd=tmp_path), alone.synthmon("check", "bad.yaml", cwd=tmp_path)

    assert fine.returncode == 0, fine.stdout + fine.stderr
    assert rows["http", ""]["unusable"] == ""
    for word, why in WHY.items():
        assert why in rows[word, f"synthmon-{word} 1.0"]["unusable"]
        assert f"cannot be used: {rows[word, f'synthmon-{word} 1.0']['unusable']}" in listing.stdout
        assert f"`{word}` of synthmon-{word} 1.0 cannot be used" in alone.synthmon("explain", word).stdout
    said = re.findall(r"bad\.yaml:(\d+):5 \S+\.(\w+)  .*\[broken-kind\]", bad.stdout + bad.stderr)
    assert said == [(str(4 + 2 * i), word) for i, word in enumerate(WHY)], bad.stdout + bad.stderr
    assert alone.synthmon("schema").returncode == 0


def test_of_two_packages_with_one_word_neither_counts_and_of_ours_ours(alone: Installed) -> None:
    code = (PACKAGES / "ftp_banner" / "synthmon_ftp_banner.py").read_text()
    for name in ("synthmon-one", "synthmon-two"):
        alone.add(name, "synthmon.steps", {"ftp_banner": f"{name.replace('-', '_')}:KIND"}, code)
    alone.add(
        "synthmon-thief",
        "synthmon.steps",
        {"tcp": "synthmon_thief:KIND"},
        code.replace('word: str = "ftp_banner"', 'word: str = "tcp"').replace("    ftp_banner: str", "    tcp: str"),
    )

    rows = alone.rows()

    one, two = rows["ftp_banner", "synthmon-one 1.0"], rows["ftp_banner", "synthmon-two 1.0"]
    assert one["unusable"] == "the word belongs to synthmon-two 1.0 as well"
    assert two["unusable"] == "the word belongs to synthmon-one 1.0 as well"
    assert rows["tcp", ""]["unusable"] == ""
    assert rows["tcp", "synthmon-thief 1.0"]["unusable"] == "the word belongs to synthmon as well"


def test_what_fails_while_it_compiles_costs_its_own_journey_only(alone: Installed, tmp_path: Path) -> None:
    code = (PACKAGES / "ftp_banner" / "synthmon_ftp_banner.py").read_text()
    code = code.replace('return FtpBannerSpec(make.template(keys.ftp_banner, ("ftp_banner",)))', 'return {}["gone"]')
    alone.add("synthmon-ftp", "synthmon.steps", {"ftp_banner": "synthmon_ftp:KIND"}, code)
    (tmp_path / "ftp.yaml").write_text(FTP.format(port=21, code=220).replace("system: shop\n", ""))
    (tmp_path / "tcp.yaml").write_text(
        "journey: a\nevery: 1m\nsteps:\n  - tcp: localhost:1\n    expect: [text == '']\n"
    )

    told = alone.synthmon("check", ".", cwd=tmp_path)

    said = told.stdout + told.stderr
    assert "ftp.yaml:6:5" in said
    assert "`ftp_banner` of synthmon-ftp 1.0 failed: KeyError: 'gone'. Tell whoever wrote that kind." in said
    assert "tcp.yaml" not in said


def test_a_library_that_is_missing_is_asked_for_by_the_name_of_its_own_package(
    alone: Installed, tmp_path: Path
) -> None:
    code = (PACKAGES / "ftp_banner" / "synthmon_ftp_banner.py").read_text()
    code = code.replace('extra: str = ""', 'extra: str = "fast"').replace(
        'library: str = ""', 'library: str = "no.ftp"'
    )
    alone.add("synthmon-ftp", "synthmon.steps", {"ftp_banner": "synthmon_ftp:KIND"}, code)
    (tmp_path / "ftp.yaml").write_text(FTP.format(port=21, code=220).replace("system: shop\n", ""))

    told = alone.synthmon("check", "ftp.yaml", cwd=tmp_path)

    assert alone.rows()["ftp_banner", "synthmon-ftp 1.0"]["needs"] == "pip install 'synthmon-ftp[fast]'"
    assert "pip install 'synthmon-ftp[fast]'. [missing-extra]" in told.stdout + told.stderr


def test_readme_shows_exactly_this_package() -> None:
    section = README.read_text().partition("## A kind of your own")[2].partition("\n## ")[0]

    blocks = re.findall(r"^~~~~(?:python|toml)\n(.*?)^~~~~$", section, re.DOTALL | re.MULTILINE)
    package = PACKAGES / "ftp_banner"
    assert blocks == [(package / file).read_text() for file in ("synthmon_ftp_banner.py", "pyproject.toml")]


async def _run(installed: Installed, folder: Path, probe: str, more: str = "") -> dict[str, Any]:
    (folder / "probe.yaml").write_text(probe)
    (folder / "synthmon.yaml").write_text(
        f"store: 'memory:'\nsystems: {{shop: {{base: http://localhost, writes: true}}}}\n{more}"
    )
    told = await asyncio.to_thread(installed.synthmon, "run", "probe.yaml", "--json", cwd=folder)
    assert told.returncode in (0, 1, 2), told.stdout + told.stderr
    record: dict[str, Any] = json.loads(told.stdout)
    return record


@asynccontextmanager
async def _board(notebook: Path) -> AsyncIterator[int]:
    """A notice board that wants its password first, and writes each notice into its notebook."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == f"{PASSWORD}\n".encode()
        while line := await reader.readline():
            notice = {**json.loads(line), "step": "noticed", "time": datetime.now(UTC).isoformat(), "id": "n1"}
            await asyncio.to_thread(notebook.write_text, json.dumps(notice) + "\n")
            writer.write(b"ok\n")

    async with listening(serve) as server:
        yield server.port
