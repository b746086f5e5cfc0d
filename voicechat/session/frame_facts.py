"""Facts about one frame of a connection: type, ids, a one-line gist, and its text without sound.

Frames are outside text. All facts are clean and short; long base64 is replaced by its length. The
names of types and fields are read by shape, so every JSON wire works.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice

from msgspec import Struct

from voicechat.core.text import clean, clean_json
from voicechat.providers.json_fields import as_text, fields, message

LARGEST_READ = 1 << 20
"""Characters of the longest frame that is parsed, except for its sound."""
KEPT_CHARACTERS = 100_000
"""Characters of a frame that are kept."""
MAX_DEPTH = 24
"""Levels of nested JSON that are kept."""
_GIST = 160
_VALUE = 80
_NAME = 80
_NODES = 400
"""Values of a frame that are searched for a gist."""
_MOST_VALUES = 20_000
"""Values of a frame that are kept."""

_BASE64 = re.compile(r"(?:data:[\w/+.;=-]{1,80},)?[A-Za-z0-9+/\-_]{8,}={0,2}")
_LEAST_BASE64 = 200
"""Characters from which base64 is replaced anywhere in a frame."""
_ELIDED = re.compile(r"‹(\d{1,12}) characters of base64›")
_TYPE = re.compile(r'"type"\s*:\s*"([^"\\]{1,80})"')
_TEXTS = frozenset({"delta", "transcript", "text", "arguments", "output", "message", "content"})
_NAMED = frozenset({
    "role", "status", "name", "reason", "code", "model", "voice", "total_tokens", "totalTokens",
    "turnComplete", "interrupted", "finishReason", "audio_end_ms", "audioEndMs",
})  # fmt: skip


class FrameFacts(Struct, frozen=True, gc=False):
    """What a log keeps of one frame. The garbage collector need not look at thousands of them."""

    type: str
    text: str
    """The frame as JSON without long base64, or the start of what is not JSON."""
    gist: str = ""
    item_id: str = ""
    response_id: str = ""
    call_id: str = ""
    event_id: str = ""
    failed_event_id: str = ""
    """Id of the sent event that an error names."""
    is_error: bool = False
    is_json: bool = True
    """True if `text` is a JSON object."""
    sound_bytes: int = 0
    """Bytes of sound in it, as far as they are base64."""


def read_frame(data: str | bytes) -> FrameFacts:
    """Return the facts about a frame. Never raises."""
    text = data if isinstance(data, str) else data.decode(errors="replace")
    value = message(text) if len(text) <= LARGEST_READ or '"audio' in text[:200] else None
    if value is None:
        found = _TYPE.search(text[:200])
        kind = clean(found[1]) if found else "unknown"
        large = len(text) > LARGEST_READ
        gist = "too large to read" if large else one_line(text[: 2 * _GIST])[:_GIST]
        return FrameFacts(
            type=kind if large else "not JSON",
            text=_kept(text),
            is_json=False,
            gist=gist,
            is_error=not large,
        )
    sound = _Sound()
    kind = _type_of(value)
    is_sound_type = "audio" in kind.lower() and "transcript" not in kind.lower()
    shortened = sound.without(value, is_sound=is_sound_type)
    assert isinstance(shortened, dict)
    error = _error_of(shortened)
    written = json.dumps(shortened, ensure_ascii=False, separators=(",", ":"))
    is_whole = len(written) <= KEPT_CHARACTERS
    return FrameFacts(
        type=kind,
        text=clean_json(written) if is_whole else _kept(written),
        is_json=is_whole,
        gist=_gist(shortened, error),
        item_id=_id(shortened, "item_id", "itemId") or _id(fields(shortened.get("item")), "id"),
        response_id=_id(shortened, "response_id", "responseId")
        or _id(fields(shortened.get("response")), "id"),
        call_id=_id(shortened, "call_id", "callId")
        or _id(fields(shortened.get("item")), "call_id", "callId"),
        event_id=_id(shortened, "event_id", "eventId"),
        failed_event_id=_id(fields(shortened.get("error")), "event_id", "eventId"),
        is_error=error is not None,
        sound_bytes=sound.characters * 3 // 4,
    )


def one_line(text: str) -> str:
    """Return clean text on one line."""
    return " ".join(clean(text).split())


def elided(characters: int) -> str:
    """Return the text that replaces base64 of this length."""
    return f"‹{characters} characters of base64›"


def _kept(text: str) -> str:
    if len(text) <= KEPT_CHARACTERS:
        return clean(text)
    return f"{clean(text[:KEPT_CHARACTERS])}… ({len(text) - KEPT_CHARACTERS:,} more characters)"


def _type_of(value: dict[str, object]) -> str:
    """Return the `type`, or the first field with the first field in it."""
    kind = value.get("type")
    if isinstance(kind, str) and kind:
        return one_line(kind[:_NAME])
    first = next(iter(value), "{}")
    inner = next(iter(fields(value.get(first))), "")
    return one_line(f"{first[:_NAME]}.{inner[:_NAME]}" if inner else first[:_NAME])


def _id(value: dict[str, object], *names: str) -> str:
    return next((one_line(as_text(value[name])[:200]) for name in names if value.get(name)), "")


def _error_of(value: dict[str, object]) -> str | None:
    """Return the message of an error in the frame; None without one."""
    error = value.get("error")
    response = fields(fields(value.get("response")).get("status_details")).get("error")
    for found in (error, response):
        if isinstance(found, dict):
            parts = (as_text(found.get("code")), as_text(found.get("message")))
            return ": ".join(part for part in parts if part) or "error"
    if isinstance(error, str):
        return error
    return as_text(value.get("message")) if value.get("type") == "error" else None


def _gist(value: dict[str, object], error: str | None) -> str:
    if error is not None:
        return one_line(error[: 2 * _GIST])[:_GIST]
    parts: list[str] = []
    for name, leaf in _leaves(value):
        if name in _TEXTS and isinstance(leaf, str) and leaf.strip():
            parts.append(f'"{one_line(leaf[:_VALUE])}"')
        elif name in _NAMED and leaf is not None and leaf != "":
            parts.append(f"{name} {one_line(str(leaf)[:_VALUE])}")
    return " · ".join(dict.fromkeys(parts))[:_GIST]


def _leaves(value: dict[str, object]) -> Iterator[tuple[str, object]]:
    """Return the first `_NODES` values with their names, in the order of the frame."""
    waiting: list[tuple[str, object]] = [("", value)]
    for _ in range(_NODES):
        if not waiting:
            return
        name, found = waiting.pop()
        if isinstance(found, dict):
            waiting += reversed(list(found.items())[:_NODES])
        elif isinstance(found, list):
            waiting += [(name, each) for each in reversed(found[:_NODES])]
        else:
            yield name, found


class _Sound:
    """Replaces long base64 of one frame, and counts what of it is sound."""

    def __init__(self) -> None:
        self.characters = 0
        self._values = 0

    def without(self, value: object, *, is_sound: bool, depth: int = 0) -> object:
        """Return the value without long base64; values nested too deep become "…"."""
        if isinstance(value, str):
            return self._text(value, is_sound=is_sound)
        if not isinstance(value, dict | list):
            return value
        if depth >= MAX_DEPTH:
            return "…"
        left = max(0, _MOST_VALUES - self._values)
        self._values += len(value)
        if isinstance(value, list):
            return [self.without(each, is_sound=is_sound, depth=depth + 1) for each in value[:left]]
        kind = value.get("mimeType", value.get("mime_type"))
        sounds = is_sound or (isinstance(kind, str) and kind.startswith("audio/"))
        return {
            key: self.without(inner, is_sound=_is_sound(key, sounds), depth=depth + 1)
            for key, inner in islice(value.items(), left)
        }

    def _text(self, text: str, *, is_sound: bool) -> str:
        if before := _ELIDED.fullmatch(text[:60]):
            self.characters += int(before[1]) if is_sound else 0
            return text
        if not (is_sound or len(text) >= _LEAST_BASE64) or not _BASE64.fullmatch(text):
            return text
        if is_sound:
            self.characters += len(text)
        return elided(len(text))


def _is_sound(key: str, sounds: bool) -> bool:
    """Return True if base64 under this key is sound; ids look like base64, too."""
    return key == "audio" or (sounds and key in {"delta", "data"})
