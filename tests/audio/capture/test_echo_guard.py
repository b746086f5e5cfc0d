"""After a disturbance, a reply plays through until the canceller has proved itself."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_card import RATE, Room, SimulatedCard, Stall
from sound_measures import LONG_TEXT
from user_speech import spoken

from voicechat.audio.capture.echo_canceller import FRAME
from voicechat.audio.capture.echo_guard import EchoCoupling, EchoGuard
from voicechat.audio.messages import EchoGuarded
from voicechat.core.effects import EndItem, Play
from voicechat.core.inputs import LocalSpeech, MicBlock
from voicechat.speech.endpointing import Endpointer, SpeechStart
from voicechat.speech.pcm import Samples, dbfs
from voicechat.speech.vad import detector

FLOOR_DB = -75.0


def voice(seed: int, frames: int, level: float) -> Samples:
    """Return frames of a spoken sentence at this RMS, int16 of shape (frames, 160)."""
    said = spoken(LONG_TEXT, rate=RATE)[seed * 8_000 :][: frames * FRAME].astype(np.float64)
    return (said * (level / np.std(said))).clip(-32768, 32767).astype(np.int16).reshape(-1, FRAME)


def play(guard: EchoGuard, frames: int, gain: float, cleaned_db: float = FLOOR_DB) -> int:
    """Play a reply whose echo has this gain; return the number of voiced frames."""
    voiced = 0
    for far in voice(0, frames, 2_000):
        near = (far * gain).astype(np.int16)
        voiced += guard.observe(near, far, cleaned_db, FLOOR_DB)
    return voiced


def silence(guard: EchoGuard, frames: int = 60) -> None:
    quiet = np.zeros(FRAME, np.int16)
    for _ in range(frames):
        guard.observe(quiet, quiet, FLOOR_DB, FLOOR_DB)


def test_a_second_of_playback_without_an_echo_proves_the_canceller() -> None:
    guard = EchoGuard()
    play(guard, 100, 0.5)
    guard.disturb()
    play(guard, 95, 0.5)
    assert guard.active
    play(guard, 30, 0.5)
    assert not guard.unproved


def test_an_audible_echo_starts_the_proof_again() -> None:
    guard = EchoGuard()
    guard.disturb()
    for _ in range(4):
        play(guard, 60, 0.5)
        assert not play(guard, 3, 0.5, cleaned_db=-25.0)
    assert guard.unproved


def test_a_voice_that_the_linear_filter_hears_gets_through() -> None:
    guard = EchoGuard()
    play(guard, 100, 0.5)
    guard.disturb()
    for far in voice(0, 20, 2_000):
        near = (far * 0.25).astype(np.int16)
        assert guard.observe(near, far, FLOOR_DB, FLOOR_DB, hears=True), "softer than the echo"
    assert guard.talking
    assert not play(guard, 20, 0.25), "not without the linear filter"


def test_an_echo_is_replaced_with_silence_and_a_voice_with_its_onset_is_kept() -> None:
    guard = EchoGuard()
    play(guard, 100, 0.25)
    guard.disturb()
    delivered: list[Samples] = []
    for far in voice(0, 60, 1_000):
        guard.observe((far * 0.25).astype(np.int16), far, -30.0, FLOOR_DB)
        delivered += guard.pass_on(*[np.full(FRAME, 1, np.int16)] * 2)
    assert not np.concatenate(delivered).any()
    for far, near in zip(voice(0, 50, 1_000), voice(1, 50, 4_000), strict=True):
        guard.observe((far * 0.25).astype(np.int16) + near, far, dbfs(near), FLOOR_DB)
        delivered += guard.pass_on(*[np.full(FRAME, 2, np.int16)] * 2)
    assert guard.talking
    sound = np.concatenate(delivered)
    assert len(sound) == 110 * FRAME, "nothing is lost or repeated"
    assert np.count_nonzero(sound == 2) == 50 * FRAME
    assert np.count_nonzero(sound == 1) <= 12 * FRAME, "the echo before it is not kept"


def test_what_no_detector_takes_for_a_voice_is_not_delivered_over_an_echo() -> None:
    guard = EchoGuard()
    delivered: list[Samples] = []

    def over_a_reply(frames: int, mark: int, voiced: bool, has_echo: bool = True) -> None:
        for far in voice(0, frames, 1_000):
            guard.observe((far * 0.25).astype(np.int16), far, FLOOR_DB, FLOOR_DB)
            guard.gate(voiced, has_echo=has_echo)
            without_voice = np.full(FRAME, -mark, np.int16)
            delivered.extend(guard.pass_on(np.full(FRAME, mark, np.int16), without_voice))

    def count(mark: int) -> int:
        return np.count_nonzero(np.concatenate(delivered) == mark) // FRAME

    over_a_reply(100, 1, voiced=False)
    assert not guard.active, "the canceller is trusted"
    assert not count(1)
    over_a_reply(30, 2, voiced=False)
    over_a_reply(50, 3, voiced=True)
    assert (count(2), count(3)) == (30, 50), "the soft onset before the voice is kept"
    over_a_reply(100, 4, voiced=False)
    assert count(4) < 50, "the gate closes after the voice"
    over_a_reply(60, 5, voiced=False, has_echo=False)
    assert count(5) == 60, "without an echo nothing is held back"
    assert len(np.concatenate(delivered)) == 340 * FRAME, "nothing is lost or repeated"


def test_a_gate_that_ends_without_a_voice_delivers_the_output_of_the_canceller() -> None:
    guard = EchoGuard()
    quiet, delivered = np.zeros(FRAME, np.int16), []
    marks = np.full(FRAME, 1, np.int16), np.full(FRAME, -1, np.int16)
    for far in voice(0, 100, 1_000):
        guard.observe((far * 0.25).astype(np.int16), far, FLOOR_DB, FLOOR_DB)
        guard.gate(False, has_echo=True)
        delivered += guard.pass_on(*marks)
    assert guard.gated
    while guard.gated:
        guard.observe(quiet, quiet, FLOOR_DB, FLOOR_DB)
        guard.gate(False, has_echo=True)
        delivered += guard.pass_on(*marks)
    sound = np.concatenate(delivered)
    assert np.count_nonzero(sound == -1) == 40 * FRAME, "the residue of an echo may be a word"
    assert np.count_nonzero(sound == 1) == FRAME


def test_the_next_reply_after_an_early_stop_is_guarded() -> None:
    guard = EchoGuard()
    play(guard, 50, 0.5)
    guard.stopped(400, has_echo=True)
    play(guard, 10, 0.5)
    assert not guard.active, "what the user says now is heard"
    silence(guard)
    play(guard, 10, 0.5)
    assert guard.active


@pytest.mark.parametrize("has_echo", [True, False])
def test_two_early_stops_in_a_row_raise_the_threshold_if_there_is_an_echo(has_echo: bool) -> None:
    guard = EchoGuard()
    guard.stopped(300, has_echo=has_echo)
    guard.stopped(3_000, has_echo=has_echo)
    guard.stopped(300, has_echo=has_echo)
    assert not guard.raised, "not in a row"
    guard.stopped(200, has_echo=has_echo)
    silence(guard)
    assert guard.unproved
    assert guard.raised == has_echo
    guard.finished()
    guard.finished()
    assert not guard.raised


def test_an_echo_that_comes_before_the_aligned_far_end_is_no_voice() -> None:
    guard = EchoGuard()
    play(guard, 150, 0.25)
    silence(guard, 120)
    guard.disturb()
    reply, quiet = voice(0, 80, 2_000), np.zeros(FRAME, np.int16)
    loudest = np.maximum.accumulate([dbfs(frame) for frame in reply])
    for at in range(len(reply)):
        near = (reply[at - 5] * 0.25).astype(np.int16) if at >= 5 else quiet
        aligned = reply[at - 20] if at >= 20 else quiet
        assert not guard.observe(near, aligned, dbfs(near), FLOOR_DB, handed_db=loudest[at])
    assert guard.active


def test_the_coupling_ignores_a_user_who_speaks_now_and_then() -> None:
    coupling = EchoCoupling()
    for at, far in enumerate(voice(0, 450, 2_000)):
        near_db = -10.0 if at // 50 in (2, 6) else dbfs(far) - 12
        coupling.observe(near_db, dbfs(far))
    assert coupling.db == pytest.approx(-12, abs=2)


def guarded_reply(
    patch: pytest.MonkeyPatch, room: Room, stall: Stall, said: Samples | None, seconds: float
) -> SimulatedCard:
    """Play a reply with a stall, and let the user speak half a second later."""
    card = SimulatedCard(patch, room, [stall], seconds=20)
    engine = card.open()
    if said is not None:
        card.say(stall.at + 0.5, said)
    engine.command(Play("reply", spoken(LONG_TEXT).tobytes()))
    engine.command(EndItem("reply"))
    card.run(stall.at + seconds)
    return card


@pytest.mark.parametrize("side", ["speaker", "microphone", "both"])
def test_a_reply_with_a_drop_out_plays_through(monkeypatch: pytest.MonkeyPatch, side: str) -> None:
    card = guarded_reply(monkeypatch, Room(gain_db=-6), Stall(3, 0.1, side), None, 2)
    assert not any(event.confirmed for event in card.of(LocalSpeech))
    assert [event.on for event in card.of(EchoGuarded)][:1] == [True], "it is reported"
    sound = np.frombuffer(b"".join(block.pcm for block in card.of(MicBlock)), np.int16)
    assert dbfs(sound[3 * RATE : 5 * RATE]) < -50, "no echo is delivered"


def test_a_reply_is_softer_until_the_canceller_has_proved_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lost, usual = (
        guarded_reply(monkeypatch, Room(gain_db=-6), Stall(3, seconds, "microphone"), None, 4)
        for seconds in (0.1, 0.0)
    )
    changes = [
        (at - 1_000, event.on) for at, event in lost.events if isinstance(event, EchoGuarded)
    ]
    *_, (guarded_at, guarded), (proved_at, still) = changes
    assert guarded_at > 3
    assert (guarded, still) == (True, False)
    softer = [
        dbfs(louder) - dbfs(block)
        for block, louder in zip(lost.spoken, usual.spoken, strict=True)
        if dbfs(louder) > -40
    ]
    loud_at = [at / 100 for at, block in enumerate(usual.spoken) if dbfs(block) > -40]
    settled = 0.1  # the fade, and what the buffer holds
    inside = [
        db
        for at, db in zip(loud_at, softer, strict=True)
        if guarded_at + settled < at < proved_at - settled
    ]
    before = [db for at, db in zip(loud_at, softer, strict=True) if at < guarded_at - settled]
    assert inside
    assert inside == pytest.approx([5.0] * len(inside), abs=1)
    assert before == pytest.approx([0.0] * len(before), abs=0.5)


def test_a_user_who_talks_over_a_guarded_reply_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    said = spoken("No, wait a moment, I have a question.", "user", RATE)
    said = said[np.flatnonzero(np.abs(said) > 400)[0] :]
    card = guarded_reply(monkeypatch, Room(), Stall(3, 0.08), said, 1.2)
    stops = [
        at - 1000 - 3.5
        for at, event in card.events
        if isinstance(event, LocalSpeech) and event.confirmed
    ]
    assert stops
    assert 0 < stops[0] <= 0.4


def test_a_drop_out_without_an_echo_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    said = spoken("No, wait a moment, I have a question.", "user", RATE)
    said = said[np.flatnonzero(np.abs(said) > 400)[0] :]
    card = guarded_reply(monkeypatch, Room(gain_db=-100), Stall(3, 0.12), said, 1.2)
    stops = [
        at - 1000 - 3.5
        for at, event in card.events
        if isinstance(event, LocalSpeech) and event.confirmed
    ]
    assert stops[0] <= 0.15
    assert not card.of(EchoGuarded)


def speech_starts(card: SimulatedCard) -> list[float]:
    """Return when a server that hears what was delivered would detect speech, in s."""
    endpointer, clock_ms, found = Endpointer(detector()), 0.0, []
    for block in card.of(MicBlock):
        clock_ms += len(block.pcm) / 2 / RATE * 1000
        changes = endpointer.feed(block.pcm, clock_ms)
        found += [change.at_ms / 1000 for change in changes if isinstance(change, SpeechStart)]
    return found


@pytest.mark.parametrize("jump_ms", [-40, 15, 120])
def test_an_echo_whose_delay_jumps_is_not_delivered(
    monkeypatch: pytest.MonkeyPatch, jump_ms: float
) -> None:
    room = Room(gain_db=-6, jump_ms=jump_ms, jump_at=3.0)
    card = SimulatedCard(monkeypatch, room, seconds=20)
    engine = card.open()
    engine.command(Play("reply", spoken(LONG_TEXT).tobytes()))
    engine.command(EndItem("reply"))
    card.run(4)
    assert not speech_starts(card)
    assert not any(event.confirmed for event in card.of(LocalSpeech))


def test_a_user_who_talks_over_an_echo_is_delivered_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = spoken("No, wait a moment, I have a question.", "user", RATE)
    said = said[np.flatnonzero(np.abs(said) > 400)[0] :]
    card = SimulatedCard(monkeypatch, Room(gain_db=-6), seconds=20)
    engine = card.open()
    card.say(3.0, said)
    engine.command(Play("reply", spoken(LONG_TEXT).tobytes()))
    engine.command(EndItem("reply"))
    card.run(3.2)
    assert speech_starts(card), "within 200 ms"
