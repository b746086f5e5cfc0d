"""JSON as indented, colored text, bounded in every direction."""

from __future__ import annotations

import json
from collections.abc import Iterator

from textual.content import Content

from voicechat.core.text import clean

MOST_LINES = 400
"""Lines of one value."""
MOST_CHARACTERS = 2_000
"""Characters of one text."""
MAX_DEPTH = 24
_PLAIN_CHARACTERS = 8_000
"""Characters of what is not JSON."""

_KEY = "bold $primary"
_TEXT = "$success"
_NUMBER = "$warning"
_WORD = "$accent"
_QUIET = "$foreground 60%"

_Part = tuple[str, str]


def json_text(text: str) -> Content:
    """Return the JSON object as content; other text is shown as it is, cut to a length."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return Content(clean(text[:_PLAIN_CHARACTERS]) + "…" * (len(text) > _PLAIN_CHARACTERS))
    parts: list[_Part] = []
    lines = 0
    for part in _parts(value, 0):
        parts.append(part)
        lines += part[0].count("\n")
        if lines >= MOST_LINES:
            parts.append(("… more lines", _QUIET))
            break
    return Content.assemble(*parts)


def _parts(value: object, depth: int) -> Iterator[_Part]:
    if isinstance(value, dict | list) and value:
        yield from _nested(value, depth)
    elif isinstance(value, str):
        more = len(value) - MOST_CHARACTERS
        yield json.dumps(clean(value[:MOST_CHARACTERS]), ensure_ascii=False), _TEXT
        if more > 0:
            yield f"… {more:,} more characters", _QUIET
    elif isinstance(value, bool) or value is None:
        yield json.dumps(value), _WORD
    else:
        yield json.dumps(value), _NUMBER if isinstance(value, int | float) else ""


def _nested(value: dict[str, object] | list[object], depth: int) -> Iterator[_Part]:
    is_object = isinstance(value, dict)
    opens, closes = "{}" if is_object else "[]"
    if depth >= MAX_DEPTH:
        yield f"{opens}…{closes}", _QUIET
        return
    yield opens, ""
    inner = value.items() if isinstance(value, dict) else ((None, each) for each in value)
    for at, (key, each) in enumerate(inner):
        yield ("," if at else "") + "\n" + "  " * (depth + 1), ""
        if key is not None:
            yield json.dumps(clean(key[:MOST_CHARACTERS]), ensure_ascii=False), _KEY
            yield ": ", ""
        yield from _parts(each, depth + 1)
    yield "\n" + "  " * depth + closes, ""
