from __future__ import annotations

from voicechat.audio.playback.playback import HeardPositions
from voicechat.core.inputs import Heard, PlaybackFinished, PlaybackStarted

RATE = 24_000


def test_items_start_progress_and_finish_in_order() -> None:
    ledger = HeardPositions(RATE)
    ledger.queued("a", 0, 2_400)
    ledger.ended("a", 2_400)
    ledger.queued("b", 2_400, 2_400)
    assert not list(ledger.heard(0, 1.0, True))
    assert list(ledger.heard(1_200, 1.1, True)) == [PlaybackStarted("a", 1.1), Heard("a", 50.0)]
    assert list(ledger.heard(3_600, 1.2, False)) == [
        Heard("a", 100.0),
        PlaybackFinished("a"),
        PlaybackStarted("b", 1.2),
    ]
    assert ledger.open_ended
    assert ledger.stop(3_600) == {"b": 50.0}
    assert not len(ledger)


def test_items_that_did_not_start_stop_at_zero() -> None:
    ledger = HeardPositions(RATE)
    ledger.queued("a", 0, 2_400)
    ledger.register("b")
    assert ledger.stop(240) == {"a": 10.0, "b": 0.0}


def test_an_item_in_two_parts_counts_its_own_frames_only() -> None:
    ledger = HeardPositions(RATE)
    ledger.queued("a", 0, 2_400)
    ledger.queued("b", 2_400, 2_400)
    ledger.queued("a", 4_800, 2_400)
    assert ledger.stop(6_000) == {"a": 150.0, "b": 100.0}


def test_heard_never_goes_back() -> None:
    ledger = HeardPositions(RATE)
    ledger.queued("a", 0, 4_800)
    list(ledger.heard(2_400, 1.0, True))
    list(ledger.heard(2_200, 1.1, True))
    assert ledger.stop(2_200) == {"a": 100.0}


def test_moving_to_another_rate_keeps_milliseconds() -> None:
    ledger = HeardPositions(24_000)
    ledger.queued("a", 0, 24_000)
    ledger.ended("a", 24_000)
    ledger.rebase(12_000, 48_000)
    assert [type(event) for event in ledger.heard(0, 1.0, True)] == [PlaybackStarted, Heard]
    assert ledger.stop(12_000) == {"a": 750.0}
