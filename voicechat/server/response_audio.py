"""The content of one response: from the assistant's output to speech, word by word, or to text."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar

import numpy as np

from voicechat.server.engine_protocols import (
    Assistant,
    AssistantOutput,
    AssistantRequest,
    Call,
    Say,
    TextToSpeech,
)
from voicechat.server.realtime.server_response import ServerResponse
from voicechat.server.tts.spoken_text import SpokenText
from voicechat.speech.pcm import Resampler, Samples

_OUTPUT_SECONDS = 90.0
_WORD_SECONDS = 60.0
"""Longer than the deadlines of the voices, which replace a worker or a server that hangs."""
_CHUNK_MS = 400.0
"""Maximum audio in one delta."""

T = TypeVar("T")


async def timed(source: AsyncIterator[T], seconds: float) -> AsyncGenerator[T, None]:
    """Yield the items of `source`, each within the deadline; close the source at the end."""
    try:
        while True:
            async with asyncio.timeout(seconds):
                try:
                    item = await anext(source)
                except StopAsyncIteration:
                    return
            yield item
    finally:
        if isinstance(source, AsyncGenerator):
            await source.aclose()


class ResponseAudio:
    """Fills one response. Awaits `deliver` after each piece to deliver frames and wait for room."""

    def __init__(
        self,
        session: object,
        reply: ServerResponse,
        assistant: Assistant,
        tts: TextToSpeech,
        fallback_voice: str | None,
        deliver: Callable[[], Awaitable[None]],
    ) -> None:
        self._session = session
        self._reply = reply
        self._assistant = assistant
        self._tts = tts
        name = reply.plan.voice
        self._name = name if name in tts.names else fallback_voice
        self._deliver = deliver
        self._resampler: Resampler | None = None

    async def run(self) -> None:
        """Run the assistant and speak its output. Stops early when the response is full."""
        async with aclosing(timed(self._output(), _OUTPUT_SECONDS)) as outputs:
            async for output in outputs:
                if isinstance(output, Say):
                    await self._say(output)
                else:
                    await self._call(output)
                if self._reply.full:
                    break
        await self._flush()

    def _output(self) -> AsyncIterator[AssistantOutput]:
        plan = self._reply.plan
        messages = self._reply.messages()
        if plan.words is not None:
            return _single(Say(plan.words))
        offered = () if plan.tool_choice == "none" else plan.tools
        return self._assistant.reply(
            AssistantRequest(
                messages,
                plan.instructions,
                offered,
                plan.tool_choice,
                self._session,
                spoken=plan.spoken,
                own_instructions=plan.own_instructions,
                is_aside=plan.out_of_band,
            )
        )

    async def _call(self, call: Call) -> None:
        await self._flush()
        self._reply.call(call.call_id, call.name, call.arguments)
        await self._deliver()

    async def _say(self, output: Say) -> None:
        reply = self._reply
        if not reply.plan.spoken:
            reply.write(output.text)
            await self._deliver()
            return
        spoken = SpokenText(output.text)
        if spoken.plain.strip() and not output.silent:
            await self._speak(spoken)
        if not reply.full:
            reply.word(spoken.rest(), 0.0)

    async def _speak(self, spoken: SpokenText) -> None:
        """Speak the plain form; the transcript gets what the assistant wrote."""
        reply = self._reply
        words = self._tts.speak(spoken.plain, self._name, reply.plan.speed)
        async with aclosing(timed(words, _WORD_SECONDS)) as pieces:
            async for piece in pieces:
                samples = np.frombuffer(piece.pcm, dtype="<i2").astype(np.int16)
                reply.word(spoken.written(piece.text), len(samples) * 1000 / self._tts.rate)
                await self._sound(samples)
                if reply.full:
                    return

    async def _sound(self, samples: Samples, last: bool = False) -> None:
        wire_format = self._reply.plan.format
        if self._resampler is None:
            self._resampler = Resampler(self._tts.rate, wire_format.rate)
        samples_out = self._resampler.finish() if last else self._resampler.convert(samples)
        sound = wire_format.encode(samples_out)
        step = wire_format.size(_CHUNK_MS)
        for start in range(0, len(sound), step):
            self._reply.sound(sound[start : start + step])
            await self._deliver()
        await self._deliver()

    async def _flush(self) -> None:
        """Send the rest of the resampler; the next item starts with a new one."""
        if self._resampler is not None:
            await self._sound(np.zeros(0, dtype=np.int16), last=True)
            self._resampler = None


async def _single(output: AssistantOutput) -> AsyncGenerator[AssistantOutput, None]:
    yield output
