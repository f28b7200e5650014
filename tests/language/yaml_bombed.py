"""A process that reads every bomb, each once, and says what that took: `python -m tests.language.yaml_bombed`."""

from __future__ import annotations

import json
import resource
import time

from synthmon.language.documents import read
from tests.language.yaml_bombs import BOMBS


def main() -> None:
    told = {}
    read("warm.yaml", "a: [1, {b: c}]\n")  # what the first file imports and builds
    for name, text in BOMBS.items():
        began_s, before_kb = time.process_time(), _most_kb()
        documents, problems = read("bomb.yaml", text)
        told[name] = {
            "refused": not documents and bool(problems),
            "took_ms": (time.process_time() - began_s) * 1000,
            "grown_bytes": (_most_kb() - before_kb) * 1024,
        }
    print(json.dumps(told))


def _most_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
