"""The files that a load reads, each once, and a fingerprint of each for what was made from it."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path as FilePath

from synthmon.core.errors import Problem
from synthmon.language.documents import LARGEST_BYTES, Document, read


class Sources:
    """Reads files and remembers them for one load."""

    def __init__(self) -> None:
        self._contents: dict[str, bytes | OSError] = {}
        self._fingerprints: dict[str, str] = {}
        self._documents: dict[str, tuple[tuple[Document, ...], tuple[Problem, ...]]] = {}

    def content(self, file: str) -> bytes:
        """The bytes of a file. Raises `OSError`, also for one above 1 MiB."""
        if file not in self._contents:
            self._contents[file] = _read(file)
        got = self._contents[file]
        if isinstance(got, OSError):
            raise got
        return got

    def documents(self, file: str) -> tuple[tuple[Document, ...], tuple[Problem, ...]]:
        """The YAML documents of a file. Raises `OSError`."""
        if file not in self._documents:
            self._documents[file] = read(file, self.content(file).decode("utf-8", "surrogateescape"))
        return self._documents[file]

    def forget(self, file: str) -> None:
        """Let go of the documents of a file; its content stays known by its fingerprint."""
        self._documents.pop(file, None)
        if file in self._contents:
            self.fingerprint(file)
            del self._contents[file]

    def fingerprint(self, file: str) -> str:
        """SHA-256 of the content, or `missing`."""
        if file not in self._fingerprints:
            try:
                self._fingerprints[file] = hashlib.sha256(self.content(file)).hexdigest()
            except OSError:
                self._fingerprints[file] = "missing"
        return self._fingerprints[file]


def beside(file: str, other: str) -> str:
    """A file named in another, relative to it."""
    return str(FilePath(file).parent / other)


def _read(file: str) -> bytes | OSError:
    try:
        with open(file, "rb") as opened:
            content = opened.read(LARGEST_BYTES + 1)
    except OSError as error:
        return error
    return OSError(errno.EFBIG, "it is larger than 1 MiB") if len(content) > LARGEST_BYTES else content


def why(error: OSError) -> str:
    """What went wrong with a file, for a person."""
    said = error.strerror or str(error)
    return said if too_large(error) else said.lower()


def too_large(error: OSError) -> bool:
    """Whether the file is there, and too large to be read."""
    return error.errno == errno.EFBIG
