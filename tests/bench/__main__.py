"""Everything that synthmon promises about speed, measured side by side: `python -m tests.bench`, or `make bench`.

Alone on the machine, please: it takes up to 12 minutes and wants two cores. The peers are measured where they are
installed: locust (`pip install locust` here, or its path in SYNTHMON_BENCH_LOCUST) and prometheus-blackbox-exporter.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from tests.bench import costs, minute, month_rate, scheduled, scrape_cost, store_rate, truth, wire_cost
from tests.bench.figures import Row, machine, missed, table, write
from tests.bench.processes import ROOT, Bench, Unmeasured, opened

LIMIT_S = 720.0

TOPICS: Mapping[str, Callable[[Bench], Sequence[Row]]] = {
    "costs": costs.measure,
    "scheduled": scheduled.measure,
    "minute": minute.measure,
    "truth": truth.measure,
    "scrape": scrape_cost.measure,
    "store": store_rate.measure,
    "wire": wire_cost.measure,
    "month": month_rate.measure,
}


def main() -> int:
    """Print the table; 0 also when targets are missed, for a figure is not a fault."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0], prog="python -m tests.bench")
    arguments.add_argument("--quick", action="store_true", help="short rounds, to try the bench; not for figures")
    arguments.add_argument("--only", nargs="+", choices=TOPICS, metavar="NAME", help=f"of {', '.join(TOPICS)}")
    arguments.add_argument("--write", action="store_true", help="put the table into README.md")
    wanted = arguments.parse_args()
    where, rows = machine(), list[Row]()
    began_s = time.monotonic()
    with opened(wanted.quick, LIMIT_S + 60) as bench:
        for name in wanted.only or TOPICS:
            rows += _measured(name, bench, began_s)
    text = f"{table(rows)}\n\n{where} {missed(rows)}"
    print(text)
    if wanted.write:
        write(ROOT / "README.md", text)
    return 0


def _measured(name: str, bench: Bench, began_s: float) -> Sequence[Row]:
    """The rows of a topic; one that says why when it cannot be measured."""
    since_s = time.monotonic()
    if since_s - began_s > LIMIT_S:
        return [Row(name, None, "", note="not measured: the bench took too long")]
    print(f"{name} …", end=" ", file=sys.stderr, flush=True)
    try:
        return TOPICS[name](bench)
    except (Unmeasured, OSError) as error:
        return [Row(name, None, "", note=f"not measured: {error}")]
    finally:
        print(f"{time.monotonic() - since_s:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
