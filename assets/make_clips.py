"""Record the README's sound clips with the real embedded voice: `make clips`.

The user in the conversation is the same voice in another pitch, as in the tests.
"""

from __future__ import annotations

import asyncio
import sys
import wave
from pathlib import Path

import numpy as np

ASSETS = Path(__file__).resolve().parent
sys.path.insert(0, str(ASSETS.parent / "tests" / "support"))

from user_speech import spoken  # noqa: E402

import voicechat  # noqa: E402
from voicechat.speech.pcm import Samples  # noqa: E402

RATE = 24_000
PAUSE = np.zeros(int(0.35 * RATE), np.int16)
TURNS = ("Set a timer for ten minutes.", "No, I meant twenty.", "How many miles is a marathon?")
GREETING = "Hello! I am the embedded voice. I run on your own machine, without a key or a network."


async def replies(turns: tuple[str, ...], instructions: str | None = None) -> list[Samples]:
    """Say the turns to the embedded voice; return the sound of its answers."""
    found: list[Samples] = []
    session = voicechat.connect(
        "local", tools=[], settings=False, push_to_talk=True, instructions=instructions
    )
    async with session:
        for turn in turns:
            await session.send(spoken(turn, "user", RATE).tobytes())
            session.end_turn()
            found.append(await _answer(session))
    return found


async def _answer(session: voicechat.Session) -> Samples:
    sound = bytearray()
    async for event in session:
        if isinstance(event, voicechat.Audio):
            sound += event.pcm
        elif isinstance(event, voicechat.TurnEnded):
            break
    return np.frombuffer(bytes(sound), "<i2")


def write(name: str, *parts: Samples) -> None:
    """Write a WAV file with a pause after each part."""
    path = ASSETS / name
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        for part in parts:
            file.writeframes(part.tobytes() + PAUSE.tobytes())
    sys.stdout.write(f"{path.relative_to(ASSETS.parent)}\n")


async def main() -> None:
    """Record both clips."""
    write("voice.wav", *await replies(("Hello.",), f"Say exactly: {GREETING}"))
    parts: list[Samples] = []
    for turn, answer in zip(TURNS, await replies(TURNS), strict=True):
        parts += [spoken(turn, "user", RATE), answer]
    write("conversation.wav", *parts)


if __name__ == "__main__":
    asyncio.run(main())
