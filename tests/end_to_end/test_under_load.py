"""A reply while the screen is drawn without end, the main loop stalls and every core is busy."""

from __future__ import annotations

import pytest
from bench_sound_playback import busy
from sound_measures import loudest_click
from sound_rig import milliseconds, spans
from spoken_screen import PITCH, spoken_screen
from virtual_audio import VirtualCard

pytestmark = [pytest.mark.sound, pytest.mark.end_to_end]

SECONDS = 6.0


def test_not_a_millisecond_is_lost(card: VirtualCard) -> None:
    words = ("--barge-in", "off")
    with spoken_screen(card, SECONDS, *words, busy=True) as terminal, busy():
        recording = card.record()
        terminal.type("Tell me\n")
        terminal.see("▶ speaking")
        terminal.see("● listening", 30)
        side = recording.stop()[:, 1]
    heard = spans(side)
    assert len(heard) == 1
    assert milliseconds(heard) == pytest.approx(SECONDS * 1000, abs=15), "a fade may follow"
    assert loudest_click(side[heard[0][0] : heard[-1][1]], PITCH) < -30
