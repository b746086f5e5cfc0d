"""Speech whose end is never reported, and turns whose end only the audio process detected."""

from __future__ import annotations

import pytest

from voicechat.core import events, inputs
from voicechat.core.conversation import Conversation
from voicechat.core.effects import Effect, Floor, TurnMeasured
from voicechat.core.interruption import RECENT_S, SILENCE_TIMEOUT_S, SPEECH_TIMEOUT_S
from voicechat.core.settings import Capabilities, SessionSettings

SILENT = Capabilities(speech_end=False, cancel=False, truncate=False, commit_starts_response=True)


class ConversationDriver:
    def __init__(self, capabilities: Capabilities = SILENT) -> None:
        self.talk = Conversation(SessionSettings(), capabilities, hands_free=True, speaker=True)
        self.now = 100.0
        self.feed(events.SessionCreated())

    def feed(self, *received: events.Event | inputs.Input, after: float = 0.0) -> list[Effect]:
        self.now += after
        return [effect for each in received for effect in self.talk.handle(each, self.now)]

    def when_due(self) -> None:
        assert self.talk.deadline is not None
        self.now = self.talk.deadline
        self.feed(inputs.Tick())


def test_an_interruption_by_noise_times_out() -> None:
    driver = ConversationDriver()
    driver.feed(events.ResponseCreated("r"), events.AudioDelta("r", "i", bytes(4_800)))
    driver.feed(inputs.PlaybackStarted("i"))
    # A noise: the provider stops its response and never reports the end of speech.
    driver.feed(
        events.SpeechStarted("u"), events.ResponseDone("r", events.ResponseStatus.CANCELLED)
    )
    driver.feed(inputs.PlaybackStopped({"i": 50.0}))
    assert driver.talk.floor is Floor.HEARING
    driver.when_due()
    assert driver.now == 100.0 + SILENCE_TIMEOUT_S
    assert driver.talk.floor is Floor.LISTENING
    assert driver.talk.deadline is None


def test_transcribed_words_keep_the_floor() -> None:
    driver = ConversationDriver()
    driver.feed(events.SpeechStarted("u"))
    for _ in range(5):
        driver.feed(events.UserTranscript("u", "word "), after=SILENCE_TIMEOUT_S - 1)
        assert driver.talk.floor is Floor.HEARING
    driver.when_due()
    assert driver.talk.floor is Floor.LISTENING


def test_speech_may_be_long_if_its_end_is_reported() -> None:
    driver = ConversationDriver(Capabilities())
    driver.feed(events.SpeechStarted("u"))
    driver.feed(inputs.Tick(), after=SPEECH_TIMEOUT_S - 1)
    assert driver.talk.floor is Floor.HEARING
    driver.when_due()
    assert driver.talk.floor is Floor.LISTENING


def answered(driver: ConversationDriver) -> float | None:
    """Let the provider answer by itself; return the latency until the first audio."""
    driver.feed(events.InputCommitted("u"), events.ResponseCreated("r"))
    driver.feed(events.AudioDelta("r", "i", bytes(4_800)))
    effects = driver.feed(inputs.PlaybackStarted("i"), after=0.1)
    measured = [effect for effect in effects if isinstance(effect, TurnMeasured)]
    return measured[0].latency_ms if measured else None


def test_latency_starts_at_the_end_of_the_voice() -> None:
    driver = ConversationDriver()
    driver.feed(inputs.VoiceEnded(driver.now - 0.2))
    driver.now += 0.5
    assert answered(driver) == pytest.approx(800)


def test_a_voice_that_ended_long_ago_is_ignored() -> None:
    driver = ConversationDriver()
    driver.feed(inputs.VoiceEnded(driver.now))
    driver.now += RECENT_S + 1
    assert answered(driver) is None


def test_a_voice_end_applies_to_one_turn() -> None:
    driver = ConversationDriver()
    driver.feed(inputs.VoiceEnded(driver.now))
    assert answered(driver) is not None
    driver.feed(events.ResponseDone("r"), inputs.PlaybackFinished("i"))
    driver.feed(events.InputCommitted("u2"), events.ResponseCreated("r2"))
    driver.feed(events.AudioDelta("r2", "i2", bytes(4_800)))
    effects = driver.feed(inputs.PlaybackStarted("i2"), after=1.0)
    assert not [effect for effect in effects if isinstance(effect, TurnMeasured)]


def test_the_providers_end_of_speech_takes_precedence() -> None:
    driver = ConversationDriver(Capabilities())
    driver.feed(inputs.VoiceEnded(driver.now - 3.0))
    driver.feed(events.SpeechStarted("u"), events.SpeechStopped("u"))
    assert answered(driver) == pytest.approx(100)


def test_releasing_push_to_talk_ends_the_turn() -> None:
    driver = ConversationDriver()
    driver.feed(inputs.HandsFree(False), inputs.Talk(True))
    driver.feed(inputs.MicBlock(bytes(48_000)), inputs.VoiceEnded(driver.now))
    driver.feed(inputs.Talk(False), after=1.0)
    assert answered(driver) == pytest.approx(100)
