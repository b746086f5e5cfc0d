"""The built-in TTS engine: espeak-ng in a worker process. The code in the worker is `espeak.py`."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from types import MappingProxyType

from voicechat.server.engine_protocols import SpokenWords, TextToSpeech
from voicechat.server.engine_worker import Worker

RATE = 24_000
"""Sample rate of the sound, in Hz."""
VOICES = MappingProxyType(
    {
        "robin": ("en-us+klatt3", 45),
        "wren": ("en-us+f3", 50),
        "heron": ("en-gb-x-rp+m3", 40),
        "linnet": ("en-gb-x-rp+f2", 55),
        "martin": ("en-us+m7", 45),
        "lark": ("en-us+Annie", 50),
    }
)
"""Display name -> (espeak-ng voice, pitch 0 to 100). The first is the default."""
_SLOWEST, _FASTEST = 0.4, 2.6
_CLAUSE_MAX = 240
_DEADLINE_S = 5.0
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_CLAUSE_END = re.compile(r"(?<=[.!?;:\n])\s+")


class EspeakTts:
    """`TextToSpeech` with espeak-ng. `open()` takes 0.3 s; the first sound comes within 10 ms."""

    rate = RATE
    names = tuple(VOICES)

    def __init__(self) -> None:
        self._worker = Worker(
            "voicechat.server.tts.espeak:Synthesizer",
            "The voice",
            rate=RATE,
            voices=dict(VOICES),
        )

    async def open(self) -> None:
        """Start and warm up the worker. Raises `ServerError` on failure."""
        await self._worker.start()

    async def speak(
        self, text: str, voice: str | None = None, speed: float = 1.0
    ) -> AsyncGenerator[SpokenWords, None]:
        """Yield the speech word by word. Raises `ServerError`.

        The joined texts are the given text, with U+FFFD for lone surrogates. An unknown voice
        selects the default. speed: 1.0 is normal; limited to 0.4 to 2.6.
        """
        chosen = voice if voice in VOICES else self.names[0]
        held = min(_FASTEST, max(_SLOWEST, speed))
        for clause in clauses(_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)):
            await self._worker.start()
            async with aclosing(
                self._worker.stream("speak", clause, chosen, held, deadline=_DEADLINE_S)
            ) as pieces:
                async for words, pcm in pieces:
                    yield SpokenWords(words, pcm)

    async def close(self) -> None:
        """Stop the worker."""
        await self._worker.stop()


def clauses(text: str) -> list[str]:
    """Split a text at pauses into parts of at most 240 characters. Joined, they are the text."""
    parts = []
    start = 0
    for end in [match.end() for match in _CLAUSE_END.finditer(text)] + [len(text)]:
        while end - start > _CLAUSE_MAX:
            space = text.rfind(" ", start + 1, start + _CLAUSE_MAX) + 1
            cut = space or start + _CLAUSE_MAX
            parts.append(text[start:cut])
            start = cut
        if end > start:
            parts.append(text[start:end])
            start = end
    return parts


def espeak_tts() -> TextToSpeech:
    """Create the built-in TTS engine, not yet open."""
    return EspeakTts()
