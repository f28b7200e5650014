"""A process that reads every bomb, each once, and says what that took: `python -m tests.language.yaml_bombed`."""

from __future__ import annotations

import json
import time

from synthmon.language.documents import read
from tests.language.yaml_bombs import BOMBS
from tests.runtime.door_bombed import most_bytes, start_counting


def main() -> None:
    told = {}
    read("warm.yaml", "a: [1, {b: c}]\n")  # what the first file imports and builds
    for name, text in BOMBS.items():
        before_bytes, began_s = start_counting(), time.process_time()
        documents, problems = read("bomb.yaml", text)
        told[name] = {
            "refused": not documents and bool(problems),
            "took_ms": (time.process_time() - began_s) * 1000,
            "grown_bytes": most_bytes() - before_bytes,
        }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
