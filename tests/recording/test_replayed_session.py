"""A recorded conversation happens again: same words, same floor, same cuts, same sound."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import socket
import subprocess
import sys
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from desk import Desk, options
from numpy.typing import NDArray
from scripted import TOKEN, Scene, scene, tone
from sound_rig import spans
from textual.content import Content
from textual.widgets import Static
from virtual_audio import VirtualCard

from voicechat.cli.app import main
from voicechat.core import effects, events, inputs
from voicechat.core.items import Item, ItemStatus, Role, ToolCall
from voicechat.recording import folder_format
from voicechat.recording.recorded_session import open_session
from voicechat.recording.replayed_session import Replay
from voicechat.server.engine_protocols import Call, Say
from voicechat.session.session import Session
from voicechat.session.updates import (
    LevelsChanged,
    Link,
    LinkChanged,
    ModeChanged,
    ModelChanged,
    SoundChanged,
    Update,
)
from voicechat.tui.screens.replay_screen import ReplayApp, ReplayScreen
from voicechat.tui.widgets.entry_widgets import EntryLine

RATE = 24_000


@asynccontextmanager
async def recording(stage: Scene, folder: Path, **more: Any) -> AsyncIterator[Desk]:
    """A session that is recorded, from its first word until it is closed."""
    chosen = dataclasses.replace(options(stage.app.url), record=folder, **more)
    desk = Desk(open_session(chosen))
    running = asyncio.create_task(desk.session.run())
    try:
        await desk.until(lambda: desk.session.link is Link.ONLINE)
        yield desk
    finally:
        desk.session.close()
        await running


async def replayed(folder: Path, **more: Any) -> Desk:
    """The recording, shown to its end."""
    again = Replay(folder, **{"speed": 1000.0, "play_sound": False} | more)
    desk = Desk(cast("Session", again))
    await again.run()
    return desk


def story(desk: Desk) -> list[dict[str, object]]:
    """The transcript without what belongs to one machine's clock."""
    told = []
    for entry in desk.session.transcript.entries:
        fields = dataclasses.asdict(entry)
        if isinstance(entry, ToolCall):
            del fields["started_at"]
            fields["elapsed_ms"] = pytest.approx(entry.elapsed_ms, abs=0.1)
        told.append(fields)
    return told


def shown(desk: Desk) -> list[Update]:
    """What a screen was told, but for the end and for times."""
    kinds = (
        effects.FloorChanged,
        effects.EntryChanged,
        effects.EntryRemoved,
        LevelsChanged,
        ModeChanged,
    )
    return [update for update in desk.updates if isinstance(update, kinds)]


# -------------------------------------------------------------------------- typed


@pytest.fixture
async def typed(tmp_path: Path) -> tuple[Desk, Path]:
    """A typed conversation with a tool, an interruption and a fresh start; and its recording."""
    folder = tmp_path / "talk"
    async with scene() as stage, recording(stage, folder) as desk:
        stage.assistant.answer = lambda request: (
            [Say(f"Heard {request.messages[-1].text}.")]
            if "time" not in request.messages[-1].text
            else [Call("call_1", "current_time", "{}")]
        )
        desk.session.type("forget this")
        await desk.until(lambda: bool(desk.said(Role.ASSISTANT)))
        desk.session.new_conversation()
        desk.session.type("what time is it")
        await desk.until(lambda: bool(desk.said(Role.ASSISTANT)))
        stage.assistant.gate.clear()
        desk.session.type("think hard")
        await desk.until(lambda: desk.session.floor is effects.Floor.THINKING)
        desk.session.interrupt()
        await desk.until(lambda: desk.session.floor is effects.Floor.IDLE)
        stage.assistant.gate.set()
        desk.session.type("héllo <b>\U0001f600")
        await desk.until(lambda: "Heard héllo <b>\U0001f600." in desk.said(Role.ASSISTANT))
    return desk, folder


async def test_a_typed_conversation_comes_to_the_same_end(typed: tuple[Desk, Path]) -> None:
    original, folder = typed
    again = await replayed(folder)
    assert len(story(original)) > 4
    assert story(again) == story(original)
    assert shown(again) == shown(original)
    assert again.session.usage == original.session.usage
    assert again.session.model == original.session.model
    assert again.session.latency_ms == pytest.approx(original.session.latency_ms, abs=0.1)
    assert again.updates[-1] == LinkChanged(Link.OFFLINE, "The recording has ended.")


async def test_a_key_that_is_typed_is_not_kept(tmp_path: Path) -> None:
    folder = tmp_path / "talk"
    async with scene() as stage, recording(stage, folder) as desk:
        desk.session.type(f"my key is {TOKEN}, please")
        await desk.until(lambda: bool(desk.said(Role.ASSISTANT)))
    kept = (folder / folder_format.EVENTS).read_text()
    assert TOKEN not in kept
    again = await replayed(folder)
    assert again.said(Role.USER) == ["my key is ***, please"]
    assert again.said(Role.ASSISTANT) == ["You said my key is ***, please."]


async def test_lines_tell_it_without_a_network(
    typed: tuple[Desk, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(*where: object) -> None:
        raise AssertionError(f"a replay asked for {where[1:]}")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", connect)
    code = await asyncio.to_thread(main, ["replay", str(typed[1]), "--speed", "1000", "--plain"])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert f"Recording to {typed[1]}." in lines
    assert "You: what time is it" in lines
    assert "The tool current_time is done." in lines
    assert "Assistant: Heard héllo <b>\U0001f600." in lines
    assert lines[-1] == "The recording has ended."


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    write(tmp_path, folder_format.event_line(inputs.Tick(), 0.2))
    program = subprocess.Popen(
        [sys.executable, "-m", "voicechat", "replay", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with program:
        assert program.stdout is not None
        assert program.stderr is not None
        program.stdout.close()
        assert program.stderr.read() == b""
    assert program.returncode == 141


async def test_back_and_on_and_pause(typed: tuple[Desk, Path]) -> None:
    original, folder = typed
    again = Replay(folder, speed=1000, wait_at_end=True)
    desk = Desk(cast("Session", again))
    running = asyncio.create_task(again.run())
    await desk.until(lambda: again.is_over)
    again.pause()
    again.seek(-1000)
    assert again.transcript.entries == []
    assert again.position == 0
    await asyncio.sleep(0)
    assert not again.is_over
    again.seek(again.length / 2)
    assert again.position == pytest.approx(again.length / 2)
    again.pause()
    await desk.until(lambda: again.is_over)
    assert story(desk) == story(original)
    again.close()
    await running


async def test_it_keeps_the_time_it_took(tmp_path: Path) -> None:
    lines = [folder_format.event_line(events.SessionCreated(), 0.0)]
    lines += [folder_format.event_line(inputs.Typed(str(n)), n / 10) for n in range(1, 6)]
    write(tmp_path, *lines)
    loop = asyncio.get_running_loop()
    began = loop.time()
    desk = await replayed(tmp_path, speed=5.0)
    assert loop.time() - began >= 0.1 * 0.99
    assert desk.said(Role.USER) == ["1", "2", "3", "4", "5"]


def write(folder: Path, *lines: bytes) -> None:
    from recorded import heading

    (folder / folder_format.EVENTS).write_bytes(
        folder_format.heading_line(heading(with_sound=False)) + b"".join(lines)
    )


async def test_devices_link_and_mute_are_as_they_were(tmp_path: Path) -> None:
    write(
        tmp_path,
        folder_format.event_line(LinkChanged(Link.ONLINE), 1),
        folder_format.event_line(SoundChanged("a microphone", "a speaker"), 2),
        folder_format.event_line(LevelsChanged(-30.0, -40.0, -10.0, -20.0), 3),
        folder_format.event_line(ModeChanged(muted=True, hands_free=True, talking=False), 4),
        folder_format.event_line(inputs.Tick(), 5),
    )
    again = Replay(tmp_path)
    again._catch_up(3.5)
    assert (again.link, again.microphone, again.speaker, again.muted) == (
        Link.ONLINE, "a microphone", "a speaker", False,
    )  # fmt: skip
    assert again.loudness.mic_peak == -10.0
    again._catch_up(4.5)
    assert again.muted
    again.pause()
    again.seek(-1000)
    assert (again.link, again.microphone, again.speaker, again.muted) == (
        Link.CONNECTING, None, None, False,
    )  # fmt: skip


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("spoken", [False, True])
async def test_an_answer_that_the_recording_cuts_off_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, spoken: bool, started: bool
) -> None:
    from recorded import heading

    happened: list[folder_format.Happening] = [
        events.SessionCreated(),
        inputs.Typed("hi"),
        events.ResponseCreated("r"),
        events.TextDelta("r", "i", "one two three", spoken),
    ]
    happened += [events.AudioDelta("r", "i", bytes(2 * RATE))] if spoken else []
    happened += [inputs.PlaybackStarted("i", 0.4)] if spoken and started else []
    lines = [folder_format.event_line(each, n / 10) for n, each in enumerate(happened)]
    head = folder_format.heading_line(heading(with_sound=spoken))
    (tmp_path / folder_format.EVENTS).write_bytes(head + b"".join(lines))
    desk = await replayed(tmp_path)
    answer = desk.session.transcript.entries[-1]
    assert isinstance(answer, Item)
    end = ItemStatus.COMPLETED if spoken else ItemStatus.INTERRUPTED
    assert (answer.status, answer.shown) == (end, "one two three")
    assert desk.session.floor in {effects.Floor.IDLE, effects.Floor.LISTENING}
    code = await asyncio.to_thread(main, ["replay", str(tmp_path), "--speed", "1000", "--text"])
    assert code == 0
    assert "\nAssistant: one two three" in capsys.readouterr().out


async def test_an_empty_recording_is_over_at_once(tmp_path: Path) -> None:
    write(tmp_path)
    desk = await replayed(tmp_path)
    assert desk.session.transcript.entries == []


def test_a_replay_has_the_face_of_a_session(tmp_path: Path) -> None:
    write(tmp_path)
    real = vars(Session(options("ws://127.0.0.1:1/v1/realtime")))
    public = {name for name in real if not name.startswith("_")}
    assert public <= set(vars(Replay(tmp_path)))
    for name, member in inspect.getmembers(Session):
        if name.startswith("_") or not (callable(member) or isinstance(member, property)):
            continue
        other = inspect.getattr_static(Replay, name)
        assert isinstance(other, property) == isinstance(member, property)
        if callable(member):
            assert inspect.signature(other) == inspect.signature(member), name


async def test_hostile_text_is_harmless_on_the_screen(tmp_path: Path) -> None:
    bad = "\x1b]0;evil\x07[red]\u202etxt"
    write(
        tmp_path,
        folder_format.event_line(ModelChanged(bad, bad), 0),
        folder_format.event_line(LinkChanged(Link.ONLINE, bad), 0),
        folder_format.event_line(events.SessionCreated(), 0),
        folder_format.event_line(inputs.Typed(bad), 0),
        folder_format.event_line(SoundChanged(bad, bad, bad, bad), 0),
        folder_format.event_line(effects.Notice(bad, effects.Level.ERROR, bad), 0),
    )
    again = Replay(tmp_path, wait_at_end=True)
    async with ReplayApp(again).run_test(size=(80, 24)) as pilot:
        await settled(pilot, again)
        for widget in pilot.app.screen.query(Static):
            content = widget.render()
            if isinstance(content, Content):
                assert not {"\x1b", "\x07", "\u202e"} & set(content.plain)


async def settled(pilot: Any, again: Replay) -> ReplayScreen:
    screen = cast("ReplayScreen", pilot.app.screen_stack[0])
    async with asyncio.timeout(10):
        while not again.is_over:
            await pilot.pause()
    await screen.flush()
    await pilot.pause()
    return screen


async def test_keys_on_the_screen(typed: tuple[Desk, Path]) -> None:
    again = Replay(typed[1], speed=1000, wait_at_end=True)
    app = ReplayApp(again)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await settled(pilot, again)
        texts = "\n".join(line.reading.body.plain for line in screen.query(EntryLine))
        assert "Heard héllo <b>\U0001f600." in texts
        assert "The recording has ended." in str(screen.query_one("#floor", Static).render())
        assert "Esc ends" in str(screen.query_one("#time", Static).render())
        await pilot.press("space")
        assert again.paused
        await pilot.press("left", "left")
        assert not again.is_over
        assert "paused" in str(screen.query_one("#time", Static).render())
        await pilot.press("f5", "f2", "x", "right", "enter")
        assert not again.paused
        await settled(pilot, again)
        await pilot.press("up")
        assert again.speed == 1000, "nothing is faster"
        await pilot.press("space", "home", "down")
        assert (again.position, again.speed) == (0, 32)
        assert "paused ×32 0:00 of" in str(screen.query_one("#time", Static).render())
        await pilot.press("down", "down", "down", "up")
        assert again.speed == 8
        await pilot.press("space")
        await settled(pilot, again)
        await pilot.press("escape")
    assert app.return_code == 0


# -------------------------------------------------------------------------- spoken


def onsets(side: NDArray[np.int16], rate: int) -> NDArray[np.float64]:
    """Seconds at which each sound of a side begins."""
    wide = np.repeat(side, 48_000 // rate)
    return np.array([begin for begin, _ in spans(wide, 1_500, 120)]) / 48_000


def heard_in(folder: Path) -> NDArray[np.int16]:
    with wave.open(str(folder / folder_format.SOUND)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16).reshape(-1, 2)


@pytest.mark.sound
async def test_a_spoken_conversation_sounds_and_ends_the_same(
    own_card: VirtualCard, tmp_path: Path
) -> None:
    folder = tmp_path / "talk"
    async with (
        scene() as stage,
        recording(stage, folder, with_sound=True, echo_cancel=False) as desk,
    ):
        stage.stt.texts = ["one two three"]
        stage.assistant.answer = lambda request: [
            Say(request.messages[-1].text + " four" * 30 + ".")
        ]
        await desk.until(lambda: desk.session.microphone is not None)
        both = own_card.record()
        await asyncio.sleep(0.3)
        speech = np.concatenate([np.frombuffer(tone(400), np.int16), np.zeros(24_000, np.int16)])
        await asyncio.to_thread(own_card.say(speech, RATE).wait)
        await desk.until(lambda: desk.session.floor is effects.Floor.SPEAKING)
        await desk.until(lambda: any(i.heard_ms > 600 for i in answers(desk)))
        desk.session.interrupt()
        await desk.until(
            lambda: any(item.status is ItemStatus.INTERRUPTED for item in answers(desk))
        )
        await asyncio.sleep(0.3)
        outside = both.stop()
    again = await replayed(folder)
    assert story(again) == story(desk)
    assert shown(again) == shown(desk)
    cut = answers(again)[0]
    assert cut.unheard
    assert 600 < cut.heard_ms < cut.received_ms
    inside = heard_in(folder)
    starts = [(onsets(inside[:, side], RATE), onsets(outside[:, side], 48_000)) for side in (0, 1)]
    (person_in, person_out), (model_in, model_out) = starts
    between_in, between_out = model_in[-1] - person_in[0], model_out[-1] - person_out[0]
    assert abs(between_in - between_out) < 0.02


def answers(desk: Desk) -> list[Item]:
    return [
        entry
        for entry in desk.session.transcript.entries
        if isinstance(entry, Item) and entry.role is Role.ASSISTANT
    ]


@pytest.mark.sound
@pytest.mark.parametrize("speed", [1.0, 2.0])
async def test_the_sound_is_played_again(
    own_card: VirtualCard, tmp_path: Path, speed: float
) -> None:
    from recorded import heading

    from voicechat.recording.stereo_wav import StereoFile

    (tmp_path / folder_format.EVENTS).write_bytes(
        folder_format.heading_line(heading()) + folder_format.event_line(inputs.Tick(), 3.0)
    )
    file = StereoFile(tmp_path / folder_format.SOUND, RATE)
    file.add_microphone(tone(200), 0.7)
    file.add_speaker(tone(200), 1.7)
    file.add_microphone(bytes(960), 4.0)
    file.close()
    both = own_card.record()
    desk = await replayed(tmp_path, speed=speed, play_sound=True)
    assert not [update for update in desk.updates if isinstance(update, effects.Notice)]
    begun = onsets(both.stop()[:, 1], 48_000)
    assert len(begun) == 2
    assert begun[1] - begun[0] == pytest.approx(1.0 / speed, abs=0.1)


async def test_without_a_sound_file_it_is_silent(tmp_path: Path) -> None:
    from recorded import heading

    (tmp_path / folder_format.EVENTS).write_bytes(folder_format.heading_line(heading()))
    await replayed(tmp_path, play_sound=True)
    (tmp_path / folder_format.SOUND).write_bytes(b"RIFF, but no more")
    assert main(["replay", str(tmp_path), "--plain"]) == 2
