"""The journeys that are run to measure: written as YAML, like anybody's."""

from __future__ import annotations

from pathlib import Path

ORDER = """\
    http: POST /orders?ms=0
    json: {item: sku-1, qty: 2, reference: "${run.namespace}"}
    expect:
      - status == 202
      - body.status == "pending"
    save:
      id: body.id
"""

LOOK = """\
steps:
  - id: page
    http: GET /json
    expect:
      - status == 200
      - body.ok
"""

COUNTED = LOOK.replace("/json", "/json?n=%d")

THREE_STEPS = f"""\
steps:
  - id: order
{ORDER}    leaves: nothing
  - id: done
    http: GET /orders/${{order.id}}
    within: 3s after order
    expect:
      - status == 200
      - body.status == "done"
  - id: shown
    http: GET /orders/${{order.id}}
    expect:
      - status == 200
      - body.total == 42.5
"""

THREE_WRITES = "steps:\n" + "".join(
    f"""\
  - id: {step}
{ORDER}    undo:
      http: DELETE /orders/${{{step}.id}}
      gone: unchecked
      ttl: 1h
    repeatable: true
"""
    for step in ("first", "second", "third")
)

DELAYED = """\
steps:
  - id: slow
    http: GET /delay/50
    expect:
      - status == 200
    save:
      truth_us: headers["x-server-us"]
"""


def write(folder: Path, shop: str, steps: str, count: int, every: str) -> Path:
    """So many files of one journey each and their settings; a `%d` in the steps becomes the number of the journey."""
    probes = folder / "probes"
    probes.mkdir()
    settings = f"systems:\n  shop:\n    base: {shop}\n    writes: true\nlimits:\n  grace: 5s\n"
    (folder / "synthmon.yaml").write_text(settings)
    for number in range(count):
        head = f"journey: {name(number)}\nevery: {every}\ndeadline: 5s\nsystem: shop\n"
        own = steps.replace("%d", str(number))
        (probes / f"{name(number)}.yaml").write_text(head + own)
    return probes


def name(number: int) -> str:
    """The name of a journey by its number."""
    return f"bench-{number:05d}"
