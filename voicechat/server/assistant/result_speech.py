"""What a tool gave back, as something to say."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from voicechat.skills.wording import joined, readable, sentence

_LONGEST = 600
_TOLD = ("spoken", "answer", "text", "message", "summary", "result", "output", "content", "value")
_WRONG = ("error", "errors", "exception")
_DENIED = "The person did not allow this"
"""How a session begins its answer to a call that was denied."""


def spoken_result(output: str) -> str:
    """The result of a tool in plain sentences; never empty."""
    try:
        value: object = json.loads(output)
    except ValueError:
        value = output
    return _shortened(_told(value)) or "Done."


def _told(value: object) -> str:
    if isinstance(value, Mapping):
        return _of_object(value)
    if isinstance(value, list):
        return sentence(joined([_phrase(item) for item in value[:12]])) if value else "Nothing."
    if value is None or value == "":
        return "Done."
    return sentence(_phrase(value))


def _of_object(value: Mapping[object, object]) -> str:
    plain = {str(key): item for key, item in value.items() if item is not None}
    for key in _WRONG:
        if plain.get(key):
            reason = plain[key]
            if isinstance(reason, Mapping):
                reason = reason.get("message", reason)
            if str(reason).startswith(_DENIED):
                return "Okay, I won't do that."
            return sentence(f"That didn't work: {_phrase(reason)}")
    if len(plain) == 1 and (key := next(iter(plain))) in _TOLD:
        return _told(plain[key])
    for key in _TOLD[:4]:
        if isinstance(plain.get(key), str):
            return sentence(str(plain[key]))
    pieces = [f"{_named(key)} is {_phrase(item)}" for key, item in plain.items() if item != ""]
    return sentence(joined(pieces[:8])) if pieces else "Done."


def _named(key: str) -> str:
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
        return joined([f"{_named(str(key))} {_phrase(item)}" for key, item in value.items()][:6])
    return " ".join(str(value).split())


def _shortened(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    cut = text[:_LONGEST].rsplit(" ", 1)[0].rstrip(" ,.;:")
    return f"{cut} … and more."
