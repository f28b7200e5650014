"""A journey from the text that a journal keeps: how the debts of a version that is gone are still understood."""

from __future__ import annotations

import orjson

from synthmon.core.journey import Journey
from synthmon.language.compile import compile_document
from synthmon.language.documents import read
from synthmon.language.kinds import Kinds
from synthmon.language.settings import Settings
from synthmon.language.sources import Sources
from synthmon.language.workshop import Workshop


def kept_text(journey: Journey) -> str:
    """What has to be kept of a journey to make it again; files that it calls are read again from where they are."""
    return orjson.dumps({"file": journey.place.file, "text": journey.text}).decode()


def revive(kept: str, name: str, settings: Settings, kinds: Kinds) -> Journey | None:
    """The journey of this name, under the settings of today; None when it cannot be made any more."""
    told = orjson.loads(kept)
    documents, problems = read(told["file"], told["text"])
    if problems:
        return None
    shop = Workshop(kinds, settings, Sources(), given=bool(settings.files))
    made = (journey for document in documents for journey in compile_document(document, shop).journeys)
    return next((journey for journey in made if journey.name == name), None)
