"""A kind of step from outside is known to the language without another line."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from pydantic import BaseModel, ConfigDict, Field

from synthmon.core.door import Door, Envelope, Trouble
from synthmon.core.expressions import Scope
from synthmon.core.kinds import Kind, Maker
from synthmon.core.templates import Template
from synthmon.language.explain import explain
from synthmon.language.json_schema import json_schema
from synthmon.language.kinds import find_kinds, merge_kinds
from synthmon.language.load import Loaded, load
from tests.language.paths import SETTINGS


class EchoKeys(BaseModel):
    """The keys of `echo`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    echo: str = Field(description="What to say.")
    loud: bool = Field(False, description="Say it loudly.")


@dataclass(frozen=True, slots=True, eq=False)
class EchoSpec:
    """What is said."""

    text: Template
    kind: str = "echo"
    effect: bool = False

    @property
    def refs(self) -> frozenset[str]:
        return self.text.refs

    def render(self, scope: Scope) -> str:
        return self.text.render_text(scope)

    def see(self, request: Any, answer: Any) -> Mapping[str, Any]:
        return {"heard": answer}

    def describe(self, request: Any, answer: Any) -> str:
        return f"echo {request}"


class EchoKind:
    """`echo` says something and hears it."""

    word = "echo"
    manual = "`echo` says something and hears it."
    extra = ""
    library = ""
    via = "system"
    keys = EchoKeys
    offers: Mapping[str, str] = {"heard": "string"}

    def compile(self, keys: EchoKeys, make: Maker) -> EchoSpec:
        if keys.loud and not keys.echo.isupper():
            make.fault(("loud",), "bad-value", "This is not loud.", "Write capitals.")
        return EchoSpec(make.template(keys.echo, ("echo",)))

    async def perform(self, request: Any, door: Door, envelope: Envelope) -> Any | Trouble:
        return request


ECHO: Kind = EchoKind()
JOURNEY = """journey: echoes
every: 1m
system: shop
steps:
  - id: first
    echo: hello ${{run.id}}
    expect:
      - {check}
"""


def test_its_steps_are_compiled(tmp_path: Path) -> None:
    loaded = _load(tmp_path, JOURNEY.format(check='heard.startsWith("hello")'))

    assert loaded.problems == ()
    spec = loaded.journeys[0].steps[0].spec
    assert spec is not None
    assert spec.render(Scope({"run.id": "1"})) == "hello 1"


def test_its_keys_and_names_are_checked(tmp_path: Path) -> None:
    text = JOURNEY.format(check='herd == "a"').replace("    expect", "    lod: true\n    expect")

    loaded = _load(tmp_path, text)

    assert [(p.code, p.remedy) for p in loaded.problems] == [
        ("unknown-key", "Did you mean `loud`?"),
        ("undeclared-name", "Did you mean `heard`?"),
    ]


def test_its_own_faults_have_a_place(tmp_path: Path) -> None:
    loaded = _load(tmp_path, JOURNEY.format(check='heard == "a"').replace("    expect", "    loud: true\n    expect"))

    (problem,) = loaded.problems
    assert (problem.place.line, problem.place.column, problem.place.path) == (7, 11, "steps[0].loud")


def test_it_is_in_the_manual_and_in_the_schema() -> None:
    kinds = merge_kinds([ECHO])

    assert "What to say." in explain("echo", kinds)
    step = {"id": "a", "echo": "x", "expect": ["heard == 'x'"]}
    validator = Draft202012Validator(json_schema(kinds))
    assert validator.is_valid({"journey": "a", "every": "1m", "steps": [step]})
    assert not validator.is_valid({"journey": "a", "every": "1m", "steps": [{**step, "lod": True}]})


def test_a_library_that_is_not_installed_is_told_at_load_with_the_command(tmp_path: Path) -> None:
    class Needy(EchoKind):
        extra = "echo"
        library = "synthmon_echo_library"

    (tmp_path / "echo.yaml").write_text(JOURNEY.format(check='heard == "a"'))

    loaded = load([tmp_path / "echo.yaml"], [SETTINGS], {**find_kinds(), **merge_kinds([Needy()])}, environ={})

    (problem,) = loaded.problems
    assert (problem.code, problem.remedy) == ("missing-extra", "pip install 'synthmon[echo]'.")


def test_a_program_that_is_not_installed_is_a_warning_for_a_probe_may_be_checked_elsewhere(tmp_path: Path) -> None:
    class Starting(EchoKind):
        programs = ("synthmon-no-such-program",)
        program_at = "SYNTHMON_NO_SUCH_PROGRAM"

    (tmp_path / "echo.yaml").write_text(JOURNEY.format(check='heard == "a"'))

    loaded = load([tmp_path / "echo.yaml"], [SETTINGS], {**find_kinds(), **merge_kinds([Starting()])}, environ={})

    (problem,) = loaded.problems
    assert (problem.code, problem.level, len(loaded.journeys)) == ("missing-program", "warning", 1)
    assert "install synthmon-no-such-program, or name it in SYNTHMON_NO_SUCH_PROGRAM" in problem.remedy


def _load(folder: Path, text: str) -> Loaded:
    (folder / "echo.yaml").write_text(text)
    return load([folder / "echo.yaml"], [SETTINGS], {**find_kinds(), **merge_kinds([ECHO])}, environ={})
