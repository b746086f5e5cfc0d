"""A remote voice with the built-in one behind it.

    text ── parts ── remote voice ── samples ── words ──> SpokenWords
                         │ fails: one sentence for the user
                         └── the rest of the part, and the next parts ── built-in voice

The built-in voice loads at its first use.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

from voicechat.errors import SessionLost, VoicechatError
from voicechat.server.engine_outage import EngineOutage, Notify
from voicechat.server.engine_protocols import SpokenWords, TextToSpeech
from voicechat.server.response_audio import timed
from voicechat.server.tts.hibari_tts import clauses
from voicechat.server.tts.streamed_words import SpeakingPace, StreamedWords
from voicechat.speech.pcm import Samples

_SOUND_SECONDS = 6.0
"""Deadline for the first sound of a part, and for each further piece."""
_BUILTIN_SECONDS = 15.0
"""Deadline for each word of the built-in voice, with its start."""
_SPARE_SECONDS, _SECONDS_PER_LETTER = 30.0, 0.5
"""Most sound of one part, and the longest wait for all of it: 30 s, and half a second for each
letter."""
_SURROGATE = re.compile(r"[\ud800-\udfff]")


class RemoteVoice(Protocol):
    """A voice on another server."""

    takes_whole_texts: bool
    """True if it speaks the beginning of a long text before it has processed all of it."""

    @property
    def label(self) -> str:
        """The beginning of a sentence about it."""
        ...

    async def check(self) -> None:
        """Raise `VoicechatError` unless the server answers."""
        ...

    def synthesize(self, text: str, speed: float) -> AsyncGenerator[Samples, None]:
        """Yield the speech, mono. Raises `VoicechatError`. Close the iterator to stop."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


class RemoteTts:
    """`TextToSpeech` with a remote voice. Its `names` are those of the built-in voice."""

    def __init__(
        self,
        voice: RemoteVoice,
        builtin: TextToSpeech,
        notify: Notify,
        sound_seconds: float = _SOUND_SECONDS,
    ) -> None:
        self.rate = builtin.rate
        self.names = builtin.names
        self.outage = EngineOutage(voice.check, notify)
        self._voice = voice
        self._builtin = builtin
        self._sound_seconds = sound_seconds
        self._pace = SpeakingPace(builtin.rate)

    async def open(self) -> None:
        """Check the remote voice; start the built-in one when it fails. Raises `VoicechatError`."""
        if not await self.outage.open():
            await self._builtin.open()

    async def speak(
        self, text: str, voice: str | None = None, speed: float = 1.0
    ) -> AsyncGenerator[SpokenWords, None]:
        """Yield the speech word by word; the joined texts are the given text.

        voice: of the built-in voice. The remote voice is part of its settings.
        Raises `VoicechatError` when the built-in voice fails too.
        """
        text = _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
        whole = self._voice.takes_whole_texts
        for part in [text] if whole else clauses(text):
            said = 0
            if self.outage.usable:
                try:
                    async with aclosing(self._remote_words(part, speed)) as pieces:
                        async for piece in pieces:
                            said += len(piece.text)
                            yield piece
                except VoicechatError as error:
                    self.outage.failed(error)
            if said < len(part):
                spoken = self._builtin.speak(part[said:], voice, speed)
                async with aclosing(timed(spoken, _BUILTIN_SECONDS)) as pieces:
                    async for piece in pieces:
                        yield piece

    async def _remote_words(self, part: str, speed: float) -> AsyncGenerator[SpokenWords, None]:
        if not any(map(str.isalnum, part)):
            if part:
                yield SpokenWords(part)
            return
        words = StreamedWords(part, self._pace)
        most = _SPARE_SECONDS + len(part) * _SECONDS_PER_LETTER
        async with (
            aclosing(self._voice.synthesize(part.strip(), speed)) as sound,
            aclosing(self._awaited(sound, most)) as pieces,
        ):
            async for samples in pieces:
                for piece in words.add(samples):
                    yield piece
                if words.total > most * self.rate:
                    raise SessionLost(f"{self._voice.label} does not stop.")
        if not words.total:
            raise SessionLost(f"{self._voice.label} sent no sound.")
        self.outage.succeeded()
        for piece in words.finish():
            yield piece

    async def _awaited(
        self, sound: AsyncGenerator[Samples, None], seconds: float
    ) -> AsyncGenerator[Samples, None]:
        """Yield the samples, each within its deadline. seconds: the longest wait for all."""
        clock = asyncio.get_running_loop().time
        while True:
            begin = clock()
            try:
                async with asyncio.timeout(min(self._sound_seconds, seconds)):
                    samples = await anext(sound, None)
            except TimeoutError as error:
                raise SessionLost(f"{self._voice.label} stopped answering.") from error
            if samples is None:
                return
            seconds -= clock() - begin
            yield samples

    async def close(self) -> None:
        """Stop both engines."""
        self.outage.close()
        await asyncio.gather(self._voice.close(), self._builtin.close())
