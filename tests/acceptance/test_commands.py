"""The command line as CI and people use it: exit codes, what goes to which stream, and files."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from junitparser import JUnitXml

import synthmon
from tests.acceptance.things import Things, serving_things

GOOD = """
journey: making
every: 1m
deadline: 10s
system: things
vars:
  reference: ${run.namespace}
steps:
  - id: one
    http: POST /things
    json: {reference: "${vars.reference}"}
    expect:
      - status == 201
    save:
      id: body.id
    undo:
      http: DELETE /things/${one.id}
      find:
        http: GET /things
        params: {reference: "${vars.reference}"}
        save:
          id: body.things[0].id
      ttl: 10m
    repeatable: true
  - id: listed
    http: GET /things
    params: {reference: "${vars.reference}"}
    expect:
      - size(body.things) == 1
"""
FAILING = GOOD.replace("journey: making", "journey: failing").replace(
    "size(body.things) == 1", "size(body.things) == 7"
)
UNKNOWN = """
journey: unknown
every: 1m
deadline: 10s
system: things
vars:
  host: elsewhere.example.com
steps:
  - id: abroad
    http: GET http://${vars.host}/
    expect:
      - status == 200
"""
WRONG = GOOD.replace("journey: making", "journey: wrong").replace("one.id}", "one.identifier}")


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Bench:
    """A folder with probes and settings for a target that counts."""

    folder: Path
    things: Things

    def write(self, *texts: str) -> None:
        for text in texts:
            name = next(line for line in text.splitlines() if line.startswith("journey: ")).split()[1]
            (self.folder / "probes" / f"{name}.yaml").write_text(text)

    def run(self, *arguments: str, before: tuple[str, ...] = ()) -> Done:
        command = [*before, sys.executable, "-m", "synthmon", *arguments]
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    things = Things()
    with serving_things(things) as url:
        (tmp_path / "probes").mkdir()
        (tmp_path / "synthmon.yaml").write_text(f'systems:\n  things: {{base: "{url}", writes: true}}\n')
        yield Bench(tmp_path, things)


# check ------------------------------------------------------------------------------------------------------------


def test_check_of_good_files_ends_with_0_and_sends_nothing(bench: Bench) -> None:
    bench.write(GOOD, FAILING)

    done = bench.run("check", "probes")

    assert (done.code, done.out) == (0, "")
    assert "2 journeys, 0 errors" in done.err
    assert bench.things.requests == []


def test_check_tells_every_mistake_with_its_line_and_ends_with_3(bench: Bench) -> None:
    bench.write(GOOD, WRONG)
    line = next(at for at, text in enumerate(WRONG.splitlines(), 1) if "one.identifier" in text)

    done = bench.run("check", "probes")
    as_json = bench.run("check", "probes", "--json")

    assert done.code == as_json.code == 3
    assert f"probes/wrong.yaml:{line}:" in done.err
    assert "1 journey, " in done.err
    assert as_json.json["journeys"] == ["making"]
    told = [problem for problem in as_json.json["problems"] if problem["level"] == "error"]
    assert {(Path(problem["file"]).name, problem["line"]) for problem in told} == {("wrong.yaml", line)}
    assert all(problem["fault"] and problem["remedy"] and problem["code"] for problem in told)


def test_check_of_a_path_that_is_not_there_ends_with_3(bench: Bench) -> None:
    done = bench.run("check", "no-such-folder")

    assert done.code == 3
    assert "no-such-folder" in done.err


def test_check_of_a_folder_without_a_journey_is_not_green(bench: Bench) -> None:
    done, as_json = bench.run("check", "probes"), bench.run("check", "probes", "--json")

    assert done.code == as_json.code == 3
    assert "There is no journey in probes." in done.err
    assert as_json.json == {"journeys": [], "problems": []}


def test_check_says_which_of_its_lines_is_only_a_warning(bench: Bench) -> None:
    bench.write(GOOD.replace("journey: making", "journey: slow").replace("every: 1m", "every: 5s"), WRONG)

    done = bench.run("check", "probes")

    slow, wrong = (
        [line for line in done.err.splitlines() if line.startswith(f"probes/{name}.yaml:")]
        for name in ("slow", "wrong")
    )
    assert slow
    assert all("  warning: " in line for line in slow)
    assert wrong
    assert not any("warning: " in line for line in wrong)


# run --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code", "outcome"), [(GOOD, 0, "passed"), (FAILING, 1, "failed"), (UNKNOWN, 2, "unknown")]
)
def test_run_ends_with_the_code_of_its_outcome_and_prints_nothing_but_json(
    bench: Bench, text: str, code: int, outcome: str
) -> None:
    bench.write(text)
    (file,) = (bench.folder / "probes").iterdir()

    done = bench.run("run", str(file), "--json")

    assert (done.code, done.json["outcome"]) == (code, outcome), done.err
    assert bench.things.left() == {}


def test_run_of_a_file_with_a_mistake_ends_with_3_and_sends_nothing(bench: Bench) -> None:
    bench.write(WRONG)

    done = bench.run("run", "probes/wrong.yaml")
    missing = bench.run("run", "no-such-journey")

    assert (done.code, missing.code) == (3, 3)
    assert "wrong.yaml:" in done.err
    assert "no-such-journey" in missing.err
    assert bench.things.requests == []


def test_run_of_a_failure_shows_step_expectation_and_value_to_a_person(bench: Bench) -> None:
    bench.write(FAILING)

    done = bench.run("run", "failing")

    assert done.code == 1
    for words in ("listed", "size(body.things) == 7", "size(body.things) is 1"):
        assert words in done.out


def test_run_times_runs_it_that_often_and_the_worst_run_decides(bench: Bench) -> None:
    bench.write(GOOD, FAILING)

    good = bench.run("run", "making", "--times", "3", "--json")
    both = bench.run("run", "probes", "--times", "2", "--json")

    assert (good.code, both.code) == (0, 1)
    assert [run["outcome"] for run in good.json] == ["passed"] * 3
    assert sorted(run["journey"] for run in both.json) == ["failing", "failing", "making", "making"]
    assert len({run["run_id"] for run in (*good.json, *both.json)}) == 7
    assert len(bench.things.made) == 7
    assert bench.things.left() == {}


def test_run_junit_writes_a_report_that_a_ci_server_reads(bench: Bench) -> None:
    bench.write(GOOD, FAILING)

    done = bench.run("run", "probes", "--junit", "report.xml")

    report = JUnitXml.fromfile(str(bench.folder / "report.xml"))
    suites = {suite.name: suite for suite in report}
    assert done.code == 1
    assert (suites["making"].tests, suites["making"].failures, suites["making"].errors) == (2, 0, 0)
    assert (suites["failing"].tests, suites["failing"].failures, suites["failing"].errors) == (2, 1, 0)
    (failure,) = (result for case in suites["failing"] for result in case.result)
    assert "size(body.things) is 1" in failure.message


def test_a_dry_run_shows_what_would_be_sent_and_sends_nothing(bench: Bench) -> None:
    bench.write(GOOD)

    done = bench.run("run", "making", "--dry-run")

    assert done.code == 0
    assert "POST /things" in done.out
    assert "size(body.things) == 1" in done.out
    assert "taken back by DELETE /things/ONE_ID, at the latest after 10m" in done.out
    assert bench.things.requests == []


def test_a_dry_run_names_the_request_that_waits_for_a_value_of_an_earlier_step(bench: Bench) -> None:
    bench.write(
        GOOD.replace(
            'http: GET /things\n    params: {reference: "${vars.reference}"}\n    expect:',
            "http: GET /things/${one.id}\n    expect:",
        )
    )

    done = bench.run("run", "making", "--dry-run")

    assert "GET /things/ONE_ID, with one.id from steps before" in done.out


@pytest.mark.platform_limit("netns")
def test_a_dry_run_needs_no_network_at_all(bench: Bench) -> None:
    bench.write(GOOD)

    without = bench.run("run", "making", "--dry-run", before=("unshare", "--net"))
    real = bench.run("run", "making", before=("unshare", "--net"))

    assert without.code == 0
    assert without.out == bench.run("run", "making", "--dry-run").out
    assert real.code != 0  # there is no network: that the first line means something


# history and show -------------------------------------------------------------------------------------------------


def test_history_and_show_tell_what_was_run(bench: Bench) -> None:
    bench.write(GOOD, FAILING)
    settings = bench.folder / "synthmon.yaml"
    settings.write_text(settings.read_text() + "store: sqlite:///kept.db\n")
    ran = bench.run("run", "probes", "--json").json
    failed = next(run for run in ran if run["outcome"] == "failed")

    everything = bench.run("history", "--json")
    bad = bench.run("history", "--failed", "--json")
    mine = bench.run("history", "making", "--json")
    words = bench.run("history")
    shown = bench.run("show", failed["run_id"][:8])
    whole = bench.run("show", failed["run_id"], "--json")

    assert {run["run_id"] for run in everything.json} == {run["run_id"] for run in ran}
    assert [run["run_id"] for run in bad.json] == [failed["run_id"]]
    assert [run["journey"] for run in mine.json] == ["making"]
    assert failed["run_id"][:12] in words.out
    assert "failed" in words.out
    assert "size(body.things) is 1" in shown.out
    assert whole.json["run_id"] == failed["run_id"]
    assert [step["id"] for step in whole.json["steps"]] == ["one", "listed"]


def test_history_and_show_of_what_is_not_there_end_with_3_and_a_sentence(bench: Bench) -> None:
    bench.write(GOOD)
    bench.run("run", "making", "--store", "sqlite:///kept.db")

    nowhere = bench.run("history", "--store", "sqlite:///none.db")
    nobody = bench.run("show", "0123456789abcdef", "--store", "sqlite:///kept.db")

    assert (nowhere.code, nobody.code) == (3, 3)
    assert "none.db" in nowhere.err
    assert "0123456789abcdef" in nobody.err
    assert not (bench.folder / "none.db").exists()


# the manual -------------------------------------------------------------------------------------------------------


def test_explain_tells_topics_and_codes_and_ends_with_3_for_what_is_unknown(bench: Bench) -> None:
    bench.write(WRONG)
    code = bench.run("check", "probes", "--json").json["problems"][0]["code"]

    done = [bench.run("explain", *topic) for topic in ((), ("http",), ("within",), ("functions",), (code,))]
    unknown = bench.run("explain", "no-such-topic")

    assert [one.code for one in done] == [0] * 5
    assert all(len(one.out) > 40 for one in done)
    assert len({one.out for one in done}) == 5
    assert unknown.code == 3
    assert "no-such-topic" in unknown.err


def test_schema_is_a_json_schema_that_takes_good_probes_and_refuses_bad_ones(bench: Bench) -> None:
    probes, settings = bench.run("schema").json, bench.run("schema", "--settings").json

    for schema in (probes, settings):
        jsonschema.validators.validator_for(schema).check_schema(schema)
    judge = jsonschema.validators.validator_for(probes)(probes)
    assert judge.is_valid(yaml.safe_load(GOOD))
    assert not judge.is_valid(yaml.safe_load(GOOD.replace("deadline:", "dedline:")))
    of_settings = jsonschema.validators.validator_for(settings)(settings)
    assert of_settings.is_valid(yaml.safe_load((bench.folder / "synthmon.yaml").read_text()))
    assert not of_settings.is_valid({"sistems": {}})


def test_version_and_help_end_with_0(bench: Bench) -> None:
    version, help_ = bench.run("--version"), bench.run("--help")

    assert (version.code, version.out) == (0, f"synthmon {synthmon.__version__}\n")
    assert help_.code == 0
    for command in ("check", "run", "serve", "history", "show", "explain", "schema", "demo"):
        assert command in help_.out


# what is asked wrongly ----------------------------------------------------------------------------------------------


def test_serve_on_an_open_address_without_a_token_ends_with_3_and_a_sentence(bench: Bench) -> None:
    bench.write(GOOD)

    done = bench.run("serve", "probes", "--listen", "0.0.0.0:0", "--store", "memory:")

    assert done.code == 3
    assert "token" in done.err


def test_serve_for_a_while_that_cannot_be_read_ends_with_3_and_a_sentence(bench: Bench) -> None:
    bench.write(GOOD)

    done = bench.run("serve", "probes", "--listen", "127.0.0.1:0", "--store", "memory:", "--for", "a while")

    assert done.code == 3
    assert "a while" in done.err
