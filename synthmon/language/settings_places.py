"""Where in the settings something stands, for a fault that shows itself long after they were read."""

from __future__ import annotations

from synthmon.core.errors import Place
from synthmon.language.settings import Settings
from synthmon.language.sources import Sources


def place_of_system(settings: Settings, name: str) -> Place:
    """The entry of a system in the last settings file that has it; a place without a line when none can be read."""
    sources = Sources()
    for file in reversed(settings.files):
        try:
            documents, _ = sources.documents(file)
        except OSError:
            continue
        for document in documents:
            systems = document.tree.get("systems") if isinstance(document.tree, dict) else None
            if isinstance(systems, dict) and name in systems:
                return document.marks.key(("systems", name))
    return Place(settings.files[-1] if settings.files else "synthmon.yaml", path=f"systems.{name}")
