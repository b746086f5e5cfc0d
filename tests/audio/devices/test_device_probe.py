"""Probing a real sound server (whole, frozen, missing), and children that fail."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from virtual_audio import VirtualCard, tone

from voicechat.audio.devices.device_probe import RATES, ProbeRequest, ProbeResult, probe


@pytest.mark.sound
def test_a_card_is_listed_with_its_rates(card: VirtualCard) -> None:
    found = probe(ProbeRequest(all_rates=True), 15)
    assert found.step == ""
    assert found.version.startswith("PortAudio")
    (device,) = found.devices
    assert device.is_default_input
    assert device.is_default_output
    assert found.input_rates == found.output_rates == {device.index: RATES}
    assert found.trial is None


@pytest.mark.sound
def test_names_are_listed_without_querying_the_devices(card: VirtualCard) -> None:
    found = probe(ProbeRequest(only_names=True), 15)
    assert [each.name for each in found.devices] == ["default"]
    assert (found.step, found.listed) == ("", True)
    assert not found.input_rates
    assert not found.output_rates
    assert not found.canceller


@pytest.mark.sound
@pytest.mark.parametrize(("sinks", "sources"), [("spk", ""), ("", "mic"), ("", "")], ids=str)
def test_a_stalled_device_is_detected(card: VirtualCard, sinks: str, sources: str) -> None:
    card.suspend(True, sinks, sources)
    trial = probe(ProbeRequest(listen=True), 20).trial
    assert trial is not None
    assert trial.speaker
    assert trial.microphone
    assert trial.stalled is bool(sinks)
    assert (trial.level is None) is bool(sources)


@pytest.mark.sound
def test_a_device_without_a_clock_is_detected(
    card: VirtualCard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trial = probe(ProbeRequest(listen=True), 20).trial
    assert trial is not None
    assert trial.clockless == ()
    monkeypatch.setenv("PULSE_SERVER", "unix:/nonexistent")
    null = "{ type null }"
    (tmp_path / "asound.conf").write_text(f"pcm.!default {null}\nctl.!default {null}\n")
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(tmp_path / "asound.conf"))
    trial = probe(ProbeRequest(listen=True), 20).trial
    assert trial is not None
    assert trial.clockless == ("default",)


@pytest.mark.sound
def test_the_round_trip_grows_by_the_echo_and_falls_by_its_gain(card: VirtualCard) -> None:
    trials = []
    for delay_ms, gain_db in ((60, -12.0), (220, -24.0)):
        with card.echo(delay_ms, gain_db):
            trial = probe(ProbeRequest(listen=True, chirp=True), 20).trial
        assert trial is not None
        assert trial.chirped
        assert trial.return_db == pytest.approx(gain_db, abs=3)
        trials.append(trial.round_trip_ms)
    near, far = trials
    assert near is not None
    assert far is not None
    assert near >= 60
    assert 0.6 < (far - near) / 160 < 1.5


@pytest.mark.sound
def test_without_an_echo_nothing_comes_back(card: VirtualCard) -> None:
    trial = probe(ProbeRequest(listen=True, chirp=True), 20).trial
    assert trial is not None
    assert trial.chirped
    assert (trial.round_trip_ms, trial.return_db) == (None, None)
    assert trial.level == -100.0


@pytest.mark.sound
def test_the_level_of_the_microphone_is_measured(card: VirtualCard) -> None:
    import numpy as np

    card.say(np.frombuffer(tone(8, rate=48_000, level=0.1), np.int16))
    trial = probe(ProbeRequest(listen=True), 20).trial
    assert trial is not None
    assert trial.level == pytest.approx(-23, abs=2)
    assert trial.peak == pytest.approx(-20, abs=2)
    assert not trial.chirped


@pytest.mark.sound
def test_a_name_that_no_device_has_is_a_problem(card: VirtualCard) -> None:
    trial = probe(ProbeRequest(input_device="Radio", listen=True), 20).trial
    assert trial is not None
    assert trial.microphone is None
    assert trial.speaker
    assert [problem for problem, _ in trial.problems] == ["No microphone has 'Radio' in its name."]


@pytest.mark.sound
def test_a_frozen_server_takes_only_the_deadline(card: VirtualCard) -> None:
    card.freeze()
    began = time.monotonic()
    found = probe(ProbeRequest(listen=True, chirp=True), 2)
    assert found.timed_out
    assert found.step
    assert not found.listed
    assert time.monotonic() - began < 2 * 2


def test_a_machine_without_a_server_lists_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    way = f'type pulse server "unix:{tmp_path}/none"'
    conf = tmp_path / "asound.conf"
    conf.write_text(f"pcm.!default {{ {way} }}\nctl.!default {{ {way} }}\n")
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(conf))
    monkeypatch.setenv("JACK_NO_START_SERVER", "1")
    found = probe(ProbeRequest(listen=True, chirp=True), 20)
    if found.problem:
        assert found.hint
        return
    assert (found.step, found.timed_out, found.listed) == ("", False, True)
    assert found.devices == ()
    assert found.trial is not None
    assert found.trial.problems[0][0] == "There is no speaker."


def child(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def test_output_of_a_hanging_child_is_kept() -> None:
    said = (
        'import time; print(\'{"version": "V", "step": "thinking"}\', flush=True); time.sleep(60)'
    )
    found = probe(ProbeRequest(), 1, child(said))
    assert found == ProbeResult(version="V", step="thinking", timed_out=True)


def test_output_of_a_crashing_child_is_kept() -> None:
    said = 'import os; print(\'{"step": "thinking"}\\n{"dev\', flush=True); os.abort()'
    assert probe(ProbeRequest(), 20, child(said)) == ProbeResult(step="thinking")


def test_a_child_that_cannot_start_is_a_problem() -> None:
    found = probe(ProbeRequest(), 5, ("/no/such/program",))
    assert found.problem == "Sound cannot start: No such file or directory."


def test_a_missing_library_is_reported_with_its_remedy() -> None:
    code = (
        "import sys, json, voicechat.audio.devices.device_probe as s\n"
        "sys.modules['sounddevice'] = None\n"
        "def missing(): raise s.NoSound('PortAudio is not installed.', 'Install it.')\n"
        "s.library = missing\n"
        "s.main(s.ProbeRequest(), lambda piece: print(json.dumps(piece)))\n"
    )
    found = probe(ProbeRequest(), 20, child(code))
    assert (found.problem, found.hint, found.listed) == (
        "PortAudio is not installed.",
        "Install it.",
        False,
    )
