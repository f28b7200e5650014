"""The words of a command line as bash would see them, or as Windows' cmd would after a browser copied it for that."""

from __future__ import annotations

import re
import shlex

ENDS = frozenset(("|", "||", "&&", "&", ";", ">", ">>", "2>", "2>&1", "<", "2>/dev/null"))


def shell_words(command: str) -> list[str]:
    """The words up to the first pipe or redirection. Raises `ValueError` for a quote that is never closed."""
    text = command.strip().replace("\r\n", "\n")
    text = re.sub(r"\A(\$|%|>|#)\s+(?=curl)", "", text)
    if re.search(r"\^\"|\^\n", text):
        text = re.sub(r"\^(.)", r"\1", re.sub(r"\^\n", " ", text), flags=re.DOTALL)
    words = shlex.split(_plain(text))
    end = next((i for i, word in enumerate(words) if word in ENDS), len(words))
    return words[:end]


def _plain(text: str) -> str:
    """Without continued lines and `$'…'`, which `shlex` does not know."""
    made, at = [], 0
    while at < len(text):
        found = _PIECE.match(text, at)
        if found is None:
            made.append(text[at])
            at += 1
            continue
        match found.lastgroup:
            case "ansi":
                made.append(shlex.quote(_ansi(found["ansi"])))
            case "line":
                made.append(" ")
            case "double":
                made.append(found[0].replace("\\\n", ""))
            case _:
                made.append(found[0])
        at = found.end()
    return "".join(made)


_PIECE = re.compile(
    r"(?P<line>\\\n)"
    r"|\$'(?P<ansi>(?:[^'\\]|\\[\s\S])*)'"
    r"|(?P<single>'[^']*')"
    r'|(?P<double>"(?:[^"\\]|\\[\s\S])*")'
    r"|(?P<escaped>\\[\s\S])"
)


def _ansi(text: str) -> str:
    """What `$'…'` means (bash, "ANSI-C Quoting")."""
    plain = _ESCAPE.sub(_meant, text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # joins pairs such as \ud83d\ude00


def _meant(found: re.Match[str]) -> str:
    word = found[1]
    if word[0] in "xuU" and len(word) > 1:
        code = int(word[1:], 16)
        return chr(code) if code <= 0x10FFFF else "\ufffd"
    if word[0].isdigit():
        return chr(int(word, 8) & 0xFF)
    return _SHORT.get(word, f"\\{word}" if word not in "\\'\"?" else word)


_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{1,2}|u[0-9a-fA-F]{1,4}|U[0-9a-fA-F]{1,8}|[0-7]{1,3}|[\s\S])")
_SHORT = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "v": "\v"}
