"""The format of a recording on disk.

A recording is a folder with `events.jsonl` and, for a session with sound, `sound.wav` (stereo: the
microphone left, the speaker right). The first line of `events.jsonl` is the `Heading`. Every other
line is a `TimedEvent`: {"at": seconds since the start, "is": class name, "of": fields}. Sound is
stored in the WAV file only; a line stores its number of bytes. Of a picture, a line stores only
the kind, the size and the name. A complete line ends with a newline, so a truncated recording
loses at most its last line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args

import msgspec

from voicechat.core import effects, events, inputs
from voicechat.core.pictures import Picture
from voicechat.core.settings import (
    AudioFormat,
    CallRules,
    Capabilities,
    SemanticVad,
    ServerVad,
    TurnDetection,
)
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
from voicechat.system.private_files import open_regular_file

EVENTS = "events.jsonl"
SOUND = "sound.wav"
FORMAT = 2
"""Version of the format; an older voicechat refuses a newer one. Format 1 does not record the
notices of the conversation: the replay derives them from the events."""

LINE_LIMIT = 16 << 20
"""Maximum bytes of one line; a longer line is an error."""

_MAX_SOUND_BYTES = 64 << 20
_MAX_DURATION_S = 31 * 86_400


RecordedEvent = (
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
"""The events that a line can hold. The replay derives all other effects from them."""

NOT_RECORDED = frozenset({inputs.Configure})
"""Inputs that are not recorded: settings may contain secrets."""

_RENAMED = {ModelChanged: "Named"}
"""Classes whose name in a line differs from the class name."""

EVENT_TYPES: dict[str, type[Any]] = {
    _RENAMED.get(kind, kind.__name__): kind
    for kind in get_args(RecordedEvent)
    if kind not in NOT_RECORDED
}
"""The classes of `RecordedEvent` by their name in a line."""

_NAMES = {kind: name for name, kind in EVENT_TYPES.items()}

_WITH_PCM = {kind.__name__ for kind in (inputs.MicBlock, events.AudioDelta)}


@dataclass(frozen=True, slots=True)
class Heading:
    """The first line of a recording: versions, formats and the settings at the start."""

    recording: int
    voicechat: str
    started: str
    """Wall-clock time in ISO 8601 with the UTC offset."""
    with_sound: bool
    hands_free: bool
    input_format: AudioFormat
    output_format: AudioFormat
    can: Capabilities
    semantic_vad: SemanticVad | None = None
    server_vad: ServerVad | None = None

    @property
    def turn_detection(self) -> TurnDetection:
        """The detection of the end of the user's turns in hands-free mode."""
        return self.semantic_vad or self.server_vad


@dataclass(frozen=True, slots=True)
class TimedEvent:
    """An event `at` seconds after the start."""

    at: float
    event: RecordedEvent
    sound_bytes: int = 0
    """Number of bytes that `event.pcm` had; it is empty here."""

    def with_silence(self) -> RecordedEvent:
        """The event with silence of the recorded length as its sound."""
        if isinstance(self.event, inputs.MicBlock | events.AudioDelta):
            return replace(self.event, pcm=bytes(self.sound_bytes))
        return self.event


class _JsonLine(msgspec.Struct, rename={"kind": "is"}):
    at: float
    kind: str
    of: dict[str, Any] = {}


def heading_line(heading: Heading) -> bytes:
    """The first line of `events.jsonl`."""
    return msgspec.json.encode(heading) + b"\n"


def event_line(event: RecordedEvent, at: float) -> bytes:
    """The line for an event `at` seconds after the start."""
    raw = _JsonLine(round(at, 6), _NAMES[type(event)], _field_values(event))
    try:
        return msgspec.json.encode(raw) + b"\n"
    except UnicodeEncodeError:
        raw.of = _cleaned(msgspec.to_builtins(raw.of))
        return msgspec.json.encode(raw) + b"\n"


def _field_values(event: RecordedEvent) -> dict[str, Any]:
    """The fields of an event; sound as its number of bytes, fields hidden from `repr` empty."""
    assert is_dataclass(event)
    found = {f.name: getattr(event, f.name) if f.repr else "" for f in fields(event)}
    for name in ("picture", "pictures"):
        if not found.get(name):
            found.pop(name, None)
    return {name: _without_bytes(value) for name, value in found.items()}


def _without_bytes(value: object) -> object:
    if isinstance(value, Picture):
        return replace(value, data=b"")
    if isinstance(value, tuple):
        return tuple(_without_bytes(each) for each in value)
    return len(value) if isinstance(value, bytes) else value


# ------------------------------------------------------------------------------ reading


def read(folder: Path) -> tuple[Heading, list[TimedEvent]]:
    """Read a whole recording in the order of time. All text is cleaned.

    Raises `UsageError`, which names the file and the line, when it is not a valid recording.
    """
    path = folder / EVENTS
    lines = _complete_lines(path)
    heading = _heading(path, next(lines, b""))
    timeline = []
    latest = 0.0
    for number, text in enumerate(lines, 2):
        timed = _timed_event(f"{clean(str(path))}:{number}", text)
        latest = max(latest, timed.at)
        timeline.append(replace(timed, at=latest))
    return heading, timeline


def _complete_lines(path: Path) -> Iterator[bytes]:
    name = clean(str(path))
    try:
        with open_regular_file(path) as file:
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
            "To make one, type: voicechat --record DIR",
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
        raise UsageError(f"{where} is not the heading of a recording: {_reason(error)}.") from None
    for form in (heading.input_format, heading.output_format):
        if not 8_000 <= form.rate <= 192_000:
            raise UsageError(f"{where} names a sample rate of {form.rate}.")
    return heading


def _timed_event(where: str, text: bytes) -> TimedEvent:
    try:
        raw = msgspec.json.decode(text, type=_JsonLine)
        kind = EVENT_TYPES.get(raw.kind)
        if kind is None:
            raise ValueError(f"the event {raw.kind[:40]!r} is unknown")
        if not 0 <= raw.at <= _MAX_DURATION_S:
            raise ValueError("at is not a number of seconds")
        values = _cleaned(raw.of)
        size = 0
        if raw.kind in _WITH_PCM:
            size, values["pcm"] = _size(values.get("pcm")), b""
        return TimedEvent(raw.at, msgspec.convert(values, kind, dec_hook=_rules), size)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where} is not a line of a recording: {_reason(error)}.") from None


def _rules(kind: type[Any], found: object) -> object:
    """Convert the rules of a tool."""
    if kind is not CallRules:
        return found
    from voicechat.tools.permission_rules import ArgumentRules

    return msgspec.convert(found, ArgumentRules)


def _size(found: object) -> int:
    if not isinstance(found, int) or not 0 <= found <= _MAX_SOUND_BYTES:
        raise ValueError("pcm is not a number of bytes")
    return found


def _cleaned(value: Any) -> Any:
    """The JSON value with all its strings cleaned."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(key): _cleaned(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_cleaned(inner) for inner in value]
    return value


def _reason(error: BaseException) -> str:
    """The message of an error as a part of a sentence."""
    words = clean(str(error)).split("\n")[0].rstrip(".")[:120]
    first = words[:1].lower() if words[1:2].islower() else words[:1]
    return first + words[1:] if words else type(error).__name__
