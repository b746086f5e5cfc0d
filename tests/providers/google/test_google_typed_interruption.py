"""A line that the user types during a response of Gemini: what follows it on the wire.

The server answers the text by itself. An empty `clientContent` after it would ask for a second
answer, or stop the first one.
"""

from __future__ import annotations

import json
from base64 import b64encode
from itertools import permutations

import pytest

from voicechat.core import effects, inputs
from voicechat.core.conversation import Conversation
from voicechat.core.events import SessionCreated
from voicechat.core.settings import AudioFormat, ServerVad, SessionSettings
from voicechat.providers.google.google_codec import GoogleCodec

SETTINGS = SessionSettings(turn_detection=ServerVad(), input_format=AudioFormat(rate=16_000))
BLOB = {"mimeType": "audio/pcm;rate=24000", "data": b64encode(bytes(2400)).decode()}


def content(**facts: object) -> str:
    return json.dumps({"serverContent": facts})


SOUND = content(modelTurn={"parts": [{"inlineData": BLOB}]})
LATE = {
    "sound": SOUND,
    "generated": content(generationComplete=True),
    "interrupted": content(interrupted=True),
    "turn complete": content(turnComplete=True),
}
"""Frames of the interrupted response that may still arrive."""
ANSWER = [content(outputTranscription={"text": "Yes."}), SOUND, LATE["turn complete"]]


class Talk:
    """A conversation on a Gemini connection, and the frames that it sends."""

    def __init__(self, model: str, *, speaker: bool) -> None:
        self._codec = GoogleCodec("wss://example.invalid", model, tag="t")
        self._core = Conversation(
            SETTINGS, self._codec.capabilities, hands_free=True, speaker=speaker
        )
        self._now = 0.0
        self.sent: list[str] = []
        self._codec.opening(SETTINGS)
        self.take(SessionCreated())

    def take(self, event: object) -> None:
        for effect in self._core.handle(event, self._now):  # type: ignore[arg-type]
            if isinstance(effect, effects.Send):
                self.sent += [str(frame) for frame in self._codec.encode(effect.command)]

    def hear(self, *frames: str) -> None:
        for frame in frames:
            self._now += 0.05
            for event in self._codec.decode(frame):
                self.take(event)

    def pass_deadlines(self) -> None:
        for _ in range(8):
            if self._core.deadline is not None:
                self._now = max(self._now, self._core.deadline)
                self.take(inputs.Tick())


@pytest.mark.parametrize("model", ["gemini-3.8-live", "gemini-3.8-live-extended-thinking"])
@pytest.mark.parametrize("speaker", [True, False])
def test_no_request_follows_a_typed_interruption(model: str, speaker: bool) -> None:
    for count in range(len(LATE) + 1):
        for late in permutations(LATE, count):
            talk = Talk(model, speaker=speaker)
            talk.take(inputs.Typed("tell a story"))
            talk.hear(content(outputTranscription={"text": "Once"}), SOUND)
            talk.sent.clear()
            talk.take(inputs.Typed("stop"))
            talk.hear(*(LATE[name] for name in late))
            talk.pass_deadlines()
            talk.hear(*ANSWER)
            talk.pass_deadlines()
            assert talk.sent == ['{"realtimeInput":{"text":"stop"}}'], late
