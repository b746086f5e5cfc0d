"""JSON schemas of tool arguments, reduced to the schemas that `parameters` takes.

That field holds a subset of OpenAPI schemas. An unknown keyword in it, such as
`additionalProperties`, closes the connection, so this module writes known keywords only: references
are resolved, a union with null becomes `nullable`, and what has no equivalent is left out. The tool
itself still checks its arguments.

Source: Gemini API reference, "Caching", `Schema` and `Type`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from voicechat.providers.json_fields import as_list, fields

Schema = dict[str, object]

MOST_PARTS = 4_000
"""Most parts of one schema that are read; references could multiply without end."""

MOST_LEVELS = 32
"""Most levels of nested schemas that are read."""

_TYPES = ("string", "integer", "number", "boolean", "array", "object")
_TYPE_OF_VALUE = {str: "STRING", int: "INTEGER", float: "NUMBER", bool: "BOOLEAN"}

_FORMATS = {
    "STRING": {"enum", "date-time"},
    "INTEGER": {"int32", "int64"},
    "NUMBER": {"float", "double"},
}
"""Formats that each type takes; any other closes the connection."""

_KEYWORDS: Mapping[str, tuple[type, ...]] = {
    "title": (str,),
    "description": (str,),
    "pattern": (str,),
    "minimum": (int, float),
    "maximum": (int, float),
    **dict.fromkeys(
        ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"),
        (int,),
    ),
}
"""Keywords that are copied, with the types of their values."""


def plain_schema(schema: Mapping[str, object]) -> Schema | None:
    """Return the arguments of a tool as a plain schema; None for a tool without arguments."""
    root = dict(schema)
    found = _Reduction(root).reduce(root)
    return found if found.get("properties") else None


class _Reduction:
    """The reduction of one schema."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._parts_left = MOST_PARTS

    def reduce(self, value: object, within: tuple[str, ...] = (), level: int = 0) -> Schema:
        """Return a part of the schema; `within` has the references that lead to it."""
        self._parts_left -= 1
        if self._parts_left < 0 or level > MOST_LEVELS:
            return {"type": "STRING"}
        schema, within = self._resolved(fields(value), within)
        variants, may_be_null = _variants(schema)
        reduced = [self.reduce(each, within, level + 1) for each in variants]
        found = reduced or [self._typed(schema, within, level)]
        if may_be_null:
            found = [{**each, "nullable": True} for each in found]
        # A schema with several variants takes no other keyword.
        return found[0] if len(found) == 1 else {"anyOf": found}

    def _resolved(self, schema: Schema, within: tuple[str, ...]) -> tuple[Schema, tuple[str, ...]]:
        """Resolve `$ref` and `allOf`; a schema that contains itself ends as any object."""
        while isinstance(reference := schema.get("$ref"), str):
            rest = {name: value for name, value in schema.items() if name != "$ref"}
            if reference in within:
                return {"type": "object", **rest}, within
            within = (*within, reference)
            schema = {**self._target(reference), **rest}
        parts = as_list(schema.get("allOf"))
        if not parts:
            return schema, within
        schema = {name: value for name, value in schema.items() if name != "allOf"}
        for part in parts[: max(self._parts_left, 0)]:
            self._parts_left -= 1
            inner, within = self._resolved(fields(part), within)
            schema = _joined(inner, schema)
        return schema, within

    def _target(self, reference: str) -> Schema:
        """Return the part that a reference such as `#/$defs/Place` names; empty for none."""
        found: object = self._root
        for name in reference.removeprefix("#").split("/")[1:]:
            found = fields(found).get(name.replace("~1", "/").replace("~0", "~"))
        return fields(found)

    def _typed(self, schema: Schema, within: tuple[str, ...], level: int) -> Schema:
        choices = [schema["const"]] if "const" in schema else as_list(schema.get("enum"))
        kind = _kind(schema, choices)
        found: Schema = {"type": kind}
        found |= {
            name: value
            for name, kinds in _KEYWORDS.items()
            if type(value := schema.get(name)) in kinds and value != ""
        }
        if schema.get("format") in _FORMATS.get(kind, ()):
            found["format"] = schema["format"]
        if choices:
            _add_choices(found, choices)
        if kind == "ARRAY":
            found["items"] = self.reduce(schema.get("items"), within, level + 1)
        elif kind == "OBJECT":
            found |= self._members(schema, within, level)
        return found

    def _members(self, schema: Schema, within: tuple[str, ...], level: int) -> Schema:
        properties = {
            name: self.reduce(value, within, level + 1)
            for name, value in fields(schema.get("properties")).items()
        }
        required = [name for name in as_list(schema.get("required")) if name in properties]
        members = {"properties": properties, "required": required}
        return {name: value for name, value in members.items() if value}


def _variants(schema: Schema) -> tuple[list[Schema], bool]:
    """Return the variants of a schema other than null, and True if the value may be null.

    A schema with one type has no variants.
    """
    kinds = schema.get("type")
    either = as_list(schema.get("anyOf")) or as_list(schema.get("oneOf"))
    rest = {name: value for name, value in schema.items() if name not in {"anyOf", "oneOf"}}
    if not either and isinstance(kinds, list):
        either = [{"type": kind} for kind in kinds]
        del rest["type"]
    wanted = [fields(each) for each in either if fields(each).get("type") != "null"]
    may_be_null = len(wanted) < len(either) or schema.get("nullable") is True
    return [_joined(each, rest) for each in wanted], may_be_null


def _joined(inner: Schema, outer: Schema) -> Schema:
    """Return a schema with the keywords of both; `outer` decides where they differ."""
    found = {**inner, **outer}
    properties = {**fields(inner.get("properties")), **fields(outer.get("properties"))}
    required = [*as_list(inner.get("required")), *as_list(outer.get("required"))]
    if properties:
        found["properties"] = properties
    if required:
        found["required"] = list(dict.fromkeys(name for name in required if isinstance(name, str)))
    return found


def _kind(schema: Schema, choices: list[object]) -> str:
    """Return the type of a schema; one that allows any value is a text."""
    named = schema.get("type")
    if isinstance(named, str) and named.lower() in _TYPES:
        return named.upper()
    if choices:
        return _TYPE_OF_VALUE.get(type(choices[0]), "STRING")
    if "properties" in schema or "additionalProperties" in schema:
        return "OBJECT"
    return "ARRAY" if "items" in schema else "STRING"


def _add_choices(found: Schema, choices: list[object]) -> None:
    """Add the allowed values; those of other types than text go into the description."""
    texts = [each for each in choices if isinstance(each, str) and each]
    if found["type"] == "STRING" and texts:
        found["enum"] = texts
        return
    listed = f"One of: {', '.join(json.dumps(each) for each in choices)}."
    described = str(found.get("description", "")).rstrip(". ")
    found["description"] = f"{described}. {listed}" if described else listed
