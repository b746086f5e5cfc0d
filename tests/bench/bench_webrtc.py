"""Spoken conversations over WebRTC and over the socket, with a provider on loopback.

Both providers detect turns alike: a reply is due 300 ms after the last word. The speaker keeps
100 ms before a reply starts. Packets are lost and delayed in both directions; for the socket, a
relay delays what a lost packet would delay. The provider's data channel is that of aiortc, which
sends a lost event again after 1 s, or sooner when three others follow.
"""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import numpy as np
from fake_calls import HearingOpenAI, Network, fake_calls, tone
from fake_wires import Fake, running
from figures import Figure, Table, spread, trials
from linked_speaker import BLOCK_S, LinkedSpeaker
from lossy_relay import lossy_relay
from session_driver import SessionDriver, online
from websockets.asyncio.server import ServerConnection

from voicechat.config.options import Options
from voicechat.errors import Secret
from voicechat.session.session import Session
from voicechat.speech.pcm import rms
from voicechat.transports.webrtc import CallConnection

LOUD, SILENT = 1_500.0, 500.0
SILENCE_S = 0.2
"""Silence that ends a reply; lost sound leaves shorter gaps."""
WORD = tone(0.5, 200)
STORY_S = 6.0


class SocketOpenAI(HearingOpenAI):
    """The same provider over the socket, where sound comes faster than in real time."""

    async def on_input_audio_buffer_append(self, said: dict[str, Any]) -> None:
        await self.hear(np.frombuffer(b64decode(said["audio"]), "<i2"))

    async def on_conversation_item_truncate(self, said: dict[str, Any]) -> None:
        where = {name: said[name] for name in ("item_id", "content_index", "audio_end_ms")}
        await self.send("conversation.item.truncated", **where)

    async def speak(self) -> None:
        where: dict[str, Any] = {"response_id": self.running["id"], "output_index": 0}
        item_id = self.id("item")
        of_part: dict[str, Any] = {**where, "item_id": item_id, "content_index": 0}
        item = {"id": item_id, "type": "message", "role": "assistant", "content": []}
        await self.send("response.output_item.added", **where, item=item)
        delta = b64encode(tone(0.5).tobytes()).decode()
        for _ in range(round(2 * STORY_S)):
            await self.send("response.output_audio.delta", **of_part, delta=delta)
        spoken = "response.output_audio_transcript"
        await self.send(f"{spoken}.delta", **of_part, delta="Once upon a time")


async def _socket(fake: Fake, socket: ServerConnection) -> None:
    provider = SocketOpenAI(fake, socket)
    provider.turns = ["tell me a story"] * 1_000
    await provider.hold()


@asynccontextmanager
async def _talking(url: str, transport: str) -> AsyncIterator[tuple[SessionDriver, LinkedSpeaker]]:
    speaker = LinkedSpeaker()
    options = Options(
        model="openai/gpt-realtime-2.1", base_url=url, transport=transport, history=False,
        keys={"OPENAI_API_KEY": Secret("planted-key")},
    )  # fmt: skip
    async with online(SessionDriver(Session(options, open_audio=speaker.open))) as driver:
        await asyncio.sleep(0.5)
        yield driver, speaker


@asynccontextmanager
async def _over_socket(network: Network) -> AsyncIterator[tuple[SessionDriver, LinkedSpeaker]]:
    async with running(_socket) as fake:
        fake.wants_key = False
        async with (
            lossy_relay(fake.port, network.loss, network.jitter_s) as port,
            _talking(f"http://127.0.0.1:{port}", "websocket") as talk,
        ):
            yield talk


@asynccontextmanager
async def _over_webrtc(network: Network) -> AsyncIterator[tuple[SessionDriver, LinkedSpeaker]]:
    async with fake_calls() as calls:
        calls.network, calls.streams_words = network, True
        calls.turns += ["tell me a story"] * 1_000
        async with _talking(calls.url, "webrtc") as (driver, speaker):
            connection = driver.session._connections.connection
            assert isinstance(connection, CallConnection)
            network.spoil(connection._pc)
            yield driver, speaker


async def _answer_ms(speaker: LinkedSpeaker) -> float:
    """Speak, and return the time from the last word to the first sound of the reply."""
    speaker.say(WORD)
    return await _reply_ms(speaker)


async def _reply_ms(speaker: LinkedSpeaker) -> float:
    clock = asyncio.get_running_loop().time
    await speaker.until(lambda: not speaker.busy)
    ended_at = clock()
    await speaker.until(lambda: rms(speaker.heard[-1]) > LOUD)
    return (clock() - ended_at) * 1000


async def _stop_ms(speaker: LinkedSpeaker) -> float:
    """Speak over the reply; return the time from the first word to silence."""
    clock = asyncio.get_running_loop().time
    began_at = clock()
    speaker.say(WORD)
    quiet = round(SILENCE_S / BLOCK_S)
    await speaker.until(lambda: all(rms(block) < SILENT for block in speaker.heard[-quiet:]))
    return (clock() - began_at - SILENCE_S) * 1000


def _gaps(blocks: list[Any]) -> tuple[int, float]:
    """Return the number of silent spans and their sum in ms."""
    quiet = [rms(block) < SILENT for block in blocks]
    starts = sum(now and not before for before, now in pairwise(quiet))
    return starts, sum(quiet) * BLOCK_S * 1000


async def _measure(talk: Any, count: int) -> list[Figure]:
    answers, stops, gaps, silent_ms, listened_s = [], [], 0, 0.0, 0.0
    concealed = ""
    async with talk as (driver, speaker):
        answers.append(await _answer_ms(speaker))
        for _ in range(count):
            first = len(speaker.heard)
            await speaker.until(lambda at=first: len(speaker.heard) - at >= STORY_S / 2 / BLOCK_S)
            number, ms = _gaps(speaker.heard[first:])
            gaps, silent_ms = gaps + number, silent_ms + ms
            listened_s += STORY_S / 2
            stops.append(await _stop_ms(speaker))
            # The interruption is a turn, which is answered, too.
            answers.append(await _reply_ms(speaker))
        connection = driver.session._connections.connection
        if isinstance(connection, CallConnection):
            packets = connection._incoming.packets
            concealed = f"; {packets.concealed / 48 / 1000:.1f} s concealed"
            concealed += f", buffer {packets.delay_s * 1000:.0f} ms"
    return [
        Figure("last word → reply, ms", spread(answers)),
        Figure("barge-in → silence, ms", spread(stops)),
        Figure(
            f"gaps heard in {listened_s:.0f} s of reply",
            f"{gaps}, {silent_ms:.0f} ms{concealed}",
        ),
    ]


def _row(talk: Any, loss: float, jitter_s: float) -> Callable[[float], Iterator[Figure]]:
    def measured(effort: float) -> Iterator[Figure]:
        yield from asyncio.run(_measure(talk(Network(loss, jitter_s)), trials(4, effort)))

    return measured


_NETWORKS = {
    "": (0.0, 0.0),
    ", 5 % loss": (0.05, 0.0),
    ", 20 % loss": (0.2, 0.0),
    ", 200 ms jitter": (0.0, 0.2),
    ", 20 % loss, 200 ms jitter": (0.2, 0.2),
}


TABLE = Table(
    "Transports",
    {
        f"{name}{network}": _row(talk, *spoiled)
        for network, spoiled in _NETWORKS.items()
        for name, talk in (("WebSocket", _over_socket), ("WebRTC", _over_webrtc))
    },
)
