"""Tool results as sentences to say."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from voicechat.skills.wording import joined, readable, sentence

_MAX_CHARACTERS = 600
_ANSWER_KEYS = (
    "spoken",
    "answer",
    "text",
    "message",
    "summary",
    "result",
    "output",
    "content",
    "value",
)
_ERROR_KEYS = ("error", "errors", "exception")
_DENIED = "did not allow this"
"""Part of the session's result for a denied call."""


def spoken_result(output: str) -> str:
    """Return the result of a tool in plain sentences; never empty."""
    try:
        value: object = json.loads(output)
    except ValueError:
        value = output
    return _shortened(_spoken(value)) or "Done."


def _spoken(value: object) -> str:
    if isinstance(value, Mapping):
        return _of_object(value)
    if isinstance(value, list):
        return sentence(joined([_phrase(item) for item in value[:12]])) if value else "Nothing."
    if value is None or value == "":
        return "Done."
    return sentence(_phrase(value))


def _of_object(value: Mapping[object, object]) -> str:
    plain = {str(key): item for key, item in value.items() if item is not None}
    for key in _ERROR_KEYS:
        if plain.get(key):
            reason = plain[key]
            if isinstance(reason, Mapping):
                reason = reason.get("message", reason)
            if _DENIED in str(reason):
                return "Okay, I won't do that."
            phrase = _phrase(reason)
            is_sentence = phrase[:1].isupper() and phrase.endswith((".", "!", "?"))
            return phrase if is_sentence else sentence(f"That didn't work: {phrase}")
    if len(plain) == 1 and (key := next(iter(plain))) in _ANSWER_KEYS:
        return _spoken(plain[key])
    for key in _ANSWER_KEYS[:4]:
        if isinstance(plain.get(key), str):
            return sentence(str(plain[key]))
    pieces = [
        f"{_spaced_name(key)} is {_phrase(item)}" for key, item in plain.items() if item != ""
    ]
    return sentence(joined(pieces[:8])) if pieces else "Done."


def _spaced_name(key: str) -> str:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", key)
    return re.sub(r"[_-]+", " ", spaced).strip().lower()


def _phrase(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return readable(value)
    if isinstance(value, list):
        return joined([_phrase(item) for item in value[:8]]) or "nothing"
    if isinstance(value, Mapping):
        return joined(
            [f"{_spaced_name(str(key))} {_phrase(item)}" for key, item in value.items()][:6]
        )
    return " ".join(str(value).split())


def _shortened(text: str) -> str:
    if len(text) <= _MAX_CHARACTERS:
        return text
    cut = text[:_MAX_CHARACTERS].rsplit(" ", 1)[0].rstrip(" ,.;:")
    return f"{cut} … and more."
