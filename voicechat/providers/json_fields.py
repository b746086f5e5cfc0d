"""Reading what a stranger wrote: frames, and the fields in them, whatever they really hold.

Nothing here raises on what came over a wire. A field of the wrong type reads as a missing one.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Mapping
from typing import NoReturn, TypeVar

import msgspec

from voicechat.core.text import clean, split_tail

Record = TypeVar("Record", bound=msgspec.Struct)
Kind = TypeVar("Kind")

_LARGEST = 2**53
_DEEPEST = 32


def parse(frame: str | bytes, record: type[Record]) -> Record | None:
    """The JSON object in the frame, fields unknown to `record` left out. None if it is not one.

    NaN and infinities are not JSON. Half a surrogate pair as an escape is: streamed text may be
    cut between the halves.
    """
    return _read(frame, record)


def message(frame: str | bytes) -> dict[str, object] | None:
    """The JSON object in the frame with all its fields; None if it is not one."""
    return _read(frame, dict[str, object])


def _read(frame: str | bytes, kind: type[Kind]) -> Kind | None:
    try:
        return msgspec.json.decode(frame, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError):
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
    """The message as JSON text; half surrogate pairs in it become U+FFFD."""
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


def words(value: object) -> str:
    """Clean text; empty if it is none."""
    return clean(value) if isinstance(value, str) else ""


def word(value: object) -> str | None:
    """Clean text, or None if it is none or empty."""
    return words(value) or None


def fields(value: object) -> dict[str, object]:
    """An object's fields; empty if it is none."""
    return value if isinstance(value, dict) else {}


def several(value: object) -> list[object]:
    """A list; empty if it is none."""
    return value if isinstance(value, list) else []


def number(value: object) -> float:
    """A number of sensible size; 0 if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return float(value) if abs(value) < _LARGEST else 0.0


def count(value: object) -> int:
    """A whole number, at least 0."""
    return max(0, int(number(value)))


def cleaned(value: object, depth: int = 0) -> object:
    """The same JSON value with all text in it clean; cut off where it nests too deep."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict | list) and depth == _DEEPEST:
        return None
    if isinstance(value, dict):
        return {clean(key): cleaned(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [cleaned(inner, depth + 1) for inner in value]
    return value


def sound(value: object) -> bytes | None:
    """The bytes of strict base64; None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        return binascii.a2b_base64(value, strict_mode=True)
    except ValueError:
        return None


class Stream:
    """Text that arrives in pieces; each piece comes out clean, characters cut in two made whole."""

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self._tail = ""

    def piece(self, value: object) -> str:
        """What can be shown after this piece."""
        if not isinstance(value, str) or not value:
            return ""
        head, self._tail = split_tail(self._tail + value)
        return clean(head)


class Samples:
    """PCM16 that arrives in pieces of any size; each piece comes out in whole samples."""

    __slots__ = ("_odd",)

    def __init__(self) -> None:
        self._odd = b""

    def piece(self, pcm: bytes) -> bytes:
        """Whole samples: the odd byte of the last piece first, this one's odd byte kept."""
        if not self._odd and not len(pcm) % 2:
            return pcm
        pcm = self._odd + pcm
        even = len(pcm) & ~1
        self._odd = pcm[even:]
        return pcm[:even]
