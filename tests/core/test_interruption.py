"""Speech that nobody says the end of, and turns whose end only the sound side heard."""

from __future__ import annotations

import pytest

from voicechat.core import events, inputs
from voicechat.core.conversation import Conversation
from voicechat.core.effects import Effect, Floor, TurnMeasured
from voicechat.core.interruption import LONGEST_S, RECENT_S, SILENT_S
from voicechat.core.settings import Capabilities, SessionSettings

SILENT = Capabilities(speech_end=False, cancel=False, truncate=False, commit_starts_response=True)


class Desk:
    def __init__(self, can: Capabilities = SILENT) -> None:
        self.talk = Conversation(SessionSettings(), can, hands_free=True, speaker=True)
        self.now = 100.0
        self.happens(events.SessionCreated())

    def happens(self, *happenings: events.Event | inputs.Input, after: float = 0.0) -> list[Effect]:
        self.now += after
        return [effect for each in happenings for effect in self.talk.handle(each, self.now)]

    def when_due(self) -> None:
        assert self.talk.deadline is not None
        self.now = self.talk.deadline
        self.happens(inputs.Tick())


def test_an_interruption_by_noise_does_not_last_for_ever() -> None:
    desk = Desk()
    desk.happens(events.ResponseCreated("r"), events.AudioDelta("r", "i", bytes(4_800)))
    desk.happens(inputs.PlaybackStarted("i"))
    # A door slams: the provider stops its reply and never says that no one spoke.
    desk.happens(
        events.SpeechStarted("u"), events.ResponseDone("r", events.ResponseStatus.CANCELLED)
    )
    desk.happens(inputs.PlaybackStopped({"i": 50.0}))
    assert desk.talk.floor is Floor.HEARING
    desk.when_due()
    assert desk.now == 100.0 + SILENT_S
    assert desk.talk.floor is Floor.LISTENING
    assert desk.talk.deadline is None


def test_words_that_are_understood_keep_the_floor() -> None:
    desk = Desk()
    desk.happens(events.SpeechStarted("u"))
    for _ in range(5):
        desk.happens(events.UserTranscript("u", "word "), after=SILENT_S - 1)
        assert desk.talk.floor is Floor.HEARING
    desk.when_due()
    assert desk.talk.floor is Floor.LISTENING


def test_where_the_end_is_told_speech_may_be_long() -> None:
    desk = Desk(Capabilities())
    desk.happens(events.SpeechStarted("u"))
    desk.happens(inputs.Tick(), after=LONGEST_S - 1)
    assert desk.talk.floor is Floor.HEARING
    desk.when_due()
    assert desk.talk.floor is Floor.LISTENING


def answered(desk: Desk) -> float | None:
    """The provider begins to answer by itself; the wait until the first sound is heard."""
    desk.happens(events.InputCommitted("u"), events.ResponseCreated("r"))
    desk.happens(events.AudioDelta("r", "i", bytes(4_800)))
    effects = desk.happens(inputs.PlaybackStarted("i"), after=0.1)
    measured = [effect for effect in effects if isinstance(effect, TurnMeasured)]
    return measured[0].latency_ms if measured else None


def test_a_wait_is_measured_from_where_the_voice_ended() -> None:
    desk = Desk()
    desk.happens(inputs.VoiceEnded(desk.now - 0.2))
    desk.now += 0.5
    assert answered(desk) == pytest.approx(800)


def test_a_voice_that_ended_long_ago_was_another_one() -> None:
    desk = Desk()
    desk.happens(inputs.VoiceEnded(desk.now))
    desk.now += RECENT_S + 1
    assert answered(desk) is None


def test_a_voice_counts_for_one_turn_only() -> None:
    desk = Desk()
    desk.happens(inputs.VoiceEnded(desk.now))
    assert answered(desk) is not None
    desk.happens(events.ResponseDone("r"), inputs.PlaybackFinished("i"))
    desk.happens(events.InputCommitted("u2"), events.ResponseCreated("r2"))
    desk.happens(events.AudioDelta("r2", "i2", bytes(4_800)))
    effects = desk.happens(inputs.PlaybackStarted("i2"), after=1.0)
    assert not [effect for effect in effects if isinstance(effect, TurnMeasured)]


def test_the_provider_s_own_word_for_the_end_counts_more() -> None:
    desk = Desk(Capabilities())
    desk.happens(inputs.VoiceEnded(desk.now - 3.0))
    desk.happens(events.SpeechStarted("u"), events.SpeechStopped("u"))
    assert answered(desk) == pytest.approx(100)


def test_with_push_to_talk_the_key_ends_the_turn() -> None:
    desk = Desk()
    desk.happens(inputs.HandsFree(False), inputs.Talk(True))
    desk.happens(inputs.MicBlock(bytes(48_000)), inputs.VoiceEnded(desk.now))
    desk.happens(inputs.Talk(False), after=1.0)
    assert answered(desk) == pytest.approx(100)
