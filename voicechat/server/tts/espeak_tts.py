"""The built-in voice: espeak-ng in a worker process. The other side is `espeak.py`."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from types import MappingProxyType

from voicechat.server.engine_protocols import Speech, Voice
from voicechat.server.engine_worker import Worker

RATE = 24_000
"""Hz of the sound."""
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
"""Friendly name -> (espeak-ng voice, pitch 0 to 100). The first is the default."""
_SLOWEST, _FASTEST = 0.4, 2.6
_CLAUSE_MAX = 240
_DEADLINE_S = 5.0
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_CLAUSE_END = re.compile(r"(?<=[.!?;:\n])\s+")


class EspeakVoice:
    """A `Voice` on espeak-ng. `open()` takes about 0.3 s; the first sound comes within 10 ms."""

    rate = RATE
    names = tuple(VOICES)

    def __init__(self) -> None:
        self._worker = Worker(
            "voicechat.server.tts.espeak:Synthesiser",
            "The voice",
            rate=RATE,
            voices=dict(VOICES),
        )

    async def open(self) -> None:
        """Start the worker and warm it up. Raises `ServerError` when that is impossible."""
        await self._worker.start()

    async def speak(
        self, text: str, voice: str | None = None, speed: float = 1.0
    ) -> AsyncGenerator[Speech, None]:
        """Say the text; an unknown voice is the default one. Raises `ServerError`.

        Lone surrogates come back as U+FFFD; otherwise the pieces join to the text.
        speed: 1.0 is normal; held between 0.4 and 2.6.
        """
        chosen = voice if voice in VOICES else self.names[0]
        held = min(_FASTEST, max(_SLOWEST, speed))
        for clause in clauses(_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)):
            await self._worker.start()
            async with aclosing(
                self._worker.stream("speak", clause, chosen, held, deadline=_DEADLINE_S)
            ) as pieces:
                async for words, pcm in pieces:
                    yield Speech(words, pcm)

    async def close(self) -> None:
        """End the worker."""
        await self._worker.stop()


def clauses(text: str) -> list[str]:
    """Cut a text where a voice pauses; parts of at most 240 characters that join to the text."""
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


def voice() -> Voice:
    """The built-in voice, not yet open."""
    return EspeakVoice()
