"""What bears our mark is told from all that only looks like it."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from synthmon.core.namespaces import is_ours, namespace
from synthmon.core.run import Run

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RUN_ID = "0123456789abcdef" * 2


def test_a_run_knows_its_own_namespace_again() -> None:
    run = Run(RUN_ID, "probe", "0" * 64, NOW, NOW, "eu", instance="shop-team")

    assert is_ours(run.namespace, "shop-team", "eu")
    assert re.fullmatch(r"syn-[0-9a-f]{24}", run.namespace)


def test_another_instance_tenant_or_location_does_not_take_it_for_its_own() -> None:
    ours = namespace(RUN_ID, "shop-team", "eu")

    assert not is_ours(ours, "other-team", "eu")
    assert not is_ours(ours, "shop-team", "us")
    assert not is_ours(ours, "", "")


def test_what_a_person_types_or_a_system_makes_of_it_is_not_ours() -> None:
    ours = namespace(RUN_ID, "", "")
    look_alikes = [
        "syn-0123456789abcdef",
        "syn-0123456789abcdef01234567",
        f"{ours}-copy",
        f"{ours} ",
        f"{ours}\n",
        f" {ours}",
        ours[:-1],
        ours.upper(),
        ours.replace("syn-", "syn_"),
        ours[4:],
        ours[:-8] + ours[-8:][::-1],
        "",
    ]

    assert [text for text in look_alikes if is_ours(text, "", "")] == []


@settings(max_examples=300, deadline=None)
@given(st.from_regex(r"syn-[0-9a-f]{24}", fullmatch=True))
def test_a_text_of_the_same_form_is_not_ours(text: str) -> None:
    assert is_ours(text, "", "") == (namespace(text[4:20] + "0" * 16, "", "") == text)
    assert not is_ours(text, "", "") or text[20:] != "00000000"


def test_ten_thousand_runs_have_ten_thousand_namespaces() -> None:
    made = {namespace(f"{n:016x}{0:016x}", "", "") for n in range(10_000)}

    assert len(made) == 10_000
