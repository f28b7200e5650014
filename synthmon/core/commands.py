"""A command of the settings as its words."""

from __future__ import annotations

import json
import shlex


def words_of(command: str) -> list[str]:
    """The program and its arguments: a JSON list of texts as it is, any other text split as a shell would, without
    anything being expanded. Raises `ValueError`."""
    if command.lstrip().startswith("["):
        words = json.loads(command)
        if not words or not all(isinstance(word, str) and word for word in words):
            raise ValueError("a command is a list of texts")
        return list(words)
    words = shlex.split(command)
    if not words:
        raise ValueError("a command has at least one word")
    return words
