"""A file that another one names, by a path beside itself: its documents, or what is wrong with the name."""

from __future__ import annotations

from synthmon.language.documents import Document
from synthmon.language.faults import Faults
from synthmon.language.marks import Path
from synthmon.language.sources import Sources, why


def documents_of(
    file: str, at: Path, sources: Sources, files: dict[str, str], faults: Faults
) -> tuple[tuple[Document, ...], bool] | None:
    """The documents of a file that is named at `at`, and whether all of it is YAML; None when it cannot be read.

    Faults are said; `files` takes its fingerprint, also that of a file which is not there.
    """
    files[file] = sources.fingerprint(file)
    try:
        documents, problems = sources.documents(file)
    except OSError as error:
        fault, remedy = f"{file} cannot be read: {why(error)}.", "Correct the path; it is relative to this file."
        faults.say(at, "unreadable-file", fault, remedy)
        return None
    faults.problems.extend(problems)
    return documents, not problems
