"""From one document to its journeys: one for each case, or everything that is wrong with it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from synthmon.core.errors import Problem
from synthmon.core.journey import Alert, Check, Journey, Promises, Slo, Step
from synthmon.core.system import System
from synthmon.core.templates import Template
from synthmon.language.calls import compile_call
from synthmon.language.cases import Case, read_cases
from synthmon.language.documents import Document
from synthmon.language.events import compile_verify
from synthmon.language.expressions import literal
from synthmon.language.faults import Faults, check_keys, keys_of
from synthmon.language.hooks import hook_names, say_circles
from synthmon.language.identity_sources import identity_names, sealed_names
from synthmon.language.lint import lint
from synthmon.language.names import RUN, Names, Story, type_of
from synthmon.language.schedule import compile_schedule
from synthmon.language.schema import NOT_YET, JourneyKeys, VerifyKeys
from synthmon.language.settings import Default, Invented
from synthmon.language.settings_read import alert
from synthmon.language.step_parts import Parts
from synthmon.language.step_schema import StepKeys
from synthmon.language.steps import Steps
from synthmon.language.systems import say_unknown_system
from synthmon.language.unsafe import owned_domains, say_unsafe
from synthmon.language.words import meant
from synthmon.language.workshop import Progress, Workshop

_ELSEWHERE = dict.fromkeys(keys_of(StepKeys), "a step, not of the journey")


@dataclass(frozen=True, slots=True)
class Compiled:
    """What became of one document. `files` are other files that it is made of, with their fingerprints; `systems` are
    those made for journeys without settings."""

    journeys: tuple[Journey, ...]
    problems: tuple[Problem, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    systems: Mapping[str, System] = field(default_factory=dict)


def compile_document(document: Document, shop: Workshop) -> Compiled:
    """Compile one journey with all its cases. With an error among the problems there are no journeys."""
    faults = Faults(document.marks)
    keys = check_keys(JourneyKeys, document.tree, (), faults, NOT_YET["journey"], _ELSEWHERE, hollow=True)
    if keys is None:
        return Compiled((), tuple(faults.problems))
    progress = _begin(keys, document, shop, faults)
    files: dict[str, str] = {}
    cases = read_cases(keys.cases, shop, files, faults)
    say_unsafe(document.tree, (("vars",), ("cases",), ("steps",), ("verify",)), owned_domains(shop.settings), faults)
    plain = _journey(keys, document, shop, faults)
    made: dict[tuple[tuple[str, str], ...], _Body] = {}
    journeys: list[Journey] = []
    for case in cases if cases is not None else (Case("", _any_case(document.text)),):
        types = {f"case.{name}": type_of(value) for name, value in case.values.items()}
        alike = tuple(sorted(types.items()))
        if alike not in made:
            made[alike] = _body(keys, types, progress, shop, faults)
        journeys.append(_of_case(plain, made[alike], case, document, shop, files))
    body = next(iter(made.values()))
    if isinstance(keys.steps, list) and keys.steps:
        lint(journeys[0], keys, shop, faults)
    problems = tuple(dict.fromkeys(faults.problems))
    for one in made.values():
        files.update(one.progress.files)
    if any(problem.level == "error" for problem in problems):
        return Compiled((), problems, files)
    implicit = body.progress.implicit
    systems = {implicit.name: implicit} if implicit else {}
    return Compiled(tuple(journeys), problems, files, systems)


@dataclass(frozen=True, slots=True)
class _Body:
    """What cases of the same types share."""

    progress: Progress
    vars: tuple[tuple[str, Template], ...]
    steps: tuple[Step, ...]
    verify: tuple[Check, ...]
    promises: Promises


def _begin(keys: JourneyKeys, document: Document, shop: Workshop, faults: Faults) -> Progress:
    """The names that a journey has before its first step, and what it refers to in the settings."""
    settings = shop.settings
    types = dict(RUN) | {f"secret.{name}": "string" for name in settings.secrets}
    types |= hook_names(keys.steps, document.marks.file, shop.sources)
    sealed: frozenset[str] = frozenset()
    if keys.system and keys.system not in settings.systems:
        say_unknown_system(keys.system, ("system",), shop, faults)
    if keys.identity:
        source = settings.identities.get(keys.identity)
        if source is None:
            fault = f"The settings have no identity `{keys.identity}`."
            faults.say(
                ("identity",),
                "unknown-identity",
                fault,
                meant(keys.identity, settings.identities, "Add it to `identities:` in synthmon.yaml."),
            )
            types.update((f"identity.{word}", "string") for word in re.findall(r"identity\.(\w+)", document.text))
        else:
            types.update(identity_names(source))
            sealed = sealed_names(source)
    system = settings.systems.get(keys.system or "")
    auth = keys.auth or (system.auth if system else "")
    if auth and auth not in settings.sessions:
        faults.say(
            ("auth",) if keys.auth else ("system",),
            "unknown-session",
            f"The settings have no session `{auth}`.",
            meant(auth, settings.sessions, "Add it to `sessions:` in synthmon.yaml."),
        )
    return Progress(types, keys.system or "", keys.auth or "", keys.identity or "", sealed)


def _body(keys: JourneyKeys, case_types: Mapping[str, str], begin: Progress, shop: Workshop, faults: Faults) -> _Body:
    """The steps, compiled for cases of these types."""
    progress = replace(
        begin, types={**begin.types, **case_types}, hidden=set(), sent=set(), ids=set(), systems={}, files={}
    )
    parts = Parts(shop, progress, faults)
    made_vars = tuple(_vars(keys, progress, parts, faults))
    raw = keys.steps if isinstance(keys.steps, list) else []
    steps = Steps(parts, compile_call).compile(raw, ("steps",))
    say_circles(made_vars, steps, faults)
    verify: tuple[Check, ...] = ()
    promises = Promises()
    if isinstance(keys.verify, VerifyKeys):
        names = Names(
            progress.types,
            hidden=frozenset(progress.hidden) | progress.sealed,
            story=Story(_saved_by(steps), offers=shop.offers),
        )
        verify, promises = compile_verify(keys.verify, keys.events, names, parts)
    return _Body(progress, made_vars, steps, verify, promises)


def _vars(keys: JourneyKeys, progress: Progress, parts: Parts, faults: Faults) -> Iterator[tuple[str, Template]]:
    for name, value in keys.vars.items():
        names = Names(progress.types, hidden=progress.sealed, identity=progress.identity)
        template = Template("", ())
        match value:
            case str():
                template = parts.expressions.template(value, ("vars", name), names)
            case bool() | int() | float():
                template = parts.expressions.template(f"${{{literal(value)}}}", ("vars", name), names)
            case _:
                faults.say(
                    ("vars", name),
                    "bad-value",
                    f"`{name}` is not a text, a number or a boolean.",
                    "Write one value; for several use `cases:`.",
                )
        progress.types[f"vars.{name}"] = template.type
        yield name, template


def _saved_by(steps: tuple[Step, ...]) -> dict[str, tuple[str, ...]]:
    flat = (leaf for step in steps for leaf in (step.together or (step,)))
    return {step.id: tuple(name for name, _ in step.save) for step in flat}


def _journey(keys: JourneyKeys, document: Document, shop: Workshop, faults: Faults) -> Journey:
    """The journey without its steps."""
    default = next(
        (d for d in shop.settings.defaults if isinstance(keys.journey, str) and d.meant_for(keys.journey)), None
    )
    slo = (
        Slo(keys.slo.objective, keys.slo.window, {str(word): limit_s for word, limit_s in keys.slo.latency.items()})
        if keys.slo
        else None
    )
    return Journey(
        name=str(keys.journey),
        place=document.marks.value(("journey",)),
        digest="",
        schedule=compile_schedule(keys, faults),
        deadline_s=keys.deadline or 0.0,
        system=keys.system or "",
        steps=(),
        title=keys.title,
        owner=keys.owner or (default.owner if default else ""),
        runbook=keys.runbook or (default.runbook if default else ""),
        identity=keys.identity or "",
        auth=keys.auth or "",
        locations=tuple(keys.locations),
        slo=slo,
        alert=alert(keys.alert) or (default.alert if default else None) or Alert(),
        labels=default.labels if default else {},
        text=document.text,
    )


def _of_case(
    plain: Journey, body: _Body, case: Case, document: Document, shop: Workshop, files: Mapping[str, str]
) -> Journey:
    implicit = body.progress.implicit
    return replace(
        plain,
        name=f"{plain.name}/{case.name}" if case.name else plain.name,
        digest=_digest(document, case, body, shop, files, plain.name),
        deadline_s=plain.deadline_s or _deadline_s(body.steps) + body.promises.patience_s,
        system=plain.system or (implicit.name if implicit else _first_system(body.steps)),
        steps=body.steps,
        verify=body.verify,
        promises=body.promises,
        vars=body.vars,
        case=case.values,
        case_name=case.name,
    )


def _first_system(steps: tuple[Step, ...]) -> str:
    return next((leaf.system for step in steps for leaf in (step.together or (step,)) if leaf.system), "")


def _deadline_s(steps: tuple[Step, ...]) -> float:
    """30 s, and all the time that the steps may wait on purpose."""
    leaves = [leaf for step in steps for leaf in (step.together or (step,))]
    return 30.0 + sum((s.within.limit_s + s.within.grace_s if s.within else 0.0) + (s.pause_s or 0.0) for s in leaves)


def _digest(document: Document, case: Case, body: _Body, shop: Workshop, files: Mapping[str, str], name: str) -> str:
    """SHA-256 over everything that a journey was made from."""
    settings = shop.settings
    progress = body.progress
    source = settings.identities.get(progress.identity)
    session = settings.sessions.get(progress.auth)
    default = next((d for d in settings.defaults if d.meant_for(name)), Default(()))
    parts = [
        document.text,
        case.name,
        repr(dict(case.values)),
        *(f"{file}={mark}" for file, mark in sorted({**files, **progress.files}.items())),
        *(repr(progress.systems[name]) for name in sorted(progress.systems)),
        repr(source if isinstance(source, Invented) else sorted(identity_names(source)) if source else ""),
        *sorted(sealed_names(source)),
        repr((session.keep_s, session.per, session.file, shop.sources.fingerprint(session.file)) if session else ""),
        repr(settings.propagation),
        *(repr(source) for source in body.promises.sources),
        repr(default),
    ]
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _any_case(text: str) -> dict[str, None]:
    """After a fault in the cases: whatever the steps read, of any type, so that nothing else is said of it."""
    return dict.fromkeys(re.findall(r"case\.(\w+)", text))
