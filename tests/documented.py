"""The parts of README that are made from the code: `python -m tests.documented` writes them anew."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.metrics_core import Metric

from synthmon.core.families import CONSTANTS, MEASURED, Family, Form
from synthmon.metrics.own import Own

README = Path(__file__).parent.parent / "README.md"


def metrics_table() -> str:
    """Every metric there is, in the order of the page."""
    lines = ["| metric | type | own labels | tells |", "| --- | --- | --- | --- |"]
    lines += [_family(family) for family in (*MEASURED, *CONSTANTS)]
    lines += [_own(metric) for metric in Own("0").registry.collect() if not metric.name.startswith("process_")]
    return "\n".join(lines)


def section(name: str, text: str) -> str:
    """What stands between the two marks of a section."""
    found = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", text, re.DOTALL)
    assert found is not None, f"README has no section {name}"
    return found[1].strip()


def replace_section(name: str, text: str, content: str) -> str:
    """README with a section written anew."""
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    return pattern.sub(lambda found: f"{found[1]}{content}\n{found[2]}", text)


def _family(family: Family) -> str:
    suffix = {Form.COUNTER: "_total", Form.INFO: "_info"}.get(family.form, "")
    labels = ", ".join(f"`{label}`" for label in family.labels)
    return f"| `{family.name}{suffix}` | {family.form} | {labels} | {family.help} |"


def _own(metric: Metric) -> str:
    suffix = "_total" if metric.type == "counter" else ""
    return f"| `{metric.name}{suffix}` | {metric.type} | | {metric.documentation} |"


def main() -> None:
    README.write_text(replace_section("metrics", README.read_text(), metrics_table()))


if __name__ == "__main__":
    main()
