"""`file:/path`: the content of a file, its last newline dropped."""

from __future__ import annotations

from pathlib import Path

LONGEST_BYTES = 64 * 1024


def read(rest: str) -> str:
    """The content. Raises `OSError`, `ValueError` for what is too large or no UTF-8."""
    with Path(rest).open("rb") as file:
        content = file.read(LONGEST_BYTES + 1)
    if len(content) > LONGEST_BYTES:
        raise ValueError(f"{rest} is larger than {LONGEST_BYTES} bytes")
    try:
        return content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:  # whose text would show the content
        raise ValueError(f"{rest} is no text in UTF-8") from None
