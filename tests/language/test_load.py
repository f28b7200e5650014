"""Loading many files, and loading them again while the old ones run."""

from pathlib import Path

import pytest

from synthmon.language.load import Loader, load, load_text
from tests.language.paths import SETTINGS

GOOD = "journey: {name}\nevery: 1m\nsystem: shop\nsteps:\n  - http: GET /{path}\n    expect:\n      - status == 200\n"
BROKEN = "journey: {name}\nevery: 1m\nsystem: shop\nsteps:\n  - http: GET /x\n    expect:\n      - sttus == 200\n"


def test_all_errors_of_all_files_are_told_at_once_and_the_good_journeys_stay(tmp_path: Path) -> None:
    _write(tmp_path / "a.yaml", BROKEN, "a")
    _write(tmp_path / "b.yaml", GOOD, "b")
    (tmp_path / "c.yaml").write_text("journey: [")

    loaded = load([tmp_path], [SETTINGS], environ={})

    assert [(Path(p.place.file).name, p.code) for p in loaded.problems] == [
        ("a.yaml", "undeclared-name"),
        ("c.yaml", "yaml"),
    ]
    assert [journey.name for journey in loaded.journeys] == ["b"]


def test_two_journeys_with_one_name_are_told_with_both_places(tmp_path: Path) -> None:
    _write(tmp_path / "a.yaml", GOOD, "twin")
    _write(tmp_path / "b.yaml", GOOD, "twin")

    loaded = load([tmp_path], [SETTINGS], environ={})

    (problem,) = loaded.problems
    assert problem.code == "duplicate-journey"
    assert problem.place.file.endswith("b.yaml")
    assert f"{tmp_path / 'a.yaml'}:1" in problem.fault
    assert len(loaded.journeys) == 1


def test_a_path_that_leads_nowhere_is_told(tmp_path: Path) -> None:
    loaded = load([tmp_path / "nowhere"], [SETTINGS], environ={})

    assert [problem.code for problem in loaded.problems] == ["unreadable-file"]


def test_a_misspelt_journey_key_in_a_folder_is_told_and_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD.format(name="a", path="a").replace("journey:", "jurney:"))

    loaded = load([tmp_path], [SETTINGS], environ={})

    assert {problem.code for problem in loaded.problems} == {"unknown-key", "missing-key"}


def test_five_hundred_broken_files_are_all_named_and_the_old_journeys_keep_running(tmp_path: Path) -> None:
    for i in range(500):
        _write(tmp_path / f"j{i:03}.yaml", GOOD, f"j{i:03}")
    loader = Loader([tmp_path], [SETTINGS], environ={})
    before = loader.load()
    for i in range(500):
        _write(tmp_path / f"j{i:03}.yaml", BROKEN, f"j{i:03}")

    after = loader.reload()

    assert {(Path(p.place.file).name, p.place.line) for p in after.errors} == {(f"j{i:03}.yaml", 7) for i in range(500)}
    assert [(j.name, j.digest) for j in after.journeys] == [(j.name, j.digest) for j in before.journeys]


def test_a_reload_compiles_only_what_changed(tmp_path: Path) -> None:
    _write(tmp_path / "a.yaml", GOOD, "a")
    _write(tmp_path / "b.yaml", GOOD, "b")
    loader = Loader([tmp_path], [SETTINGS], environ={})
    before = {journey.name: journey for journey in loader.load().journeys}
    _write(tmp_path / "b.yaml", GOOD, "b", "other")
    _write(tmp_path / "c.yaml", GOOD, "c")

    after = {journey.name: journey for journey in loader.reload().journeys}

    assert after["a"] is before["a"]
    assert after["b"].digest != before["b"].digest
    assert set(after) == {"a", "b", "c"}


def test_a_journey_changes_with_the_file_that_it_calls(tmp_path: Path) -> None:
    called = tmp_path / "called.yaml"
    called.write_text("steps:\n  - http: GET /a\n    expect:\n      - status == 200\n")
    (tmp_path / "a.yaml").write_text("journey: a\nevery: 1m\nsystem: shop\nsteps:\n  - call: called.yaml\n")
    loader = Loader([tmp_path], [SETTINGS], environ={})
    (before,) = loader.load().journeys
    called.write_text("steps:\n  - http: GET /b\n    expect:\n      - status == 200\n")

    (after,) = loader.reload().journeys

    assert after.digest != before.digest


def test_a_removed_file_takes_its_journeys_along(tmp_path: Path) -> None:
    _write(tmp_path / "a.yaml", GOOD, "a")
    loader = Loader([tmp_path], [SETTINGS], environ={})
    loader.load()
    (tmp_path / "a.yaml").unlink()

    assert loader.reload().journeys == ()


def test_broken_settings_leave_the_old_ones_and_every_journey(tmp_path: Path) -> None:
    settings = tmp_path / "synthmon.yaml"
    settings.write_text("systems:\n  shop: {base: https://shop.example.com}\n")
    _write(tmp_path / "a.yaml", GOOD, "a")
    loader = Loader([tmp_path], [settings], environ={})
    before = loader.load()
    settings.write_text("systems:\n  shop: {base: nowhere}\n")

    after = loader.reload()

    assert [problem.code for problem in after.errors] == ["bad-base"]
    assert after.journeys == before.journeys
    assert after.settings.systems == before.settings.systems


def test_changed_settings_change_the_journeys_that_use_them(tmp_path: Path) -> None:
    settings = tmp_path / "synthmon.yaml"
    settings.write_text(
        "systems:\n  shop: {base: https://shop.example.com}\n  other: {base: https://other.example.com}\n"
    )
    _write(tmp_path / "a.yaml", GOOD, "a")
    _write(tmp_path / "b.yaml", GOOD.replace("shop", "other"), "b")
    loader = Loader([tmp_path], [settings], environ={})
    before = {journey.name: journey.digest for journey in loader.load().journeys}
    settings.write_text(settings.read_text().replace("shop.example.com", "shop2.example.com"))

    after = {journey.name: journey.digest for journey in loader.reload().journeys}

    assert after["a"] != before["a"]
    assert after["b"] == before["b"]


def test_an_environment_is_a_settings_file_that_replaces_entries(tmp_path: Path) -> None:
    first, second = tmp_path / "synthmon.yaml", tmp_path / "staging.yaml"
    first.write_text(
        "systems:\n  shop: {base: https://shop.example.com}\n  bank: {base: https://bank.example.com}\n"
        "limits: {grace: 5s}\n"
    )
    second.write_text("systems:\n  shop: {base: https://staging.example.com, writes: true}\nlocation: eu\n")

    settings = load([], [first, second], environ={}).settings

    assert settings.systems["shop"].base_at("") == "https://staging.example.com"
    assert settings.systems["bank"].base_at("") == "https://bank.example.com"
    assert (settings.grace_s, settings.location) == (5.0, "eu")


def test_synthmon_yaml_in_the_current_folder_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "synthmon.yaml").write_text("systems:\n  shop: {base: https://shop.example.com}\n")
    _write(tmp_path / "a.yaml", GOOD, "a")
    monkeypatch.chdir(tmp_path)

    loaded = load(["."], environ={})

    assert loaded.problems == ()
    assert [journey.system for journey in loaded.journeys] == ["shop"]


def test_more_runs_than_a_budget_allows_are_warned_about(tmp_path: Path) -> None:
    settings = tmp_path / "synthmon.yaml"
    settings.write_text("systems:\n  shop: {base: https://shop.example.com, budget: {runs: 100/h}}\n")
    _write(tmp_path / "a.yaml", GOOD.replace("system", "locations: [eu, us]\nsystem"), "a")

    loaded = load([tmp_path / "a.yaml"], [settings], environ={})

    (problem,) = loaded.problems
    assert (problem.code, problem.level, problem.place.line) == ("budget-exceeded", "warning", 2)
    assert "120 runs an hour" in problem.fault
    assert len(loaded.journeys) == 1


def test_defaults_fill_what_a_journey_does_not_say(tmp_path: Path) -> None:
    settings = tmp_path / "synthmon.yaml"
    settings.write_text(
        "systems:\n  shop: {base: https://shop.example.com}\n"
        'defaults:\n  - {journeys: ["a*"], owner: team-a, alert: {severity: page}, labels: {team: a}}\n'
    )
    _write(tmp_path / "a.yaml", GOOD, "abc")
    _write(tmp_path / "b.yaml", GOOD.replace("every", "owner: me\nevery"), "abd")
    _write(tmp_path / "c.yaml", GOOD, "other")

    journeys = {journey.name: journey for journey in load([tmp_path], [settings], environ={}).journeys}

    assert (journeys["abc"].owner, journeys["abc"].alert.severity, journeys["abc"].labels) == (
        "team-a",
        "page",
        {"team": "a"},
    )
    assert journeys["abd"].owner == "me"
    assert (journeys["other"].owner, journeys["other"].labels) == ("", {})


def test_an_old_text_is_compiled_again_to_pay_its_debts(tmp_path: Path) -> None:
    _write(tmp_path / "a.yaml", GOOD, "a")
    loaded = load([tmp_path], [SETTINGS], environ={})
    (journey,) = loaded.journeys

    again = load_text(journey.text, journey.place.file, loaded.settings)

    assert again.problems == ()
    assert again.journeys[0].digest == journey.digest


def test_a_thousand_alike_journeys_share_their_expressions(tmp_path: Path) -> None:
    for i in range(50):
        _write(tmp_path / f"j{i}.yaml", GOOD, f"j{i}", f"p{i}")

    journeys = load([tmp_path], [SETTINGS], environ={}).journeys

    assert len({id(journey.steps[0].expect[0].expression) for journey in journeys}) == 1


def _write(file: Path, text: str, name: str, path: str = "x") -> None:
    file.write_text(text.format(name=name, path=path))


def test_clocks_that_somebody_vouches_for_and_evidence_that_is_to_be_kept_are_read(tmp_path: Path) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text(
        "evidence:\n"
        "  one: {jsonl: a.jsonl, skew: 0s}\n"
        "  other: {jsonl: b.jsonl}\n"
        "  wrong: {jsonl: c.jsonl, skew: 0}\n"
        "retention: {keep_evidence: 0}\n"
    )

    loaded = load([], [str(settings)], environ={})

    sources = loaded.settings.evidence
    assert [problem.code for problem in loaded.problems] == ["bad-duration"]
    assert (sources["one"].skew_s, sources["one"].vouched) == (0.0, True)
    assert (sources["other"].skew_s, sources["other"].vouched) == (0.01, False)
    assert loaded.settings.keep_evidence == 0
