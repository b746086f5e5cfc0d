"""The shell of a conversation: joins provider, sound and tools, and carries out effects.

`Session.run` is the life of one conversation on this machine. It starts the sound and, for the
embedded voice, the server; then one *epoch* after another: dial, read, write, until the person
closes the session or it cannot go on. Everything that happens goes through one door, `_take`:
the conversation turns it into effects, `_carry_out` does them.

Nothing here knows a provider (it sees a `Codec`) or a screen (it tells `listen`). What comes
in, and what the session itself has to tell, goes to `observe` first: a recording hears it there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, cast

from voicechat.audio import messages as sound
from voicechat.core import events as ev
from voicechat.core.conversation import Conversation
from voicechat.core.text import clean
from voicechat.earcons import Earcons
from voicechat.epochs import Epochs, first
from voicechat.errors import UsageError, VoicechatError
from voicechat.outlook import Outlook
from voicechat.sessionsettings import doubts, session_settings, sound_settings
from voicechat.showing import Place, Showing, named, places
from voicechat.sound import SoundLine, as_command, as_input
from voicechat.updates import (
    Cleared,
    LevelsChanged,
    Link,
    LinkChanged,
    ModeChanged,
    SoundChanged,
    Update,
)

__all__ = [
    "Cleared",
    "LevelsChanged",
    "Link",
    "LinkChanged",
    "ModeChanged",
    "Session",
    "SoundChanged",
    "Update",
]

if TYPE_CHECKING:
    from voicechat.config import Options
    from voicechat.local import LocalServer
    from voicechat.providers.codec import Codec
    from voicechat.recording import Recorder


class Session(Outlook):
    """One conversation of the person with a model.

    Raises `UsageError` or `KeyMissing` when the options name no model that can be had.
    Set `listen` before `run`; it is called on the event loop for every `Update` and must return
    quickly. All other methods are to be called on the loop too, and return at once.
    """

    def __init__(self, options: Options) -> None:
        from voicechat.providers import catalog
        from voicechat.toolruns import ToolRuns
        from voicechat.tools.builtin import builtin
        from voicechat.tools.registry import Registry
        from voicechat.tools.surroundings import Surroundings

        self.listen: Callable[[Update], None] = _ignore
        self.observe: Callable[[object, float], None] = _ignore
        self.link = Link.CONNECTING
        self.muted = False
        self.volume = 100
        self._choice = catalog.resolve(
            options.model, base_url=options.base_url, environ=options.environ, wire=options.wire
        )
        self.model = self._choice.name
        self.voice = options.voice or ""
        self.microphone: str | None = None
        self.speaker: str | None = None
        self._options = options
        self._wants_hands_free = not options.push_to_talk
        self._make_codec: Callable[[], Codec] = self._choice.codec
        codec = self._choice.codec
        if self._choice.needs_local_server:
            codec = partial(catalog.codec_of, self._choice.name, environ={})
        self._can = codec().capabilities
        self._tools = Registry(*builtin(Surroundings()))
        self._audio: SoundLine | None = None
        self._conversation = self._new_conversation()
        self._server: LocalServer | None = None
        self._epochs = Epochs(
            self._next_codec,
            lambda: self._conversation.settings,
            self._take,
            lambda: self.floor,
            self._set_link,
        )
        self._runs = ToolRuns(self._tools, self._take)
        self._showing = Showing(self._take, self._tell)
        self._earcons = Earcons() if options.earcons else None
        self._tasks: asyncio.TaskGroup | None = None
        self._closing = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for: float | None = None
        self._recorder = self._record()

    def _record(self) -> Recorder | None:
        if self._options.record is None:
            return None
        from voicechat.recording import record

        settings = session_settings(self._options, self._can, self._tools.specs)
        return record(self, self._options, settings, self._can)

    def _new_conversation(self) -> Conversation:
        with_sound = self._options.with_sound
        return Conversation(
            session_settings(self._options, self._can, self._tools.specs),
            self._can,
            hands_free=with_sound and self._wants_hands_free,
            speaker=with_sound and (self.speaker is not None or self._audio is None),
        )

    # ----------------------------------------------------------------- what can be read

    @property
    def with_sound(self) -> bool:
        """Whether this session was asked to open microphone and speaker."""
        return self._options.with_sound

    @property
    def pending(self) -> bool:
        """Whether something the person asked for is still on its way, and nobody has the floor."""
        return bool(self._showing.reading)

    # ----------------------------------------------------------------- what the person does

    def type(self, text: str) -> None:
        """Say something by typing, or show the picture whose path it is.

        Interrupts what is being said.
        """
        where = places(text)
        if not (where and self._show(where, text)):
            self._take(ev.Typed(text))

    def show(self, argument: str) -> None:
        """Show the picture at the beginning of the argument, with the words behind it.

        Raises `UsageError` for what can be no path. Whether there is a picture is told later.
        """
        where = named(argument)
        if not where:
            raise UsageError("/image takes the path of a picture, and words if you like.")
        self._show(where)

    def _show(self, where: list[Place], otherwise: str | None = None) -> bool:
        if self._tasks is None or self._closing.is_set():
            return False
        self._showing.start(self._tasks, where, self._can, self.model, otherwise)
        return True

    def interrupt(self) -> None:
        """Stop speech, thinking and tools alike."""
        self._take(ev.Interrupt())

    def talk(self, on: bool) -> None:
        """Push-to-talk: begin (`on`) or end a spoken turn. Means nothing while hands-free."""
        self._take(ev.Talk(on))
        self._tell_mode()

    def set_hands_free(self, on: bool) -> None:
        """Let turns end by themselves (`on`), or by `talk`."""
        if on and self.microphone is None:
            self._tell(ev.Notice("There is no microphone to listen with.", ev.Level.WARNING))
            return
        self._wants_hands_free = on
        self._take(ev.HandsFree(on))
        self._tell_mode()

    def set_muted(self, on: bool) -> None:
        """Mute or open the microphone; muted, the provider is sent silence."""
        self.muted = on
        self._play(sound.Mute(on))
        self._tell_mode()

    def set_volume(self, percent: int) -> None:
        """How loud the voice is, 0 to 100."""
        self.volume = percent
        self._play(sound.Volume(percent / 100))

    def new_conversation(self) -> None:
        """Forget everything said and begin anew on a fresh connection."""
        self._take(ev.Interrupt())
        self._take(ev.Disconnected("A new conversation begins."))
        before = self._conversation
        self._conversation = self._new_conversation()
        self._tell(Cleared())
        self._take(ev.SpeakerChanged(self.speaker is not None))
        self._take(ev.HandsFree(before.hands_free))
        self._epochs.renew(afresh=True)
        self._tell_mode()

    def close(self) -> None:
        """End the session; `run` returns soon after."""
        self._closing.set()

    # ----------------------------------------------------------------- the life of a session

    async def run(self) -> None:
        """Live until `close`. Raises `VoicechatError` when the session cannot begin or go on."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                living = self._tasks.create_task(self._live())
                closing = self._tasks.create_task(self._closing.wait())
                await asyncio.wait({living, closing}, return_when=asyncio.FIRST_COMPLETED)
                self._runs.stop_all()
                for task in (living, closing):
                    task.cancel()
        except* VoicechatError as group:
            raise first(group) from None
        finally:
            await self._end()

    async def _live(self) -> None:
        await self._open_sound()
        await self._find_model()
        await self._epochs.run()

    async def _find_model(self) -> None:
        if not self._options.model:
            self._tell(ev.Notice(self._choice.why))
        if self._choice.needs_local_server:
            await self._start_server()
        settings = self._conversation.settings
        for doubt in doubts(self._options, self._make_codec(), settings, self._tools.specs):
            self._tell(ev.Notice(doubt, ev.Level.WARNING))
        self._set_link(Link.CONNECTING, f"Connecting to {self.model}")

    async def _start_server(self) -> None:
        from voicechat.local import LocalServer
        from voicechat.providers import catalog

        def progress(text: str) -> None:
            self._set_link(Link.CONNECTING, text)

        if self._server is not None:
            await self._server.stop()
        self._server = LocalServer(self._options, on_progress=progress)
        url, token = await self._server.start()
        self._make_codec = partial(catalog.local_codec, url, token)

    async def _next_codec(self) -> Codec:
        """The codec of the next connection; the embedded voice is started again if it ended."""
        if self._server is not None and not self._server.running:
            await self._start_server()
        return self._make_codec()

    async def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._audio is not None:
            audio, self._audio = self._audio, None
            await audio.close()
        if self._server is not None:
            await self._server.stop()
        if self.link is not Link.OFFLINE:
            self._set_link(Link.OFFLINE)
        if self._recorder is not None:
            await asyncio.to_thread(self._recorder.close)

    # ----------------------------------------------------------------- one door in

    def _take(self, happening: ev.Event | ev.Input) -> None:
        """Whatever happens comes in here and is carried out at once."""
        now = time.monotonic()
        self.observe(happening, now)
        for effect in self._conversation.handle(happening, now):
            self._carry_out(effect)
        if isinstance(happening, ev.SessionCreated) and self._epochs.begun == 1:
            self._play(sound.Cue("ready"))
        self._arm_timer()

    def _carry_out(self, effect: ev.Effect) -> None:
        if self._earcons is not None and (cue := self._earcons.cue(effect)):
            self._play(sound.Cue(cue))
        heard = as_command(effect)
        if heard is not None:
            self._play(heard)
            return
        match effect:
            case ev.Send(command):
                self._epochs.send(command)
            case ev.RunTool():
                if self._tasks is not None:
                    self._runs.start(effect, self._tasks)
            case ev.CancelTools(call_ids):
                self._runs.stop(call_ids)
            case ev.Recycle(reason):
                self._tell(ev.Notice(reason, ev.Level.WARNING))
                self._epochs.renew()
            case _:
                self.listen(cast(Update, effect))

    def _arm_timer(self) -> None:
        deadline = self._conversation.deadline
        if deadline == self._armed_for:
            return
        self._armed_for = deadline
        if self._timer is not None:
            self._timer.cancel()
        if deadline is not None:
            loop = asyncio.get_running_loop()
            at = loop.time() + deadline - time.monotonic()
            self._timer = loop.call_at(at, self._tick)

    def _tick(self) -> None:
        self._armed_for = None
        self._take(ev.Tick())

    # ----------------------------------------------------------------- sound

    async def _open_sound(self) -> None:
        options = self._options
        if not options.with_sound:
            return
        self._audio = SoundLine(sound_settings(options, self._conversation.settings), self._hear)
        self._play(sound.CloseMic(True))

    def _play(self, command: sound.AudioCommand) -> None:
        if self._audio is not None:
            self._audio.send(command)

    def _hear(self, event: sound.AudioEvent) -> None:
        self.observe(event, time.monotonic())
        match event:
            case sound.Levels(mic, speaker):
                self._tell(LevelsChanged(mic, speaker))
            case sound.Opened():
                self._sound_opened(event)
            case sound.Switched(kind, name):
                self._sound_switched(kind, clean(name))
            case sound.Problem(text, hint):
                self._tell(ev.Notice(text, ev.Level.WARNING, hint))
            case _:
                happening = as_input(event)
                if happening is not None:
                    self._take(happening)

    def _sound_opened(self, opened: sound.Opened) -> None:
        self.microphone, self.speaker = opened.input_name, opened.output_name
        self._take(ev.SpeakerChanged(self.speaker is not None))
        self._take(ev.HandsFree(self.microphone is not None and self._wants_hands_free))
        self._tell(SoundChanged(self.microphone, self.speaker, opened.problem, opened.hint))
        self._tell_mode()

    def _sound_switched(self, kind: str, name: str) -> None:
        if kind == "input":
            self.microphone = name
        else:
            self.speaker = name
        noun = "microphone" if kind == "input" else "speaker"
        self._tell(ev.Notice(f"The {noun} is now {name}."))

    # ----------------------------------------------------------------- telling the screen

    def _tell(self, update: Update) -> None:
        self.observe(update, time.monotonic())
        self.listen(update)

    def _tell_mode(self) -> None:
        self._tell(ModeChanged(self.muted, self.hands_free, self.talking))

    def _set_link(self, link: Link, text: str = "") -> None:
        self.link = link
        self._tell(LinkChanged(link, text))


def _ignore(*_: object) -> None:
    """Nobody listens yet."""
