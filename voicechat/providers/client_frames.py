"""Client event types of a wire as data, and the check of an event that a user writes.

A codec offers its types (`codec.OffersEvents`). The name of an event is its `type`, or the only
field of the object on wires without a `type`.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from voicechat.core.text import clean
from voicechat.errors import UsageError
from voicechat.providers.json_fields import message

MOST_CHARACTERS = 1 << 20
"""Longest event that is sent, in characters."""

_KINDS: Mapping[str, tuple[type, ...]] = {
    "text": (str,),
    "number": (int, float),
    "object": (dict,),
    "list": (list,),
    "true or false": (bool,),
    "any value": (object,),
}
"""Kinds of a field by name."""
_WITH_ARTICLE = {
    "text": "text",
    "number": "a number",
    "object": "an object",
    "list": "a list",
    "true or false": "true or false",
}


@dataclass(frozen=True, slots=True)
class ClientFrame:
    """One client event type of a wire."""

    name: str
    """Its `type`, or the field that holds it on wires without a `type`."""
    template: Mapping[str, Any]
    """A complete event to edit; its fields are required unless `optional` names them."""
    optional: Mapping[str, str] = field(default_factory=dict)
    """Kinds of the fields that may be missing, by name: "text", "object" or another of `_KINDS`."""

    @property
    def text(self) -> str:
        """The template as JSON text."""
        return json.dumps(self.template, ensure_ascii=False)

    @property
    def body(self) -> Mapping[str, Any]:
        """The object whose fields are checked."""
        inner = self.template.get(self.name)
        return inner if isinstance(inner, dict) else self.template


def typed_frame(name: str, optional: Mapping[str, str] | None = None, **more: Any) -> ClientFrame:
    """Return an event type with a `type`; `more` are its required fields with example values."""
    return ClientFrame(name, {"type": name, **more}, optional or {})


def checked_frame(known: Sequence[ClientFrame], text: str) -> str:
    """Return the frame for a JSON object, or for the name of a type without required fields.

    With no known types, any JSON object passes. Raises `UsageError` for text that is not one, for
    an unknown type, and for fields that are missing, unknown or of the wrong kind.
    """
    if len(text) > MOST_CHARACTERS:
        raise UsageError(f"The event has more than {MOST_CHARACTERS:,} characters.")
    names = {each.name: each for each in known}
    if text in names:
        text = names[text].text
    event = message(text)
    if event is None:
        raise UsageError(
            "The event is not a JSON object.", 'Write it like {"type": "…"}; Tab completes it.'
        )
    if known:
        _check(names, event)
    return text.strip().encode(errors="replace").decode()


def _check(names: Mapping[str, ClientFrame], event: dict[str, object]) -> None:
    kind = event.get("type")
    found = [kind] if isinstance(kind, str) else [key for key in event if key in names]
    if not found and not event:
        raise UsageError("The event is empty.", f"Write it like {next(iter(names.values())).text}")
    name = found[0] if found else ""
    if name not in names:
        shown = clean(str(kind if isinstance(kind, str) else ", ".join(event)))[:80]
        raise UsageError(f"This wire has no client event {shown!r}.", _nearest(shown, names))
    frame = names[name]
    fields = event if frame.body is frame.template else event[name]
    if not isinstance(fields, dict):
        raise UsageError(f"{name} must be an object.")
    if fields is not event and len(event) > 1:
        raise UsageError(f"An event with {name} has no other field.")
    _check_fields(frame, fields)


def _check_fields(frame: ClientFrame, fields: Mapping[str, object]) -> None:
    kinds = {key: _kind_of(value) for key, value in frame.body.items()} | dict(frame.optional)
    for key in kinds:
        if key not in fields and key not in frame.optional:
            raise UsageError(f"{frame.name} needs the field {key}.", f"Write {frame.text}")
    for key, value in fields.items():
        if key not in kinds:
            shown = clean(key)[:80]
            raise UsageError(f"{frame.name} has no field {shown!r}.", _nearest(shown, kinds))
        if not _is_kind(value, kinds[key]):
            raise UsageError(f"{key} of {frame.name} must be {_WITH_ARTICLE[kinds[key]]}.")


def _kind_of(example: object) -> str:
    return next(name for name in _KINDS if _is_kind(example, name))


def _is_kind(value: object, kind: str) -> bool:
    if isinstance(value, bool):
        return kind in {"true or false", "any value"}
    return isinstance(value, _KINDS[kind])


def _nearest(name: str, known: Mapping[str, object]) -> str:
    similar = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"Did you mean {similar[0]}?" if similar else f"Known: {', '.join(known)}."
