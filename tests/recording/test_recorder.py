"""The recorder: the contents of a recording, and a recording that never delays the conversation."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest
from recorded import RATE, block, heading, span

from voicechat.audio import messages as sound
from voicechat.cli.app import main
from voicechat.config import loader
from voicechat.config.endpoint import Endpoint
from voicechat.config.mcp_server import ServerConfig
from voicechat.config.options import Options
from voicechat.core import effects, events, inputs
from voicechat.errors import Secret, UsageError
from voicechat.recording import folder_format, recorded_frames, stereo_wav
from voicechat.recording import recorder as recorder_module
from voicechat.recording.recorder import Recorder
from voicechat.session.event_stream import EventStream
from voicechat.session.key_mask import KeyMask


@pytest.fixture
def notices() -> list[effects.Notice]:
    return []


@pytest.fixture
def stream() -> EventStream:
    return EventStream()


@pytest.fixture
def recorder(
    tmp_path: Path, stream: EventStream, notices: list[effects.Notice]
) -> Iterator[Recorder]:
    recorder = Recorder(tmp_path / "talk", heading(), stream, notices.append)
    yield recorder
    recorder.close()


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / folder_format.EVENTS).read_text().splitlines()]


def channels(folder: Path) -> tuple[bytes, bytes]:
    """Read both channels with the standard library."""
    with wave.open(str(folder / folder_format.SOUND)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, RATE)
        frames = memoryview(file.readframes(file.getnframes())).cast("h")
    return bytes(frames[0::2].tobytes()), bytes(frames[1::2].tobytes())


# -------------------------------------------------------------------------- contents


def test_an_event_is_a_line_with_its_time(
    recorder: Recorder, tmp_path: Path, stream: EventStream
) -> None:
    started_at = recorder._started_at
    stream.publish(inputs.Typed("héllo"), started_at + 1.5)
    stream.publish(inputs.MicBlock(bytes(960)), started_at + 2)
    stream.publish(events.AudioDelta("r", "i", bytes(4800)), started_at + 2.25)
    stream.publish(effects.FloorChanged(effects.Floor.IDLE), started_at + 3)
    recorder.close()
    first, *rest = lines(tmp_path / "talk")
    assert first["recording"] == folder_format.FORMAT
    assert rest == [
        {"at": 1.5, "is": "Typed", "of": {"text": "héllo"}},
        {"at": 2.0, "is": "MicBlock", "of": {"pcm": 960, "at": 0.0}},
        {
            "at": 2.25,
            "is": "AudioDelta",
            "of": {"response_id": "r", "item_id": "i", "pcm": 4800, "content_index": 0},
        },
    ]


def test_both_sides_are_at_the_time_they_were_heard(
    recorder: Recorder, tmp_path: Path, stream: EventStream
) -> None:
    started_at = recorder._started_at
    for index in range(115):
        end = started_at + 0.5 + (index + 1) * 0.02
        if index < 100:
            stream.publish(inputs.MicBlock(block(1), end), end)
        if 40 <= index < 90:  # late, as from a device with a large buffer
            stream.publish(sound.Played(block(2), end - 0.3), end)
    recorder.close()
    left, right = channels(tmp_path / "talk")
    assert span(left, 1) == pytest.approx([0.5, 2.5])
    assert span(right, 2) == pytest.approx([1.0, 2.0])
    assert len(left) == len(right)


def test_a_gap_is_kept_and_jitter_adds_none(
    recorder: Recorder, tmp_path: Path, stream: EventStream
) -> None:
    started_at = recorder._started_at
    for index in range(200):
        end = (index + 1) * 0.02 + (2.0 if index >= 100 else 0.0)
        jitter = 0.004 * (-1) ** index
        stream.publish(
            sound.Played(block(1 + index // 100), started_at + end + jitter), started_at + end
        )
    recorder.close()
    _, right = channels(tmp_path / "talk")
    first, second = span(right, 1), span(right, 2)
    assert first == pytest.approx([0, 2], abs=0.01)
    assert second == pytest.approx([4, 6], abs=0.01)
    before_the_gap = memoryview(right).cast("h")[1_000 : 2 * RATE - 500]
    assert set(before_the_gap) == {1}, "no silence between the blocks"


def test_in_silence_the_sound_file_follows_the_clock(
    recorder: Recorder, tmp_path: Path, stream: EventStream
) -> None:
    stream.publish(
        inputs.MicBlock(block(1), recorder._started_at + 0.02), recorder._started_at + 0.02
    )
    stream.publish(inputs.Typed("after a minute"), recorder._started_at + 60)
    stream.publish(inputs.Typed("and another"), recorder._started_at + 120)
    recorder.close()
    left, _ = channels(tmp_path / "talk")
    assert span(left, 1) == pytest.approx([0, 0.02])
    assert len(left) / 2 / RATE == pytest.approx(115, abs=1)


def test_a_different_microphone_rate_is_converted(tmp_path: Path, stream: EventStream) -> None:
    recorder = Recorder(tmp_path / "talk", heading(input_rate=16_000), stream, lambda notice: None)
    for index in range(100):
        end = recorder._started_at + (index + 1) * 0.02
        stream.publish(inputs.MicBlock(block(8_000, 320), end), end)
    recorder.close()
    left, _ = channels(tmp_path / "talk")
    assert len(left) / 2 / RATE == pytest.approx(2, abs=0.02)
    middle = memoryview(left).cast("h")[RATE // 2 : RATE]
    assert min(middle) > 7_800
    assert max(middle) < 8_200


def test_text_only_has_no_sound_file(tmp_path: Path, stream: EventStream) -> None:
    recorder = Recorder(tmp_path / "talk", heading(with_sound=False), stream, lambda notice: None)
    stream.publish(inputs.Typed("a"), time.monotonic())
    recorder.close()
    names = {path.name for path in (tmp_path / "talk").iterdir()}
    assert names == {folder_format.EVENTS, recorded_frames.FRAMES}


LONG = "t0k3n-of-another-program-8d1f"


def test_keys_are_never_written(tmp_path: Path, stream: EventStream) -> None:
    options = Options(
        keys={"OPENAI_API_KEY": Secret("sk-very-secret-123"), "XAI_API_KEY": Secret("short")},
        token=Secret("ek_short-lived"),
        mcp_servers=(
            ServerConfig("here", ("run",), env={"A": Secret(f"{LONG}-a"), "MODE": Secret("Typed")}),
            ServerConfig("there", (), url="https://h", headers={"B": Secret(f"Bearer {LONG}-b")}),
        ),
        endpoints=(endpoint(f"Token {LONG}-c"),),
    )
    mask = KeyMask(options)
    recorder = Recorder(tmp_path / "talk", heading(), stream, lambda notice: None, mask)
    typed = f"sk-very-secret-123 ek_short-lived {LONG}-a {LONG}-b {LONG}-c Bearer short Typed"
    stream.publish(inputs.Typed(typed), time.monotonic())
    recorder.close()
    typed = lines(tmp_path / "talk")[1]
    assert (typed["is"], typed["of"]) == ("Typed", {"text": "*** " * 5 + "Bearer short Typed"})


def endpoint(header: str) -> Endpoint:
    return Endpoint("shop", "https://shop", headers={"Authorization": Secret(header)})


def test_lone_surrogates_are_written_as_replacement_characters(
    recorder: Recorder, tmp_path: Path, stream: EventStream
) -> None:
    stream.publish(inputs.Typed("a\ud800b"), time.monotonic())
    recorder.close()
    assert lines(tmp_path / "talk")[1]["of"] == {"text": "a\ufffdb"}


# -------------------------------------------------------------------------- the folder


def test_only_the_owner_can_read_it(recorder: Recorder, tmp_path: Path) -> None:
    folder = tmp_path / "talk"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_recording_is_never_overwritten(
    recorder: Recorder, tmp_path: Path, stream: EventStream
) -> None:
    with pytest.raises(UsageError, match="already contains a recording"):
        Recorder(tmp_path / "talk", heading(), stream, lambda notice: None)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is not a folder"):
        Recorder(tmp_path / "file", heading(), stream, lambda notice: None)
    with pytest.raises(UsageError, match="Cannot write"):
        Recorder(tmp_path / "file" / "deeper", heading(), stream, lambda notice: None)


def test_a_folder_with_other_files_is_refused(tmp_path: Path, stream: EventStream) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    recorder = Recorder(folder, heading(), stream, lambda notice: None)
    recorder.close()
    for path in folder.iterdir():
        path.unlink()
    (folder / "cat.jpg").touch()
    with pytest.raises(UsageError, match=r"photos is not empty\. Name a new folder after --record"):
        Recorder(folder, heading(), stream, lambda notice: None)
    assert [path.name for path in folder.iterdir()] == ["cat.jpg"]


def test_a_failed_start_leaves_no_file(tmp_path: Path, stream: EventStream) -> None:
    (tmp_path / folder_format.SOUND).write_bytes(b"a file of the user")
    with pytest.raises(UsageError, match="already contains a recording"):
        Recorder(tmp_path, heading(), stream, lambda notice: None)
    assert [path.name for path in tmp_path.iterdir()] == [folder_format.SOUND]


def test_the_option_expands_the_home_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert loader.load({"record": "~/talk"}, {}).record == tmp_path / "talk"


def test_the_command_reports_an_invalid_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["--text", "--record", str(tmp_path / "file")]) == 2
    assert "is not a folder" in capsys.readouterr().err


# -------------------------------------------------------------------------- disk failures


async def test_a_full_disk_ends_the_recording_once(
    tmp_path: Path,
    notices: list[effects.Notice],
    monkeypatch: pytest.MonkeyPatch,
    stream: EventStream,
) -> None:
    recorder = Recorder(tmp_path / "talk", heading(), stream, notices.append)

    def full(content: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(recorder, "_write", full)
    stream.publish(inputs.Typed("a"), time.monotonic())
    await asyncio.to_thread(recorder._thread.join, 5)
    await asyncio.sleep(0)
    for _ in range(10):
        stream.publish(inputs.Typed("b"), time.monotonic())
    await asyncio.sleep(0)
    assert [notice.text for notice in notices] == ["The recording ended: no space left on device."]
    recorder.close()


async def test_a_slow_disk_drops_sound_first_and_then_ends_the_recording(
    tmp_path: Path,
    notices: list[effects.Notice],
    monkeypatch: pytest.MonkeyPatch,
    stream: EventStream,
) -> None:
    monkeypatch.setattr(recorder_module, "MAX_SOUND_BLOCKS", 10)
    monkeypatch.setattr(recorder_module, "MAX_EVENTS", 50)
    recorder = Recorder(tmp_path / "talk", heading(), stream, notices.append)
    gate, stuck = threading.Event(), threading.Event()
    write = recorder._write

    def slow(content: bytes) -> None:
        stuck.set()
        gate.wait(10)
        write(content)

    monkeypatch.setattr(recorder, "_write", slow)
    now = time.monotonic()
    stream.publish(inputs.Typed("first"), now)
    await asyncio.to_thread(stuck.wait, 5)
    for _ in range(30):
        stream.publish(inputs.MicBlock(block(1), now), now)
    assert recorder.dropped == 20
    for _ in range(21):
        stream.publish(inputs.Typed("more"), now)
    assert [notice.text for notice in notices] == ["The recording ended: the disk is too slow."]
    gate.set()
    await asyncio.to_thread(recorder.close)
    assert len(lines(tmp_path / "talk")) == 52, "a block of dropped sound still has its line"


async def test_a_blocked_disk_does_not_delay_the_end(
    tmp_path: Path, stream: EventStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "CLOSE_TIMEOUT_S", 0.05)
    recorder = Recorder(tmp_path / "talk", heading(), stream, lambda notice: None)
    gate = threading.Event()
    monkeypatch.setattr(recorder, "_write", lambda content: gate.wait(10))
    stream.publish(inputs.Typed("a"), time.monotonic())
    recorder.close()
    assert recorder._thread.is_alive()
    gate.set()
    recorder._thread.join(5)


_ENDLESS = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from recorded import block, heading
from voicechat.core import inputs
from voicechat.recording.recorder import Recorder
from voicechat.session.event_stream import EventStream
stream = EventStream()
recorder = Recorder(Path(sys.argv[1]), heading(), stream, lambda notice: None)
started_at, index = recorder._started_at, 0
while True:
    end = started_at + (index + 1) * 0.02
    stream.publish(inputs.MicBlock(block(5), end), end)
    stream.publish(inputs.Typed(f"line {{index}}"), end)
    index += 1
    if index in (500, 501):
        # An empty queue of events after 501 means that everything up to 500 is on the disk.
        while len(recorder._events):
            time.sleep(0.001)
    if index == 501:
        print("now", flush=True)
    if index > 501:
        time.sleep(0.0002)
"""


def test_a_killed_program_leaves_a_readable_recording(tmp_path: Path) -> None:
    code = _ENDLESS.format(tests=str(Path(__file__).parents[1] / "support"))
    program = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "talk")], stdout=subprocess.PIPE
    )
    with program:
        assert program.stdout is not None
        program.stdout.readline()
        program.send_signal(signal.SIGKILL)
    left, _ = channels(tmp_path / "talk")
    assert len(left) / 2 / RATE > 7
    assert span(left, 5)[0] == 0
    assert stereo_wav.read_rate(tmp_path / "talk" / folder_format.SOUND) == RATE
    _, found = folder_format.read(tmp_path / "talk")
    texts = [m.event.text for m in found if isinstance(m.event, inputs.Typed)]
    assert texts == [f"line {index}" for index in range(len(texts))]
    assert len(texts) > 200
