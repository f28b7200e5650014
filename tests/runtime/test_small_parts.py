"""References to secrets, pauses, and who is alone with a journal."""

from __future__ import annotations

import multiprocessing
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from synthmon.runtime.pauses import Pauses
from synthmon.runtime.references import resolve
from synthmon.runtime.sole import hold_alone


def test_secrets_are_read_from_the_environment_and_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", "token-one")
    (tmp_path / "key").write_text("token-two\n")

    values, faults = resolve({"one": "env:A_TOKEN", "two": f"file:{tmp_path / 'key'}"})

    assert (values, faults) == ({"one": "token-one", "two": "token-two"}, {})


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("env:NOT_SET_ANYWHERE", "the environment has no NOT_SET_ANYWHERE"),
        ("file:/no/such/file", "No such file"),
        ("keychain:x", "not a kind of reference"),
        ("vault:x#y", "for `secrets:` only"),
        ("env:SHORT", "fewer than 8 characters"),
    ],
)
def test_a_reference_that_leads_nowhere_says_why_without_the_value(
    reference: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHORT", "abc")

    values, faults = resolve({"it": reference})

    assert values == {}
    assert why in faults["it"]
    assert "abc" not in faults["it"]


def test_pauses_survive_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "paused.json"
    Pauses(file).pause("orders")

    again = Pauses(file)

    assert (again.paused("orders"), again.paused("other")) == (True, False)


def test_a_pause_of_all_is_ended_by_a_resume_of_all(tmp_path: Path) -> None:
    pauses = Pauses(tmp_path / "paused.json")
    pauses.pause(None)
    pauses.pause("orders")
    assert pauses.paused("whatever")

    pauses.resume(None)

    assert pauses.names() == frozenset()


def test_a_pause_that_cannot_be_kept_is_told_and_holds_all_the_same(tmp_path: Path) -> None:
    pauses = Pauses(tmp_path / "missing" / "paused.json")

    with pytest.raises(OSError, match="No such file"):
        pauses.pause("orders")

    assert pauses.paused("orders")


def _hold(journal: Path, held: Event, let_go: Event) -> None:
    with hold_alone(journal):
        held.set()
        let_go.wait(30)


def test_only_the_first_process_is_alone_with_a_journal(tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    context = multiprocessing.get_context("spawn")
    held, let_go = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(journal, held, let_go))
    other.start()
    assert held.wait(30)

    with hold_alone(journal) as alone_beside_it:
        pass
    other.kill()
    other.join(30)
    with hold_alone(journal) as alone_after_it:
        pass

    assert (alone_beside_it, alone_after_it) == (False, True)


def test_without_a_journal_file_everybody_is_alone() -> None:
    with hold_alone(None) as alone:
        assert alone
