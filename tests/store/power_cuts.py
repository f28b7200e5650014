"""Cut the power of a disk while records and intents are written to it, and look whether anything acknowledged is gone.

    python -m tests.store.power_cuts --cuts 60

The disk is an ext4 in a file; EXT4_IOC_SHUTDOWN without a log flush stops it as a power cut does: what was not synced
is lost. With `--sync-less` the files are opened with synchronous=NORMAL, which must lose something: the control.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.process import program
from tests.store.kill_writer import Report, heard, look

_DISK_BYTES = 64 * 1024 * 1024
_PIPE_BYTES = 1024 * 1024
_LONGEST_LIFE_S = 0.5
_EXT4_IOC_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32), fs/ext4/ext4.h
_NO_LOG_FLUSH = 2  # EXT4_GOING_FLAGS_NOLOGFLUSH


class Disk:
    """An ext4 in a file, mounted on a folder beside it. Needs root, loop devices and ext4."""

    def __init__(self, folder: Path) -> None:
        self._image, self.root = folder / "disk.img", folder / "disk"
        self.root.mkdir()
        with self._image.open("wb") as image:
            image.truncate(_DISK_BYTES)
        _run("mkfs.ext4", "-q", "-F", str(self._image))

    @contextmanager
    def mounted(self) -> Iterator[Path]:
        """The folder of the disk; what an earlier cut left is recovered as after a reboot."""
        _run("mount", "-o", "loop", str(self._image), str(self.root))
        try:
            yield self.root
        finally:
            _run("umount", str(self.root))

    def cut(self) -> None:
        """From now on nothing reaches the disk, and what is only in memory never will."""
        root = os.open(self.root, os.O_RDONLY)
        try:
            fcntl.ioctl(root, _EXT4_IOC_SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(root)


@dataclass(slots=True)
class Cuts:
    """What came of it; `losing` counts the cuts after which something was wrong."""

    report: Report
    losing: int = 0

    def __str__(self) -> str:
        return f"{self.losing} of {self.report.kills} power cuts lost something; {self.report}"


def torture(folder: Path, cuts: int, seed: int, sync_less: bool = False) -> Cuts:
    """Write, cut, mount again and look, on the same files again and again (after a loss: on new ones)."""
    chance, done, disk = random.Random(seed), Cuts(Report()), Disk(folder)
    files, told = 0, list[tuple[str, ...]]()
    for generation in range(cuts):
        with disk.mounted() as root:
            if not (root / str(files)).exists():
                told = _begun(root / str(files), generation)
        with disk.mounted() as root:
            acks = _cut_off(disk, root / str(files), generation, chance, sync_less)
        done.report.kills += 1
        for what, *_ in acks:
            done.report.acknowledged[what] = done.report.acknowledged.get(what, 0) + 1
        told += acks
        with disk.mounted() as root:
            wrong = look(root / str(files), told)
        if wrong:
            done.losing += 1
            done.report.wrong += wrong
            files += 1
    return done


def _begun(folder: Path, generation: int) -> list[tuple[str, ...]]:
    """Files with something in them, from before any cut; what was acknowledged of it."""
    folder.mkdir()
    with _writing(folder, 2 * generation, sync_less=False) as writer:
        assert writer.stdout is not None
        first = writer.stdout.readline()
        writer.kill()
        return heard((first + writer.stdout.read()).decode())


def _cut_off(
    disk: Disk, folder: Path, generation: int, chance: random.Random, sync_less: bool
) -> list[tuple[str, ...]]:
    """What one writer said before the power went, at a random moment after its first word.

    What it says later does not count: the kernel lets a sync return as if all were well that it gave up in the cut.
    """
    with _writing(folder, 2 * generation + 1, sync_less) as writer:
        assert writer.stdout is not None
        first = writer.stdout.readline()
        time.sleep(chance.random() * _LONGEST_LIFE_S)  # the moment of the cut, not a wait for something
        os.set_blocking(writer.stdout.fileno(), False)
        said = first + (writer.stdout.read() or b"")
        disk.cut()
        writer.kill()
    return heard(said.decode())


def _writing(folder: Path, generation: int, sync_less: bool) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.store.kill_writer", "--write", str(folder), "--generation", str(generation)]
    command += ["--sync-less"] if sync_less else []
    # a pipe that never fills up while nobody reads
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, pipesize=_PIPE_BYTES)


def _run(name: str, *arguments: str) -> None:
    subprocess.run([program(name), *arguments], check=True, capture_output=True, timeout=60)


def can_cut() -> bool:
    """Whether this machine lets us make such a disk and cut its power."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            disk = Disk(Path(folder))
            with disk.mounted():
                disk.cut()
        except (OSError, subprocess.SubprocessError):
            return False
    return True


def main() -> int:
    """Exit 1 when anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--sync-less", action="store_true", help="the control: synchronous=NORMAL")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cuts = torture(Path(folder), given.cuts, given.seed, given.sync_less)
    print(f"seed {given.seed}: {cuts}", *cuts.report.wrong[:10], sep="\n")
    return 1 if cuts.losing else 0


if __name__ == "__main__":
    sys.exit(main())
