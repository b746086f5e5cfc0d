"""A picker on the screen of a real session, at a server on scripted engines."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from scripted import ScriptedServer, scripted_server, until
from session_driver import options
from textual.content import Content
from textual.pilot import Pilot
from textual.widgets import Input, Static

from voicechat.audio import messages as sound
from voicechat.config.options import Options
from voicechat.line_mode.pickers.picker import matching
from voicechat.session import device_names
from voicechat.session.device_names import DeviceName
from voicechat.session.session import Session
from voicechat.session.updates import LevelsChanged, Link
from voicechat.tui.app import VoicechatApp
from voicechat.tui.screens.conversation_screen import ConversationScreen
from voicechat.tui.screens.picker_screen import PickerScreen
from voicechat.tui.widgets.notice_line import NoticeLine
from voicechat.tui.widgets.pick_list import PickList
from voicechat.tui.widgets.text_columns import WidthText

DEVICES = (
    DeviceName("input", "Desk", "Desk microphone", "ALSA", 1, True),
    DeviceName("input", "Head", "Headset", "ALSA", 2, False),
    DeviceName("output", "Speakers", "Speakers", "ALSA", 2, True),
)


class SilentCard:
    """Audio in place of the audio process; `commands` are those it got."""

    def __init__(self) -> None:
        self.commands: list[object] = []
        self.opened = 0

    def open(
        self, settings: sound.AudioSettings, on_event: Callable[[sound.AudioEvent], None]
    ) -> SilentCard:
        self.settings, self.report = settings, on_event
        self.opened += 1
        return self

    def send(self, command: sound.AudioCommand) -> None:
        self.commands.append(command)

    async def close(self) -> None:
        pass


@dataclass
class PickerRig:
    """A running app, its session, its server and its sound card."""

    pilot: Pilot[None]
    session: Session
    backend: ScriptedServer
    card: SilentCard
    remembered: list[str]
    """Themes that the app remembered."""

    @property
    def screen(self) -> PickerScreen | None:
        """The picker, if it is open."""
        screen = self.pilot.app.screen
        is_shown = isinstance(screen, PickerScreen) and screen.query(PickList)
        return screen if isinstance(screen, PickerScreen) and is_shown else None

    def shown(self, name: str) -> str:
        """Return the text of a part of the picker; empty while it is hidden."""
        if self.screen is None:
            return ""
        part = self.screen.query_one(f"#{name}", Static)
        content = part.render()
        if isinstance(content, WidthText):
            content = content.text(part.size.width)
        assert isinstance(content, Content)
        return content.plain if part.display else ""

    @property
    def rows(self) -> list[str]:
        """The visible lines of the list."""
        return [line.rstrip() for line in self.shown("pick-list").splitlines()]

    @property
    def message(self) -> str:
        """The message of the picker, or the notice of the conversation when it is closed."""
        if self.screen is not None:
            return self.shown("picker-message")
        bottom = self.pilot.app.screen_stack[0]
        notices = bottom.query_one(NoticeLine).notices
        return notices[-1].text if notices else ""

    def selected(self) -> str:
        """Return the key of the selected item; empty while there is none."""
        item = self.screen.query_one(PickList).selected if self.screen is not None else None
        return item.key if item is not None else ""

    @property
    def title(self) -> str:
        """The title of the picker; empty while none is open."""
        return str(self.screen.query_one("#picker").border_title or "") if self.screen else ""

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def until(self, reached: Callable[[], object]) -> None:
        """Wait until a condition holds."""
        await until(reached)
        await self.pilot.pause()

    async def open(self, name: str) -> None:
        """Open a picker by its command, and wait for its items."""
        if self.screen is not None:
            await self.press("escape")
        bottom = self.pilot.app.screen_stack[0]
        assert isinstance(bottom, ConversationScreen)
        bottom.start_command(f"/{name}")
        await self.until(self.selected)

    async def select(self, text: str) -> None:
        """Select the first item that a search finds, as if the text was pasted."""
        await self.enter_text(text)
        await self.until(lambda: self._is_selected(text))

    def _is_selected(self, text: str) -> bool:
        item = self.screen.query_one(PickList).selected if self.screen is not None else None
        return item is not None and bool(matching([item], text))

    async def says(self, text: str) -> None:
        """Wait until the message contains a text."""
        await until(lambda: text in self.message)

    async def enter_text(self, text: str) -> None:
        """Put a text into the search line."""
        assert self.screen is not None
        self.screen.query_one(Input).value = text
        await self.pilot.pause()


@asynccontextmanager
async def picker_rig(
    monkeypatch_devices: Callable[[object, str, object], None],
    size: tuple[int, int] = (80, 24),
    devices: Sequence[DeviceName] = DEVICES,
    **changes: object,
) -> AsyncIterator[PickerRig]:
    """Run the app with a session that is online; `changes` are options."""
    monkeypatch_devices(device_names, "device_names", lambda: list(devices))
    card, remembered = SilentCard(), list[str]()
    async with scripted_server() as backend:
        chosen: Options = replace(options(backend.app.url), **changes)  # type: ignore[arg-type]
        session = Session(chosen, open_audio=card.open)
        app = VoicechatApp(session, remember_theme=remembered.append)
        async with app.run_test(size=size, notifications=True) as pilot:
            rig = PickerRig(pilot, session, backend, card, remembered)
            await until(lambda: session.link is Link.ONLINE)
            if chosen.with_sound:
                card.report(sound.Opened("Desk microphone", "Speakers"))
            await until(lambda: session.tools)
            await pilot.pause()
            yield rig
            # Ends the programs of the session, as a user who quits does.
            await app.action_quit()


class IdleSession(Session):
    """A session that never connects; its state is set by the test."""

    async def run(self) -> None:
        """Wait for the end."""
        self.link = Link.ONLINE
        self.microphone, self.speaker = "Desk microphone", "Speakers"
        self.loudness = LevelsChanged(-24.0, -90.0, -18.0, -90.0)
        await self._closing.wait()
