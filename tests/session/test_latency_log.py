"""The latency of turns in parts, and what the sheet says about them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from scripted import scripted_server
from session_driver import SessionDriver, running_session
from two_providers import answered

from voicechat.audio.messages import Underrun
from voicechat.core import effects, events, inputs
from voicechat.core.turn_latency import TurnLatency, percentile
from voicechat.line_mode.slash_commands import run_command
from voicechat.session.latency_log import LatencyLog
from voicechat.session.latency_report import history_lines, quiet_line, session_lines
from voicechat.session.updates import Link, LinkChanged, Report

SOUND = b"\0\0" * 2_400


class Timeline:
    """A log with a round trip of 40 ms; `at` takes an event at a time in ms."""

    def __init__(self) -> None:
        self.log = LatencyLog(lambda: "openai/m", lambda: SimpleNamespace(round_trip_s=0.040))

    def at(self, ms: float, event: object) -> None:
        self.log.take(event, 100.0 + ms / 1000)

    def answer(self, first_ms: float, heard_ms: float, total_ms: float) -> None:
        self.at(first_ms, events.AudioDelta("r", "i", SOUND))
        self.at(heard_ms, inputs.PlaybackStarted("i"))
        self.at(heard_ms, effects.TurnMeasured(total_ms))

    @property
    def parts(self) -> tuple[int, ...]:
        turn = self.log.turns[-1]
        found = (turn.total, turn.endpointing, turn.network, turn.thinking, turn.buffer)
        return tuple(round(each) for each in found)


def test_a_turn_that_the_provider_ends() -> None:
    timeline = Timeline()
    timeline.at(-2_000, events.SpeechStarted("u"))
    # The voice fell silent at 0.
    timeline.at(540, events.SpeechStopped("u"))
    timeline.at(550, events.InputCommitted("u"))
    timeline.answer(940, 1_000, total_ms=1_000)
    assert timeline.parts == (1_000, 500, 40, 400, 60)


def test_a_turn_that_the_user_ends() -> None:
    timeline = Timeline()
    timeline.at(0, inputs.Talk(False))
    timeline.at(20, events.InputCommitted("u"))
    timeline.answer(440, 500, total_ms=500)
    assert timeline.parts == (500, 0, 40, 400, 60)


def test_a_provider_that_reports_no_end_of_speech() -> None:
    timeline = Timeline()
    timeline.answer(940, 1_000, total_ms=1_000)
    assert timeline.parts == (1_000, 0, 40, 900, 60)


def test_an_answer_that_is_read_has_no_buffer() -> None:
    timeline = Timeline()
    timeline.at(0, inputs.Typed("hello"))
    timeline.at(300, events.TextDelta("r", "i", "Hi", spoken=False))
    timeline.at(300, effects.TurnMeasured(300))
    assert timeline.parts == (300, 0, 40, 260, 0)
    assert not timeline.log.turns[-1].spoken
    assert quiet_line(timeline.log) == ""


def test_speech_without_an_answer_does_not_count_for_the_next_turn() -> None:
    timeline = Timeline()
    timeline.at(-9_000, events.SpeechStarted("noise"))
    timeline.at(-8_000, events.SpeechStopped("noise"))
    timeline.at(-2_000, events.SpeechStarted("u"))
    timeline.at(540, events.SpeechStopped("u"))
    timeline.answer(940, 1_000, total_ms=1_000)
    assert timeline.parts[1] == 500


def test_parts_are_never_negative() -> None:
    timeline = Timeline()
    timeline.at(990, events.SpeechStopped("u"))
    timeline.answer(5, 1_000, total_ms=10)
    assert min(timeline.parts) >= 0
    assert timeline.parts[0] == 10


def speaking() -> Timeline:
    timeline = Timeline()
    timeline.at(0, inputs.PlaybackStarted("i"))
    return timeline


def test_an_interruption_is_silent_once_playback_is_held() -> None:
    timeline = speaking()
    timeline.at(1_000, inputs.LocalSpeech(False))
    timeline.at(1_080, inputs.LocalSpeech(True))
    timeline.at(1_300, events.SpeechStarted("u"))
    timeline.at(1_310, inputs.PlaybackStopped({"i": 900.0}))
    assert [round(ms) for ms in timeline.log.silences] == [80]


@pytest.mark.parametrize(
    "sign",
    [events.SpeechStarted("u"), inputs.Interrupt(), inputs.Typed("stop"), inputs.Talk(True)],
    ids=lambda sign: type(sign).__name__,
)
def test_every_sign_of_the_user_begins_an_interruption(sign: object) -> None:
    timeline = speaking()
    timeline.at(1_000, sign)
    timeline.at(1_030, inputs.PlaybackStopped({"i": 900.0}))
    assert [round(ms) for ms in timeline.log.silences] == [30]


def test_a_false_alarm_is_no_interruption() -> None:
    timeline = speaking()
    timeline.at(1_000, inputs.LocalSpeech(True))
    timeline.at(1_600, effects.ResumePlayback())
    timeline.at(2_000, inputs.PlaybackFinished("i"))
    timeline.at(3_000, events.SpeechStarted("u"))
    timeline.at(3_100, inputs.PlaybackStopped())
    assert not timeline.log.silences


def test_the_sheet_has_every_number() -> None:
    timeline = Timeline()
    for _ in range(7):
        timeline.at(0, inputs.Talk(False))
        timeline.answer(440, 500, total_ms=500)
    timeline.at(1_000, inputs.Interrupt())
    timeline.at(1_030, inputs.PlaybackStopped())
    timeline.at(2_000, Underrun(2, 35.0))
    timeline.at(3_000, LinkChanged(Link.RECONNECTING))
    lines = session_lines(timeline.log)
    assert lines[1:4] == [
        "          total  speech end  network  model  buffer",
        "  turn 3    500           0       40    400      60",
        "  turn 4    500           0       40    400      60",
    ]
    assert lines[7:9] == [
        "  p50       500           0       40    400      60",
        "  p95       500           0       40    400      60",
    ]
    assert "Interruption to silence: p50 30 ms, p95 30 ms, 1 interruption." in lines
    assert lines[-1] == "Underruns: 2, 35 ms of silence. Reconnects: 1."
    assert "Jitter buffer and speaker: p50 60 ms, p95 60 ms." in lines
    assert quiet_line(timeline.log) == "end 0 + net 40 + model 400 + buffer 60 ms"
    assert max(map(len, lines)) < 74


def test_percentiles_are_values_that_occurred() -> None:
    values = [float(n) for n in range(1, 101)]
    assert (percentile(values, 50), percentile(values, 95)) == (50.0, 95.0)
    assert percentile([7.0], 50) == percentile([7.0], 95) == 7.0


def reports(driver: SessionDriver) -> list[Report]:
    return [update for update in driver.updates if isinstance(update, Report)]


async def test_a_session_reports_its_latency() -> None:
    async with scripted_server() as backend, running_session(backend) as driver:
        await answered(driver, "one")
        assert run_command(driver.session, "/latency") is None
        await driver.until(lambda: bool(reports(driver)))
        assert "  turn 1" in reports(driver)[0].text
        turn = driver.session._latency.turns[0]
        assert turn.model == driver.session.model
        assert turn.total == pytest.approx(driver.session.latency_ms)


def test_models_of_the_history_are_listed() -> None:
    from voicechat.history.turn_latencies import ModelLatency

    lines = history_lines([ModelLatency("a/b", True, 3, 512.4, 1_900.0)])
    assert lines == ["By model, all sessions (ms):", "  a/b  p50 512  p95 1,900  3 turns"]
    assert history_lines([]) == []


def test_the_total_is_the_sum_of_the_parts() -> None:
    assert TurnLatency("m", 1.0, 2.0, 3.0, 4.0).total == 10.0
