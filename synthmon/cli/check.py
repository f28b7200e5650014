"""`synthmon check`: every mistake in every file, each with its place and its remedy."""

from __future__ import annotations

import typer

from synthmon.cli.options import Json, Paths, SettingsFiles
from synthmon.cli.output import INVALID, people, print_json, say_problems, stop
from synthmon.language.load import load


def check(paths: Paths, settings: SettingsFiles = None, as_json: Json = False) -> None:
    """Check probes and settings without sending anything; exit 3 if there is an error."""
    loaded = load(paths, settings or ())
    errors = len(loaded.errors)
    warnings = len(loaded.problems) - errors
    if as_json:
        print_json(
            {
                "journeys": [journey.name for journey in loaded.journeys],
                "problems": [
                    {
                        "file": problem.place.file,
                        "line": problem.place.line,
                        "column": problem.place.column,
                        "path": problem.place.path,
                        "level": problem.level,
                        "code": problem.code,
                        "fault": problem.fault,
                        "remedy": problem.remedy,
                    }
                    for problem in loaded.problems
                ],
            }
        )
    else:
        say_problems(loaded.problems)
        people().print(
            f"{_count(len(loaded.journeys), 'journey')}, {_count(errors, 'error')}, {_count(warnings, 'warning')}"
        )
    if not loaded.journeys and not loaded.problems:  # a wrong path must not be green in a pipeline
        stop(f"There is no journey in {', '.join(paths)}. Give a probe, or a folder with *.yaml files of journeys.")
    if errors:
        raise typer.Exit(INVALID)


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
