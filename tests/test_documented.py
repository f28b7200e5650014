"""What README promises is true: commands, kinds, metrics, samples, files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

from synthmon.cli.main import app
from synthmon.language.connections import find_connections
from synthmon.language.kinds import STRUCTURE, find_kinds
from synthmon.language.load import load
from tests.documented import README, metrics_table, section

ROOT = README.parent
TEXT = README.read_text()


def test_the_table_of_metrics_is_that_of_the_code() -> None:
    """If it is not: `python -m tests.documented`."""
    assert section("metrics", TEXT) == metrics_table()


def test_every_command_stands_in_the_table_and_no_other() -> None:
    table = TEXT[TEXT.index("## Commands") : TEXT.index("## Metrics")]
    told = set(re.findall(r"^\| `synthmon (\w+)", table, re.MULTILINE))

    assert told == set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def test_every_option_that_is_named_exists() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    table = TEXT[TEXT.index("## Commands") : TEXT.index("## Metrics")]
    for name, rest in re.findall(r"^\| `synthmon (\w+)[^|]*`([^\n]*)", table, re.MULTILINE):
        known = {option for param in commands[name].params for option in param.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= known, name


def test_every_kind_of_step_is_told() -> None:
    table = TEXT[TEXT.index("**Steps.**") : TEXT.index("**Messages.**")]

    assert set(re.findall(r"^\| `(\w+)", table, re.MULTILINE)) == {*find_kinds(), *STRUCTURE}


def test_the_first_journey_of_readme_loads_with_its_settings(tmp_path: Path) -> None:
    own = re.sub(r"^~~~~.*?^~~~~$", "", TEXT, flags=re.DOTALL | re.MULTILINE)  # a file with a manual of its own in it
    journey, settings = re.findall(r"```yaml\n(.*?)```", own, re.DOTALL)
    (tmp_path / "journey.yaml").write_text(journey)
    (tmp_path / "clerks.yaml").write_text("- {name: clerk-1, password: not-a-real-one}\n")
    (tmp_path / "sessions").mkdir()
    (tmp_path / "sessions" / "login.yaml").write_text(
        "steps:\n"
        "  - id: token\n"
        "    http: POST /login\n"
        '    json: {key: "${secret.api_token}"}\n'
        "    leaves: nothing\n"
        "    expect:\n"
        "      - status == 200\n"
        "    save:\n"
        "      value: secret(body.token)\n"
    )
    (tmp_path / "synthmon.yaml").write_text(settings)

    loaded = load([tmp_path / "journey.yaml"], [tmp_path / "synthmon.yaml"], environ={"API_TOKEN": "x" * 20})

    assert not loaded.errors, "\n".join(map(str, loaded.errors))
    assert [journey.name for journey in loaded.journeys] == ["order-to-ledger"]


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", TEXT))))
def test_every_link_leads_somewhere(target: str) -> None:
    assert (ROOT / target).exists()


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert set(re.findall(r"`?make (\w+)", TEXT)) <= targets


def test_the_code_block_of_rooms_names_every_room() -> None:
    block = TEXT[TEXT.index("synthmon/\n  cli/") :]
    told = set(re.findall(r"^  (\w+)/", block[: block.index("```")], re.MULTILINE))
    rooms = {folder.parent.name for folder in (ROOT / "synthmon").glob("*/__init__.py")}

    assert told == rooms


def test_every_kind_of_connection_is_told() -> None:
    table = TEXT[TEXT.index("| connection | is |") :].partition("\n\n")[0]

    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(find_connections())
