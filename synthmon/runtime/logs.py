"""The daemon's log: one JSON object a line, which no text from outside can forge and in which no secret stands."""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
from collections.abc import Callable, MutableMapping
from types import TracebackType
from typing import Any, TextIO

import orjson
import structlog


class Blotter:
    """The last look at a line before it is written: every text in it passes `redact`."""

    def __init__(self) -> None:
        self.redact: Callable[[str], str] | None = None

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """As a processor of structlog."""
        redact = self.redact
        if redact is None:
            return event
        # nearly no line holds a secret, which one look at all its texts together tells
        whole = "\n".join(value for value in event.values() if isinstance(value, str))
        clean = redact(whole) == whole
        return {
            key: value if clean and isinstance(value, str) else _texts(value, redact) for key, value in event.items()
        }


def log_json(stream: TextIO) -> None:
    """Write structured lines to a stream: ours, those of libraries from warnings on, and whatever nobody caught."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            Blotter(),
            structlog.processors.JSONRenderer(serializer=_dumps),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_Through()], force=True)
    logging.captureWarnings(True)
    _catch_strays()


def hide_with(redact: Callable[[str], str]) -> None:
    """Redact every line from now on, the last words of a process that breaks included."""
    for processor in structlog.get_config()["processors"]:
        if isinstance(processor, Blotter):
            processor.redact = redact


class _Through(logging.Handler):
    """Hands the lines of libraries on."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger(record.name)
        log.log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info or None)


def _catch_strays() -> None:
    """What nobody caught is a line as well: a traceback on the standard error would pass the blotter by."""
    sys.excepthook = _uncaught
    threading.excepthook = lambda told: _uncaught(told.exc_type, told.exc_value, told.exc_traceback)
    sys.unraisablehook = lambda told: _uncaught(told.exc_type, told.exc_value, told.exc_traceback)


def _uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if error is not None and not isinstance(error, KeyboardInterrupt):
        structlog.get_logger(__name__).critical("uncaught", exc_info=(kind, error, trace))


def _texts(value: Any, redact: Callable[[str], str]) -> Any:
    match value:
        case str():
            return redact(value)
        case bool() | int() | float() | None:
            return value
        case dict():
            return {key: _texts(each, redact) for key, each in value.items()}
        case list() | tuple():
            return [_texts(each, redact) for each in value]
    return redact(str(value))


def _dumps(value: Any, **_: Any) -> str:
    try:
        text = orjson.dumps(value, default=str).decode()
    except TypeError:  # half a surrogate, which UTF-8 cannot say
        text = json.dumps(value, default=str)
    return _UNSEEN.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1]


def _visible(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Text from outside moves no cursor, paints nothing and begins no line; a traceback of ours has its lines."""
    for key, value in event.items():
        text = value if isinstance(value, str) else repr(value)
        if key == "exception":
            event[key] = "\n".join(_CONTROL.sub(_escaped, line) for line in text.split("\n"))
        elif isinstance(value, str) or _CONTROL.search(text):
            event[key] = _CONTROL.sub(_escaped, text)
    return event


_UNSEEN = re.compile(
    "[\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""What reorders, hides or ends a line in a viewer: C1 controls, separators, bidirectional and invisible characters."""

_CONTROL = re.compile(f"[\x00-\x1f\ud800-\udfff]|{_UNSEEN.pattern}")


def log_words(stream: TextIO) -> None:
    """Write short lines for a person at a terminal, from warnings on."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            Blotter(),
            _visible,
            structlog.dev.ConsoleRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
    )
    _catch_strays()
