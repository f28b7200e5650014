"""A journey from the text that a journal keeps: how the debts of a version that is gone are still understood."""

from __future__ import annotations

import orjson

from synthmon.core.journey import Journey
from synthmon.language.kinds import Kinds
from synthmon.language.load import load_text
from synthmon.language.settings import Settings


def kept_text(journey: Journey) -> str:
    """What has to be kept of a journey to make it again; files that it calls are read again from where they are."""
    return orjson.dumps({"file": journey.place.file, "text": journey.text}).decode()


def revive(kept: str, name: str, settings: Settings, kinds: Kinds) -> Journey | None:
    """The journey of this name, under the settings of today; None when it cannot be made any more."""
    told = orjson.loads(kept)
    made = load_text(told["text"], told["file"], settings, kinds).journeys
    return next((journey for journey in made if journey.name == name), None)
