"""Disk space held back, so that debts can still be settled when the disk is full."""

from __future__ import annotations

import errno
import os
from pathlib import Path

_BLOCK = bytes(64 * 1024)


class Ballast:
    """A file of `size_bytes` of real blocks, dropped when space runs out and made again when there is some. Blocks."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        self._path = path
        self._size_bytes = size_bytes

    def ready(self) -> bool:
        """Whether the space is held back (always so for a ballast of no size)."""
        try:
            return self._size_bytes == 0 or self._path.stat().st_size == self._size_bytes
        except OSError:
            return False

    def load(self) -> bool:
        """Hold the space back; False when the disk has not twice as much left (then nothing is taken)."""
        if self.ready():
            return True
        try:
            disk = os.statvfs(self._path.parent)
            if disk.f_bavail * disk.f_frsize < 2 * self._size_bytes:
                return False
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                _fill(descriptor, self._size_bytes)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError:
            self.drop()
            return False
        return True

    def drop(self) -> bool:
        """Give the space free; False when there was none to give."""
        try:
            held = self._path.stat().st_size
            self._path.unlink()
        except OSError:
            return False
        return held > 0


def _fill(descriptor: int, size_bytes: int) -> None:
    try:
        os.posix_fallocate(descriptor, 0, size_bytes)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # a filesystem that cannot reserve: write it
            raise
        for offset in range(0, size_bytes, len(_BLOCK)):
            os.pwrite(descriptor, _BLOCK[: size_bytes - offset], offset)
