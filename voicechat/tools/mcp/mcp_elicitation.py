"""Elicitation: a server asks the user for values, or to open a web page.

The schema of a form has one level of simple properties (MCP 2026-07-28, section Elicitation).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from voicechat.core.text import clean
from voicechat.system.loopback import is_loopback
from voicechat.tools.browser import open_in_browser
from voicechat.tools.question import (
    MAX_CHOICES,
    MAX_FIELDS,
    MAX_NUMBER,
    TEXT_LIMIT,
    FormField,
    Questions,
)

if TYPE_CHECKING:
    import mcp_types as types

_KINDS = {"string", "integer", "number", "boolean", "array"}
_LONGEST_NAME = 100
_LONGEST_ADDRESS = 8_000
_NOT_IN_ADDRESS = frozenset(" \t\n\\")
_LIMITS = ("minimum", "maximum", "minLength", "maxLength")

Json = dict[str, Any]


def form_fields(schema: Json) -> tuple[FormField, ...] | None:
    """Return the fields of a form; None for a schema that is not one."""
    properties, required = schema.get("properties") or {}, schema.get("required") or []
    if not isinstance(properties, dict) or len(properties) > MAX_FIELDS:
        return None
    found = []
    for name, value in properties.items():
        if not isinstance(value, dict) or value.get("type") not in _KINDS:
            return None
        if not _is_name(name):
            return None
        choices = tuple(_choices(value))[:MAX_CHOICES]
        if value["type"] == "array" and not choices:
            return None
        found.append(_field(name, value, choices, isinstance(required, list) and name in required))
    return tuple(found)


def _is_name(name: str) -> bool:
    """Return True for a name that can be shown, and typed before a value."""
    return 0 < len(name) <= _LONGEST_NAME and name.isprintable() and not set(name) & {" ", "="}


def _field(
    name: str, schema: Json, choices: tuple[tuple[str, str], ...], required: bool
) -> FormField:
    words = [schema.get("title"), schema.get("description")]
    default = schema.get("default")
    limits = {
        key: value
        for key in _LIMITS
        if isinstance(value := schema.get(key), int | float)
        and not isinstance(value, bool)
        and abs(value) <= MAX_NUMBER
    }
    return FormField(
        name=name,
        kind=schema["type"],
        label=clean(": ".join(each for each in words if isinstance(each, str)))[:TEXT_LIMIT],
        choices=choices,
        required=required,
        default=default if isinstance(default, str | int | float | bool | list) else None,
        limits=limits,
    )


def _choices(schema: Json) -> Iterator[tuple[str, str]]:
    """Yield value and title of each choice, in all the forms of the protocol."""
    items = schema.get("items") if schema.get("type") == "array" else schema
    if not isinstance(items, dict):
        return
    for each in items.get("oneOf") or items.get("anyOf") or []:
        if isinstance(each, dict) and isinstance(each.get("const"), str):
            yield each["const"], clean(str(each.get("title", each["const"])))[:TEXT_LIMIT]
    values, titles = items.get("enum") or [], items.get("enumNames") or []
    for index, value in enumerate(values):
        if isinstance(value, str):
            yield value, clean(str(titles[index]) if index < len(titles) else value)[:TEXT_LIMIT]


def is_web_page(url: str) -> bool:
    """Return True for an address that a browser may open: https, or http on this machine.

    The host that the user reads must be the one that the browser opens: a user name looks like a
    host (https://bank.com@other.com), and browsers read a backslash as a slash.
    """
    if clean(url) != url or len(url) > _LONGEST_ADDRESS or _NOT_IN_ADDRESS & set(url):
        return False
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    is_local = parts.scheme == "http" and is_loopback(host)
    return bool(host) and "@" not in parts.netloc and (parts.scheme == "https" or is_local)


async def elicit(
    questions: Questions, source: str, params: types.ElicitRequestParams
) -> types.ElicitResult:
    """Ask the user what a server wants to know, and wait for the answer."""
    from mcp_types import ElicitResult

    if params.mode == "url":
        if not is_web_page(params.url):
            return ElicitResult(action="decline")
        answer = await questions.ask(source, params.message, url=params.url)
        if answer.action == "accept" and await open_in_browser(params.url):
            return ElicitResult(action="cancel")
        return ElicitResult(action=answer.action)
    fields = form_fields(params.requested_schema)
    if fields is None:
        return ElicitResult(action="decline")
    answer = await questions.ask(source, params.message, fields)
    if answer.action != "accept":
        return ElicitResult(action=answer.action)
    return ElicitResult(action="accept", content=dict(answer.values))
