"""A session that only transcribes speech.

    source -> utterances -> _send_pending -> codec -> socket
    socket -> codec -> _on_event -> transcript order -> on_passage, on_partial

Only `_send_pending` sends: it sends what the current connection has not received. On a new
connection it sends every utterance without a final text again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from voicechat.core import commands, effects, events, inputs
from voicechat.core.settings import SessionSettings
from voicechat.core.transcript_order import Passage, TranscriptOrder
from voicechat.errors import SessionLost, VoicechatError, first_error
from voicechat.providers.codec import Codec
from voicechat.session.model_spending import ModelSpending
from voicechat.session.reconnect import ConnectionLoop
from voicechat.session.updates import Link
from voicechat.system.task_group import TaskGroup
from voicechat.transcription.audio_sources import AudioSource
from voicechat.transcription.utterances import Utterances
from voicechat.transports.websocket import ConnectionLost

TRANSCRIPT_TIMEOUT_S = 20.0
"""Seconds without an event while a text is missing; then a new connection is opened."""

MAX_CONNECTIONS = 3
"""Number of connections that may time out for the same utterance."""

MAX_SEND_SPEED = 2.0
"""Maximum speed at which a file is sent, as a multiple of real time."""

MAX_UNTRANSCRIBED = 3
"""Maximum number of utterances of a file that wait for their text before more are sent."""

_CHUNK_BYTES = 9_600
"""Maximum bytes of sound in one command."""


class _Finished(Exception):
    """The source ended and every utterance has its text."""


class Transcriber:
    """A transcription session. Call `run`, and `stop` to end it early.

    on_passage   receives every final passage, in spoken order
    on_partial   receives the text of the unfinished passage whenever it changes
    notify       receives sentences for the user
    budget       counts the usage, and ends the run before an utterance that it does not allow
    """

    def __init__(
        self,
        make_codec: Callable[[], Awaitable[Codec]],
        settings: SessionSettings,
        source: AudioSource,
        *,
        on_passage: Callable[[Passage], None],
        on_partial: Callable[[str], None],
        notify: Callable[[str], None],
        budget: ModelSpending,
    ) -> None:
        self._budget = budget
        self._is_budget_spent = False
        self._settings = settings
        self._source = source
        self._on_passage, self._on_partial, self._notify = on_passage, on_partial, notify
        self._utterances = Utterances(settings.input_format)
        self._transcripts = TranscriptOrder()
        self._connections = ConnectionLoop(
            make_codec,
            lambda: settings,
            self._on_event,
            self._floor,
            self._on_link,
            warn=notify,
            seeds=False,
        )
        self._online = asyncio.Event()
        self._changed = asyncio.Event()
        self._session_sent = False
        self._epoch = 0
        self._last_event_at = 0.0
        self._failed_connections = 0
        self._partial = ""

    async def run(self) -> None:
        """Transcribe the source to its end or until `stop`. Raises `VoicechatError`."""
        await self._budget.require()
        failure: VoicechatError | None = None
        try:
            async with TaskGroup() as tasks:
                tasks.create_task(self._connections.run())
                tasks.create_task(self._check_deadlines())
                tasks.create_task(self._send_source())
        except* _Finished:
            pass
        except* VoicechatError as group:
            failure = first_error(group)
        finally:
            for passage in self._transcripts.lost():
                self._on_passage(passage)
        if failure is not None:
            raise failure

    def stop(self) -> None:
        """Stop the source; `run` returns when everything before that is transcribed."""
        self._source.stop()

    @property
    def is_hearing(self) -> bool:
        """True while speech is in progress or its text is missing."""
        return bool(self._utterances.waiting)

    # ----------------------------------------------------------------- to the provider

    async def _send_source(self) -> None:
        started_at, sent_ms = time.monotonic(), 0.0
        async for block in self._source.blocks():
            self._utterances.add(block)
            await self._send_pending()
            if not self._source.is_live:
                sent_ms += self._settings.input_format.ms(len(block))
                await asyncio.sleep(started_at + sent_ms / 1000 / MAX_SEND_SPEED - time.monotonic())
                await self._wait_until(lambda: self._utterances.untranscribed < MAX_UNTRANSCRIBED)
        self._utterances.end_utterance()
        await self._send_pending()
        await self._wait_until(lambda: not self._utterances.waiting)
        raise self._budget.error if self._is_budget_spent else _Finished

    async def _send_pending(self) -> None:
        """Send everything that the current connection has not received, and wait for one."""
        while self._utterances.waiting or self._online.is_set():
            await self._online.wait()
            epoch = self._epoch
            try:
                if await self._send_utterances(epoch):
                    return
            except ConnectionLost:
                # `Disconnected` may still be on its way; the next session sets this again.
                if self._epoch == epoch:
                    self._online.clear()

    async def _send_utterances(self, epoch: int) -> bool:
        """Send everything on this connection; False when another one replaced it."""
        if not self._session_sent:
            self._session_sent = True
            await self._connections.send_now(commands.UpdateSession(self._settings))
        for utterance in list(self._utterances.waiting):
            if not utterance.sent and not await self._may_send():
                self._utterances.drop_unsent()
                return True
            while utterance.sent < len(utterance.pcm):
                chunk = bytes(utterance.pcm[utterance.sent : utterance.sent + _CHUNK_BYTES])
                await self._connections.send_now(commands.AppendAudio(chunk))
                if self._epoch != epoch:
                    return False
                utterance.sent += len(chunk)
            if utterance.is_over and not utterance.committed:
                utterance.committed = True
                self._last_event_at = time.monotonic()
                await self._connections.send_now(commands.CommitAudio())
        return self._epoch == epoch

    async def _may_send(self) -> bool:
        """Return False, and end the source, if the budget allows no other utterance."""
        if not (self._is_budget_spent or await self._budget.allows_more()):
            self._is_budget_spent = True
            self._source.stop()
        return not self._is_budget_spent

    async def _wait_until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._send_pending()
            await self._changed.wait()

    # ----------------------------------------------------------------- from the provider

    def _on_event(self, event: events.Event | inputs.Disconnected) -> None:
        self._last_event_at = time.monotonic()
        self._changed.set()
        if isinstance(event, events.UserTranscript) and event.usage is not None:
            self._budget.spend(event.usage)
        match event:
            case events.SessionCreated():
                self._epoch += 1
                self._online.set()
            case inputs.Disconnected():
                self._on_disconnect()
                return
            case events.InputCommitted(item_id):
                self._utterances.acknowledge(item_id)
            case events.UserTranscript(item_id, final=True):
                self._failed_connections = 0
                self._utterances.finish(item_id)
            case events.ProviderError():
                self._on_error(event)
        for passage in self._transcripts.handle(event, self._last_event_at):
            self._on_passage(passage)
        self._update_partial()

    def _on_disconnect(self) -> None:
        self._online.clear()
        self._session_sent = False
        self._utterances.reset_sent()
        for passage in self._transcripts.lost():
            self._on_passage(passage)
        self._update_partial()

    def _on_error(self, error: events.ProviderError) -> None:
        if error.command is commands.CommandName.COMMIT_AUDIO:
            self._utterances.reject()
        elif error.command is commands.CommandName.UPDATE_SESSION:
            raise SessionLost(error.message)
        elif error.fatal:
            self._connections.renew()
        else:
            self._notify(error.message)

    def _update_partial(self) -> None:
        if self._transcripts.partial != self._partial:
            self._partial = self._transcripts.partial
            self._on_partial(self._partial)

    # ----------------------------------------------------------------- time

    async def _check_deadlines(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            now = time.monotonic()
            for passage in self._transcripts.tick(now):
                self._on_passage(passage)
            is_waiting = self._online.is_set() and self._utterances.untranscribed
            if is_waiting and now - self._last_event_at > TRANSCRIPT_TIMEOUT_S:
                self._failed_connections += 1
                self._last_event_at = now
                if self._failed_connections >= MAX_CONNECTIONS:
                    raise SessionLost("The provider no longer transcribes.")
                self._connections.renew()

    def _floor(self) -> effects.Floor:
        if self._utterances.speaking:
            return effects.Floor.HEARING
        return effects.Floor.THINKING if self._utterances.waiting else effects.Floor.IDLE

    def _on_link(self, link: Link, text: str) -> None:
        if text:
            self._notify(text)
