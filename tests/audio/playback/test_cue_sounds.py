"""The synthesized cue sounds."""

from __future__ import annotations

import numpy as np
import pytest

from voicechat.audio.playback import cue_sounds


@pytest.mark.parametrize("name", sorted(cue_sounds.NAMES))
def test_cues_are_short_soft_and_without_clicks(name: str) -> None:
    cue = cue_sounds.synthesize(name, 24_000)
    assert cue is not None
    assert 0.05 < len(cue) / 24_000 < 2.5
    assert np.abs(cue).max() < 12_000
    assert abs(cue[0]) < 1
    assert abs(cue[-1]) < 50


def test_an_unknown_cue_is_none() -> None:
    assert cue_sounds.synthesize("fanfare", 24_000) is None
