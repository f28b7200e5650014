"""Follows log files as they grow, rotate, shrink and vanish: what was appended to them since the last look, by lines.

Nothing here awaits: a look belongs into a thread. A file is known by its device and inode, so a renamed one is followed
on under its new name, and for a while when no name leads to it any more.
"""

from __future__ import annotations

import errno
import glob
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from synthmon.core.fields import fields_of
from synthmon.core.outcomes import Reason

LONGEST_LINE = 256 * 1024  # a longer one is passed over
LOOK_BACK = 1024 * 1024  # into a file that was just written to, when following begins
LOOK_FAR_BACK = 1024 * 1024 * 1024  # into one that is asked for what happened before
MOST_OF_NEW = 64 * 1024 * 1024  # of a file that turns up later
MOST_A_LOOK = 4 * 1024 * 1024
MOST_FILES, MOST_OPEN = 2000, 256
MOST_AT_REST = 64  # that are open although nothing was written to them: such a one may be renamed as soon as it was
JUST_S = 5.0
QUIET_S = 1.0  # after which a last line without its end is taken for whole
GRACE_S = 30.0  # for who still writes into a file that was renamed or deleted
_ANCHOR = 64


class Place(NamedTuple):
    """Where lines stood: in which file (device, inode), how often that had been written anew by then, and between which
    bytes."""

    file: tuple[int, int]
    version: int
    begin: int
    end: int


class Gone(Exception):
    """What was read once is there no more."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole lines of one file; `offset` is where the first of them begins in it. `place` finds them again."""

    path: str
    offset: int
    content: bytes
    place: Place


@dataclass(slots=True, eq=False)
class _File:
    """What is known of a file. `anchor` are the last bytes before `offset`: if they changed, it was written anew."""

    path: str
    offset: int
    fd: int = -1
    size: int = -1
    mtime_ns: int = 0
    anchor: bytes = b""
    passing_over: bool = False  # in the midst of a line that is too long, or was not seen from its begin
    half: bool = False  # what is left of it is a line that has not ended
    changed_s: float = 0.0
    gone: bool = False
    version: int = 0  # how often it was written anew


class Files:
    """The files that a pattern matches (`*`, `?`, `[…]`, `**`), each read once from where it stood at the begin.

    What was written less than five seconds before `since_ns` counts as well (1 MiB a file at most; with `far_back`, 1
    GiB, and what is before that is missed aloud). `trouble` is why the last look did not see everything, `behind_bytes`
    how much it left for the next one.
    """

    def __init__(self, pattern: str, since_ns: int, far_back: bool = False) -> None:
        self._pattern, self._since_ns = pattern, since_ns
        self._back_bytes, self._far_back = LOOK_FAR_BACK if far_back else LOOK_BACK, far_back
        self._missed = ""  # a file of which too much was written since
        self._files: dict[tuple[int, int], _File] = {}
        self._first = True
        self._at_rest = 0  # how many more may be open at rest
        self.trouble: tuple[Reason, str] | None = None
        self.behind_bytes = 0

    def look(self, now_s: float) -> Iterator[Chunk]:
        """What was appended, at most 4 MiB; `now_s` is any clock that never goes back."""
        self.trouble, self.behind_bytes = None, 0
        self._find(now_s)
        room = MOST_A_LOOK
        for key, file in sorted(self._files.items(), key=lambda item: item[1].changed_s):
            if file.fd < 0:
                continue
            try:
                for chunk in self._read(key, file, room, now_s):
                    room -= len(chunk.content)
                    yield chunk
            except OSError as error:
                self._complain(error, file.path)
        self._forget(now_s)
        if self._missed and self.trouble is None:
            self.trouble = Reason.TOO_MANY, f"of {self._missed} only the last {LOOK_FAR_BACK >> 20} MiB were read"

    def again(self, place: Place) -> Chunk:
        """What was read there before. Raises `Gone`."""
        file = self._files.get(place.file)
        if file is None or file.version != place.version:
            raise Gone
        if file.fd < 0:
            self._open(file)
        if file.fd < 0 or _was_written_anew(file, os.fstat(file.fd).st_size):
            raise Gone
        content = os.pread(file.fd, place.end - place.begin, place.begin)
        if len(content) < place.end - place.begin:
            raise Gone
        return Chunk(file.path, place.begin, content, place)

    def close(self) -> None:
        """Let go of every file."""
        for file in self._files.values():
            _shut(file)
        self._files = {}

    # finding ---------------------------------------------------------------------------------------------------------

    def _find(self, now_s: float) -> None:
        paths = glob.glob(self._pattern, recursive=True)
        self._at_rest = MOST_AT_REST - sum(file.fd >= 0 for file in self._files.values())
        seen = set()
        for path in paths[:MOST_FILES]:
            try:
                found = os.stat(path)
            except FileNotFoundError:
                continue  # it went while we looked
            except OSError as error:
                self._complain(error, path)
                continue
            if stat.S_ISREG(found.st_mode):
                seen.add((found.st_dev, found.st_ino))
                self._meet(path, found, now_s)
        for key, file in self._files.items():
            file.gone = key not in seen
        if not seen:
            self.trouble = Reason.CONNECTION, f"no file matches {self._pattern}"
        elif len(paths) > MOST_FILES:
            self.trouble = Reason.TOO_MANY, f"{self._pattern} matches {len(paths)} files, {MOST_FILES} are followed"
        self._first = False

    def _meet(self, path: str, found: os.stat_result, now_s: float) -> None:
        """A file that a name leads to: known or new, opened if something was written to it."""
        key = found.st_dev, found.st_ino
        file = self._files.get(key)
        if file is None:
            fresh = found.st_mtime_ns >= self._since_ns - JUST_S * 1e9
            most = self._back_bytes if fresh else 0
            if self._far_back and fresh and found.st_size > most:
                self._missed = path
            begin = max(0, found.st_size - (most if self._first else MOST_OF_NEW))
            file = self._files[key] = _File(path, begin, passing_over=0 < begin < found.st_size, changed_s=now_s)
            if self._first and not fresh:
                file.size, file.mtime_ns = found.st_size, found.st_mtime_ns
        file.path = path
        unread = file.offset < file.size or (file.size, file.mtime_ns) != (found.st_size, found.st_mtime_ns)
        if file.fd < 0 and unread:
            self._open(file)
        elif file.fd < 0 and self._at_rest > 0:
            self._at_rest -= 1
            with suppress(OSError):  # to be told when there is something to read
                file.fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                known = min(file.offset, _ANCHOR)
                file.anchor = file.anchor or os.pread(file.fd, known, file.offset - known)

    def _open(self, file: _File) -> None:
        is_open = [other for other in self._files.values() if other.fd >= 0]
        if len(is_open) >= MOST_OPEN:
            read = [other for other in is_open if other.offset == other.size or other.half]
            if not read:
                self.behind_bytes += 1
                return  # in the next look, when others have been read
            _shut(min(read, key=lambda other: other.changed_s))
        try:
            file.fd = os.open(file.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        except OSError as error:
            self._complain(error, file.path)

    def _forget(self, now_s: float) -> None:
        """A file that no name leads to is let go of when nobody has written to it for a while."""
        for key, file in list(self._files.items()):
            if file.gone and (file.fd < 0 or now_s - file.changed_s > GRACE_S):
                _shut(file)
                del self._files[key]

    def _complain(self, error: OSError, path: str) -> None:
        reason = Reason.DESCRIPTORS if error.errno in (errno.EMFILE, errno.ENFILE) else Reason.CONNECTION
        self.trouble = reason, f"{path} cannot be read: {(error.strerror or str(error)).lower()}"

    # reading ---------------------------------------------------------------------------------------------------------

    def _read(self, key: tuple[int, int], file: _File, room: int, now_s: float) -> Iterator[Chunk]:
        found = os.fstat(file.fd)
        if (found.st_size, found.st_mtime_ns) != (file.size, file.mtime_ns):
            file.changed_s = now_s
            if _was_written_anew(file, found.st_size):
                file.offset = max(0, found.st_size - MOST_OF_NEW)
                file.anchor, file.passing_over = b"", file.offset > 0
                file.version += 1
            file.size, file.mtime_ns = found.st_size, found.st_mtime_ns
        while file.offset < file.size:
            if room <= 0:
                self.behind_bytes += file.size - file.offset
                return
            before = file.offset
            content = self._next(file, now_s)
            file.half = file.offset == before
            if file.half:
                return
            room -= file.offset - before
            if content:
                begin = file.offset - len(content)
                yield Chunk(file.path, begin, content, Place(key, file.version, begin, file.offset))

    def _next(self, file: _File, now_s: float) -> bytes:
        """The next whole lines, and the offset behind them; nothing while a line goes on."""
        _skip_hole(file)
        content = os.pread(file.fd, LONGEST_LINE, file.offset)
        end = content.rfind(b"\n") + 1
        if not end and len(content) >= LONGEST_LINE:
            file.passing_over, end = True, len(content)
        elif not end and now_s - file.changed_s >= QUIET_S and fields_of(content.strip(b"\0 \t\r")) is not None:
            end = len(content)  # the last line, whose writer ends a line when the next one begins
        if not end:
            return b""
        content = content[:end]
        file.offset += end
        file.anchor = content[-_ANCHOR:]
        if file.passing_over:
            _, newline, content = content.partition(b"\n")
            file.passing_over = not newline
        return content


def _was_written_anew(file: _File, size: int) -> bool:
    """Whether it was cut, as `copytruncate` does, even if it has grown past the old place since."""
    if size < file.offset:
        return True
    begin = file.offset - len(file.anchor)
    return bool(file.anchor) and os.pread(file.fd, len(file.anchor), begin) != file.anchor


def _skip_hole(file: _File) -> None:
    """Who writes on at the old place of a file that was cut leaves a hole before it, perhaps of many gigabytes."""
    if os.pread(file.fd, 1, file.offset) != b"\0":
        return
    with suppress(OSError):  # no file system must know of holes
        data = os.lseek(file.fd, file.offset, os.SEEK_DATA)
        if file.offset < data < file.size:
            file.offset, file.anchor, file.passing_over = data, b"", False


def _shut(file: _File) -> None:
    if file.fd >= 0:
        os.close(file.fd)
        file.fd = -1
