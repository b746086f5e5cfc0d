"""The lines of a recording: what happened, and when.

A recording is a folder with `events.jsonl` and, where there was sound, `sound.wav` (stereo: the
person left, the speaker right). The first line of the events is the `Heading`; every other line
is a `Moment`: {"at": seconds since the start, "is": class name, "of": fields}. Sound is in the
WAV file only; in a line it is its number of bytes. Of a picture only kind, size and name are kept.
A line is complete when it ends with a newline: a recording that was cut off loses at most its last
line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args

import msgspec

from voicechat.core import effects, events, inputs
from voicechat.core.pictures import Picture
from voicechat.core.settings import AudioFormat, Capabilities, SemanticVad, ServerVad, TurnDetection
from voicechat.core.text import clean
from voicechat.errors import UsageError
from voicechat.session.updates import (
    Cleared,
    LevelsChanged,
    LinkChanged,
    ModeChanged,
    ModelChanged,
    SoundChanged,
)
from voicechat.system.private_files import open_plain

EVENTS = "events.jsonl"
SOUND = "sound.wav"
FORMAT = 2
"""Grows when an older voicechat cannot replay the recording. In format 1 the notices of the
conversation are not recorded; they follow from its events."""

LINE_LIMIT = 16 << 20
"""Bytes of one line; a longer one is not from a recording."""

_SOUND_LIMIT = 64 << 20
_LONGEST_S = 31 * 86_400


Happening = (
    events.Event
    | inputs.Input
    | effects.Notice
    | LinkChanged
    | LevelsChanged
    | SoundChanged
    | ModeChanged
    | Cleared
    | ModelChanged
)
"""Everything a line can hold. Other effects follow from the events when they are replayed."""

UNTOLD = frozenset({inputs.Configure})
"""What stands in no line: settings are not what happened, and may hold secrets."""

_RENAMED = {ModelChanged: "Named"}
"""Classes whose name in a line is not their own."""

KINDS: dict[str, type[Any]] = {
    _RENAMED.get(kind, kind.__name__): kind for kind in get_args(Happening) if kind not in UNTOLD
}
"""The classes of `Happening` by the name they have in a line."""

_NAMES = {kind: name for name, kind in KINDS.items()}

_WITH_PCM = {kind.__name__ for kind in (inputs.MicBlock, events.AudioDelta)}


@dataclass(frozen=True, slots=True)
class Heading:
    """What was recorded, and how the conversation began."""

    recording: int
    voicechat: str
    started: str
    """Wall time, ISO 8601 with its offset."""
    with_sound: bool
    hands_free: bool
    input_format: AudioFormat
    output_format: AudioFormat
    can: Capabilities
    semantic_vad: SemanticVad | None = None
    server_vad: ServerVad | None = None

    @property
    def turn_detection(self) -> TurnDetection:
        """Who ended the user's turns while hands-free."""
        return self.semantic_vad or self.server_vad


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened `at` seconds after the start."""

    at: float
    happening: Happening
    sound: int = 0
    """Bytes of sound that belong into `happening.pcm`, which is empty here."""

    def whole(self) -> Happening:
        """What happened, with silence of the right length for sound."""
        if isinstance(self.happening, inputs.MicBlock | events.AudioDelta):
            return replace(self.happening, pcm=bytes(self.sound))
        return self.happening


class _Raw(msgspec.Struct, rename={"kind": "is"}):
    at: float
    kind: str
    of: dict[str, Any] = {}


def heading_line(heading: Heading) -> bytes:
    """The first line of the events."""
    return msgspec.json.encode(heading) + b"\n"


def line(happening: Happening, at: float) -> bytes:
    """The line of something that happened `at` seconds after the start."""
    raw = _Raw(round(at, 6), _NAMES[type(happening)], _shallow(happening))
    try:
        return msgspec.json.encode(raw) + b"\n"
    except UnicodeEncodeError:
        raw.of = _cleaned(msgspec.to_builtins(raw.of))
        return msgspec.json.encode(raw) + b"\n"


def _shallow(happening: Happening) -> dict[str, Any]:
    """The fields; sound as its number of bytes, and nothing of what does not show itself."""
    assert is_dataclass(happening)
    found = {f.name: getattr(happening, f.name) if f.repr else "" for f in fields(happening)}
    if found.get("picture") is None:
        found.pop("picture", None)
    return {name: _without_bytes(value) for name, value in found.items()}


def _without_bytes(value: object) -> object:
    if isinstance(value, Picture):
        return replace(value, data=b"")
    return len(value) if isinstance(value, bytes) else value


# ------------------------------------------------------------------------------ reading


def read(folder: Path) -> tuple[Heading, list[Moment]]:
    """A whole recording, in the order of time. All text is cleaned.

    Raises `UsageError` naming file and line for anything that is not a recording.
    """
    path = folder / EVENTS
    lines = _complete_lines(path)
    heading = _heading(path, next(lines, b""))
    moments = []
    latest = 0.0
    for number, text in enumerate(lines, 2):
        moment = _moment(f"{clean(str(path))}:{number}", text)
        latest = max(latest, moment.at)
        moments.append(replace(moment, at=latest))
    return heading, moments


def _complete_lines(path: Path) -> Iterator[bytes]:
    name = clean(str(path))
    try:
        with open_plain(path) as file:
            number = 0
            while text := file.readline(LINE_LIMIT):
                number += 1
                if text.endswith(b"\n"):
                    yield text
                elif len(text) >= LINE_LIMIT:
                    raise UsageError(f"{name}:{number} is too long for a line of a recording.")
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(
            f"{clean(str(path.parent))} contains no recording.",
            "voicechat --record DIR makes one.",
        ) from None
    except (OSError, ValueError) as error:
        word = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{name} cannot be read: {word}.") from None


def _heading(path: Path, text: bytes) -> Heading:
    where = f"{clean(str(path))}:1"
    try:
        found = msgspec.json.decode(text)
        known = found["recording"] if isinstance(found, dict) else None
        if isinstance(known, int) and known > FORMAT:
            raise UsageError(
                f"{where} comes from a newer voicechat.", "Update voicechat to replay it."
            )
        heading = msgspec.convert(_cleaned(found), Heading)
    except (KeyError, ValueError, RecursionError) as error:
        raise UsageError(f"{where} is not the heading of a recording: {_why(error)}.") from None
    for form in (heading.input_format, heading.output_format):
        if not 8_000 <= form.rate <= 192_000:
            raise UsageError(f"{where} names a sample rate of {form.rate}.")
    return heading


def _moment(where: str, text: bytes) -> Moment:
    try:
        raw = msgspec.json.decode(text, type=_Raw)
        kind = KINDS.get(raw.kind)
        if kind is None:
            raise ValueError(f"nothing is called {raw.kind[:40]!r}")
        if not 0 <= raw.at <= _LONGEST_S:
            raise ValueError("at is not a number of seconds")
        values = _cleaned(raw.of)
        size = 0
        if raw.kind in _WITH_PCM:
            size, values["pcm"] = _size(values.get("pcm")), b""
        return Moment(raw.at, msgspec.convert(values, kind), size)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where} is not a line of a recording: {_why(error)}.") from None


def _size(found: object) -> int:
    if not isinstance(found, int) or not 0 <= found <= _SOUND_LIMIT:
        raise ValueError("pcm is not a number of bytes")
    return found


def _cleaned(value: Any) -> Any:
    """The JSON value with every text in it cleaned."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(key): _cleaned(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_cleaned(inner) for inner in value]
    return value


def _why(error: BaseException) -> str:
    """The reason as a part of a sentence."""
    words = clean(str(error)).split("\n")[0].rstrip(".")[:120]
    first = words[:1].lower() if words[1:2].islower() else words[:1]
    return first + words[1:] if words else type(error).__name__
