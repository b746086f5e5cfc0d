"""A short seeded part of `make attack`: a few attacks of each kind, and the checks at its end."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from attack_log import MOST_MB, MOST_STALL_MS, AttackLog
from on_terminal import private_environment

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(sys.platform != "linux", reason="it measures and watches with /proc"),
]


@pytest.mark.timeout(240)
def test_a_short_attack_finds_no_fault() -> None:
    from attack import short_attack

    for _ in range(2):  # on a busy machine, a process may end late
        log = short_attack(4)
        if not log.faults:
            break
    assert not log.faults, "\n".join(log.lines())
    assert log.counts["command lines searched"] > 2
    assert log.counts["signals sent"] == 1
    assert 0 < log.worst(log.peaks)[0] <= MOST_MB
    assert 0 < log.worst(log.stalls)[0] <= MOST_STALL_MS


def test_faults_are_noted_with_their_wave() -> None:
    log = AttackLog(1, 0.0, wave="screen, seed 1")
    found = {"peak_mb": MOST_MB + 1, "stall_ms": MOST_STALL_MS + 1, "place": "x", "fault": "y"}
    log.measured("a screen", "a flood", found)
    assert len(log.faults) == 3
    assert all(fault.startswith("screen, seed 1: a screen, a flood") for fault in log.faults)
    assert log.is_over
    assert log.lines()[-1] == "3 faults; seed 1."


def test_a_planted_key_in_a_file_is_found(tmp_path: Path) -> None:
    from attack_processes import KeyWatch
    from hostile_wire import KEY

    log = AttackLog(1, 0.0, folders=[tmp_path], streams=[f"said {KEY}".encode()])
    (tmp_path / "a.log").write_text(f"opened with {KEY}")
    KeyWatch(log).search_files()
    assert len(log.faults) == 2
    assert KEY not in private_environment(tmp_path).values()
