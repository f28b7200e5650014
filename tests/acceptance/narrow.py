"""Narrow places for a daemon: a small disk, few file descriptors, little memory."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MEMORY = Path("/sys/fs/cgroup")


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[Path]:
    """A disk of this size. Needs root."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)]
    subprocess.run(mount, check=True, capture_output=True, timeout=20)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=20)


def fill(disk: Path) -> Path:
    """Take every byte that is left; answers the file that has them."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size_bytes in (64 * 1024, 4096, 512):
            try:
                while file.write(bytes(size_bytes)) == size_bytes:
                    continue
            except OSError:
                continue
    return filler


@contextmanager
def little_memory(limit_bytes: int) -> Iterator[Path]:
    """A memory cgroup (v1 or v2) of this size; who writes its id to `cgroup.procs` in it is held to it. Needs root."""
    first = (_MEMORY / "memory").is_dir()
    group = (_MEMORY / "memory" if first else _MEMORY) / f"synthmon-test-{os.getpid()}"
    group.mkdir()
    try:
        (group / ("memory.limit_in_bytes" if first else "memory.max")).write_text(str(limit_bytes))
        yield group
    finally:
        group.rmdir()  # refused while somebody is in it


def killed_for_memory(group: Path) -> int:
    """How many processes of a group the kernel has killed for want of memory."""
    for name in ("memory.oom_control", "memory.events"):
        if (group / name).exists():
            facts = dict(line.split() for line in (group / name).read_text().splitlines())
            return int(facts["oom_kill"])
    raise FileNotFoundError(f"{group} tells nothing of memory")


def can_limit_memory() -> bool:
    """Whether this machine lets us make a memory cgroup."""
    try:
        with little_memory(128 * 1024 * 1024) as group:
            return killed_for_memory(group) == 0
    except OSError:
        return False


STARVED = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({files}, {files}))

from synthmon.cli.main import main
main()
"""
CONFINED = """
import os
with open("{group}/cgroup.procs", "w") as procs:
    procs.write(str(os.getpid()))

from synthmon.cli.main import main
main()
"""
