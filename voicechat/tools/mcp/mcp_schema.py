"""Schemas of tool arguments, brought to the shape that every provider accepts.

Providers want `type: object` with `properties` at the top, and refuse `anyOf`, `oneOf`, `allOf` and
`$ref` there. Servers also send nothing at all, a union of types, or alternatives.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

NOT_AN_OBJECT = "its arguments are not an object"

_MAX_NESTING = 16
"""Levels of alternatives and references at the top of a schema that are followed."""

_ALTERNATIVES = ("anyOf", "oneOf", "allOf")

Json = dict[str, Any]


def object_schema(schema: object) -> Json:
    """Return a schema as one object with properties. A schema that has this shape stays as it is.

    The alternatives of `anyOf` and `oneOf` are joined: a property is required when all of them
    require it. The server still checks the arguments of each call. Raises `ValueError` with the
    reason for a schema without any reading as an object.
    """
    if schema is None or schema is True:
        schema = {}
    if not isinstance(schema, dict):
        raise ValueError("its schema is not a JSON schema")
    found = _object(schema, schema, _MAX_NESTING)
    if found is None:
        raise ValueError(NOT_AN_OBJECT)
    return found


def _object(schema: Json, root: Json, depth: int) -> Json | None:
    """Return a schema, or a part of it, as one object; None when it describes something else."""
    if depth == 0:
        raise ValueError("its schema is nested too deeply")
    if not _may_be_object(schema.get("type")) or not isinstance(
        schema.get("properties"), dict | None
    ):
        return None
    properties = {
        name: each
        for name, value in (schema.get("properties") or {}).items()
        if (each := _property(value)) is not None
    }
    required = _names(schema.get("required"))
    for part, needed in _parts(schema, root, depth):
        for name, value in part["properties"].items():
            properties[name] = _either(properties[name], value) if name in properties else value
        required += [name for name in needed if name not in required]
    left_out = {*_ALTERNATIVES, "$ref", "$schema", "required"}
    found = {name: value for name, value in schema.items() if name not in left_out}
    found |= {"type": "object", "properties": properties}
    return found | ({"required": required} if required or "required" in schema else {})


def _parts(schema: Json, root: Json, depth: int) -> Iterable[tuple[Json, list[str]]]:
    """Yield each alternative or reference as an object, and the properties that it requires.

    Raises `ValueError` when no alternative is an object.
    """
    if "$ref" in schema:
        target = _object(_resolved(schema["$ref"], root), root, depth - 1)
        if target is None:
            raise ValueError(NOT_AN_OBJECT)
        yield target, target.get("required", [])
    for kind in _ALTERNATIVES:
        choices = [each for each in _list(schema.get(kind)) if isinstance(each, dict)]
        objects = [each for choice in choices if (each := _object(choice, root, depth - 1))]
        if choices and not objects:
            raise ValueError(NOT_AN_OBJECT)
        common = None if kind == "allOf" else _in_all(objects)
        for each in objects:
            needed = each.get("required", [])
            yield each, needed if common is None else [name for name in needed if name in common]


def _in_all(objects: list[Json]) -> set[str]:
    return set.intersection(*(set(each.get("required", [])) for each in objects or [{}]))


def _may_be_object(kind: object) -> bool:
    if isinstance(kind, list):
        return any(map(_may_be_object, kind))
    return kind is None or (isinstance(kind, str) and kind.lower() == "object")


def _resolved(reference: object, root: Json) -> Json:
    """Return the part of the schema that a reference points to."""
    found: object = root
    if isinstance(reference, str) and reference.startswith("#"):
        for name in reference[1:].split("/")[1:]:
            name = name.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, dict) else None
        if isinstance(found, dict):
            return found
    raise ValueError("its schema refers to a part that does not exist")


def _property(value: object) -> Json | None:
    """Return the schema of one argument; None for one that is not allowed."""
    if isinstance(value, dict):
        return value
    if isinstance(value, str):
        return {"type": value}
    return None if value is False else {}


def _either(one: Json, other: Json) -> Json:
    if one == other:
        return one
    choices = one["anyOf"] if set(one) == {"anyOf"} else [one]
    return one if other in choices else {"anyOf": [*choices, other]}


def _names(required: object) -> list[str]:
    return [name for name in _list(required) if isinstance(name, str)]


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
