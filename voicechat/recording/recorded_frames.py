"""The frames of a recorded connection: `frames.jsonl` in the folder of a recording.

Each line is {"at": seconds since the start, "direction": "sent" or "received", "size": bytes on the
wire, "frame": the frame as JSON without its sound}; a frame that is not JSON is a `text` instead.
Without the file, the events of the recording stand in for the frames.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from voicechat.core import events, inputs
from voicechat.recording import folder_format
from voicechat.session.event_stream import Direction, RawFrame
from voicechat.session.frame_facts import elided, read_frame
from voicechat.system.private_files import open_regular_file

FRAMES = "frames.jsonl"

_SILENT = (inputs.Tick, inputs.Heard)
"""Inputs that are no event of the wire."""


class _FrameLine(msgspec.Struct, omit_defaults=True):
    at: float
    direction: Direction
    size: int
    frame: msgspec.Raw = msgspec.Raw()
    text: str = ""


def frame_line(frame: RawFrame, at: float) -> bytes:
    """Return the line for a frame `at` seconds after the start."""
    facts = read_frame(frame.data)
    data = frame.data if isinstance(frame.data, bytes) else frame.data.encode("utf-8", "replace")
    line = _FrameLine(round(at, 6), frame.direction, frame.size or len(data))
    if facts.is_json:
        line.frame = msgspec.Raw(facts.text.encode())
    else:
        line.text = facts.text
    return msgspec.json.encode(line) + b"\n"


def load_frames(folder: Path, timeline: Iterable[folder_format.TimedEvent]) -> list[RawFrame]:
    """Return the frames of a recording in the order of time, without their sound.

    A line that is not one of `frame_line` is left out. Without the file, the events of the
    `timeline` are returned as frames.
    """
    try:
        with open_regular_file(folder / FRAMES) as file:
            lines = iter(lambda: file.readline(folder_format.LINE_LIMIT), b"")
            frames = [frame for line in lines if (frame := _frame(line)) is not None]
    except (OSError, ValueError):
        return [_event_frame(timed) for timed in timeline if _is_on_wire(timed.event)]
    return sorted(frames, key=lambda frame: frame.at)


def _frame(line: bytes) -> RawFrame | None:
    try:
        read = msgspec.json.decode(line, type=_FrameLine)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    data = bytes(read.frame).decode(errors="replace") or read.text
    return RawFrame(read.direction, data, read.at, max(0, read.size))


def _is_on_wire(event: object) -> bool:
    return isinstance(event, events.Event | inputs.Input) and not isinstance(event, _SILENT)


def _event_frame(timed: folder_format.TimedEvent) -> RawFrame:
    """Return an event or an input as a frame of the direction in which it went."""
    line = msgspec.json.decode(folder_format.event_line(timed.event, timed.at))
    frame = {"type": line["is"], **line["of"]}
    if timed.sound_bytes:
        frame["audio"] = elided(timed.sound_bytes * 4 // 3)
    sent = isinstance(timed.event, inputs.Input)
    data = msgspec.json.encode(frame).decode()
    return RawFrame(Direction.SENT if sent else Direction.RECEIVED, data, timed.at)
