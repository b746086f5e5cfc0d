"""Speech that nobody says the end of, and turns whose end only the sound side heard."""

from __future__ import annotations

import pytest

from voicechat.core import events as ev
from voicechat.core.conversation import Conversation
from voicechat.core.settings import Capabilities, SessionSettings
from voicechat.core.user_speech import LONGEST_S, RECENT_S, SILENT_S

SILENT = Capabilities(speech_end=False, cancel=False, truncate=False, commit_starts_response=True)


class Desk:
    def __init__(self, can: Capabilities = SILENT) -> None:
        self.talk = Conversation(SessionSettings(), can, hands_free=True, speaker=True)
        self.now = 100.0
        self.happens(ev.SessionCreated())

    def happens(self, *happenings: ev.Event | ev.Input, after: float = 0.0) -> list[ev.Effect]:
        self.now += after
        return [effect for each in happenings for effect in self.talk.handle(each, self.now)]

    def when_due(self) -> None:
        assert self.talk.deadline is not None
        self.now = self.talk.deadline
        self.happens(ev.Tick())


def test_an_interruption_by_noise_does_not_last_for_ever() -> None:
    desk = Desk()
    desk.happens(ev.ResponseCreated("r"), ev.AudioDelta("r", "i", bytes(4_800)))
    desk.happens(ev.PlaybackStarted("i"))
    # A door slams: the provider stops its reply and never says that nobody spoke.
    desk.happens(ev.SpeechStarted("u"), ev.ResponseDone("r", ev.ResponseStatus.CANCELLED))
    desk.happens(ev.PlaybackStopped({"i": 50.0}))
    assert desk.talk.floor is ev.Floor.HEARING
    desk.when_due()
    assert desk.now == 100.0 + SILENT_S
    assert desk.talk.floor is ev.Floor.LISTENING
    assert desk.talk.deadline is None


def test_words_that_are_understood_keep_the_floor() -> None:
    desk = Desk()
    desk.happens(ev.SpeechStarted("u"))
    for _ in range(5):
        desk.happens(ev.UserTranscript("u", "word "), after=SILENT_S - 1)
        assert desk.talk.floor is ev.Floor.HEARING
    desk.when_due()
    assert desk.talk.floor is ev.Floor.LISTENING


def test_where_the_end_is_told_speech_may_be_long() -> None:
    desk = Desk(Capabilities())
    desk.happens(ev.SpeechStarted("u"))
    desk.happens(ev.Tick(), after=LONGEST_S - 1)
    assert desk.talk.floor is ev.Floor.HEARING
    desk.when_due()
    assert desk.talk.floor is ev.Floor.LISTENING


def answered(desk: Desk) -> float | None:
    """The provider begins to answer by itself; the wait until the first sound is heard."""
    desk.happens(ev.InputCommitted("u"), ev.ResponseCreated("r"))
    desk.happens(ev.AudioDelta("r", "i", bytes(4_800)))
    effects = desk.happens(ev.PlaybackStarted("i"), after=0.1)
    measured = [effect for effect in effects if isinstance(effect, ev.TurnMeasured)]
    return measured[0].latency_ms if measured else None


def test_a_wait_is_measured_from_where_the_voice_ended() -> None:
    desk = Desk()
    desk.happens(ev.VoiceEnded(desk.now - 0.2))
    desk.now += 0.5
    assert answered(desk) == pytest.approx(800)


def test_a_voice_that_ended_long_ago_was_another_one() -> None:
    desk = Desk()
    desk.happens(ev.VoiceEnded(desk.now))
    desk.now += RECENT_S + 1
    assert answered(desk) is None


def test_a_voice_counts_for_one_turn_only() -> None:
    desk = Desk()
    desk.happens(ev.VoiceEnded(desk.now))
    assert answered(desk) is not None
    desk.happens(ev.ResponseDone("r"), ev.PlaybackFinished("i"))
    desk.happens(ev.InputCommitted("u2"), ev.ResponseCreated("r2"))
    desk.happens(ev.AudioDelta("r2", "i2", bytes(4_800)))
    effects = desk.happens(ev.PlaybackStarted("i2"), after=1.0)
    assert not [effect for effect in effects if isinstance(effect, ev.TurnMeasured)]


def test_the_provider_s_own_word_for_the_end_counts_more() -> None:
    desk = Desk(Capabilities())
    desk.happens(ev.VoiceEnded(desk.now - 3.0))
    desk.happens(ev.SpeechStarted("u"), ev.SpeechStopped("u"))
    assert answered(desk) == pytest.approx(100)


def test_with_push_to_talk_the_key_ends_the_turn() -> None:
    desk = Desk()
    desk.happens(ev.HandsFree(False), ev.Talk(True))
    desk.happens(ev.MicBlock(bytes(48_000)), ev.VoiceEnded(desk.now))
    desk.happens(ev.Talk(False), after=1.0)
    assert answered(desk) == pytest.approx(100)
