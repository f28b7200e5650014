"""Why a name has no value at a place, and which one was probably meant."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from synthmon.language.names import Names
from synthmon.language.words import listed, meant, near


@dataclass(frozen=True, slots=True)
class Said:
    """A fault of an expression: `at` counts from 0 in its text."""

    at: int
    code: str
    fault: str
    remedy: str


def explain_name(at: int, name: str, names: Names) -> Said:
    """Why a name has no value here; `at` is where it stands."""
    for explain in (
        _of_hook,
        _of_identity,
        _of_settings,
        _too_early,
        _of_step,
        _offered_elsewhere,
        _bare_root,
    ):
        if said := explain(at, name, names):
            return said
    known = [known for known in names.types if known not in ("", name)]
    remedy = meant(name, known, f"Names here: {listed(known, 30)}.")
    if "." not in name and not get_close_matches(name, known, 1, 0.75):
        remedy += f' A text stands in quotes: "{name}".'
    return Said(at, "undeclared-name", f"There is no `{name}` here.", remedy)


def _of_hook(at: int, name: str, names: Names) -> Said | None:
    if name.partition(".")[0] != "hook":
        return None
    known = [known for known in names.types if known.startswith("hook.")]
    fault = f"No step `hook` gives `{name}`."
    remedy = "Write `hook.<step>.url` with the id of a step such as `hook: POST`."
    return Said(at, "undeclared-name", fault, meant(name, known, remedy))


def _of_identity(at: int, name: str, names: Names) -> Said | None:
    if not name.startswith("identity"):
        return None
    fields = [known for known in names.types if known.startswith("identity.")]
    if fields:
        return None
    if names.identity:
        return Said(
            at, "undeclared-name", f"The identity `{names.identity}` has no fields here.", "Correct it in the settings."
        )
    return Said(
        at,
        "undeclared-name",
        f"`{name}` has no value: the journey has no identity.",
        "Add `identity:` with a name of the settings.",
    )


def _of_settings(at: int, name: str, names: Names) -> Said | None:
    if not name.startswith("secret."):
        return None
    known = [known for known in names.types if known.startswith("secret.")]
    word = name.partition(".")[2]
    remedy = meant(name, known, f"Add `{word}` to `secrets:` in the settings.")
    return Said(at, "undeclared-name", f"There is no secret `{word}` in the settings.", remedy)


def _too_early(at: int, name: str, names: Names) -> Said | None:
    step = _step_of(name, names)
    if step and step == names.story.finding:
        fault = f"`{name}` has no value: `find` looks when the answer of `{step}` was never seen."
        return Said(at, "no-value-yet", fault, "Look for something that the step sent, such as a reference.")
    if step in names.story.siblings:
        fault = f"`{name}` has no value yet: `{step}` runs at the same time."
        return Said(at, "no-value-yet", fault, "Use it after `together`.")
    if step in names.story.later:
        return Said(
            at,
            "no-value-yet",
            f"`{name}` has no value yet: step `{step}` saves it later.",
            f"Move this behind `{step}`.",
        )
    return None


def _of_step(at: int, name: str, names: Names) -> Said | None:
    step = _step_of(name, names)
    if not step:
        return None
    saved = names.story.saved[step]
    word = name[len(step) + 1 :].partition(".")[0]
    fault = f"Step `{step}` does not save `{word}`." if word else f"`{step}` is a step, not a value."
    if not saved:
        return Said(at, "undeclared-name", fault, f"Add `save:` to step `{step}`.")
    guess = near(word, saved)
    return Said(
        at, "undeclared-name", fault, f"Did you mean `{step}.{guess}`?" if guess else f"It saves {listed(saved)}."
    )


def _offered_elsewhere(at: int, name: str, names: Names) -> Said | None:
    root = name.partition(".")[0]
    if root in names.types or (root not in names.story.offers and name not in names.story.offers):
        return None
    if any(known.startswith(f"{root}.") for known in names.types):
        return None
    fault = f"`{name}` exists only in `expect`, `save` and `blame` of the step that gets the answer."
    return Said(at, "undeclared-name", fault, f"Save it there: `save: {{{name.rpartition('.')[2]}: {name}}}`.")


def _bare_root(at: int, name: str, names: Names) -> Said | None:
    below = [known for known in names.types if known.startswith(f"{name}.")]
    if not below or "." in name:
        return None
    return Said(at, "undeclared-name", f"`{name}` is not a value by itself.", f"Name one of {listed(below)}.")


def _step_of(name: str, names: Names) -> str:
    """The step that a name begins with, or nothing."""
    return next((step for step in names.story.saved if name == step or name.startswith(f"{step}.")), "")
