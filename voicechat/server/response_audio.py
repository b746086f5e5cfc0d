"""One response from thought to sound: the mind's thoughts, spoken word by word or written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar

import numpy as np

from voicechat.server.engine_protocols import Call, Mind, Request, Say, Thought, Voice
from voicechat.server.realtime.server_response import Reply
from voicechat.speech.levels import Samples
from voicechat.speech.resampling import Resampler

_THOUGHT_SECONDS = 90.0
_WORD_SECONDS = 10.0
_CHUNK_MS = 400.0
"""The most sound in one delta."""

T = TypeVar("T")


async def timed(source: AsyncIterator[T], seconds: float) -> AsyncGenerator[T, None]:
    """The items of `source`, each within `seconds`; closes the source in the end."""
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


class Speaker:
    """Fills one reply. `sent` is awaited after each piece: it passes the frames on and may wait."""

    def __init__(
        self,
        reply: Reply,
        mind: Mind,
        voice: Voice,
        fallback_voice: str | None,
        sent: Callable[[], Awaitable[None]],
    ) -> None:
        self._reply = reply
        self._mind = mind
        self._voice = voice
        name = reply.plan.voice
        self._name = name if name in voice.names else fallback_voice
        self._sent = sent
        self._resampler: Resampler | None = None

    async def run(self) -> None:
        """Think and say all of it; ends early when the reply is full."""
        async with aclosing(timed(self._thoughts(), _THOUGHT_SECONDS)) as thoughts:
            async for thought in thoughts:
                if isinstance(thought, Say):
                    await self._say(thought.text)
                else:
                    await self._call(thought)
                if self._reply.full:
                    break
        await self._flush()

    def _thoughts(self) -> AsyncIterator[Thought]:
        plan = self._reply.plan
        messages = self._reply.messages()
        if plan.words is not None:
            return _once(Say(plan.words))
        offered = () if plan.tool_choice == "none" else plan.tools
        return self._mind.reply(Request(messages, plan.instructions, offered, plan.tool_choice))

    async def _call(self, call: Call) -> None:
        await self._flush()
        self._reply.call(call.call_id, call.name, call.arguments)
        await self._sent()

    async def _say(self, text: str) -> None:
        reply = self._reply
        if not reply.plan.spoken:
            reply.write(text)
            await self._sent()
            return
        spoken = self._voice.speak(text, self._name, reply.plan.speed)
        async with aclosing(timed(spoken, _WORD_SECONDS)) as pieces:
            async for piece in pieces:
                samples = np.frombuffer(piece.pcm, dtype="<i2").astype(np.int16)
                reply.word(piece.text, len(samples) * 1000 / self._voice.rate)
                await self._sound(samples)
                if reply.full:
                    return

    async def _sound(self, samples: Samples, last: bool = False) -> None:
        form = self._reply.plan.format
        if self._resampler is None:
            self._resampler = Resampler(self._voice.rate, form.rate)
        ready = self._resampler.finish() if last else self._resampler.convert(samples)
        sound = form.encode(ready)
        step = form.size(_CHUNK_MS)
        for start in range(0, len(sound), step):
            self._reply.sound(sound[start : start + step])
            await self._sent()
        await self._sent()

    async def _flush(self) -> None:
        """Let out the sound that the resampler still holds; the next item begins afresh."""
        if self._resampler is not None:
            await self._sound(np.zeros(0, dtype=np.int16), last=True)
            self._resampler = None


async def _once(thought: Thought) -> AsyncGenerator[Thought, None]:
    yield thought
