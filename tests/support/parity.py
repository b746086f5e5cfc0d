"""A session with a scripted sound card at the fake of each wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fake_wires import Fake, running
from five_wires import WIRES
from scripted import until
from session_driver import SessionDriver

from voicechat.audio import messages as sound
from voicechat.config.options import Options
from voicechat.core import effects, inputs
from voicechat.core.items import Item, Role, ToolCall
from voicechat.errors import Secret
from voicechat.recording.recorded_session import open_session
from voicechat.session.updates import Link, LinkChanged

KEY = "planted-key"


HEARD_MS = 40.0
"""Playout position in ms at which every item is stopped."""


class Card:
    """A scripted audio process with a microphone and a speaker."""

    rate = 24_000

    def __init__(
        self, settings: sound.AudioSettings, on_event: Callable[[sound.AudioEvent], None]
    ) -> None:
        self._on_event = on_event
        self._loop = asyncio.get_running_loop()
        self._playing: set[str] = set()
        Card.rate = settings.input_rate
        self._emit(sound.Opened("a microphone", "a speaker"))

    def _emit(self, event: sound.AudioEvent) -> None:
        self._loop.call_soon(self._on_event, event)

    def send(self, command: sound.AudioCommand) -> None:
        match command:
            case effects.Play(item_id) if item_id not in self._playing:
                self._playing.add(item_id)
                self._emit(inputs.PlaybackStarted(item_id, 0.0))
                self._emit(inputs.Heard(item_id, HEARD_MS))
            case effects.EndItem(item_id) if item_id in self._playing:
                self._playing.discard(item_id)
                self._emit(inputs.PlaybackFinished(item_id))
            case effects.StopPlayback():
                self._emit(inputs.PlaybackStopped(dict.fromkeys(self._playing, HEARD_MS)))
                self._playing.clear()

    async def close(self) -> None:
        pass


@asynccontextmanager
async def running_session(wire: str, **more: object) -> AsyncIterator[tuple[SessionDriver, Fake]]:
    """Run a session with sound at the fake of this wire; check that the protocol was followed."""
    talk, model, key = WIRES[wire]
    async with running(talk) as fake:
        driver = SessionDriver(open_session(Options(
            model=model, base_url=f"http://127.0.0.1:{fake.port}",
            keys={key: Secret(KEY)}, history=False, **more,  # type: ignore[arg-type]
        )))  # fmt: skip
        living = asyncio.create_task(driver.session.run())
        try:
            await driver.until(
                lambda: (
                    driver.session.link is Link.ONLINE
                    and driver.session.hands_free is driver.session.with_sound
                )
            )
            yield driver, fake
        finally:
            driver.session.close()
            await living
        assert fake.wrong == []


def entries(driver: SessionDriver) -> list[tuple[str, ...]]:
    """Return the transcript without ids and times."""
    return [_words(entry) for entry in driver.session.transcript.entries]


def _words(entry: Item | ToolCall) -> tuple[str, ...]:
    if isinstance(entry, Item):
        return entry.role.value, entry.text, entry.status.value
    arguments = entry.arguments.replace(" ", "")
    return entry.name, arguments, str(entry.output), entry.state.value


class UserActions:
    """The actions of a user, and what the user waits for."""

    def __init__(self, driver: SessionDriver, fake: Fake) -> None:
        self.driver, self.session, self.fake = driver, driver.session, fake
        self.answers = 0

    async def wait_for_answer(self) -> None:
        self.answers += 1
        waiting = {effects.Floor.IDLE, effects.Floor.LISTENING}
        await self.driver.until(
            lambda: (
                len(self.driver.texts(Role.ASSISTANT)) == self.answers
                and self.session.floor in waiting
            )
        )

    async def type_line(self, line: str) -> None:
        self.session.type(line)
        await self.wait_for_answer()

    async def speak(self) -> None:
        """Speak for a second, no faster than the wire takes the sound."""
        block = bytes(Card.rate // 50 * 2)
        for _ in range(5):
            heard = self.fake.heard + 10 * len(block)
            for _ in range(10):
                self.session._receiver.receive(inputs.MicBlock(block, 0.0))
            await until(lambda heard=heard: self.fake.heard >= heard)  # type: ignore[misc]

    async def request_story(self) -> None:
        self.session.type("tell me a story")

        def is_playing() -> bool:
            last = self.session.transcript.entries[-1]
            return isinstance(last, Item) and last.heard_ms == HEARD_MS and "time" in last.text

        await self.driver.until(is_playing)

    async def turn_hands_free_off(self) -> None:
        self.session.set_hands_free(False)
        codec = self.session._connections.codec
        await asyncio.sleep(0)
        if codec is not None and codec.stale:
            await self.wait_for_reconnect()

    async def wait_for_reconnect(self) -> None:
        before = self.session._connections.sessions_created
        again = LinkChanged(Link.ONLINE, "Reconnected.")
        await self.driver.until(
            lambda: (
                again in self.driver.updates and self.session._connections.sessions_created > before
            )
        )
