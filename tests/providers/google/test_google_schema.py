"""Schemas of tool arguments for models that take plain schemas."""

from __future__ import annotations

import json

import pytest
from google.genai import types

from voicechat.providers.google.google_schema import MOST_LEVELS, MOST_PARTS, plain_schema

TEXT = {"type": "STRING"}
WHERE = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def reduced(**properties: object) -> dict:
    found = plain_schema({"type": "object", "properties": properties})
    assert found is not None
    types.Schema.model_validate(found)
    return found["properties"]  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("schema", "plain"),
    [
        ({"type": "string", "minLength": 1}, {"type": "STRING", "minLength": 1}),
        ({"type": "string", "format": "date-time"}, {"type": "STRING", "format": "date-time"}),
        ({"type": "string", "format": "uri"}, TEXT),
        (
            {"type": "integer", "exclusiveMinimum": 0, "maximum": 9},
            {"type": "INTEGER", "maximum": 9},
        ),
        ({"type": ["string", "null"]}, {"type": "STRING", "nullable": True}),
        ({"type": ["string", "integer"]}, {"anyOf": [TEXT, {"type": "INTEGER"}]}),
        (
            {"anyOf": [{"$ref": "#/$defs/Where"}, {"type": "null"}], "description": "A place."},
            {
                "type": "OBJECT",
                "description": "A place.",
                "properties": {"city": TEXT},
                "required": ["city"],
                "nullable": True,
            },
        ),
        (
            {"oneOf": [{"type": "string"}, {"type": "number"}], "description": "Either."},
            {
                "anyOf": [
                    {"type": "STRING", "description": "Either."},
                    {"type": "NUMBER", "description": "Either."},
                ]
            },
        ),
        (
            {"allOf": [{"type": "object", "properties": {"a": {"type": "string"}}}]},
            {"type": "OBJECT", "properties": {"a": TEXT}},
        ),
        ({"enum": ["a", "", None]}, {"type": "STRING", "enum": ["a"]}),
        ({"const": "a"}, {"type": "STRING", "enum": ["a"]}),
        ({"enum": [1, 2]}, {"type": "INTEGER", "description": "One of: 1, 2."}),
        (
            {"type": "integer", "enum": [1, 2], "description": "Size."},
            {"type": "INTEGER", "description": "Size. One of: 1, 2."},
        ),
        ({"type": "array"}, {"type": "ARRAY", "items": TEXT}),
        (
            {"type": "array", "items": {"type": "number"}, "minItems": 2, "uniqueItems": True},
            {"type": "ARRAY", "items": {"type": "NUMBER"}, "minItems": 2},
        ),
        ({"type": "object", "additionalProperties": {"type": "string"}}, {"type": "OBJECT"}),
        ({"additionalProperties": True}, {"type": "OBJECT"}),
        ({"type": "object", "properties": {}, "required": ["gone"]}, {"type": "OBJECT"}),
        ({"minimum": True, "maxLength": "9", "title": 3}, TEXT),
        ({"$ref": "#/$defs/Missing"}, TEXT),
        ({}, TEXT),
        (True, TEXT),
        (None, TEXT),
    ],
)
def test_a_part_of_a_schema(schema, plain):
    found = plain_schema(
        {"type": "object", "properties": {"x": schema}, "$defs": {"Where": WHERE}},
    )
    types.Schema.model_validate(found)
    assert found == {"type": "OBJECT", "properties": {"x": plain}}


def test_a_whole_schema():
    assert plain_schema({"type": "object", "properties": {}, "additionalProperties": False}) is None
    assert plain_schema({}) is None
    found = plain_schema({**WHERE, "$schema": "x", "additionalProperties": False})
    assert found == {"type": "OBJECT", "properties": {"city": TEXT}, "required": ["city"]}


def test_a_schema_that_contains_itself_ends():
    tree = {"type": "object", "properties": {"left": {"$ref": "#/$defs/Tree"}}}
    found = plain_schema({"properties": {"t": {"$ref": "#/$defs/Tree"}}, "$defs": {"Tree": tree}})
    leaf = {"type": "OBJECT", "properties": {"left": {"type": "OBJECT"}}}
    assert found == {"type": "OBJECT", "properties": {"t": leaf}}
    assert plain_schema({"$ref": "#", "allOf": [{"$ref": "#"}]}) is None


def test_a_schema_that_multiplies_is_bounded():
    names = [f"D{level}" for level in range(20)]
    defs = {
        name: {"properties": {key: {"$ref": f"#/$defs/{inner}"} for key in "abcdefgh"}}
        for name, inner in zip(names, [*names[1:], "End"], strict=True)
    }
    found = plain_schema({"$ref": "#/$defs/D0", "$defs": defs})
    assert json.dumps(found).count('"type"') <= MOST_PARTS * 10


def test_a_deep_schema_is_cut():
    schema: dict = {"type": "string"}
    for _ in range(MOST_LEVELS * 10):
        schema = {"type": "object", "properties": {"x": schema}}
    assert json.dumps(plain_schema(schema)).count("OBJECT") == MOST_LEVELS + 1
    assert reduced(x={"type": "string"}) == {"x": TEXT}
