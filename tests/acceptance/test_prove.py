"""Every fault that can be put into what a shipped journey is told turns it red, or is explained in README."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from synthmon.core.proof.faults import Fault, Finding, Proof
from tests.acceptance.prove_shipped import prove_each, prove_one
from tests.acceptance.target_faults.bench import PROBES, shipped

README = PROBES.parent / "README.md"
SHORT = (Fault.DROP, Fault.BODY)


def test_a_shipped_journey_is_proved(tmp_path: Path) -> None:
    journeys, settings = shipped(tmp_path)
    journey = next(one for one in journeys if one.name == "order-to-ledger")

    proof = asyncio.run(prove_one(journey, settings, SHORT))

    assert not proof.halted
    assert proof.of(Finding.CAUGHT)
    assert _unexplained(proof) == []


@pytest.mark.torture
def test_all_shipped_journeys_are_proved(tmp_path: Path) -> None:
    """The table of README comes from `python -m tests.acceptance.prove_shipped`."""
    journeys, settings = shipped(tmp_path)

    proofs = asyncio.run(prove_each(journeys, settings))

    assert [proof.journey for proof in proofs if proof.halted] == []
    assert [line for proof in proofs for line in _unexplained(proof)] == []


def _unexplained(proof: Proof) -> list[str]:
    """What was missed and is not among the fields that README explains."""
    explained = _explained()
    return [
        f"{proof.journey} {one.injection.at} {one.injection.fault}: {one.injection.text}. {one.said}"
        for one in proof.of(Finding.MISSED)
        if not any(word in f"{one.injection.at} {one.injection.text}" for word in explained)
    ]


def _explained() -> set[str]:
    """The first column of README's table of what is left green on purpose."""
    text = README.read_text()
    block = text[text.index("<!-- left green -->") : text.index("<!-- /left green -->")]
    return set(re.findall(r"^\| `([^`]+)`", block, re.MULTILINE))
