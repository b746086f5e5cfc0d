"""The engines of a server: created from the options, and warmed up before the server listens."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from voicechat.core.text import one_of
from voicechat.errors import ServerError, UsageError
from voicechat.server.detector_pool import DetectorPool
from voicechat.server.engine_outage import EngineOutage, Notify
from voicechat.server.engine_protocols import Assistant, SpeechToText, TextToSpeech
from voicechat.server.serve_options import RemoteEngine, ServeOptions
from voicechat.server.turn_end import TurnEnd

if TYPE_CHECKING:
    from voicechat.server.assistant.nearest_request import Phonemes
    from voicechat.server.stt.remote_stt import RemoteRecognizer
    from voicechat.server.tts.remote_tts import RemoteVoice

_log = logging.getLogger(__name__)

_WYOMING = "wyoming://"
_ENGINES = "voicechat.server.speech_engines:SpeechEngines"
_OPEN_SECONDS = 60.0
_CLOSE_SECONDS = 0.7

Progress = Callable[[str, float], None]
"""Called with the name of the engine that is warm and the share that is done, 0 to 1."""


@dataclass(frozen=True, slots=True)
class EngineSet:
    """The engines of one server, before they are warm."""

    stt: SpeechToText
    assistant: Assistant
    tts: TextToSpeech
    detectors: DetectorPool
    turn_end: TurnEnd | None = None

    async def open(self, progress: Progress, *, speech: bool = True) -> None:
        """Warm up all engines at once. Raises `VoicechatError` when one of them fails.

        speech: False leaves the engines for speech to their first use.
        """
        opening: dict[str, Awaitable[None]] = {"assistant": self.assistant.open()}
        if speech:
            opening |= {
                "speech synthesizer": self.tts.open(),
                "speech recognizer": self.stt.open(),
                "speech detector": asyncio.to_thread(self.detectors.warm),
            }
        done = 0

        async def warm(name: str, opened: Awaitable[None]) -> None:
            nonlocal done
            try:
                async with asyncio.timeout(_OPEN_SECONDS):
                    await opened
            except TimeoutError as error:
                raise ServerError(f"The {name} did not start in time.") from error
            done += 1
            progress(name, done / len(opening))

        progress("engines" if speech else "assistant", 0.0)
        results = await asyncio.gather(
            *(warm(name, opened) for name, opened in opening.items()), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    def check_now(self) -> None:
        """Check engines on other servers that have failed."""
        for engine in (self.stt, self.assistant, self.tts):
            outage: EngineOutage | None = getattr(engine, "outage", None)
            if outage is not None:
                outage.check_now()

    async def close(self) -> None:
        """Stop all engines. Workers that have not ended after 0.7 s are killed; never raises."""
        closing = (self.stt.close(), self.assistant.close(), self.tts.close())
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await asyncio.gather(*closing, return_exceptions=True)


def create_engines(options: ServeOptions, notify: Notify = _log.warning) -> EngineSet:
    """Create the engines for these options without warming them up.

    notify: called with a sentence when an engine on another server fails.
    """
    from voicechat.server.stt.moonshine_stt import MoonshineStt
    from voicechat.server.tts.hibari_tts import HibariTts
    from voicechat.speech.vad import detector

    builtin_stt, builtin_tts = _speech(options, notify)
    stt, tts = _with_remote(options, builtin_stt, builtin_tts, notify)
    phonemes = builtin_tts.pronounce if isinstance(builtin_tts, HibariTts) else None
    is_unsure = builtin_stt.is_unsure if isinstance(builtin_stt, MoonshineStt) else None
    if options.voice is not None and options.voice not in tts.names:
        raise UsageError(f"There is no voice {options.voice!r}.", f"Choose {one_of(tts.names)}.")
    return EngineSet(
        stt,
        _assistant(options, phonemes, is_unsure, notify),
        tts,
        DetectorPool(partial(detector, options.vad_model)),
        _turn_end(options),
    )


def create_voice(options: ServeOptions, notify: Notify = _log.warning) -> TextToSpeech:
    """Create the text-to-speech engine alone, without warming it up. Its `speak` raises errors.

    notify: called with a sentence when a voice on another server fails. Raises `ServerError` if
    this machine has no voice.
    """
    from voicechat.server.missing_engine import SilentTts

    voices = _voices(options)
    builtin: TextToSpeech = SilentTts()
    if voices:
        from voicechat.server.engine_worker import Worker
        from voicechat.server.tts.hibari_tts import HibariTts

        names = {name: str(path) for name, path in voices.items()}
        worker = Worker(_ENGINES, "The embedded voice", stt=None, voices=names)
        builtin = HibariTts(worker, voices, None, options.lanes)
    elif options.tts is None:
        raise ServerError("This machine has no voice.", "Choose another --model.")
    return _with_remote_voice(options, builtin, notify)


def _turn_end(options: ServeOptions) -> TurnEnd | None:
    """Create the end-of-turn model. The requests of the offline assistant do not need it."""
    if options.chat_url is None or options.turn_end_model is None:
        return None
    return TurnEnd(options.turn_end_model)


def _speech(options: ServeOptions, notify: Notify) -> tuple[SpeechToText, TextToSpeech]:
    """Create the built-in engines in one worker, without those that are not installed."""
    from voicechat.server.assistant import intents
    from voicechat.server.engine_worker import Worker
    from voicechat.server.missing_engine import MissingStt, SilentTts, missing_part
    from voicechat.server.stt.moonshine_stt import KnownRequests, MoonshineStt, bundled_model
    from voicechat.server.tts.hibari_tts import HibariTts

    has_runtime = _has_runtime()
    model = (options.stt_model or bundled_model()) if has_runtime else None
    voices = _voices(options)
    missing = missing_part(model, voices or None, runtime=has_runtime)
    if options.warm_speech and missing:
        notify(missing)
    worker = Worker(
        _ENGINES,
        "The speech engine",
        stt=None if model is None else str(model),
        voices={name: str(path) for name, path in voices.items()},
        tokens_per_second=options.stt_tokens_per_second,
    )
    stt: SpeechToText = MissingStt()
    if model is not None:
        requests = KnownRequests(intents.is_request, intents.word_followers)
        stt = MoonshineStt(worker, None if options.chat_url else requests, options.lanes)
    return stt, HibariTts(worker, voices, notify, options.lanes) if voices else SilentTts()


def _has_runtime() -> bool:
    return importlib.util.find_spec("onnxruntime") is not None


def _voices(options: ServeOptions) -> dict[str, Path]:
    """Return the voices of this machine and their files; empty without the bundled one."""
    from voicechat.server.tts.hibari_tts import DEFAULT_VOICE, bundled_voice

    voice = bundled_voice() if _has_runtime() else None
    return {} if voice is None else {**options.voices, DEFAULT_VOICE: voice}


def _with_remote(
    options: ServeOptions, stt: SpeechToText, tts: TextToSpeech, notify: Notify
) -> tuple[SpeechToText, TextToSpeech]:
    """Put the engines on other servers before the built-in ones."""
    if options.stt is not None:
        from voicechat.server.stt.remote_stt import RemoteStt

        stt = RemoteStt(_recognizer(options.stt), stt, notify)
    return stt, _with_remote_voice(options, tts, notify)


def _with_remote_voice(options: ServeOptions, tts: TextToSpeech, notify: Notify) -> TextToSpeech:
    if options.tts is None:
        return tts
    from voicechat.server.tts.remote_tts import RemoteTts

    return RemoteTts(_voice(options.tts, tts.rate), tts, notify)


def _recognizer(engine: RemoteEngine) -> RemoteRecognizer:
    if engine.url.startswith(_WYOMING):
        from voicechat.server.stt.wyoming_stt import WyomingRecognizer

        return WyomingRecognizer(engine.url, engine.model, engine.language)
    from voicechat.server.stt.transcription_endpoint import TranscriptionEndpoint

    return TranscriptionEndpoint(engine.url, engine.model, engine.language, engine.key)


def _voice(engine: RemoteEngine, rate: int) -> RemoteVoice:
    if engine.url.startswith(_WYOMING):
        from voicechat.server.tts.wyoming_tts import WyomingVoice

        return WyomingVoice(engine.url, rate, engine.voice)
    from voicechat.server.tts.speech_endpoint import SpeechEndpoint

    return SpeechEndpoint(engine.url, rate, engine.model, engine.voice, engine.key)


def _assistant(
    options: ServeOptions,
    phonemes: Phonemes | None,
    is_unsure: Callable[[str], bool] | None,
    notify: Notify,
) -> Assistant:
    from voicechat.server.assistant.offline_assistant import offline_assistant
    from voicechat.skills.notebook import notebook_folder

    folder = notebook_folder() if options.user_notebook else None
    builtin = offline_assistant(folder, options.forbidden_tools, phonemes, is_unsure)
    if options.chat_url is None:
        return builtin
    from voicechat.server.assistant.chat_assistant import ChatAssistant
    from voicechat.server.assistant.fallback_assistant import FallbackAssistant

    chat = ChatAssistant(options.chat_url, options.chat_model, options.chat_key)
    return FallbackAssistant(chat, builtin, notify)
