"""The first reply in a room, of whose echo nothing is known yet, does not stop itself."""

from __future__ import annotations

import pytest
from simulated_card import Room, SimulatedCard, Stall
from sound_measures import LONG_TEXT
from user_speech import spoken

from voicechat.audio.devices import buffer_sizing
from voicechat.audio.devices.streams import BUFFER_SIZES, BufferSize
from voicechat.core.effects import Play
from voicechat.core.inputs import LocalSpeech


def stops(patch: pytest.MonkeyPatch, room: Room, *stalls: Stall) -> list[float]:
    """Return the seconds after the start of a reply at which an echo stopped it."""
    card = SimulatedCard(patch, room, [stall._replace(at=2 + stall.at) for stall in stalls], 10)
    card.open(latency_ms=buffer_sizing.BUFFER_SIZES[0].buffer_ms)
    card.run(2.0)
    card.engine.command(Play("1", spoken(LONG_TEXT).tobytes()))
    began = card.now
    card.run(4.0)
    return [
        round(at - began, 2)
        for at, event in card.events
        if isinstance(event, LocalSpeech) and event.confirmed
    ]


@pytest.mark.parametrize("gain_db", [-20, -10, -4])
@pytest.mark.parametrize("rt60_s", [0.4, 0.7, 0.9])
def test_reverberation_is_no_voice(
    monkeypatch: pytest.MonkeyPatch, rt60_s: float, gain_db: float
) -> None:
    assert not stops(monkeypatch, Room(90.0, gain_db, rt60_s=rt60_s))


@pytest.mark.parametrize("gain_db", [-20, -10, -4])
@pytest.mark.parametrize(
    "stall",
    [
        Stall(0.02, 0.15, "speaker"),
        Stall(0.1, 0.05, "both"),
        Stall(0.14, 0.15, "both"),
        Stall(0.14, 0.15, "microphone"),
        Stall(0.2, 0.15, "microphone"),
    ],
)
def test_sound_lost_before_the_echo_is_known_is_no_voice(
    monkeypatch: pytest.MonkeyPatch, stall: Stall, gain_db: float
) -> None:
    assert not stops(monkeypatch, Room(150.0, gain_db), stall)


@pytest.mark.parametrize("gain_db", [-20, -10, -4])
@pytest.mark.parametrize("size", BUFFER_SIZES[2:])
@pytest.mark.parametrize("delay_ms", [0, 60, 250, 400])
def test_the_latency_of_a_large_buffer_is_no_delay_of_the_echo(
    monkeypatch: pytest.MonkeyPatch, delay_ms: float, size: BufferSize, gain_db: float
) -> None:
    monkeypatch.setattr(buffer_sizing, "BUFFER_SIZES", (size,))
    assert not stops(monkeypatch, Room(delay_ms, gain_db))
