"""Tolerant reading of JSON frames from a wire, and writing them.

No input makes a reader raise. A field of the wrong type reads as a missing one.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Mapping
from typing import NoReturn, TypeVar

import msgspec

from voicechat.core.text import clean, split_tail
from voicechat.system.frame_cost import CHEAP_CHARACTERS, is_costly

Record = TypeVar("Record", bound=msgspec.Struct)
Kind = TypeVar("Kind")

_LARGEST = 2**53
_DEEPEST = 32


def parse(frame: str | bytes, record: type[Record]) -> Record | None:
    """Read the JSON object in a frame into `record`; None if it is not one.

    Fields unknown to `record` are ignored. NaN and infinities are not JSON (RFC 8259). An escaped
    half of a surrogate pair is accepted: streamed text may be cut between the halves.
    """
    return _read(frame, record)


def message(frame: str | bytes) -> dict[str, object] | None:
    """Read the JSON object in a frame with all its fields; None if it is not one."""
    return _read(frame, dict[str, object])


def _read(frame: str | bytes, kind: type[Kind]) -> Kind | None:
    if len(frame) > CHEAP_CHARACTERS and is_costly(frame):
        return None
    try:
        return msgspec.json.decode(frame, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        if len(frame) > CHEAP_CHARACTERS:
            return None
        text = frame if isinstance(frame, str) else frame.decode(errors="replace")
    if "\\ud" not in text.lower():
        return None
    try:
        return msgspec.convert(json.loads(text, parse_constant=_refuse), kind)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def encode(message: Mapping[str, object]) -> str:
    """Return the message as JSON text; unpaired surrogates become U+FFFD."""
    try:
        return msgspec.json.encode(message).decode()
    except UnicodeEncodeError:
        return msgspec.json.encode(_whole(message)).decode()


def _whole(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, Mapping):
        return {_whole(key): _whole(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(inner) for inner in value]
    return value


def as_text(value: object) -> str:
    """Return clean text; empty if the value is not text."""
    return clean(value) if isinstance(value, str) else ""


def text_or_none(value: object) -> str | None:
    """Return clean text; None if the value is not text or empty."""
    return as_text(value) or None


def fields(value: object) -> dict[str, object]:
    """Return the fields of an object; empty if the value is not one."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[object]:
    """Return a list; empty if the value is not one."""
    return value if isinstance(value, list) else []


def number(value: object) -> float:
    """Return a number below 2**53; 0 if the value is not one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return float(value) if abs(value) < _LARGEST else 0.0


def count(value: object) -> int:
    """Return a whole number, at least 0."""
    return max(0, int(number(value)))


def cleaned(value: object, depth: int = 0) -> object:
    """Return the JSON value with clean text; values nested too deep become None."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict | list) and depth == _DEEPEST:
        return None
    if isinstance(value, dict):
        return {clean(key): cleaned(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [cleaned(inner, depth + 1) for inner in value]
    return value


def base64_bytes(value: object) -> bytes | None:
    """Return the bytes of strict base64 (RFC 4648); None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        return binascii.a2b_base64(value, strict_mode=True)
    except ValueError:
        return None


class Stream:
    """Streamed text: returns clean pieces and joins characters that were cut in two."""

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self._tail = ""

    def piece(self, value: object) -> str:
        """Return the text to show after this piece."""
        if not isinstance(value, str) or not value:
            return ""
        head, self._tail = split_tail(self._tail + value)
        return clean(head)


class Samples:
    """Streamed PCM16 in pieces of any size: returns whole samples."""

    __slots__ = ("odd",)

    def __init__(self) -> None:
        self.odd = b""
        """Half a sample that waits for its other half."""

    def piece(self, pcm: bytes) -> bytes:
        """Return whole samples; an odd byte waits for the next piece."""
        if not self.odd and not len(pcm) % 2:
            return pcm
        pcm = self.odd + pcm
        even = len(pcm) & ~1
        self.odd = pcm[even:]
        return pcm[:even]
