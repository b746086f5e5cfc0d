"""The event console of the line mode."""

from __future__ import annotations

import asyncio
import base64
import io
import json

from following import Publisher

from voicechat.core.effects import Floor, FloorChanged
from voicechat.line_mode.console_lines import ConsoleLines
from voicechat.line_mode.line_writer import LineWriter
from voicechat.session.event_stream import Direction, RawFrame

SOUND = base64.b64encode(bytes(2_400)).decode()


class _Session(Publisher):
    def past_frames(self) -> tuple[()]:
        return ()

    def frame(self, at: float, direction: Direction, kind: str, **fields: str) -> None:
        self.tell(RawFrame(direction, json.dumps({"type": kind, **fields}), at))


async def test_every_frame_is_a_line_and_a_sound_is_two() -> None:
    session, out = _Session(), io.StringIO()
    console = ConsoleLines(session, LineWriter(out))  # type: ignore[arg-type]
    assert not session.stream.wanted(RawFrame)
    console.request("")
    sent, received = Direction.SENT, Direction.RECEIVED
    session.frame(10.0, sent, "session.update")
    session.frame(10.5, received, "session.updated")
    for block in range(3):
        session.frame(11.0 + block, sent, "input_audio_buffer.append", audio=SOUND)
    session.stream.publish(FloorChanged(Floor.THINKING), 14.0)
    session.frame(14.25, received, "response.output_audio.delta", item_id="a", delta=SOUND)
    await asyncio.sleep(0)
    session.frame(14.5, received, "response.output_audio.delta", item_id="a", delta=SOUND)
    session.frame(15.0, received, "response.output_audio.done", item_id="a")
    await asyncio.sleep(0)
    console.request("off")
    assert not session.stream.wanted(RawFrame)
    lines = out.getvalue().splitlines()
    assert lines[0].startswith("Every frame is a line. Filters: sent, received, errors,")
    assert lines[1:] == [
        "   +0.000 s → sent session.update, 26 B",
        "   +0.500 s ← got session.updated, 27 B: ⇄ 0.500 s",
        (
            "   +1.000 s → sent input_audio_buffer.append, 9.75 kB: ♪ 7.2 kB of sound, 3 frames"
            " in 2.000 s"
        ),
        "──── Turn 1",
        "   +0.250 s ← got response.output_audio.delta, 3.27 kB: ♪ 2.4 kB of sound, 1 frame",
        (
            "   +0.250 s ← got response.output_audio.delta, 6.54 kB: ♪ 4.8 kB of sound, 2 frames"
            " in 0.250 s"
        ),
        "   +1.000 s ← got response.output_audio.done, 54 B: ⇄ 0.750 s",
        "Frames are no longer printed.",
    ]


async def test_a_filter_and_hostile_frames() -> None:
    session, out = _Session(), io.StringIO()
    console = ConsoleLines(session, LineWriter(out))  # type: ignore[arg-type]
    console.request("type:b")
    session.frame(1.0, Direction.SENT, "a")
    session.frame(1.0, Direction.RECEIVED, "b\x1b[2J\n\u202eb", text="one\ntwo\x07")
    session.tell(RawFrame(Direction.RECEIVED, "\x1b[2J" * 10_000, 1.0))
    await asyncio.sleep(0)
    console.request("errors")
    session.tell(RawFrame(Direction.RECEIVED, "\x1b[2J" * 10_000, 1.0))
    await asyncio.sleep(0)
    console.request("")
    shown = out.getvalue()
    assert shown.startswith("Frames that match type:b are lines.")
    assert "← got b\ufffd[2J \ufffdb, " in shown
    assert "→ sent a" not in shown
    assert shown.count("not JSON") == 1
    assert "\x1b" not in shown
    assert max(map(len, shown.splitlines())) < 400
    console.request("off")
    assert out.getvalue().endswith("The console is not open.\n")
