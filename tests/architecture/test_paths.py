"""Files of voicechat that frequent happenings pass, from callback to socket and back.

Counting rule: a profile hook on every thread records each file under `voicechat/` in which a
function is called (generated code such as a dataclass `__init__` has no file) while

* one microphone block in steady state goes from the stream callback through a tick of the audio
  engine, the pipe, the event loop and the conversation to the frame at the socket;
* one audio delta in steady state (not the first of its item) goes from the socket to the speaker
  callback that plays it;
* a typed question with one tool call goes from `Session.type` to the finished answer.

The code of both processes runs in this process: the audio engine on simulated streams, joined to
the session by the real pipe functions. Every file of the signal processing (echo canceller, voice
activity, double talk) counts. Of an engine tick only the share of the block counts: the stream
callback, `Capture.listen`, `Capture.deliver` and `Engine._judge_voice` for the microphone,
`Engine.command`, `Playback.feed` and the stream callback for the speaker; the rest of a tick, such
as the report of levels, runs with or without sound. The check of the connection once a second and
the watch for other default devices are off for the same reason. Nothing plays while the microphone
block is followed; the tool of the question is the caller's own.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import IO, Any

import pytest
from fake_openai import OpenAI
from parity import UserActions, running_session
from simulated_card import Room, SimulatedCard

import voicechat
from voicechat.audio import engine, process
from voicechat.audio.devices import default_device_watch
from voicechat.audio.messages import AudioCommand, Quit
from voicechat.audio.process import AudioProcess
from voicechat.recording import recorded_session
from voicechat.session.reconnect import ConnectionLoop
from voicechat.tools.functions import tool
from voicechat.tools.registry import BUILT_IN

HOME = str(Path(voicechat.__file__).parent) + os.sep

MICROPHONE, DELTA, QUESTION = 10, 15, 25
"""Files that each path may pass at most, both processes together. Never raise one."""

BYTES = 480
"""10 ms of PCM16 mono at 24 kHz."""


class Profile:
    """A profile hook on every thread that starts while it is installed."""

    def __init__(self) -> None:
        self.files: set[str] | None = None
        self.upkeep = False
        """The engine does what it does on every tick, with sound or without."""

    def hook(self, frame: FrameType, event: str, _: object) -> None:
        name = frame.f_code.co_filename
        if self.files is None or event != "call" or not name.startswith(HOME):
            return
        if not (self.upkeep and threading.current_thread() is threading.main_thread()):
            self.files.add(name[len(HOME) :])

    @contextmanager
    def recorded(self) -> Iterator[set[str]]:
        """Record the files whose functions are called meanwhile."""
        self.files = files = set[str]()
        try:
            yield files
        finally:
            self.files = None

    def on(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Record `call` although it happens during upkeep."""

        def recording(*given: object, **more: object) -> Any:
            before, self.upkeep = self.upkeep, False
            try:
                return call(*given, **more)
            finally:
                self.upkeep = before

        return recording


class Line(AudioProcess):
    """The audio process on threads of this process; `step` lets 10 ms pass on its streams."""

    card: SimulatedCard
    latest: Line

    def start(self) -> None:
        up, down = os.pipe(), os.pipe()
        self._events = os.fdopen(up[1], "wb")
        self._inbox: queue.SimpleQueue[AudioCommand] = queue.SimpleQueue()
        self._threads = [
            self._begin(self._read, os.fdopen(up[0], "rb")),
            self._begin(self._feed, os.fdopen(down[1], "wb")),
            self._begin(process.receive_commands, os.fdopen(down[0], "rb"), self._inbox),
        ]
        emit = process.EventWriter(self._events).put
        self.card.engine = engine.Engine(self._settings, emit, lambda: None)
        Line.latest = self

    @staticmethod
    def _begin(work: Callable[..., None], pipe: IO[bytes], *more: object) -> threading.Thread:
        def run() -> None:
            with pipe:
                work(pipe, *more)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def _feed(self, pipe: IO[bytes]) -> None:
        child: Any = SimpleNamespace(poll=lambda: None)
        while not self._closing:
            process.send(pipe, self._next(child))

    async def step(self, profile: Profile) -> None:
        """Let 10 ms pass, and the event loop and the threads do their part."""
        while not self._inbox.empty():
            self.card.engine.command(self._inbox.get())
        profile.upkeep = True
        self.card._step()
        profile.upkeep = False
        await asyncio.sleep(0.002)

    async def until(self, profile: Profile, reached: Callable[[], bool]) -> None:
        for _ in range(2_000):
            if reached():
                return
            await self.step(profile)
        raise AssertionError("it did not come within 20 s of sound")

    def close(self, deadline: float = 1.5) -> None:
        with self._changed:
            self._closing = True
            self._commands.append(Quit())
            self._changed.notify_all()
        self._events.close()
        for thread in self._threads:
            thread.join(5)


@pytest.fixture
def profile(monkeypatch: pytest.MonkeyPatch) -> Iterator[Profile]:
    async def idle(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(ConnectionLoop, "_watch", idle)
    # The history and the usage are kept aside, on a thread of their own.
    monkeypatch.setattr(recorded_session, "kept_ledger", lambda: None)
    profile = Profile()
    before = sys.getprofile()
    threading.setprofile(profile.hook)
    sys.setprofile(profile.hook)
    try:
        yield profile
    finally:
        sys.setprofile(before)
        threading.setprofile(None)  # type: ignore[arg-type]


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> SimulatedCard:
    monkeypatch.setattr(default_device_watch, "_source_here", lambda selections: None)
    card = Line.card = SimulatedCard(monkeypatch, Room(), seconds=200)
    monkeypatch.setattr("voicechat.session.audio_link.AudioProcess", Line)
    return card


def check(name: str, files: set[str], most: int) -> None:
    sys.stdout.write(f"{name}, {len(files)} files of {most} at most:\n")
    sys.stdout.writelines(f"  {file}\n" for file in sorted(files))
    assert files, "nothing was recorded"
    assert len(files) <= most, f"{name} passes more files than before: {sorted(files)}"


async def test_a_microphone_block_from_the_callback_to_the_socket(
    card: SimulatedCard, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def count(connection: OpenAI, said: dict[str, Any]) -> None:
        connection.fake.heard += len(base64.b64decode(said["audio"]))

    # The fake would take everything from the microphone for speech.
    monkeypatch.setattr(OpenAI, "on_input_audio_buffer_append", count)
    async with running_session("openai") as (_, fake):
        line = Line.latest
        for _ in range(230):  # silence until no echo of the start is left
            await line.step(profile)
        assert card._in is not None
        card._in._callback = profile.on(card._in._callback)
        engine_, capture = card.engine, card.engine._capture
        capture.listen = profile.on(capture.listen)  # type: ignore[method-assign]
        capture.deliver = profile.on(capture.deliver)  # type: ignore[method-assign]
        engine_._judge_voice = profile.on(engine_._judge_voice)  # type: ignore[method-assign]
        engine_._report = lambda now: None  # type: ignore[method-assign]
        before, steps = fake.heard, line.card._steps
        with profile.recorded() as files:
            for _ in range(30):
                await line.step(profile)
            # Whatever was on its way before, and 100 ms of what was captured since, has arrived.
            before += (line.card._steps - steps + 10) * BYTES
            await line.until(profile, lambda: fake.heard > before)
    check("microphone block", files, MICROPHONE)


async def test_an_audio_delta_from_the_socket_to_the_speaker_callback(
    card: SimulatedCard, profile: Profile
) -> None:
    async with running_session("openai") as (driver, fake):
        line = Line.latest
        socket = fake.sockets[-1]
        # The fake takes everything from the microphone for speech that interrupts.
        driver.session.set_hands_free(False)

        async def say(kind: str, **fields: object) -> None:
            await socket.send(json.dumps({"event_id": "e", "type": kind, **fields}))

        async def delta() -> None:
            pcm = base64.b64encode(b"\0\x20" * 2_400).decode()
            place = {"output_index": 0, "content_index": 0}
            await say(
                "response.output_audio.delta", response_id="r", item_id="i", delta=pcm, **place
            )

        def received() -> float:
            item = driver.session.transcript.item("i")
            return item.received_ms if item else 0.0

        await say("response.created", response={"id": "r", "status": "in_progress", "output": []})
        for number in range(10):
            await delta()
            wanted = 100 * (number + 1)
            await line.until(profile, lambda wanted=wanted: received() >= wanted)  # type: ignore[misc]
        for _ in range(30):
            await line.step(profile)
        for out in card._outs:
            out._callback = profile.on(out._callback)
        playback = card.engine._playback
        playback.feed = profile.on(playback.feed)  # type: ignore[method-assign]
        item = driver.session.transcript.item("i")
        assert item is not None
        windows = []
        for _ in range(6):
            before = item.received_ms
            with profile.recorded() as files:
                await delta()
                await line.until(profile, lambda: item.received_ms > before)  # noqa: B023
                for _ in range(3):
                    await line.step(profile)
            windows.append(files)
    # In some of them, a playout position passes in the other direction.
    check("audio delta", min(windows, key=len), DELTA)


async def test_a_typed_question_with_a_tool(
    monkeypatch: pytest.MonkeyPatch, profile: Profile
) -> None:
    # A tool of the caller: the work of a tool is no part of the path.
    @tool(permission="auto")
    def current_time() -> str:
        """Tell the time."""
        return "It is noon."

    async with running_session("openai", with_sound=False) as (driver, fake):
        await driver.session._tools.complete.wait()  # plugins are read meanwhile
        driver.session._tools.registry.remove(BUILT_IN)
        driver.session._tools.registry.add([current_time])
        user = UserActions(driver, fake)
        await user.type_line("what time is it?")  # imports what it needs
        with profile.recorded() as files:
            await user.type_line("what time is it?")
    files.discard("session/view.py")  # read only by this test, to see the answer
    check("typed question with a tool", files, QUESTION)
