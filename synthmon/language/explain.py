"""The manual of the language, made from what checks it: keys, kinds, names, functions and codes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import BaseModel

from synthmon.core.functions import CATALOGUE
from synthmon.language import connections, evidence
from synthmon.language import kinds as steps
from synthmon.language.codes import CODES
from synthmon.language.connections import ConnectionKeys, find_connections
from synthmon.language.evidence import EvidenceKeys, find_sources
from synthmon.language.kinds import STRUCTURE, Kinds, find_kinds
from synthmon.language.plugins import OURS, Origin, find
from synthmon.language.schema import AlertKeys, ClauseKeys, EventKeys, JourneyKeys, SloKeys, VerifyKeys
from synthmon.language.schema_words import CheckKeys
from synthmon.language.settings_schema import (
    AppRoleKeys,
    BudgetKeys,
    DefaultKeys,
    IdentityKeys,
    KubernetesKeys,
    LimitsKeys,
    PropagationKeys,
    QuietKeys,
    RetentionKeys,
    SessionKeys,
    SettingsKeys,
    SystemKeys,
    TlsKeys,
    VaultKeys,
    WebKeys,
)
from synthmon.language.step_schema import CalledKeys, ListenKeys, LookKeys, RetryKeys, StepKeys, SweepKeys, UndoKeys
from synthmon.language.words import meant

PLACES: Mapping[str, type[BaseModel]] = {
    "journey": JourneyKeys,
    "step": StepKeys,
    "listening": ListenKeys,
    "connection": ConnectionKeys,
    "check": CheckKeys,
    "undo": UndoKeys,
    "look": LookKeys,
    "sweep": SweepKeys,
    "retry": RetryKeys,
    "verify": VerifyKeys,
    "event": EventKeys,
    "clause": ClauseKeys,
    "evidence": EvidenceKeys,
    "slo": SloKeys,
    "alert": AlertKeys,
    "called": CalledKeys,
    "settings": SettingsKeys,
    "system": SystemKeys,
    "budget": BudgetKeys,
    "tls": TlsKeys,
    "session": SessionKeys,
    "identity": IdentityKeys,
    "propagation": PropagationKeys,
    "defaults": DefaultKeys,
    "quiet": QuietKeys,
    "limits": LimitsKeys,
    "web": WebKeys,
    "vault": VaultKeys,
    "approle": AppRoleKeys,
    "kubernetes": KubernetesKeys,
    "retention": RetentionKeys,
}
"""The maps of the language → their keys."""

NAMES: Mapping[str, str] = {
    "run.id": "32 hex digits, also the trace id (string)",
    "run.namespace": "syn- and 24 hex digits, safe in a DNS label: a tag that `synthmon sweep` knows (string)",
    "run.started": "when the run began (timestamp)",
    "run.slot": "when it was due (timestamp)",
    "run.location": "where it runs (string)",
    "run.seed": "what digits() and uuid() depend on; the same in a replay (int)",
    "run.instance": "the name of this installation, `instance:` in the settings (string)",
    "identity.<field>": "of the identity that the run has (string); a secret of an account is sealed as `secret.*` is",
    "vars.<name>": "what `vars` computed at the start of the run",
    "case.<name>": "a value of the case, typed as YAML reads it",
    "secret.<name>": "a secret of the settings, a sealed handle: only joined to a text that is sent, or in "
    "basic() and hmac_sha256()",
    "item, page": "in `sweep` only: one thing that is listed, and where the next page of the list begins",
    "<step>.<saved>": "what an earlier step saved; in `undo` also what the step itself saved",
}


class NoTopic(LookupError):
    """Nothing is known about this; the message says what was probably meant."""


def explain(topic: str | None = None, kinds: Kinds | None = None) -> str:
    """The manual of a topic: a kind, a key (`within`, `undo.ttl`), a code, `names`, `functions`, `codes`; without one,
    what there is. Raises `NoTopic`."""
    kinds = find_kinds() if kinds is None else kinds
    if topic is None:
        return _overview(kinds)
    pages = [
        page
        for page in (
            _kind(topic, kinds),
            _connection(topic),
            _unusable(topic),
            _special(topic),
            _place(topic),
            _function(topic),
            _code(topic),
            _keys(topic, kinds),
        )
        if page
    ]
    if not pages:
        raise NoTopic(f"There is no topic `{topic}`. {meant(topic, _topics(kinds), 'See `synthmon explain`.')}")
    return "\n\n".join(dict.fromkeys(pages)) + "\n"


def _overview(kinds: Kinds) -> str:
    lines = ["Kinds of steps:", *(f"  {word:12} {_first(forms.kind.manual)}" for word, forms in sorted(kinds.items()))]
    lines += [f"  {word:12} {_first(model.__doc__ or '')}" for word, model in STRUCTURE.items()]
    lines += ["", "Kinds of connections:"]
    lines += [f"  {word:12} {_first(forms.kind.manual)}" for word, forms in sorted(find_connections().items())]
    lines += ["", "Sources of evidence:"]
    lines += [f"  {word:12} {_first(forms.kind.manual)}" for word, forms in sorted(find_sources().items())]
    lines += [
        "",
        "Maps and their keys:",
        *(f"  {word:12} {_first(model.__doc__ or '')}" for word, model in PLACES.items()),
    ]
    lines += ["", "Also: names, functions, codes; any key, such as within or undo.ttl; any code, such as no-check."]
    return "\n".join(lines) + "\n"


def _kind(topic: str, kinds: Kinds) -> str:
    if topic in STRUCTURE:
        model = STRUCTURE[topic]
        return f"{topic}: {model.__doc__}\n\nKeys:\n{_table(model)}"
    if topic not in kinds:
        return ""
    kind = kinds[topic].kind
    offers = "\n".join(f"  {name:18} {word}" for name, word in kind.offers.items())
    return (
        f"{kind.manual.strip()}{_brought_by(kinds[topic].origin)}\n\nKeys:\n{_table(kind.keys)}\n\n"
        f"Names in expect, save and blame:\n{offers}\n\nKeys of every step: synthmon explain step"
    )


def _connection(topic: str) -> str:
    forms = find_connections().get(topic)
    if forms is None:
        found = find_sources().get(topic)
        if found is None:
            return ""
        return f"{found.kind.manual.strip()}{_brought_by(found.origin)}\n\nKeys:\n{_table(found.keys)}"
    kind = forms.kind
    places = [
        f"A `{word}` names its place with: {', '.join(_needed(key, needed) for key, needed in words.items())}"
        for word, words in (("send", kind.sends_to), ("receive", kind.hears_at))
        if words
    ]
    return "\n\n".join([f"{kind.manual.strip()}{_brought_by(forms.origin)}", f"Keys:\n{_table(forms.keys)}", *places])


def _unusable(topic: str) -> str:
    refusals = (find(room).refusal([topic]) for room in (steps.ROOM, connections.ROOM, evidence.ROOM))
    return "\n\n".join(f"{refused.fault} {refused.remedy}" for refused in refusals if refused)


def _brought_by(origin: Origin) -> str:
    return "" if origin.package == OURS else f"\n\nIt comes with {origin}."


def _needed(key: str, needed: bool) -> str:
    return f"{key} (must be there)" if needed else key


def _special(topic: str) -> str:
    match topic:
        case "names":
            return "Names in expressions:\n" + "\n".join(f"  {name:18} {text}" for name, text in NAMES.items())
        case "functions":
            return "Functions, beside those of CEL:\n" + "\n".join(_function(name) for name in CATALOGUE)
        case "codes":
            return "Codes:\n" + "\n".join(f"  {code:24} {about.means}" for code, about in CODES.items())
    return ""


def _place(topic: str) -> str:
    model = PLACES.get(topic)
    return f"{topic}: {model.__doc__}\n\nKeys:\n{_table(model)}" if model else ""


def _function(topic: str) -> str:
    if topic not in CATALOGUE:
        return ""
    forms = [
        f"{topic}({', '.join(o.takes)}) → {o.gives}"
        for o in CATALOGUE[topic]
        if not (len(CATALOGUE[topic]) > 1 and o.takes[0] == "int")
    ]
    return f"  {forms[0]}\n      {' '.join((CATALOGUE[topic][0].impl.__doc__ or '').split())}"


def _code(topic: str) -> str:
    about = CODES.get(topic)
    if about is None:
        return ""
    return f"{topic} ({'warning' if about.warning else 'error'}): {about.means}\n  What helps: {about.remedy}"


def _keys(topic: str, kinds: Kinds) -> str:
    place, _, key = topic.rpartition(".")
    own = {
        **{word: f.kind.keys for word, f in kinds.items()},
        **{w: c.kind.keys for w, c in find_connections().items()},
    }
    models = {**PLACES, **STRUCTURE, **own}
    found = []
    for name, model in models.items():
        if place not in ("", name):
            continue
        for field_name, about in model.model_fields.items():
            if (about.alias or field_name) == key:
                found.append(f"{name}.{key}: {about.description}")
    return "\n".join(found)


def _table(model: type[BaseModel]) -> str:
    rows = [
        (about.alias or name, about.description or "", about.is_required())
        for name, about in model.model_fields.items()
    ]
    return "\n".join(f"  {key:12} {text}{' (must be there)' if needed else ''}" for key, text, needed in rows)


def _first(text: str) -> str:
    return text.strip().partition("\n\n")[0].replace("\n", " ")


def _topics(kinds: Kinds) -> Iterable[str]:
    keys = {about.alias or name for model in PLACES.values() for name, about in model.model_fields.items()}
    return {
        *kinds,
        *find_connections(),
        *find_sources(),
        *STRUCTURE,
        *PLACES,
        *CATALOGUE,
        *CODES,
        *keys,
        "names",
        "functions",
        "codes",
    }
