"""Every codec with a conversation, given example frames in and out of order, some broken.

Each round is a conversation of its own, and a failure names its number. `make fuzz` plays a
million events for each codec.
"""

from __future__ import annotations

import json
import re
import unicodedata
from random import Random
from typing import get_args

import pytest
from hypothesis import settings as profile
from mutation import mutate
from outside import texts
from wire_examples import frames

from voicechat.core import commands, effects, inputs
from voicechat.core.conversation import Conversation
from voicechat.core.events import (
    AudioDelta,
    Event,
    ResponseCreated,
    ResponseDone,
    SessionCreated,
    TextDelta,
)
from voicechat.core.items import Role
from voicechat.core.settings import ServerVad, SessionSettings
from voicechat.providers import catalog
from voicechat.providers.codec import Codec
from voicechat.providers.openai.call_codec import CallCodec
from voicechat.providers.openai.openai_codec import GENERAL

EVENTS = get_args(Event)
LOUD = b"\0\x20" * 480
"""20 ms of sound."""
ROUND = 1_000
"""Frames in one conversation."""

CODECS = {
    "openai": ("openai/gpt-realtime-2.1", None, "openai_ga_server"),
    "calls": ("openai/gpt-realtime-2.1", None, "openai_ga_server"),
    "beta": ("openai/gpt-realtime-2.1", "beta", "openai_beta_server"),
    "azure": ("azure/d", None, "openai_ga_server"),
    "azure beta": ("azure/d", "beta", "openai_beta_server"),
    "voice-live": ("azure/d", "voice-live", "openai_ga_server"),
    "xai": ("xai/grok-voice-latest", None, "xai_server"),
    "local": ("local/built-in", None, "openai_ga_server"),
    "google": ("google/gemini-3.8-live", None, "gemini_server"),
    "google thinking": ("google/gemini-3.8-live-extended-thinking", None, "gemini_server"),
    "gateway to openai": ("gateway/openai/m", None, "gateway_server"),
    "gateway to google": ("gateway/google/m", None, "gateway_server"),
    "gateway to xai": ("gateway/spacexai/m", None, "gateway_server"),
    "gateway to live": ("gateway/openai/gpt-live-1", None, "gateway_server"),
    "gateway to elevenlabs": ("gateway/elevenlabs/m", None, "gateway_server"),
    "azure live": ("azure/d", "live", "openai_live_server"),
    "live": ("openai/gpt-live-1", None, "openai_live_server"),
    "translation": ("openai/gpt-realtime-translate", None, "openai_translation_server"),
}
COMMANDS: list[commands.Command] = [
    commands.CreateMessage("i", "user", "hi"),
    commands.CreateMessage("j", "assistant", "ho"),
    commands.CreateResponse(),
    commands.CreateResponse(out_of_band=True),
    commands.ToolResult("c", "{}"),
    commands.CommitAudio(),
    commands.UpdateSession(SessionSettings()),
    commands.DeleteItem("i"),
    commands.RetrieveItem("i"),
    commands.ClearOutput(),
    commands.TruncateItem("i", 20),
]


_IDS = re.compile(r'("(?:id|\w+_id|\w+Id)": "[^"]+)"')


class Play:
    """One conversation over several connections, with random actions of user and server.

    Tools end, audio plays and deadlines are kept; everything else is random.
    """

    def __init__(self, codec: str, number: int) -> None:
        model, wire, self._examples = CODECS[codec]
        self._choose = Random(f"{codec} {number}")
        self._codec: Codec = catalog.codec_of(model, environ={}, wire=wire)
        if codec == "calls":
            self._codec = CallCodec(self._codec.endpoint().url, "m", None, GENERAL)
        capabilities = self._codec.capabilities
        self._settings = SessionSettings(turn_detection=ServerVad())
        self._core = Conversation(
            self._settings,
            capabilities,
            hands_free=self._choose.random() < 0.5,
            speaker=self._choose.random() < 0.5,
        )
        self._now = 0.0
        self._asked = False
        self._items: list[str] = ["a"]
        self._calls: list[str] = ["c"]
        self._codec.opening(self._settings)
        self._take(SessionCreated())

    def run(self) -> None:
        """Play the frames, then check that the next turn works."""
        examples = frames(self._examples)
        choose = self._choose
        at = jumps = 0
        for _ in range(ROUND):
            at += 1
            if choose.random() < 0.1:
                at, jumps = choose.randrange(len(examples)), jumps + 1
            frame = examples[at % len(examples)]
            if choose.random() < 0.8:
                # A repeated scenario has new ids.
                frame = _IDS.sub(rf'\1-{jumps}"', frame)
            broken = choose.random() < 0.3
            self._now += choose.expovariate(8)
            self._take(
                *self._decoded(mutate(choose, frame, choose.choice(examples)) if broken else frame)
            )
            if self._codec.capabilities.separate_sound:
                sound = choose.choice([LOUD, bytes(960), b""])
                for _ in range(choose.choice([0, 1, 20])):
                    self._take(*self._decoded(sound))
            if choose.random() < 0.25:
                self._take(self._random_input())
            if choose.random() < 0.05:
                self._encode(choose.choice(COMMANDS))
            if (self._core.deadline or self._now) < self._now:
                self._take(inputs.Tick())
        self._settle()

    def _decoded(self, frame: str | bytes) -> list[Event]:
        events = self._codec.decode(frame)
        for event in events:
            assert isinstance(event, EVENTS)
            for text in texts(event):
                assert not any(unclean(c) for c in text if c < " " or c > "~")
            if isinstance(event, AudioDelta):
                assert len(event.pcm) % 2 == 0
                self._items.append(event.item_id)
        return events

    def _random_input(self) -> inputs.Input:
        choose = self._choose
        item = choose.choice(self._items[-4:])
        received: list[inputs.Input] = [
            inputs.Typed("x"),
            inputs.Interrupt(),
            inputs.Talk(choose.random() < 0.5),
            inputs.MicBlock(bytes(9_600)),
            inputs.MicBlock(bytes(960)),
            inputs.LocalSpeech(True),
            inputs.LocalSpeech(False),
            inputs.LocalSpeechEnded(),
            inputs.PlaybackStarted(item),
            inputs.Heard(item, choose.random() * 300),
            inputs.PlaybackFinished(item),
            inputs.PlaybackStopped({item: 40.0}),
            inputs.ToolFinished(choose.choice(self._calls), "done"),
            inputs.HandsFree(choose.random() < 0.5),
            inputs.SpeakerChanged(choose.random() < 0.5),
        ]
        return choose.choice(received)

    def _take(self, *received: Event | inputs.Input) -> None:
        for event in received:
            for effect in self._core.handle(event, self._now):
                self._carry_out(effect)

    def _carry_out(self, effect: effects.Effect) -> None:
        match effect:
            case effects.Send(command):
                self._asked = self._asked or isinstance(command, commands.CreateResponse)
                self._encode(command)
            case effects.RunTool(call_id):
                self._calls.append(call_id)
            case effects.Recycle():
                self._connect()

    def _connect(self) -> None:
        self._take(inputs.Disconnected("again"), SessionCreated())

    def _encode(self, command: commands.Command) -> None:
        for frame in self._codec.encode(command):
            is_sound = isinstance(frame, bytes) and self._codec.capabilities.separate_sound
            assert is_sound or isinstance(json.loads(frame), dict)

    def _settle(self) -> None:
        """Deliver everything pending; then a typed turn is requested and answered."""
        for call_id in self._calls:
            self._take(inputs.ToolFinished(call_id, "done"))
        self._take(inputs.Interrupt())
        self._pass_deadlines()
        self._asked = False
        self._take(inputs.Typed("still there?"))
        if self._codec.capabilities.text_input:
            self._pass_deadlines(until_asked=True)
            assert self._asked, "the turn was never requested"
        self._take(ResponseCreated("last"), TextDelta("last", "final", "Yes.", spoken=False))
        self._take(ResponseDone("last"))
        final = self._core.transcript.item("final")
        assert final is not None
        assert (final.role, final.text) == (Role.ASSISTANT, "Yes.")

    def _pass_deadlines(self, *, until_asked: bool = False) -> None:
        for _ in range(40):
            deadline = self._core.deadline
            if deadline is None or (until_asked and self._asked):
                return
            self._now = max(self._now, deadline)
            self._take(inputs.Tick())
        raise AssertionError("a deadline never ends")


def unclean(character: str) -> bool:
    """Return True for text that a terminal might act on, or that cannot be encoded."""
    return unicodedata.category(character) in {"Cc", "Cs"} and character not in "\n\t"


def rounds() -> int:
    """Run a few examples by default, a million events with Hypothesis's long profile."""
    return 1_000 if profile().max_examples >= 5_000 else 3


@pytest.mark.parametrize("codec", CODECS)
def test_the_next_turn_works_after_any_frames(codec: str) -> None:
    for number in range(rounds()):
        try:
            Play(codec, number).run()
        except Exception as failure:
            failure.add_note(f"In round {number}.")
            raise
