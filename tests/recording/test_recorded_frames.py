"""The frames of a recording: written without sound and keys, and shown by a replay."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path

import pytest
from recorded import block, heading

from voicechat.config.options import Options
from voicechat.core import events, inputs
from voicechat.errors import Secret
from voicechat.recording.recorded_frames import FRAMES, load_frames
from voicechat.recording.recorder import Recorder
from voicechat.recording.replayed_session import Replay
from voicechat.session.event_stream import Direction, EventStream, RawFrame
from voicechat.session.frame_log import FrameLog, FrameTap
from voicechat.session.key_mask import KeyMask

SOUND = base64.b64encode(bytes(4_800)).decode()
KEY = "sk-very-secret-123"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recording of a turn with six frames."""
    stream = EventStream()
    mask = KeyMask(Options(keys={"OPENAI_API_KEY": Secret(KEY)}))
    recorder = Recorder(tmp_path / "talk", heading(), stream, lambda notice: None, mask)

    def frame(direction: Direction, data: str | bytes, at: float) -> None:
        at += recorder._started_at
        stream.publish(RawFrame(direction, data, at), at)

    def event(published: object, at: float) -> None:
        stream.publish(published, recorder._started_at + at)

    frame(Direction.SENT, json.dumps({"type": "session.update", "session": {"key": KEY}}), 0.1)
    frame(Direction.RECEIVED, '{"type":"session.created"}', 0.2)
    event(events.SessionCreated("sess_1"), 0.2)
    event(inputs.MicBlock(block(1), 0.3), 0.3)
    event(inputs.Typed("Hello"), 1.0)
    frame(Direction.SENT, '{"type":"response.create"}', 1.1)
    delta = {"type": "response.output_audio.delta", "item_id": "item_1", "delta": SOUND}
    frame(Direction.RECEIVED, json.dumps(delta), 1.5)
    frame(Direction.RECEIVED, b"not JSON \x1b[2J", 1.6)
    frame(Direction.RECEIVED, '{"type":"response.output_audio.done","item_id":"item_1"}', 2.0)
    event(inputs.Interrupt(), 2.1)
    recorder.close()
    return tmp_path / "talk"


def test_a_frame_is_a_private_line_without_sound_and_keys(folder: Path) -> None:
    path = folder / FRAMES
    text = path.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert KEY not in text
    assert SOUND not in text
    assert "\x1b" not in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert lines[0] == {
        "at": 0.1,
        "direction": "sent",
        "size": 68,
        "frame": {"type": "session.update", "session": {"key": "***"}},
    }
    assert lines[3]["size"] > 6_400
    assert lines[4]["text"].startswith("not JSON")


async def test_a_replay_publishes_the_frames_at_their_times(folder: Path) -> None:
    replay = Replay(folder, speed=1000.0, play_sound=False)
    log = FrameLog()
    tap = FrameTap(replay, log)
    await replay.run()
    tap.take()
    types = [row.facts.type or row.facts.gist for row in log.rows]
    assert types == [
        "session.update", "session.created", "Turn 1", "response.create",
        "response.output_audio.delta", "not JSON", "response.output_audio.done",
    ]  # fmt: skip
    [create] = (row for row in log.rows if row.facts.type == "response.create")
    assert create.since_turn == pytest.approx(0.1)
    sound = log.rows[4]
    assert (sound.sound_bytes, sound.size > 6_400) == (4_800, True)
    assert log.rows[6].gap_s == pytest.approx(0.5)


async def test_a_console_of_a_replay_shows_the_frames_before_it_was_opened(folder: Path) -> None:
    live, late = FrameLog(), FrameLog()
    replay = Replay(folder, speed=1000.0, play_sound=False)
    tap = FrameTap(replay, live)
    await replay.run()
    tap.take()
    FrameTap(replay, late)
    shown = [(row.facts.type, row.since_turn) for row in late.rows]
    assert shown == [(row.facts.type, row.since_turn) for row in live.rows]


async def test_a_step_back_shows_the_frames_until_there(folder: Path) -> None:
    replay = Replay(folder, speed=1000.0, play_sound=False)
    log = FrameLog()
    tap = FrameTap(replay, log)
    await replay.run()
    replay.pause()
    replay.seek(-1.5)
    tap.take()
    assert [row.facts.type for row in log.rows] == ["session.update", "session.created"]
    replay.seek(10.0)
    replay._catch_up(replay.length)
    tap.take()
    assert [row.facts.type for row in log.rows][2:5] == [
        "", "response.create", "response.output_audio.delta",
    ]  # fmt: skip


def test_an_old_recording_shows_its_events(folder: Path) -> None:
    (folder / FRAMES).unlink()
    log = FrameLog()
    replay = Replay(folder, speed=1000.0, play_sound=False)
    replay._catch_up(replay.length)
    FrameTap(replay, log)
    types = [row.facts.type or row.facts.gist for row in log.rows]
    assert types == ["SessionCreated", "MicBlock", "Typed", "Turn 1", "Interrupt"]
    assert log.rows[1].sound_bytes == pytest.approx(len(block(1)), abs=3)


def test_broken_lines_are_left_out(folder: Path) -> None:
    lines = (folder / FRAMES).read_bytes().splitlines(keepends=True)
    broken = [
        b"{}\n",
        b"[" * 100_000 + b"\n",
        b"\xff\n",
        b'{"at":"x"}\n',
        *lines[:2],
        lines[2][:20],
    ]
    (folder / FRAMES).write_bytes(b"".join(broken))
    assert [frame.at for frame in load_frames(folder, ())] == [0.1, 0.2]
