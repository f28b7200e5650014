"""Reads files and folders of journeys with their settings: every journey that is right, and every mistake."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath

from synthmon.core.errors import Place, Problem
from synthmon.core.journey import Journey
from synthmon.language.budgets import say_budgets
from synthmon.language.compile import Compiled, compile_document
from synthmon.language.discover import discover
from synthmon.language.documents import read
from synthmon.language.expressions import Shelf
from synthmon.language.kinds import Kinds, find_kinds
from synthmon.language.sessions import compile_sessions
from synthmon.language.settings import Settings
from synthmon.language.settings_read import SettingsRead, settings_of
from synthmon.language.sources import Sources, too_large, why
from synthmon.language.workshop import Workshop


@dataclass(frozen=True, slots=True)
class Loaded:
    """What files gave. Journeys with an error are left out; `by_file` has an entry for every file that was read."""

    journeys: tuple[Journey, ...]
    settings: Settings
    problems: tuple[Problem, ...]
    by_file: Mapping[str, tuple[Journey, ...]] = field(default_factory=dict)

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that keep a journey from running."""
        return tuple(problem for problem in self.problems if problem.level == "error")


def load(
    paths: Iterable[str | FilePath],
    settings_files: Iterable[str | FilePath] = (),
    kinds: Kinds | None = None,
    environ: Mapping[str, str] | None = None,
) -> Loaded:
    """Load once. `paths` are files and folders (`*.yaml`, `*.yml`, below them too); see `Loader`."""
    return Loader(paths, settings_files, kinds, environ).load()


def load_text(text: str, file: str, settings: Settings, kinds: Kinds | None = None) -> Loaded:
    """The journeys of one text, against settings that are loaded already: to pay the debts of an older version, or to
    check what somebody types. `file` is where it came from; files that it calls are read from there."""
    sources = Sources()
    shop = Workshop(find_kinds() if kinds is None else kinds, settings, sources, given=True)
    documents, problems = read(file, text)
    compiled = [compile_document(document, shop) for document in documents]
    problems = (*problems, *(problem for one in compiled for problem in one.problems))
    journeys = tuple(journey for one in compiled for journey in one.journeys)
    return Loaded(journeys, settings, tuple(sorted(dict.fromkeys(problems))), {file: journeys})


@dataclass(frozen=True, slots=True)
class _Made:
    """What became of one file: kept while neither it nor a file that it is made of changes."""

    fingerprint: str
    compiled: tuple[Compiled, ...]
    problems: tuple[Problem, ...]

    @property
    def journeys(self) -> tuple[Journey, ...]:
        return tuple(journey for one in self.compiled for journey in one.journeys)

    @property
    def good(self) -> bool:
        return not any(problem.level == "error" for problem in self.problems)

    def fresh(self, fingerprint: str, sources: Sources) -> bool:
        """Whether everything that it is made of is as it was."""
        if fingerprint != self.fingerprint:
            return False
        return all(sources.fingerprint(file) == mark for one in self.compiled for file, mark in one.files.items())


class Loader:
    """Loads, and loads again: then only what changed is compiled, and a broken file keeps its old version.

    Without `settings_files`, `synthmon.yaml` is read: from the current folder, else beside the probes or above them.
    """

    def __init__(
        self,
        paths: Iterable[str | FilePath],
        settings_files: Iterable[str | FilePath] = (),
        kinds: Kinds | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._paths = tuple(str(path) for path in paths)
        self._settings_files = tuple(str(file) for file in settings_files)
        self._kinds = find_kinds() if kinds is None else kinds
        self._environ = os.environ if environ is None else environ
        self._made: dict[str, _Made] = {}
        self._good: dict[str, _Made] = {}
        self._settings: Settings | None = None
        self._settings_mark: tuple[tuple[str, str], ...] = ()

    def load(self) -> Loaded:
        """Read everything. Journeys with an error are left out, the others are kept."""
        return self._read(keep_old=False)

    def reload(self) -> Loaded:
        """Read again. A file with an error is told in `problems`, and its last good version stays in `journeys`; with
        an error in the settings the old settings stay."""
        return self._read(keep_old=True)

    def _read(self, keep_old: bool) -> Loaded:
        sources = Sources()
        settings, given, problems, places = self._read_settings(sources, keep_old)
        shop = Workshop(self._kinds, settings, sources, Shelf(), given)
        found = discover(
            self._paths, self._names_of_settings(), sources, {file: one.fingerprint for file, one in self._made.items()}
        )
        problems = [*problems, *found.problems]
        before, self._made = self._made, {}
        for file in found.files:
            old = before.get(file)
            mark = sources.fingerprint(file)
            self._made[file] = old if old and old.fresh(mark, sources) else _compile_file(file, mark, shop)
            sources.forget(file)
        used = self._used(keep_old)
        problems += [problem for file in found.files for problem in self._made[file].problems]
        by_file, twice = _without_twins(used)
        problems += twice
        systems = {
            name: system for made in used.values() for one in made.compiled for name, system in one.systems.items()
        }
        problems += say_budgets(
            (journey for made in used.values() for one in made.compiled for journey in one.journeys), settings, places
        )
        whole = replace(settings, systems={**systems, **settings.systems}) if systems else settings
        journeys = tuple(journey for some in by_file.values() for journey in some)
        return Loaded(journeys, whole, tuple(sorted(dict.fromkeys(problems))), by_file)

    def _names_of_settings(self) -> tuple[str, ...]:
        """Those that were named, else `synthmon.yaml` here, else beside the probes, else above them."""
        if self._settings_files:
            return self._settings_files
        folders = (path if os.path.isdir(path) else os.path.dirname(path) for path in self._paths)
        beside = [os.path.join(folder, up, "synthmon.yaml") for folder in folders for up in ("", "..")]
        places = ("synthmon.yaml", *map(os.path.normpath, beside))
        return tuple(place for place in places if os.path.isfile(place))[:1]

    def _read_settings(
        self, sources: Sources, keep_old: bool
    ) -> tuple[Settings, bool, list[Problem], Mapping[str, Place]]:
        files = self._names_of_settings()
        reading = SettingsRead(sources, self._environ)
        settings = settings_of(reading, files)
        shop = Workshop(self._kinds, settings, sources, Shelf(), bool(files))
        sessions = compile_sessions(reading, shop)
        settings = replace(settings, sessions=sessions)
        broken = any(problem.level == "error" for problem in reading.problems)
        if broken and keep_old and self._settings is not None:
            return self._settings, True, reading.problems, reading.budget_places
        mark = tuple(sorted(reading.files.items()))
        if mark != self._settings_mark:
            self._made = {}  # every journey may mean something else now
        self._settings, self._settings_mark = settings, mark
        return settings, bool(files), reading.problems, reading.budget_places

    def _used(self, keep_old: bool) -> dict[str, _Made]:
        """What each file stands for now: its new version, or its last good one."""
        used = {}
        for file, made in self._made.items():
            if made.good:
                self._good[file] = made
            used[file] = self._good[file] if keep_old and not made.good and file in self._good else made
        self._good = {file: made for file, made in self._good.items() if file in self._made}
        return used


def _compile_file(file: str, mark: str, shop: Workshop) -> _Made:
    try:
        documents, problems = shop.sources.documents(file)
    except OSError as error:
        fault = f"The file cannot be read: {why(error)}."
        remedy = "Split it into several files." if too_large(error) else "Check its path and its permissions."
        return _Made(mark, (), (Problem(Place(file), "unreadable-file", fault, remedy),))
    compiled = tuple(compile_document(document, shop) for document in documents)
    if not documents and not problems:
        problems = (Problem(Place(file), "no-journey", "The file is empty.", "Begin with `journey: a-name`."),)
    return _Made(mark, compiled, (*problems, *(problem for one in compiled for problem in one.problems)))


def _without_twins(used: Mapping[str, _Made]) -> tuple[dict[str, tuple[Journey, ...]], list[Problem]]:
    """Journeys by file, the first of each name; the others are said."""
    first: dict[str, Place] = {}
    problems = []
    by_file = {}
    for file, made in used.items():
        kept = []
        for journey in made.journeys:
            if journey.name in first:
                fault = (
                    f"The journey `{journey.base_name}` is already in "
                    f"{first[journey.name].file}:{first[journey.name].line}."
                )
                problems.append(
                    Problem(journey.place, "duplicate-journey", fault, "Give each journey a name of its own.")
                )
            else:
                first[journey.name] = journey.place
                kept.append(journey)
        by_file[file] = tuple(kept)
    return by_file, problems
