"""The speech engines of the worker process: STT and TTS, each a part with its own thread."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from voicechat.system.process_memory import limit_memory, release_memory

if TYPE_CHECKING:
    from voicechat.server.stt.moonshine_recognizer import MoonshineRecognizer
    from voicechat.server.stt.speech_scores import SpeechScores
    from voicechat.server.tts.hibari_synthesizer import HibariSynthesizer


class SpeechEngines:
    """Loads the engines at the same time and warms them up.

    stt: folder of the Moonshine model; None leaves the recognizer out.
    voices: name of each voice and its model file; empty leaves the synthesizer out.
    tokens_per_second: most tokens that the recognizer writes for a second of sound.
    vad: file of a voice detector; None leaves it out.
    spares_memory: use less memory while an utterance is recognized, which takes longer.
    longest_s, encoders: of the recognizer, see `MoonshineRecognizer`.
    """

    stt: MoonshineRecognizer | None = None
    tts: HibariSynthesizer | None = None
    vad: SpeechScores | None = None

    def __init__(
        self,
        stt: str | None,
        voices: dict[str, str],
        tokens_per_second: float = 6.5,
        vad: str | None = None,
        *,
        spares_memory: bool = False,
        **recognizing: Any,
    ) -> None:
        limit_memory(reuses=not spares_memory)
        if voices:
            _load_pronunciation(next(iter(voices)))
        with ThreadPoolExecutor(1) as pool:
            recognizer = (
                None
                if stt is None
                else pool.submit(_recognizer, stt, tokens_per_second, **recognizing)
            )
            if voices:
                self.tts = _synthesizer(voices)
            if recognizer is not None:
                self.stt = recognizer.result()
        if vad is not None:
            from voicechat.server.stt.speech_scores import SpeechScores

            self.vad = SpeechScores(vad)
        gc.collect()
        gc.freeze()
        release_memory()


def _recognizer(folder: str, tokens_per_second: float, **how: Any) -> MoonshineRecognizer:
    from voicechat.server.stt.moonshine_recognizer import MoonshineRecognizer

    return MoonshineRecognizer(folder, tokens_per_second, **how)


def _synthesizer(voices: dict[str, str]) -> HibariSynthesizer:
    from voicechat.server.tts.hibari_synthesizer import HibariSynthesizer

    return HibariSynthesizer(voices)


def _load_pronunciation(voice: str) -> None:
    """Load the largest tables first; between smaller objects they would leave gaps in memory."""
    from voicechat.server.tts.hibari_synthesizer import pronunciation

    pronunciation(voice)
