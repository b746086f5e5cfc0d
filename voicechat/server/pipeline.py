"""The pipeline of one connection: endpointing, STT, assistant, TTS.

    frame ── protocol.receive ─┬─ InputSound ────── resample ── endpointer ── speech events ─────┐
                               │                      └─────── utterance (stt)                  │
                               ├─ AudioCommitted ── text of the utterance ── protocol.transcribed
                               ├─ ResponseStarted ─ assistant, tts ── protocol.finish           │
                               └─ ResponseStopped ─ cancel that task     <──── barge-in ────────┘

The caller's task processes frames in order. Recognition and each response run as tasks of the
connection's group and end with it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from voicechat.errors import VoicechatError
from voicechat.server import self_echo
from voicechat.server.detector_pool import DetectorPool
from voicechat.server.engine_protocols import (
    Assistant,
    Partial,
    SpeechToText,
    SttUtterance,
    TextToSpeech,
)
from voicechat.server.guarded_assistant import ReplyStopped
from voicechat.server.realtime.item_store import StoredItem
from voicechat.server.realtime.protocol_actions import (
    Action,
    Actions,
    AudioCleared,
    AudioCommitted,
    InputSound,
    RecognizeItem,
    ResponseStarted,
    ResponseStopped,
    SessionConfigured,
)
from voicechat.server.realtime.server_frames import Json
from voicechat.server.realtime.server_protocol import ServerProtocol
from voicechat.server.realtime.server_response import ServerResponse
from voicechat.server.response_audio import ResponseAudio
from voicechat.server.turn_end import SILENCE_MS, SOUND_BYTES, TurnEnd
from voicechat.speech.endpointing import Endpointer, SpeechEnd, SpeechStart
from voicechat.speech.formats import Format
from voicechat.speech.pcm import Resampler
from voicechat.speech.vad import VAD_RATE, Detector

_STEP_MS = 40.0
_NOISE_MS = 400.0
"""Speech shorter than this gets no response when no word was recognized."""
_HISTORY_MS = 1_000.0
"""Sound kept before a possible start of speech, in addition to the prefix padding."""

_MOST_ECHOES = 2
"""Echoes in a row after which a reply is given up: each one would stop it again."""
_RECOGNITION_S = 60.0
"""Time limit for the text of an utterance."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Engines:
    """The warm engines of a server."""

    stt: SpeechToText
    assistant: Assistant
    tts: TextToSpeech
    detectors: DetectorPool
    voice_name: str | None = None
    """The voice that replaces names the engine does not know."""
    turn_end: TurnEnd | None = None
    """Must agree that a whole request is the end of a turn; None: the text alone decides."""


class Pipeline:
    """Runs the engines for one connection. Call `receive` for each frame, and `close` at the end.

    send: delivers the frames that the protocol made; called often, never waits.
    wait_for_space: waits until the client has taken enough of them.
    """

    def __init__(
        self,
        protocol: ServerProtocol,
        engines: Engines,
        tasks: asyncio.TaskGroup,
        send: Callable[[list[bytes]], None],
        wait_for_space: Callable[[], Awaitable[None]],
    ) -> None:
        self.protocol = protocol
        self._engines = engines
        self._tasks = tasks
        self._send = send
        self._wait_for_space = wait_for_space
        self._replies: dict[ServerResponse, asyncio.Task[None]] = {}
        self._texts: dict[str, asyncio.Task[None]] = {}
        self._detector: Detector | None = None
        self._opened_endpointer: Endpointer | None = None
        self._turns: Json | None = None
        self._format = Format()
        self._resampler = Resampler(self._format.rate, VAD_RATE)
        self._clock_ms = 0.0
        self._history = bytearray()
        """Sound at 16 kHz from before a possible start of speech."""
        self._utterance: _Turn | None = None
        self._noise: str | None = None
        """Id of the latest item with speech too short for a word."""
        self._spoken_over: self_echo.SpokenOver | None = None
        """The reply that the user's speech may have stopped."""
        self._stopped_by_echo: dict[str, StoredItem] = {}
        """The reply that each echo stopped, by the id of the echo's item."""
        self._echoes = 0
        """Echoes since the last turn of the user."""
        self.idle_timer: asyncio.TimerHandle | None = None
        """Runs while nothing is spoken, if the session has an idle timeout."""
        self._configure()
        self._flush()

    async def receive(self, frame: str | bytes) -> float:
        """Process one frame of the client; return the milliseconds of sound in it."""
        ms = 0.0
        for action in self.protocol.receive(frame):
            if isinstance(action, InputSound):
                ms += action.format.ms(len(action.sound))
                await self._listen(action)
            else:
                self._do(action)
        if self._spoken_over is not None:
            self._spoken_over.note_stop(self._clock_ms)
        self._flush()
        return ms

    def announce(self, words: str) -> None:
        """Say these words when neither the user nor the assistant is speaking."""
        self._do_all(self.protocol.announce(words))

    def close(self) -> None:
        """Release what the task group does not, after the client has disconnected."""
        self._stop_idle()
        self._drop()
        if self._detector is not None:
            self._engines.detectors.release(self._detector)

    # ----------------------------------------------------------------- actions

    def _flush(self) -> None:
        self._send(self.protocol.take())

    def _do_all(self, actions: Actions) -> None:
        for action in actions:
            self._do(action)
        self._flush()

    def _do(self, action: Action) -> None:
        match action:
            case SessionConfigured():
                self._configure()
            case AudioCommitted(item_id):
                self._commit(item_id)
            case RecognizeItem(item_id, sound, form):
                self._recognize(item_id, self._separate_utterance(sound, form))
            case AudioCleared():
                self._drop()
                self._reset_endpointer()
            case ResponseStarted(reply):
                self._stop_idle()
                self._replies[reply] = self._tasks.create_task(self._reply(reply))
            case ResponseStopped(reply):
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
            self._history.clear()
            self._reset_endpointer()
            self._resampler = Resampler(form.rate, VAD_RATE)
            self._clock_ms = self.protocol.received_ms
        self._turns, self._format = turns, form
        if self._opened_endpointer is not None:
            self._opened_endpointer.configure(turns or {})
        self._stop_idle()

    @property
    def _endpointer(self) -> Endpointer:
        """The endpointer, which `_listen` opens with the first sound."""
        assert self._opened_endpointer is not None
        return self._opened_endpointer

    async def _open_endpointer(self) -> None:
        """Open the endpointer: a session without turn detection needs no detector."""
        if self._opened_endpointer is None:
            self._detector = await self._engines.detectors.acquire()
            self._opened_endpointer = Endpointer(self._detector)
            self._opened_endpointer.configure(self._turns or {})

    def _set_end_chance(self, chance: float) -> None:
        """Tell the endpointer the chance that the text so far is a whole request."""
        if self._opened_endpointer is not None:
            self._opened_endpointer.end_chance = chance

    def _reset_endpointer(self) -> None:
        if self._opened_endpointer is not None:
            self._opened_endpointer.reset()

    # ----------------------------------------------------------------- listening

    async def _listen(self, sound: InputSound) -> None:
        if self._turns is not None:
            await self._open_endpointer()
        step = sound.format.size(_STEP_MS)
        for start in range(0, len(sound.sound), step):
            chunk = sound.sound[start : start + step]
            self._clock_ms += sound.format.ms(len(chunk))
            pcm = self._resampler.convert(sound.format.decode(chunk)).tobytes()
            if self._turns is None:
                self._feed(pcm)
            else:
                self._detect(pcm)
            # Yield during a long append, so that other connections can work.
            if start:
                await asyncio.sleep(0)

    def _new_turn(self, on_partial: Callable[[Partial], None]) -> _Turn:
        return _Turn(self._engines.stt, on_partial, dictation=self.protocol.transcription_only)

    def _feed(self, pcm: bytes) -> None:
        if self._utterance is None:
            self._utterance = self._new_turn(self._partial)
        self._utterance.feed(pcm)

    def _detect(self, pcm: bytes) -> None:
        if self._utterance is not None:
            self._utterance.feed(pcm)
        self._history += pcm
        paused = self._endpointer.pausing
        prefix = (self._turns or {}).get("prefix_padding_ms", 300.0)
        for change in self._endpointer.feed(pcm, self._clock_ms):
            if isinstance(change, SpeechStart):
                self._on_speech_start(change, prefix)
            else:
                self._on_speech_end(change)
        if self._endpointer.speaking and self._endpointer.pausing != paused:
            self._pause(not paused)
        self._ask_turn_end()
        if not self._endpointer.speaking:
            self.protocol.trim(self._clock_ms - prefix - _HISTORY_MS)
        del self._history[: -_pcm_size(prefix + _HISTORY_MS)]

    def _on_speech_start(self, change: SpeechStart, prefix: float) -> None:
        self._stop_idle()
        length_ms = self._clock_ms - max(change.at_ms - prefix, 0.0)
        self._feed(bytes(self._history[-_pcm_size(length_ms) :]))
        reply = self.protocol.conversation.last_reply()
        is_new = reply is not None and reply.heard_ms is None
        self._spoken_over = self_echo.SpokenOver(reply, change.at_ms) if reply and is_new else None
        self._do_all(self.protocol.speech_started(change.at_ms))

    def _pause(self, pausing: bool) -> None:
        if self._utterance is not None:
            if pausing:
                self._utterance.speech.settle()
            else:
                self._utterance.speech.resume()

    def _on_speech_end(self, change: SpeechEnd) -> None:
        if change.spoken_ms < _NOISE_MS and self.protocol.speech is not None:
            self._noise = self.protocol.speech
        self._history.clear()
        self._do_all(self.protocol.speech_stopped(change.at_ms, change.until_ms))

    def _partial(self, partial: Partial) -> None:
        item_id, utterance = self.protocol.speech, self._utterance
        if item_id is None or utterance is None:
            return
        if partial.text != utterance.text:
            utterance.text = partial.text
            utterance.end_chance = 0.0
            self._set_end_chance(0.0)
            self._tasks.create_task(self._judge(utterance, partial))
        if delta := utterance.delta(partial.committed):
            self.protocol.transcript_delta(item_id, delta)
            self._flush()

    async def _judge(self, utterance: _Turn, partial: Partial) -> None:
        """Tell the endpointer how likely the text is a whole request."""
        try:
            chance = await self._engines.assistant.end_chance(partial.text)
        except VoicechatError:
            return
        chance = min(chance, partial.end_chance)
        if utterance is self._utterance and utterance.text == partial.text:
            utterance.end_chance = chance
            self._set_end_chance(chance if self._agrees(utterance) else 0.0)

    def _agrees(self, utterance: _Turn) -> bool:
        return self._engines.turn_end is None or utterance.sounds_ended

    def _ask_turn_end(self) -> None:
        """Ask the end-of-turn model once in each pause."""
        utterance, model = self._utterance, self._engines.turn_end
        if utterance is None or model is None or "silence_duration_ms" in (self._turns or {}):
            return
        if not self._endpointer.pausing:
            utterance.sounds_ended, utterance.was_asked = False, False
            self._endpointer.end_chance = 0.0
        elif self._endpointer.silence_ms >= SILENCE_MS and not utterance.was_asked:
            utterance.was_asked = True
            self._tasks.create_task(self._hear_end(utterance, model))

    async def _hear_end(self, utterance: _Turn, model: TurnEnd) -> None:
        ended = await model.is_end(bytes(utterance.sound))
        if utterance is self._utterance and utterance.was_asked:
            utterance.sounds_ended = ended
            self._set_end_chance(utterance.end_chance if ended else 0.0)

    def _finish_resampling(self) -> None:
        """Feed the rest of the resampler to the utterance, and start a new resampler."""
        rest = self._resampler.finish()
        if self._utterance is not None:
            self._utterance.speech.feed(rest.tobytes())

    def _drop(self) -> None:
        utterance, self._utterance = self._utterance, None
        if utterance is not None:
            utterance.speech.drop()

    # ----------------------------------------------------------------- recognition

    def _commit(self, item_id: str) -> None:
        if self._turns is None:
            self._finish_resampling()
        utterance, self._utterance = self._utterance, None
        if self._opened_endpointer is not None:
            self._opened_endpointer.speaking = False
        if utterance is None:
            entry = self.protocol.conversation.find(item_id)
            sound = bytes(entry.sound) if entry is not None else b""
            utterance = self._separate_utterance(sound, self._format)
        self._recognize(item_id, utterance)

    def _separate_utterance(self, sound: bytes, form: Format) -> _Turn:
        """Return an utterance of sound that did not come through the microphone path."""
        utterance = self._new_turn(lambda partial: None)
        resampler = Resampler(form.rate, VAD_RATE)
        utterance.speech.feed(resampler.convert(form.decode(sound)).tobytes())
        utterance.speech.feed(resampler.finish().tobytes())
        return utterance

    def _recognize(self, item_id: str, utterance: _Turn) -> None:
        self._texts[item_id] = self._tasks.create_task(self._text(item_id, utterance))

    async def _text(self, item_id: str, utterance: _Turn) -> None:
        try:
            async with asyncio.timeout(_RECOGNITION_S):
                text = await utterance.speech.finish()
                if await self._is_echo(item_id, text):
                    text = ""
        except VoicechatError as error:
            self.protocol.transcription_failed(item_id, error.message)
        except TimeoutError:
            self.protocol.transcription_failed(item_id, "The speech recognizer took too long.")
        else:
            if delta := utterance.delta(text):
                self.protocol.transcript_delta(item_id, delta)
            self.protocol.transcribed(item_id, text)
        finally:
            self._texts.pop(item_id, None)
        self._flush()

    async def _is_echo(self, item_id: str, text: str) -> bool:
        """Return True if the turn is an echo, and note the reply that it stopped."""
        spoken, self._spoken_over = self._spoken_over, None
        if spoken is None or not spoken.is_echo(
            text, request=await self._engines.assistant.end_chance(text) > 0
        ):
            self._echoes = 0
            return False
        self._echoes += 1
        self._stopped_by_echo[item_id] = spoken.reply
        return True

    # ----------------------------------------------------------------- answering

    async def _reply(self, reply: ServerResponse) -> None:
        status, reason, error = "completed", None, None
        try:
            if self._texts:
                await asyncio.wait(list(self._texts.values()))
            self._continue_after_echo(reply)
            if not self._is_noise(reply) and reply.plan.words != "":
                await self._response_audio(reply).run()
            if reply.full:
                status, reason = "incomplete", "max_output_tokens"
        except ReplyStopped:
            status, reason = "incomplete", "content_filter"
        except VoicechatError as failure:
            status, error = "failed", _server_error(str(failure))
        except TimeoutError:
            status, error = "failed", _server_error("The model did not answer in time.")
        except Exception:
            # A failure in one response must not end the connection.
            _log.exception("a response failed")
            status, error = "failed", _server_error("The server had an internal error.")
        self._replies.pop(reply, None)
        self._do_all(self.protocol.finish(reply, status, reason, error))
        self._start_idle(reply)

    def _response_audio(self, reply: ServerResponse) -> ResponseAudio:
        engines = self._engines
        return ResponseAudio(
            self.protocol, reply, engines.assistant, engines.tts, engines.voice_name, self._deliver
        )

    async def _deliver(self) -> None:
        self._flush()
        await self._wait_for_space()

    def _continue_after_echo(self, reply: ServerResponse) -> None:
        """Say the rest of the reply that an echo stopped, instead of an answer to the echo."""
        stopped = self._stopped_by_echo.pop(self.protocol.conversation.last_id or "", None)
        if stopped is not None and reply.plan.words is None:
            words = stopped.unheard() if self._echoes <= _MOST_ECHOES else ""
            reply.plan = replace(reply.plan, words=words)

    def _is_noise(self, reply: ServerResponse) -> bool:
        """Return True if the response would answer a noise without any recognized word."""
        conversation = self.protocol.conversation
        last = conversation.last_id
        entry = conversation.find(last) if last and last == self._noise else None
        return entry is not None and reply.plan.words is None and not entry.text()

    # ----------------------------------------------------------------- idle timeout

    def _start_idle(self, reply: ServerResponse) -> None:
        """Start the idle timeout. It counts from the end of playback of the reply."""
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


class _Turn:
    """The speech of one turn, and how much of its text the client has."""

    def __init__(
        self, stt: SpeechToText, on_partial: Callable[[Partial], None], *, dictation: bool
    ) -> None:
        self.speech: SttUtterance = stt.utterance(on_partial, dictation=dictation)
        self.text = ""
        self.end_chance = 0.0
        """The chance that the text so far is a whole request."""
        self.sound = bytearray()
        self.was_asked = False
        """True after the end-of-turn model was asked in the present pause."""
        self.sounds_ended = False
        self._sent = ""

    def feed(self, pcm: bytes) -> None:
        """Add sound, PCM16 mono at 16 kHz."""
        self.speech.feed(pcm)
        self.sound += pcm
        del self.sound[:-SOUND_BYTES]

    def delta(self, text: str) -> str:
        """Return what the text adds to the deltas so far; they join to the final text."""
        if not text.startswith(self._sent):
            return ""
        added, self._sent = text[len(self._sent) :], text
        return added


def _pcm_size(ms: float) -> int:
    """Return the size in bytes of PCM16 sound at the STT sample rate."""
    return int(ms * VAD_RATE / 1000) * 2


def _server_error(message: str) -> Json:
    return {"type": "server_error", "code": "server_error", "message": message}
