"""Sessions over WebRTC with `voicechat serve`: both ends of a call are voicechat."""

from __future__ import annotations

import numpy as np
from linked_speaker import LinkedSpeaker
from scripted import TOKEN, scripted_server, tone, until
from session_driver import SessionDriver, online

from voicechat.config.options import Options
from voicechat.core.items import Item, ItemStatus, Role
from voicechat.errors import Secret
from voicechat.server.engine_protocols import Say
from voicechat.session.session import Session

WORDS = " ".join(f"word{number}" for number in range(290))
QUESTION = np.concatenate((np.frombuffer(tone(700), "<i2"), np.zeros(24_000, np.int16)))


async def test_a_spoken_conversation_with_a_barge_in() -> None:
    async with scripted_server() as backend:
        backend.stt.texts = ["what time is it", "speak", "stop"]
        options = Options(
            model="openai/any",
            base_url=backend.app.url.replace("ws", "http", 1).removesuffix("/realtime"),
            transport="webrtc",
            keys={"OPENAI_API_KEY": Secret(TOKEN)},
        )
        speaker = LinkedSpeaker()
        session = Session(options, open_audio=speaker.open)
        async with online(SessionDriver(session)) as driver:
            speaker.say(QUESTION)
            await driver.until(lambda: "You said what time is it." in driver.texts(Role.ASSISTANT))
            assert "what time is it" in driver.texts(Role.USER)
            await speaker.until(lambda: any(np.abs(heard).max() > 3_000 for heard in speaker.heard))
            await speaker.until(lambda: speaker.level(0.4) < 500)
            backend.assistant.answer = lambda request: [Say(WORDS)]
            speaker.say(QUESTION)
            await speaker.until(lambda: speaker.level(0.4) > 3_000)
            story = driver.session.transcript.entries[-1]
            assert isinstance(story, Item)
            backend.assistant.answer = lambda request: [Say("Fine.")]
            speaker.say(QUESTION)
            await driver.until(lambda: story.status is ItemStatus.INTERRUPTED)
            await driver.until(lambda: "Fine." in driver.texts(Role.ASSISTANT))
            assert 0 < (story.heard_ms or 0) < 27_000
        await until(lambda: not backend.app.pipelines)
