"""Log files that grow, rotate, are cut and deleted by chance, and what is read: `python -m tests.evidence.tails`.

Each whole line must be read once. What cannot be seen is not done: who cuts or deletes a file has it read before, and
only what was seen under one of the names is renamed to another.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from synthmon.evidence.tailing import Files

LONG_AGO_S, BEGAN_S, STEPS = 1_000_000_000, 1_500_000_000, 14
NAMES = ("a.log", "b.log")


@dataclass
class Folder:
    """A folder of logs, what was written to them, what was read, and what is half a line still."""

    path: Path
    files: Files
    now_s: float = 0.0
    wrote: list[int] = field(default_factory=list)
    read: list[int] = field(default_factory=list)
    half: dict[str, int] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    done: list[str] = field(default_factory=list)

    def look(self) -> None:
        """Read what is new."""
        for chunk in self.files.look(self.now_s):
            self.read += [int(found) for found in re.findall(rb'"n":(\d+)', chunk.content)]
        self.seen = {path.stat().st_ino for path in self.path.glob("*.log")}

    def begin(self, name: str) -> None:
        """Half a line."""
        number = len(self.wrote) + len(self.half) + 1
        self._append(name, f'{{"n":{number}')
        self.half[name] = number

    def end(self, name: str) -> None:
        """The other half."""
        self._append(name, "}\n")
        self.wrote.append(self.half.pop(name))

    def change(self, how: str, name: str) -> None:
        """Rename it out of the pattern or within it, cut it, or delete it."""
        path, number = self.path / name, len(self.done)
        if not path.exists() or name in self.half:
            return
        if how in ("cut", "deleted"):
            self.look()
        if how == "out" and path.stat().st_ino in self.seen:
            path.rename(self.path / f"{name}.{number}")
        elif how == "within":
            path.rename(self.path / f"{number}.log")
        elif how == "cut":
            os.truncate(path, 0)
        elif how == "deleted":
            path.unlink()

    def _append(self, name: str, text: str) -> None:
        with (self.path / name).open("a") as writer:
            writer.write(text)


def fault(seed: int, parent: Path) -> str:
    """What was lost or read twice; empty if nothing."""
    chance, path = random.Random(seed), parent / str(seed)
    path.mkdir()
    for name in NAMES:
        if chance.random() < 0.7:
            (path / name).write_text('{"old":1}\n')
            if chance.random() < 0.5:
                os.utime(path / name, (LONG_AGO_S, LONG_AGO_S))
    folder = Folder(path, Files(str(path / "*.log"), BEGAN_S * 10**9))
    try:
        folder.look()
        for _ in range(chance.randint(3, STEPS)):
            _step(folder, chance)
        for name in list(folder.half):
            folder.end(name)
        for _ in range(3):
            folder.now_s += 1.0
            folder.look()
    finally:
        folder.files.close()
    lost, twice = set(folder.wrote) - set(folder.read), {n for n in folder.read if folder.read.count(n) > 1}
    return f"{seed}: lost {sorted(lost)}, twice {sorted(twice)}: {', '.join(folder.done)}" if lost or twice else ""


def _step(folder: Folder, chance: random.Random) -> None:
    what = chance.choice(("line", "line", "line", "half", "look", "look", "out", "within", "cut", "deleted"))
    name = chance.choice(NAMES)
    folder.now_s += chance.choice((0.1, 0.5, 1.2))
    folder.done.append(f"{what} {name}")
    match what:
        case "look":
            folder.look()
        case "line" | "half":
            if name in folder.half:
                folder.end(name)
            else:
                folder.begin(name)
                if what == "line":
                    folder.end(name)
        case _:
            folder.change(what, name)


def main() -> None:
    """Follow as many folders as asked for and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folders", type=int, default=10_000)
    wanted = parser.parse_args().folders
    with tempfile.TemporaryDirectory() as parent:
        found = [said for seed in range(wanted) if (said := fault(seed, Path(parent)))]
    print("\n".join(found[:20]))
    print(f"{wanted} folders, {len(found)} of them misread")


if __name__ == "__main__":
    main()
