"""A session that only transcribes speech.

    source -> utterances -> _catch_up -> codec -> socket
    socket -> codec -> _take -> dictation -> `write` each passage, `show` what is in the making

`_catch_up` is the only thing that sends: it brings the present connection to where the utterances
are. A new connection knows nothing, so everything without a final text is said again there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from voicechat.core import commands, effects, events, inputs
from voicechat.core.settings import SessionSettings
from voicechat.core.transcript_order import Passage, TranscriptOrder
from voicechat.errors import SessionLost, VoicechatError
from voicechat.providers.codec import Codec
from voicechat.session.reconnect import ConnectionLoop, first
from voicechat.session.updates import Link
from voicechat.transcription.audio_sources import Source
from voicechat.transcription.utterances import Utterances
from voicechat.transports.websocket import ConnectionLost

PATIENCE_S = 20.0
"""Seconds without a word from a provider that owes a text, after which it is dialled again."""

TRIES = 3
"""Connections on which the same utterances may stay without text."""

PACE = 2.0
"""How many times faster than it was spoken recorded sound is sent at most."""

AHEAD = 3
"""Recorded utterances that may wait for their text before more are sent."""

_PIECE = 9_600
"""Bytes of sound in one command."""


class _Finished(Exception):
    """Everything was recorded."""


class Transcriber:
    """Runs one such session. Set `write` and `show`; call `run`, and `stop` to end it early.

    write    is given every finished passage, in order
    show     is given the text in the making, whenever it changes
    tell     is given sentences for the user
    """

    def __init__(
        self,
        make_codec: Callable[[], Awaitable[Codec]],
        settings: SessionSettings,
        source: Source,
        *,
        write: Callable[[Passage], None],
        show: Callable[[str], None],
        tell: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._source = source
        self._write, self._show, self._tell = write, show, tell
        self._utterances = Utterances(settings.input_format)
        self._dictation = TranscriptOrder()
        self._connections = ConnectionLoop(
            make_codec, lambda: settings, self._take, self._floor, self._told, retells=False
        )
        self._online = asyncio.Event()
        self._happened = asyncio.Event()
        self._configured = False
        self._epoch = 0
        self._heard_at = 0.0
        self._fruitless = 0
        self._shown = ""

    async def run(self) -> None:
        """Write down everything the source gives, or until `stop`. Raises `VoicechatError`."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._connections.run())
                tasks.create_task(self._watch())
                tasks.create_task(self._speak())
        except* _Finished:
            pass
        except* VoicechatError as group:
            raise first(group) from None
        finally:
            for passage in self._dictation.lost():
                self._write(passage)

    def stop(self) -> None:
        """Listen no more; `run` returns when what was said so far is recorded."""
        self._source.stop()

    # ----------------------------------------------------------------- towards the provider

    async def _speak(self) -> None:
        began, sent_ms = time.monotonic(), 0.0
        async for block in self._source.blocks():
            self._utterances.feed(block)
            await self._catch_up()
            if not self._source.live:
                sent_ms += self._settings.input_format.ms(len(block))
                await asyncio.sleep(began + sent_ms / 1000 / PACE - time.monotonic())
                await self._until(lambda: self._utterances.unwritten < AHEAD)
        self._utterances.end()
        await self._catch_up()
        await self._until(lambda: not self._utterances.waiting)
        raise _Finished

    async def _catch_up(self) -> None:
        """Tell the present connection what it was not told yet, however many that takes."""
        while self._utterances.waiting or self._online.is_set():
            await self._online.wait()
            epoch = self._epoch
            try:
                if await self._say(epoch):
                    return
            except ConnectionLost:
                # Its end may not be known here yet; the next session sets this again.
                if self._epoch == epoch:
                    self._online.clear()

    async def _say(self, epoch: int) -> bool:
        """Say everything on this connection. False when it is not the present one any more."""
        if not self._configured:
            self._configured = True
            await self._connections.carry(commands.UpdateSession(self._settings))
        for each in list(self._utterances.waiting):
            while each.sent < len(each.pcm):
                piece = bytes(each.pcm[each.sent : each.sent + _PIECE])
                await self._connections.carry(commands.AppendAudio(piece))
                if self._epoch != epoch:
                    return False
                each.sent += len(piece)
            if each.over and not each.committed:
                each.committed = True
                self._heard_at = time.monotonic()
                await self._connections.carry(commands.CommitAudio())
        return self._epoch == epoch

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._happened.clear()
            await self._catch_up()
            await self._happened.wait()

    # ----------------------------------------------------------------- from the provider

    def _take(self, event: events.Event | inputs.Disconnected) -> None:
        self._heard_at = time.monotonic()
        self._happened.set()
        match event:
            case events.SessionCreated():
                self._epoch += 1
                self._online.set()
            case inputs.Disconnected():
                self._disconnected()
                return
            case events.InputCommitted(item_id):
                self._utterances.acknowledged(item_id)
            case events.UserTranscript(item_id, final=True):
                self._fruitless = 0
                self._utterances.written(item_id)
            case events.ProviderError():
                self._refused(event)
        for passage in self._dictation.handle(event, self._heard_at):
            self._write(passage)
        self._show_partial()

    def _disconnected(self) -> None:
        self._online.clear()
        self._configured = False
        self._utterances.again()
        for passage in self._dictation.lost():
            self._write(passage)
        self._show_partial()

    def _refused(self, error: events.ProviderError) -> None:
        if error.command is commands.CommandName.COMMIT_AUDIO:
            self._utterances.refused()
        elif error.command is commands.CommandName.UPDATE_SESSION:
            raise SessionLost(error.message)
        elif error.fatal:
            self._connections.renew()
        else:
            self._tell(error.message)

    def _show_partial(self) -> None:
        if self._dictation.partial != self._shown:
            self._shown = self._dictation.partial
            self._show(self._shown)

    # ----------------------------------------------------------------- time

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            now = time.monotonic()
            for passage in self._dictation.tick(now):
                self._write(passage)
            owed = self._online.is_set() and self._utterances.unwritten
            if owed and now - self._heard_at > PATIENCE_S:
                self._fruitless += 1
                self._heard_at = now
                if self._fruitless >= TRIES:
                    raise SessionLost("The provider no longer transcribes.")
                self._connections.renew()

    def _floor(self) -> effects.Floor:
        if self._utterances.speaking:
            return effects.Floor.HEARING
        return effects.Floor.THINKING if self._utterances.waiting else effects.Floor.IDLE

    def _told(self, link: Link, text: str) -> None:
        if text:
            self._tell(text)
