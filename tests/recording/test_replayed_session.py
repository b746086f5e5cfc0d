"""Replay of a recording: the same transcript, floor, truncations and sound as the live session."""

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
from numpy.typing import NDArray
from scripted import TOKEN, ScriptedServer, scripted_server, tone, until
from session_driver import SessionDriver, online, options
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
async def recording(
    backend: ScriptedServer, folder: Path, **more: Any
) -> AsyncIterator[SessionDriver]:
    """Run a recorded session until the block ends."""
    chosen = dataclasses.replace(options(backend.app.url), record=folder, **more)
    async with online(SessionDriver(open_session(chosen))) as driver:
        yield driver


async def replayed(folder: Path, **more: Any) -> SessionDriver:
    """Replay a recording to its end."""
    replay = Replay(folder, **{"speed": 1000.0, "play_sound": False} | more)
    driver = SessionDriver(cast("Session", replay))
    await replay.run()
    return driver


def comparable_transcript(driver: SessionDriver) -> list[dict[str, object]]:
    """The transcript without times that depend on the clock."""
    entries = []
    for entry in driver.session.transcript.entries:
        fields = dataclasses.asdict(entry)
        if isinstance(entry, ToolCall):
            del fields["started_at"]
            fields["elapsed_ms"] = pytest.approx(entry.elapsed_ms, abs=0.1)
        entries.append(fields)
    return entries


def shown(driver: SessionDriver) -> list[Update]:
    """The updates of a screen, without times and the end of the link."""
    kinds = (
        effects.FloorChanged,
        effects.EntryChanged,
        effects.EntryRemoved,
        LevelsChanged,
        ModeChanged,
    )
    return [update for update in driver.updates if isinstance(update, kinds)]


# -------------------------------------------------------------------------- typed conversations


@pytest.fixture
async def recorded_chat(tmp_path: Path) -> tuple[SessionDriver, Path]:
    """A typed conversation with a tool, an interruption and a new conversation; its recording."""
    folder = tmp_path / "talk"
    async with scripted_server() as backend, recording(backend, folder) as driver:
        backend.assistant.answer = lambda request: (
            [Say(f"Heard {request.messages[-1].text}.")]
            if "time" not in request.messages[-1].text
            else [Call("call_1", "current_time", "{}")]
        )
        driver.session.type("forget this")
        await driver.until(lambda: bool(driver.texts(Role.ASSISTANT)))
        driver.session.new_conversation()
        driver.session.type("what time is it")
        await driver.until(lambda: bool(driver.texts(Role.ASSISTANT)))
        backend.assistant.gate.clear()
        driver.session.type("think hard")
        await driver.until(lambda: driver.session.floor is effects.Floor.THINKING)
        driver.session.interrupt()
        await driver.until(lambda: driver.session.floor is effects.Floor.IDLE)
        backend.assistant.gate.set()
        driver.session.type("héllo <b>\U0001f600")
        await driver.until(lambda: "Heard héllo <b>\U0001f600." in driver.texts(Role.ASSISTANT))
    return driver, folder


async def test_a_replay_gives_the_same_conversation(
    recorded_chat: tuple[SessionDriver, Path],
) -> None:
    live_driver, folder = recorded_chat
    replay = await replayed(folder)
    assert len(comparable_transcript(live_driver)) > 4
    assert len(shown(live_driver)) > 4
    assert comparable_transcript(replay) == comparable_transcript(live_driver)
    assert shown(replay) == shown(live_driver)
    assert replay.session.usage == live_driver.session.usage
    assert replay.session.model == live_driver.session.model
    assert replay.session.latency_ms == pytest.approx(live_driver.session.latency_ms, abs=0.1)
    assert replay.updates[-1] == LinkChanged(Link.OFFLINE, "The recording has ended.")


async def test_a_typed_key_is_not_recorded(tmp_path: Path) -> None:
    folder = tmp_path / "talk"
    async with scripted_server() as backend, recording(backend, folder) as driver:
        driver.session.type(f"my key is {TOKEN}, please")
        await driver.until(lambda: bool(driver.texts(Role.ASSISTANT)))
    kept = (folder / folder_format.EVENTS).read_text()
    assert TOKEN not in kept
    replay = await replayed(folder)
    assert replay.texts(Role.USER) == ["my key is ***, please"]
    assert replay.texts(Role.ASSISTANT) == ["You said my key is ***, please."]


async def test_what_looks_like_a_key_is_not_recorded_and_the_user_is_warned(
    tmp_path: Path,
) -> None:
    folder, key = tmp_path / "talk", "sk-proj-Ab3dEfGh1jKlMnOpQrSt"
    async with scripted_server() as backend, recording(backend, folder) as driver:
        driver.session.type(f"use {key}, please")
        await driver.until(lambda: bool(driver.texts(Role.ASSISTANT)))
        notices = [each.text for each in driver.updates if isinstance(each, effects.Notice)]
    assert [each for each in notices if "seems to contain a key" in each]
    kept = (folder / folder_format.EVENTS).read_text()
    assert key not in kept
    assert "use ***, please" in kept


async def test_line_mode_replays_without_a_network(
    recorded_chat: tuple[SessionDriver, Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def connect(*where: object) -> None:
        raise AssertionError(f"the replay connects to {where[1:]}")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", connect)
    code = await asyncio.to_thread(
        main, ["replay", str(recorded_chat[1]), "--speed", "1000", "--plain"]
    )
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert f"Recording to {recorded_chat[1]}." in lines
    assert "You: what time is it" in lines
    assert "The tool current_time is done." in lines
    assert "Assistant: Heard héllo <b>\U0001f600." in lines
    assert lines[-1] == "The recording has ended."


def test_a_closed_pipe_ends_the_replay_without_a_message(tmp_path: Path) -> None:
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


async def test_seek_backward_forward_and_pause(recorded_chat: tuple[SessionDriver, Path]) -> None:
    live_driver, folder = recorded_chat
    replay = Replay(folder, speed=1000, wait_at_end=True)
    driver = SessionDriver(cast("Session", replay))
    running = asyncio.create_task(replay.run())
    await driver.until(lambda: replay.is_over)
    replay.pause()
    replay.seek(-1000)
    assert replay.transcript.entries == []
    assert replay.position == 0
    await asyncio.sleep(0)
    assert not replay.is_over
    replay.seek(replay.length / 2)
    assert replay.position == pytest.approx(replay.length / 2)
    replay.pause()
    await driver.until(lambda: replay.is_over)
    assert comparable_transcript(driver) == comparable_transcript(live_driver)
    replay.close()
    await running


async def test_events_keep_their_times(tmp_path: Path) -> None:
    lines = [folder_format.event_line(events.SessionCreated(), 0.0)]
    lines += [folder_format.event_line(inputs.Typed(str(n)), n / 10) for n in range(1, 6)]
    write(tmp_path, *lines)
    loop = asyncio.get_running_loop()
    started_at = loop.time()
    driver = await replayed(tmp_path, speed=5.0)
    assert loop.time() - started_at >= 0.1 * 0.99
    assert driver.texts(Role.USER) == ["1", "2", "3", "4", "5"]


def write(folder: Path, *lines: bytes) -> None:
    from recorded import heading

    (folder / folder_format.EVENTS).write_bytes(
        folder_format.heading_line(heading(with_sound=False)) + b"".join(lines)
    )


async def test_devices_link_and_mute_are_restored(tmp_path: Path) -> None:
    write(
        tmp_path,
        folder_format.event_line(LinkChanged(Link.ONLINE), 1),
        folder_format.event_line(SoundChanged("a microphone", "a speaker"), 2),
        folder_format.event_line(LevelsChanged(-30.0, -40.0, -10.0, -20.0), 3),
        folder_format.event_line(ModeChanged(muted=True, hands_free=True, talking=False), 4),
        folder_format.event_line(inputs.Tick(), 5),
    )
    replay = Replay(tmp_path)
    replay._catch_up(3.5)
    assert (replay.link, replay.microphone, replay.speaker, replay.muted) == (
        Link.ONLINE, "a microphone", "a speaker", False,
    )  # fmt: skip
    assert replay.loudness.mic_peak == -10.0
    replay._catch_up(4.5)
    assert replay.muted
    replay.pause()
    replay.seek(-1000)
    assert (replay.link, replay.microphone, replay.speaker, replay.muted) == (
        Link.CONNECTING, None, None, False,
    )  # fmt: skip


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("spoken", [False, True])
async def test_the_complete_text_of_a_truncated_answer_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, spoken: bool, started: bool
) -> None:
    from recorded import heading

    recorded_events: list[folder_format.RecordedEvent] = [
        events.SessionCreated(),
        inputs.Typed("hi"),
        events.ResponseCreated("r"),
        events.TextDelta("r", "i", "one two three", spoken),
    ]
    recorded_events += [events.AudioDelta("r", "i", bytes(2 * RATE))] if spoken else []
    recorded_events += [inputs.PlaybackStarted("i", 0.4)] if spoken and started else []
    lines = [folder_format.event_line(each, n / 10) for n, each in enumerate(recorded_events)]
    head = folder_format.heading_line(heading(with_sound=spoken))
    (tmp_path / folder_format.EVENTS).write_bytes(head + b"".join(lines))
    driver = await replayed(tmp_path)
    answer = driver.session.transcript.entries[-1]
    assert isinstance(answer, Item)
    end = ItemStatus.COMPLETED if spoken else ItemStatus.INTERRUPTED
    assert (answer.status, answer.shown) == (end, "one two three")
    assert driver.session.floor in {effects.Floor.IDLE, effects.Floor.LISTENING}
    code = await asyncio.to_thread(main, ["replay", str(tmp_path), "--speed", "1000", "--text"])
    assert code == 0
    assert "\nAssistant: one two three" in capsys.readouterr().out


async def test_an_empty_recording_ends_at_once(tmp_path: Path) -> None:
    write(tmp_path)
    driver = await replayed(tmp_path)
    assert driver.session.transcript.entries == []


def test_a_replay_has_the_interface_of_a_session(tmp_path: Path) -> None:
    write(tmp_path)
    live = vars(Session(options("ws://127.0.0.1:1/v1/realtime")))
    public = {name for name in live if not name.startswith("_")}
    assert public
    assert public <= set(vars(Replay(tmp_path)))
    for name, member in inspect.getmembers(Session):
        if name.startswith("_") or not (callable(member) or isinstance(member, property)):
            continue
        replay_member = inspect.getattr_static(Replay, name)
        assert isinstance(replay_member, property) == isinstance(member, property)
        if callable(member):
            assert inspect.signature(replay_member) == inspect.signature(member), name


async def test_hostile_text_is_cleaned_on_the_screen(tmp_path: Path) -> None:
    hostile = "\x1b]0;evil\x07[red]\u202etxt"
    write(
        tmp_path,
        folder_format.event_line(ModelChanged(hostile, hostile), 0),
        folder_format.event_line(LinkChanged(Link.ONLINE, hostile), 0),
        folder_format.event_line(events.SessionCreated(), 0),
        folder_format.event_line(inputs.Typed(hostile), 0),
        folder_format.event_line(SoundChanged(hostile, hostile, hostile, hostile), 0),
        folder_format.event_line(effects.Notice(hostile, effects.Level.ERROR, hostile), 0),
    )
    replay = Replay(tmp_path, wait_at_end=True)
    async with ReplayApp(replay).run_test(size=(80, 24)) as pilot:
        await wait_until_over(pilot, replay)
        contents = [widget.render() for widget in pilot.app.screen.query(Static)]
        texts = [content.plain for content in contents if isinstance(content, Content)]
        assert any("[red]" in text for text in texts), "the text is shown, not used as markup"
        for text in texts:
            assert not {"\x1b", "\x07", "\u202e"} & set(text)


async def wait_until_over(pilot: Any, replay: Replay) -> ReplayScreen:
    screen = cast("ReplayScreen", pilot.app.screen_stack[0])
    async with asyncio.timeout(10):
        while not replay.is_over:
            await pilot.pause()
    await screen.flush()
    await pilot.pause()
    return screen


async def test_the_keys_of_the_replay_screen(recorded_chat: tuple[SessionDriver, Path]) -> None:
    replay = Replay(recorded_chat[1], speed=1000, wait_at_end=True)
    app = ReplayApp(replay)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await wait_until_over(pilot, replay)

        def has_answer() -> bool:
            texts = [line.entry_text.plain for line in screen.query(EntryLine)]
            return any("Heard héllo <b>\U0001f600." in text for text in texts)

        await until(has_answer)
        assert "The recording has ended." in str(screen.query_one("#floor", Static).render())
        assert "Esc quits" in str(screen.query_one("#time", Static).render())
        await pilot.press("space")
        assert replay.paused
        await pilot.press("left", "left")
        assert not replay.is_over
        assert "paused" in str(screen.query_one("#time", Static).render())
        await pilot.press("f5", "f2", "x", "right", "enter")
        assert not replay.paused
        await wait_until_over(pilot, replay)
        await pilot.press("up")
        assert replay.speed == 1000, "no key sets a higher speed"
        await pilot.press("space", "home", "down")
        assert (replay.position, replay.speed) == (0, 32)
        assert "paused ×32 0:00 of" in str(screen.query_one("#time", Static).render())
        await pilot.press("down", "down", "down", "up")
        assert replay.speed == 8
        await pilot.press("space")
        await wait_until_over(pilot, replay)
        await pilot.press("escape")
    assert app.return_code == 0


# -------------------------------------------------------------------------- speech


def onsets(side: NDArray[np.int16], rate: int) -> NDArray[np.float64]:
    """The start times in seconds of the sounds on one channel."""
    wide = np.repeat(side, 48_000 // rate)
    return np.array([begin for begin, _ in spans(wide, 1_500, 120)]) / 48_000


def recorded_frames(folder: Path) -> NDArray[np.int16]:
    with wave.open(str(folder / folder_format.SOUND)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16).reshape(-1, 2)


@pytest.mark.sound
async def test_a_replay_of_speech_gives_the_same_conversation_and_timing(
    own_card: VirtualCard, tmp_path: Path
) -> None:
    folder = tmp_path / "talk"
    async with (
        scripted_server() as backend,
        recording(backend, folder, with_sound=True, echo_cancel=False) as driver,
    ):
        backend.stt.texts = ["one two three"]
        backend.assistant.answer = lambda request: [
            Say(request.messages[-1].text + " four" * 30 + ".")
        ]
        await driver.until(lambda: driver.session.microphone is not None)
        card_recording = own_card.record()
        await asyncio.sleep(0.3)
        speech = np.concatenate([np.frombuffer(tone(400), np.int16), np.zeros(24_000, np.int16)])
        await asyncio.to_thread(own_card.say(speech, RATE).wait)
        await driver.until(lambda: driver.session.floor is effects.Floor.SPEAKING)
        await driver.until(lambda: any(i.heard_ms > 600 for i in answers(driver)))
        driver.session.interrupt()
        await driver.until(
            lambda: any(item.status is ItemStatus.INTERRUPTED for item in answers(driver))
        )
        await asyncio.sleep(0.3)
        card_sound = card_recording.stop()
    replay = await replayed(folder)
    assert comparable_transcript(replay) == comparable_transcript(driver)
    assert shown(replay) == shown(driver)
    cut = answers(replay)[0]
    assert cut.unheard
    assert 600 < cut.heard_ms < cut.received_ms
    recorded_sound = recorded_frames(folder)
    starts = [
        (onsets(recorded_sound[:, side], RATE), onsets(card_sound[:, side], 48_000))
        for side in (0, 1)
    ]
    (user_in_recording, user_on_card), (model_in_recording, model_on_card) = starts
    between_in, between_out = (
        model_in_recording[-1] - user_in_recording[0],
        model_on_card[-1] - user_on_card[0],
    )
    assert abs(between_in - between_out) < 0.02


def answers(driver: SessionDriver) -> list[Item]:
    return [
        entry
        for entry in driver.session.transcript.entries
        if isinstance(entry, Item) and entry.role is Role.ASSISTANT
    ]


@pytest.mark.sound
@pytest.mark.parametrize("speed", [1.0, 2.0])
async def test_a_replay_plays_the_recorded_sound(
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
    card_recording = own_card.record()
    driver = await replayed(tmp_path, speed=speed, play_sound=True)
    assert not [update for update in driver.updates if isinstance(update, effects.Notice)]
    starts = onsets(card_recording.stop()[:, 1], 48_000)
    assert len(starts) == 2
    assert starts[1] - starts[0] == pytest.approx(1.0 / speed, abs=0.1)


async def test_a_missing_sound_file_gives_a_silent_replay_and_a_broken_one_an_error(
    tmp_path: Path,
) -> None:
    from recorded import heading

    (tmp_path / folder_format.EVENTS).write_bytes(folder_format.heading_line(heading()))
    driver = await replayed(tmp_path, play_sound=True)
    assert cast("Replay", driver.session)._player is None
    (tmp_path / folder_format.SOUND).write_bytes(b"RIFF, but no more")
    assert main(["replay", str(tmp_path), "--plain"]) == 2
