"""One connection at work: endpointing -> recognise -> think -> speak, each turn cancellable.

    frame ── protocol.receive ──┬─ Sound ─── resample ── endpointer ── speech began, ended ──┐
                                │               └─────── utterance (ears)                    │
                                ├─ Committed ── text of the utterance ── protocol.transcribed │
                                ├─ Started ──── speaker (mind, voice) ── protocol.finish      │
                                └─ Stopped ──── cancel that task       <──── barge-in ────────┘

Frames are taken one after the other on the caller's task; recognising and every response run
as tasks of the connection's group, and die with it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from voicechat.errors import VoicechatError
from voicechat.server.engine_protocols import Mind, Partial, Voice
from voicechat.server.realtime.protocol_actions import (
    Action,
    Actions,
    Cleared,
    Committed,
    Configured,
    Recognise,
    Sound,
    Started,
    Stopped,
)
from voicechat.server.realtime.server_frames import Json
from voicechat.server.realtime.server_protocol import Protocol
from voicechat.server.realtime.server_response import Reply
from voicechat.server.recognizer_pool import Detectors, SharedEars, Utterance
from voicechat.server.response_audio import Speaker
from voicechat.speech.endpointing import Endpointer, SpeechEnd, SpeechStart
from voicechat.speech.formats import Format
from voicechat.speech.resampling import Resampler
from voicechat.speech.vad import VAD_RATE

_STEP_MS = 40.0
_BLIP_MS = 400.0
"""Speech shorter than this, in which no word was understood, gets no answer."""
_KEPT_MS = 1_000.0
"""Sound kept before a possible beginning of speech, on top of the prefix padding."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Engines:
    """The warm engines of a server."""

    ears: SharedEars
    mind: Mind
    voice: Voice
    detectors: Detectors
    voice_name: str | None = None
    """The engine's voice for names it does not know."""


class Pipeline:
    """Runs the engines for one connection. Call `receive` per frame and `close` at the end.

    `send` passes on the frames that the protocol made; it is called often and never waits.
    `room` waits until the client has taken enough of them.
    """

    def __init__(
        self,
        protocol: Protocol,
        engines: Engines,
        tasks: asyncio.TaskGroup,
        send: Callable[[list[bytes]], None],
        room: Callable[[], Awaitable[None]],
    ) -> None:
        self.protocol = protocol
        self._engines = engines
        self._tasks = tasks
        self._send = send
        self._room = room
        self._replies: dict[Reply, asyncio.Task[None]] = {}
        self._texts: dict[str, asyncio.Task[None]] = {}
        self._detector = engines.detectors.take()
        self._endpointer = Endpointer(self._detector)
        self._turns: Json | None = None
        self._format = Format()
        self._resampler = Resampler(self._format.rate, VAD_RATE)
        self._clock_ms = 0.0
        self._before = bytearray()
        """16 kHz sound from before a possible beginning of speech."""
        self._utterance: Utterance | None = None
        self._blips: set[str] = set()
        self.idle_timer: asyncio.TimerHandle | None = None
        """Runs while nobody speaks, if the session has an idle timeout."""
        self._configure()
        self._flush()

    async def receive(self, frame: str | bytes) -> None:
        """Carry out one frame of the client."""
        for action in self.protocol.receive(frame):
            if isinstance(action, Sound):
                await self._listen(action)
            else:
                self._do(action)
        self._flush()

    def nudge(self, words: str) -> None:
        """Say this as soon as the floor is free."""
        self._do_all(self.protocol.nudge(words))

    def close(self) -> None:
        """The client is gone: stop everything that the task group does not."""
        self._stop_idle()
        self._drop()
        self._engines.detectors.give_back(self._detector)

    # ----------------------------------------------------------------- actions

    def _flush(self) -> None:
        self._send(self.protocol.take())

    def _do_all(self, actions: Actions) -> None:
        for action in actions:
            self._do(action)
        self._flush()

    def _do(self, action: Action) -> None:
        match action:
            case Configured():
                self._configure()
            case Committed(item_id):
                self._commit(item_id)
            case Recognise(item_id, sound, form):
                self._recognise(item_id, self._overheard(sound, form))
            case Cleared():
                self._drop()
                self._endpointer.reset()
            case Started(reply):
                self._stop_idle()
                self._replies[reply] = self._tasks.create_task(self._reply(reply))
            case Stopped(reply):
                task = self._replies.pop(reply, None)
                if task is not None:
                    task.cancel()

    def _configure(self) -> None:
        turns = self.protocol.turn_detection
        form = self.protocol.format
        if turns == self._turns and form == self._format:
            return
        if form != self._format or (turns is None) != (self._turns is None):
            self._drop()
            self._before.clear()
            self._endpointer.reset()
            self._resampler = Resampler(form.rate, VAD_RATE)
            self._clock_ms = self.protocol.received_ms
        self._turns, self._format = turns, form
        self._endpointer.configure(turns or {})
        self._stop_idle()

    # ----------------------------------------------------------------- listening

    async def _listen(self, sound: Sound) -> None:
        step = sound.format.size(_STEP_MS)
        for start in range(0, len(sound.sound), step):
            piece = sound.sound[start : start + step]
            self._clock_ms += sound.format.ms(len(piece))
            pcm = self._resampler.convert(sound.format.decode(piece)).tobytes()
            if self._turns is None:
                self._hear(pcm)
            else:
                self._watch(pcm)
            # A long append must not hold up the replies of others.
            if start:
                await asyncio.sleep(0)

    def _hear(self, pcm: bytes) -> None:
        if self._utterance is None:
            self._utterance = Utterance(self._engines.ears, self._partial)
        self._utterance.feed(pcm)

    def _watch(self, pcm: bytes) -> None:
        if self._utterance is not None:
            self._utterance.feed(pcm)
        self._before += pcm
        paused = self._endpointer.pausing
        prefix = (self._turns or {}).get("prefix_padding_ms", 300.0)
        for change in self._endpointer.feed(pcm, self._clock_ms):
            if isinstance(change, SpeechStart):
                self._began(change, prefix)
            else:
                self._ended(change)
        if self._endpointer.speaking and self._endpointer.pausing != paused:
            self._pause(not paused)
        if not self._endpointer.speaking:
            self.protocol.trim(self._clock_ms - prefix - _KEPT_MS)
        del self._before[: -_pcm_size(prefix + _KEPT_MS)]

    def _began(self, change: SpeechStart, prefix: float) -> None:
        self._stop_idle()
        back = self._clock_ms - max(change.at_ms - prefix, 0.0)
        self._hear(bytes(self._before[-_pcm_size(back) :]))
        self._do_all(self.protocol.speech_started(change.at_ms))

    def _pause(self, pausing: bool) -> None:
        if self._utterance is not None:
            if pausing:
                self._utterance.settle()
            else:
                self._utterance.resume()

    def _ended(self, change: SpeechEnd) -> None:
        if change.spoken_ms < _BLIP_MS and self.protocol.speech is not None:
            self._blips.add(self.protocol.speech)
        self._before.clear()
        self._do_all(self.protocol.speech_stopped(change.at_ms, change.until_ms))

    def _partial(self, partial: Partial) -> None:
        self._endpointer.complete = partial.complete
        item_id = self.protocol.speech
        utterance = self._utterance
        if item_id is None or utterance is None:
            return
        delta = utterance.growth.grow(partial.text)
        if delta:
            self.protocol.hearing(item_id, delta)
            self._flush()

    def _finish_resampling(self) -> None:
        """Give the utterance what the resampler holds back; the next one begins afresh."""
        rest = self._resampler.finish()
        if self._utterance is not None:
            self._utterance.feed(rest.tobytes())

    def _drop(self) -> None:
        utterance, self._utterance = self._utterance, None
        if utterance is not None:
            utterance.drop()

    # ----------------------------------------------------------------- recognising

    def _commit(self, item_id: str) -> None:
        if self._turns is None:
            self._finish_resampling()
        utterance, self._utterance = self._utterance, None
        self._endpointer.speaking = False
        if utterance is None:
            entry = self.protocol.conversation.find(item_id)
            sound = bytes(entry.sound) if entry is not None else b""
            utterance = self._overheard(sound, self._format)
        self._recognise(item_id, utterance)

    def _overheard(self, sound: bytes, form: Format) -> Utterance:
        """An utterance of sound that did not come through the microphone's path."""
        utterance = Utterance(self._engines.ears, lambda partial: None)
        resampler = Resampler(form.rate, VAD_RATE)
        utterance.feed(resampler.convert(form.decode(sound)).tobytes())
        utterance.feed(resampler.finish().tobytes())
        return utterance

    def _recognise(self, item_id: str, utterance: Utterance) -> None:
        self._texts[item_id] = self._tasks.create_task(self._text(item_id, utterance))

    async def _text(self, item_id: str, utterance: Utterance) -> None:
        try:
            text = await utterance.finish()
        except VoicechatError as error:
            self.protocol.not_transcribed(item_id, error.message)
        else:
            rest = utterance.growth.grow(text, final=True)
            if rest:
                self.protocol.hearing(item_id, rest)
            self.protocol.transcribed(item_id, text)
        finally:
            self._texts.pop(item_id, None)
        self._flush()

    # ----------------------------------------------------------------- answering

    async def _reply(self, reply: Reply) -> None:
        status, reason, error = "completed", None, None
        try:
            if self._texts:
                await asyncio.wait(list(self._texts.values()))
            if not self._is_blip(reply):
                await self._speaker(reply).run()
            if reply.full:
                status, reason = "incomplete", "max_output_tokens"
        except VoicechatError as failure:
            status, error = "failed", _server_error(str(failure))
        except TimeoutError:
            status, error = "failed", _server_error("The model did not answer in time.")
        except Exception:
            # One broken response must not end the connection.
            _log.exception("a response failed")
            status, error = "failed", _server_error("The server had an internal error.")
        self._replies.pop(reply, None)
        self._do_all(self.protocol.finish(reply, status, reason, error))
        self._start_idle(reply)

    def _speaker(self, reply: Reply) -> Speaker:
        engines = self._engines
        return Speaker(reply, engines.mind, engines.voice, engines.voice_name, self._sent)

    async def _sent(self) -> None:
        self._flush()
        await self._room()

    def _is_blip(self, reply: Reply) -> bool:
        """Whether the response would answer a noise in which no word was understood."""
        conversation = self.protocol.conversation
        last = conversation.last_id
        entry = conversation.find(last) if last in self._blips else None
        return entry is not None and reply.plan.words is None and not entry.text()

    # ----------------------------------------------------------------- idle timeout

    def _start_idle(self, reply: Reply) -> None:
        """The idle clock runs from the end of a reply's playback."""
        idle_ms = (self._turns or {}).get("idle_timeout_ms")
        if idle_ms is None or reply.plan.out_of_band or self.protocol.active is not None:
            return
        self._stop_idle()
        since, delay = self._clock_ms, (idle_ms + reply.audio_ms) / 1000
        loop = asyncio.get_running_loop()
        self.idle_timer = loop.call_later(delay, lambda: self._do_all(self.protocol.idle(since)))

    def _stop_idle(self) -> None:
        if self.idle_timer is not None:
            self.idle_timer.cancel()
            self.idle_timer = None


def _pcm_size(ms: float) -> int:
    """Bytes of so much sound for the ears."""
    return int(ms * VAD_RATE / 1000) * 2


def _server_error(message: str) -> Json:
    return {"type": "server_error", "code": "server_error", "message": message}
