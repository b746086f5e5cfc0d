"""Broken frames: examples with a field removed, renamed, or filled with something odd."""

from __future__ import annotations

import json
from random import Random
from typing import Any

ODD: tuple[Any, ...] = (
    None, True, -1, 2**70, 1e308, "", "\x1b[2J", "\ud83d", "AAA=", [], {}, [[]], {"id": 3},
)  # fmt: skip
_TEXT = ('"', "{", "\\", "\x00", "9" * 400)


def mutate(choose: Random, frame: str, other: str = "{}") -> str | bytes:
    """Return a frame broken in one way; a value may come from the `other` one."""
    message = json.loads(frame)
    holder = message
    while choose.random() < 0.5:
        inner = [value for value in _values(holder) if isinstance(value, dict) and value]
        if not inner:
            break
        holder = choose.choice(inner)
    name = choose.choice(list(holder))
    match choose.randrange(7):
        case 0:
            del holder[name]
        case 1 | 2:
            holder[name] = choose.choice(ODD)
        case 3:
            holder[f"{name}_"] = holder.pop(name)
        case 4:
            holder[name] = choose.choice([*json.loads(other).values(), None])
        case 5:
            at = choose.randrange(len(frame))
            return frame[:at] + choose.choice(_TEXT) + frame[at:]
        case 6:
            raw = bytearray(frame.encode())
            raw[choose.randrange(len(raw))] = choose.randrange(256)
            return bytes(raw)
    return json.dumps(message)


def _values(holder: dict[str, Any]) -> list[Any]:
    values = list(holder.values())
    return values + [part for value in values if isinstance(value, list) for part in value]
