"""Sessions with OpenAI Live over WebRTC, with a provider on loopback."""

from __future__ import annotations

import numpy as np
from fake_calls import RATE, tone
from fake_live_calls import fake_live_calls
from linked_speaker import BLOCK_S, LinkedSpeaker
from scripted_conversation import TOOL, entries
from session_driver import SessionDriver, online

from voicechat.config.options import Options
from voicechat.core import inputs
from voicechat.core.items import ItemStatus, Role
from voicechat.errors import Secret
from voicechat.session.session import Session
from voicechat.speech.pcm import rms

QUESTION = np.concatenate((tone(0.5, 200), np.zeros(RATE // 2, np.int16)))


def loud_s(speaker: LinkedSpeaker) -> float:
    """Return the seconds of sound that left the speaker, in parts of 20 ms."""
    return sum(rms(block) > 1_000 for block in speaker.heard) * BLOCK_S


async def test_a_conversation_with_a_tool_and_an_interruption() -> None:
    async with fake_live_calls() as calls:
        options = Options(
            model="openai/gpt-live-1.1", base_url=calls.url, transport="webrtc", voice="marin",
            keys={"OPENAI_API_KEY": Secret("planted-key")},
        )  # fmt: skip
        speaker = LinkedSpeaker()
        async with online(SessionDriver(Session(options, open_audio=speaker.open))) as driver:
            speaker.say(QUESTION)
            said = "You said spoken words."
            await driver.until(lambda: said in driver.texts(Role.ASSISTANT))
            assert "spoken words" in driver.texts(Role.USER)
            driver.session.type("what time is it")
            await driver.until(lambda: "So it is." in driver.texts(Role.ASSISTANT))
            assert TOOL in entries(driver)
            await speaker.until(lambda: loud_s(speaker) > 0.5)
            driver.session.type("tell me a story")
            await speaker.until(lambda: speaker.level(0.3) > 1_000)
            story = driver.session.transcript.entries[-1]
            driver.session._handle(inputs.Interrupt())
            await speaker.until(lambda: len(speaker.stopped_at) > 0 and speaker.level(0.1) < 100)
            await driver.until(lambda: story.status is ItemStatus.INTERRUPTED)
            assert speaker.after_stop == []
        assert driver.session.usage.seconds > 0
    (session,) = calls.sessions
    assert session["audio"] == {"output": {"voice": "marin"}}
    assert any(
        tool["name"] == "current_time" for tool in session["delegation"]["responses"]["tools"]
    )
