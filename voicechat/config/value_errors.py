"""Sentences about values of a wrong type, in the words of a settings file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from voicechat.config.setting_place import similar
from voicechat.core.text import one_of

_WANTED = {
    "str": "text in quotes", "int": "a whole number", "float": "a number",
    "bool": "true or false", "array": "a list", "object": "a table",
}  # fmt: skip
_GIVEN = {
    "str": "text", "int": "a number", "float": "a decimal number", "bool": "true or false",
    "array": "a list", "list": "a list", "object": "a table", "dict": "a table",
}  # fmt: skip


def type_in_words(value: object) -> str:
    """The type of a value from a settings file, in words."""
    return _GIVEN.get(type(value).__name__, "a date or a time")


def requirement(message: str, kind: Any) -> str:
    """A message of msgspec about a value of this type, as the end of a sentence."""
    message = message.partition(" - at `$")[0]
    if found := re.fullmatch(r"Expected `(.+)`, got `(.+)`", message):
        kinds = [_WANTED.get(each, each) for each in found[1].split(" | ") if each != "null"]
        return f"must be {' or '.join(kinds)}, not {_GIVEN.get(found[2], found[2])}."
    if found := re.fullmatch(r"Invalid enum value '(.*)'", message, re.DOTALL):
        choices = list(_choices(kind))
        return f"must be {one_of(choices)}. {similar(found[1], choices)}".rstrip()
    return f"is wrong: {message[:1].lower()}{message[1:]}."


def _choices(kind: Any) -> Iterator[str]:
    if get_origin(kind) is Literal:
        yield from map(str, get_args(kind))
    else:
        for each in get_args(kind):
            yield from _choices(each)
