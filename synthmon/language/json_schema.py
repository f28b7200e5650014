"""The journey language as a JSON Schema (draft 2020-12), for completion and hints in editors."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from synthmon.language.connections import find_connections
from synthmon.language.evidence import find_sources
from synthmon.language.kinds import STRUCTURE, Kinds, find_kinds
from synthmon.language.schema import ClauseKeys, JourneyKeys
from synthmon.language.schema_words import CheckKeys
from synthmon.language.settings_schema import SettingsKeys

_REF = "#/$defs/{model}"


def json_schema(kinds: Kinds | None = None) -> dict[str, Any]:
    """The schema of one journey: `# yaml-language-server: $schema=synthmon.schema.json` in the first line of a file."""
    kinds = find_kinds() if kinds is None else kinds
    defs: dict[str, Any] = {}
    root = _schema(JourneyKeys, defs)
    steps = []
    acting = sorted(word for word, forms in kinds.items() if forms.undo is not None)
    looks, undos, sweeps = (_one_of([f"{word}_{place}" for word in acting]) for place in ("look", "undo", "sweep"))
    for word, forms in sorted(kinds.items()):
        for place, model in (("step", forms.step), ("undo", forms.undo), ("look", forms.look), ("sweep", forms.sweep)):
            if model is not None:
                defs[f"{word}_{place}"] = _chosen_by(word, _schema(model, defs), _first(forms.kind.manual))
        steps.append(f"{word}_step")
        if forms.undo is None:
            continue
        undo = defs[f"{word}_undo"]["properties"]
        undo["find"] = _with(undo["find"], looks)
        undo["sweep"] = _with(undo["sweep"], sweeps)
        undo["gone"] = _with(undo["gone"], {"anyOf": [{"const": "unchecked"}, looks]})
        step = defs[f"{word}_step"]["properties"]
        step["undo"] = _with(step["undo"], undos)
    for word, keys in STRUCTURE.items():
        defs[f"{word}_step"] = _chosen_by(word, _schema(keys, defs), keys.__doc__ or "")
        steps.append(f"{word}_step")
    defs["step"] = _one_of(steps)
    defs["together_step"]["properties"]["together"]["items"] = _one_of([f"{word}_step" for word in sorted(kinds)])
    root["properties"]["steps"]["items"] = {"$ref": "#/$defs/step"}
    clause = _schema(ClauseKeys, defs)
    check = _schema(CheckKeys, defs)
    defs["verify_line"] = {"anyOf": [{"type": "string", "minLength": 1}, check, clause]}
    defs["VerifyKeys"]["properties"]["expect"]["items"] = {"$ref": "#/$defs/verify_line"}
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A synthmon journey"}
    return {**head, **{key: value for key, value in root.items() if key != "title"}, "$defs": defs}


def settings_json_schema() -> dict[str, Any]:
    """The schema of `synthmon.yaml`."""
    defs: dict[str, Any] = {}
    root = _schema(SettingsKeys, defs)
    for word, forms in find_connections().items():
        schema = _schema(forms.keys, defs)
        defs[f"{word}_connection"] = _chosen_by(word, schema, _first(forms.kind.manual))
    for word, found in find_sources().items():
        defs[f"{word}_evidence"] = _chosen_by(word, _schema(found.keys, defs), _first(found.kind.manual))
    _entries(root["properties"]["evidence"], [f"{word}_evidence" for word in sorted(find_sources())])
    _entries(root["properties"]["connections"], [f"{word}_connection" for word in sorted(find_connections())])
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Settings of synthmon"}
    return {**head, **{key: value for key, value in root.items() if key != "title"}, "$defs": defs}


def _entries(field: dict[str, Any], forms: list[str]) -> None:
    """What stands under a name is one of these; the pattern of the names stays."""
    field["patternProperties"] = {pattern: _one_of(forms) for pattern in field.pop("patternProperties", {".": {}})}
    field["additionalProperties"] = False


def _schema(model: type[BaseModel], defs: dict[str, Any]) -> dict[str, Any]:
    """A model's own schema; what it refers to goes to `defs`."""
    made = model.model_json_schema(ref_template=_REF, by_alias=True)
    defs.update(made.pop("$defs", {}))
    return made


def _chosen_by(word: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    """The schema of one kind: only its own word chooses it."""
    return {**schema, "required": sorted({word, *schema.get("required", ())}), "description": description}


def _one_of(names: list[str]) -> dict[str, Any]:
    return {"oneOf": [{"$ref": f"#/$defs/{name}"} for name in names]}


def _with(field: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    return {"description": field.get("description", ""), **more}


def _first(text: str) -> str:
    return text.strip().partition("\n")[0]
