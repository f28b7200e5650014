"""What is right loads without a word, and means what it says."""

from pathlib import Path

import pytest

from synthmon.core.expressions import Scope
from synthmon.core.journey import Alert, Cron, Every, Journey, Retry, Within
from synthmon.language.load import load
from tests.language.paths import GOOD, HERE, SETTINGS, SHIPPED


@pytest.mark.parametrize("probe", GOOD, ids=lambda path: path.stem)
def test_a_good_probe_loads_without_a_word(probe: Path) -> None:
    loaded = load([probe], [SETTINGS], environ={})

    assert [str(problem) for problem in loaded.problems] == []
    assert loaded.journeys


def test_the_journeys_that_ship_load_without_an_error() -> None:
    loaded = load([SHIPPED], [SHIPPED / "synthmon.yaml"], environ={})

    assert [str(problem) for problem in loaded.errors] == []
    assert loaded.journeys


def test_a_folder_gives_its_journeys_and_passes_over_what_they_use() -> None:
    loaded = load([HERE / "good"], [SETTINGS], environ={})

    assert [str(problem) for problem in loaded.problems] == []
    assert {Path(file).name for file in loaded.by_file} == {path.name for path in GOOD}


def test_a_journey_means_what_it_says() -> None:
    journey = _journey("order.yaml", "order-ships/large")

    assert journey.schedule == Every(300.0)
    assert (journey.deadline_s, journey.locations) == (25.0, ("eu", "us"))
    assert journey.alert == Alert("page", 2, 2)
    assert journey.slo is not None
    assert (journey.slo.objective, dict(journey.slo.latency)) == (0.995, {"p95": 8.0})
    assert dict(journey.case) == {"amount": "99999.99", "count": 3}
    assert [step.id for step in journey.flat] == ["order", "stock", "mail", "close"]


def test_a_step_means_what_it_says() -> None:
    order, _, mail, close = _journey("order.yaml", "order-ships/small").flat

    assert order.retry == Retry(2, frozenset({"connect", "5xx"}))
    assert order.undo is not None
    assert order.undo.ttl_s == 3600.0
    assert order.undo.spec.refs == {"order.id"}
    assert order.expect[2].name == "every line is there"
    assert mail.within == Within(5.0, "order", 0.5, 5.0)
    assert (close.leaves, close.timeout_s, close.auth) == ("nothing", 5.0, "login")


def test_a_check_knows_its_line() -> None:
    journey = _journey("order.yaml", "order-ships/small")

    place = journey.steps[0].expect[1].place

    lines = (HERE / "good" / "order.yaml").read_text().splitlines()
    assert lines[place.line - 1][place.column - 1 :] == 'body.state == "open"'
    assert place.path == "steps[0].expect[1]"


def test_vars_keep_the_type_of_a_lone_expression_and_of_numbers() -> None:
    journey = _journey("order.yaml", "order-ships/small")

    types = {name: template.type for name, template in journey.vars}

    assert types == {"reference": "string", "tries": "int", "later": "timestamp"}


def test_a_called_file_sees_what_with_gives_and_saves_under_its_own_name() -> None:
    journey = _journey("calls.yaml", "calls")

    assert journey.schedule == Cron("*/10 8-18 * * mon-fri", "Europe/Berlin")
    assert [step.id for step in journey.flat] == ["made.order", "made.seen", "read"]
    made = journey.steps[0]
    scope = Scope(
        {"run.namespace": "syn-1", "body": {"reference": "ref-syn-1", "count": 2, "total": "12.50"}, "status": 201}
    )
    assert all(check.expression.holds(scope).ok for check in made.expect)
    assert made.undo is not None
    assert made.undo.spec.refs == {"made.order.id"}
    assert journey.steps[1].within == Within(2.0, "made.order")


def test_cases_of_a_file_are_journeys_of_their_own() -> None:
    loaded = load([HERE / "good" / "tenants.yaml"], [SETTINGS], environ={})

    assert [(j.name, j.case_name, dict(j.case)) for j in loaded.journeys] == [
        ("tenants/acme", "acme", {"id": 1, "name": "Acme"}),
        ("tenants/globex", "globex", {"id": 2, "name": "Globex"}),
    ]
    assert loaded.journeys[0].steps is loaded.journeys[1].steps


def test_without_settings_a_journey_reads_the_one_host_of_its_urls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    loaded = load([HERE / "good" / "catalogue.yaml"])

    assert [str(problem) for problem in loaded.problems] == []
    system = loaded.settings.systems[loaded.journeys[0].system]
    assert (system.name, system.allow, system.writes) == ("shop.example.com", ("shop.example.com",), False)
    assert system.base_at("") == "https://shop.example.com"


def test_a_session_is_compiled_with_its_steps_and_headers() -> None:
    loaded = load([], [SETTINGS], environ={})

    session = loaded.settings.sessions["login"]

    assert [step.id for step in session.steps] == ["token"]
    assert session.headers[0][1].refs == {"token.value"}
    assert (session.keep_s, session.per) == (3000.0, "daemon")


def _journey(file: str, name: str) -> Journey:
    loaded = load([HERE / "good" / file], [SETTINGS], environ={})
    return next(journey for journey in loaded.journeys if journey.name == name)
