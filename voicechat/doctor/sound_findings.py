"""Findings from the probe of the sound devices and the snapshot of the machine."""

from __future__ import annotations

from collections.abc import Iterator

from voicechat.audio.devices.device_list import Device, is_busy
from voicechat.audio.devices.device_probe import LoopbackResult, ProbeResult
from voicechat.doctor import machine_findings
from voicechat.doctor.environment import Environment
from voicechat.doctor.findings import Finding, note, ok, problem
from voicechat.system.text_table import counted

_SILENCE_DB = -99.0
_VERY_LOW_DB = -80.0
_LOUD_DB = -20.0
_CLIPPED_DB = -0.2
_SLOW_MS = 300.0
_STRONG_ECHO_DB = -3.0


def findings(probe: ProbeResult, environment: Environment) -> list[Finding]:
    """Return the findings about sound, in the order of the report."""
    found = list(_library(probe, environment))
    if probe.listed:
        found += _devices(probe, environment)
        found += _rates(probe)
        found += _canceller(probe)
        found += _loopback_findings(probe, environment)
    return found


def no_devices_finding(probe: ProbeResult, environment: Environment) -> Finding:
    """Return why no device is listed: no library, a crash, a hung server, or no device."""
    if not probe.listed:
        return next(_library(probe, environment))
    return _no_devices(probe, environment)


def _library(probe: ProbeResult, environment: Environment) -> Iterator[Finding]:
    if probe.problem:
        yield problem("PortAudio", probe.problem, _install(probe, environment))
    elif probe.timed_out:
        yield problem(
            "Sound server",
            f"The sound server does not answer: {probe.step} took too long.",
            machine_findings.restart(environment),
        )
    elif probe.step:
        yield problem(
            "PortAudio",
            f"The sound process crashed while {probe.step}.",
            "Check ~/.asoundrc and ALSA_CONFIG_PATH, then install the library again.",
        )
    else:
        yield ok("PortAudio", f"{probe.version.partition(',')[0]}.")


def _install(probe: ProbeResult, environment: Environment) -> str:
    if "not installed" not in probe.problem:
        return probe.hint
    names = machine_findings.packages(environment)
    return f"Install it: {names.install} {names.portaudio}" if names else probe.hint


# ------------------------------------------------------------------------------------ devices


def _devices(probe: ProbeResult, environment: Environment) -> Iterator[Finding]:
    # PortAudio's bridges to a sound server are listed even when the server has no devices.
    present = [d for d in probe.devices if d.node] or probe.devices
    inputs = [d for d in present if d.inputs]
    outputs = [d for d in present if d.outputs]
    if not inputs and not outputs:
        yield _no_devices(probe, environment)
        return
    if not inputs:
        yield problem(
            "Devices", "There is a speaker, but no microphone.", _connect_remedy(environment)
        )
    elif not outputs:
        yield problem(
            "Devices", "There is a microphone, but no speaker.", _connect_remedy(environment)
        )
    else:
        yield ok(
            "Devices",
            f"{counted(len(inputs), 'microphone')}, {counted(len(outputs), 'speaker')}"
            f" ({', '.join(sorted({d.host for d in present}))}).",
        )


def _no_devices_sentence(probe: ProbeResult, environment: Environment) -> str:
    if machine_findings.has_server(environment) and not probe.devices:
        return "A sound server is running, but PortAudio finds no device in it."
    return "There is no microphone and no speaker."


def _no_devices(probe: ProbeResult, environment: Environment) -> Finding:
    return problem(
        "Devices", _no_devices_sentence(probe, environment), _no_devices_remedy(probe, environment)
    )


def _no_devices_remedy(probe: ProbeResult, environment: Environment) -> str:
    names = machine_findings.packages(environment)
    if machine_findings.has_server(environment):
        if probe.devices or not names or not names.bridge:
            return _connect_remedy(environment)
        return f"Install the ALSA bridge: {names.install} {names.bridge}"
    if environment.servers:
        return machine_findings.restart(environment)
    for rule in ("Container", "WSL", "SSH", "Sound card"):
        for finding in machine_findings.findings(environment):
            if finding.title == rule and finding.remedy:
                return finding.remedy
    return _connect_remedy(environment)


def _connect_remedy(environment: Environment) -> str:
    if environment.system == "darwin":
        return "Connect a device and choose it in Settings, Sound."
    return "Connect a device or enable one in the sound settings; --text works without sound."


def _rates(probe: ProbeResult) -> Iterator[Finding]:
    for noun, rates, preferred in (
        ("Microphone", probe.input_rates, (24_000, 16_000)),
        ("Speaker", probe.output_rates, (24_000,)),
    ):
        for index, accepted in rates.items():
            name = next((d.name for d in probe.devices if d.index == index), "")
            if accepted and not set(preferred) & set(accepted):
                kilohertz = " and ".join(f"{rate // 1000}" for rate in preferred)
                yield note(
                    f"{noun} rates",
                    f"{name} does not accept {kilohertz} kHz; voicechat opens it at"
                    f" {_nearest(accepted, probe.devices, index) / 1000:g} kHz and resamples.",
                )


def _nearest(accepted: tuple[int, ...], devices: tuple[Device, ...], index: int) -> int:
    own = next((d.rate for d in devices if d.index == index), accepted[-1])
    return own if own in accepted else accepted[-1]


def _canceller(probe: ProbeResult) -> Iterator[Finding]:
    if probe.canceller.startswith("AEC3"):
        found = f"{probe.canceller} is available: you can interrupt without headphones."
        yield ok("Echo canceller", found)
    elif probe.canceller:
        yield note(
            "Echo canceller",
            "None is available for this system: the microphone is off while the assistant speaks.",
            "Use headphones and --no-echo-cancel, or install voicechat[livekit].",
        )


# -------------------------------------------------------------------------------- the loopback test


def _loopback_findings(probe: ProbeResult, environment: Environment) -> Iterator[Finding]:
    trial = probe.trial
    if trial is None:
        return
    reported = {
        *(["There is no microphone."] if not any(d.inputs for d in probe.devices) else []),
        *(["There is no speaker."] if not any(d.outputs for d in probe.devices) else []),
    }
    for sentence, hint in dict.fromkeys(trial.problems):
        if sentence not in reported:
            yield _open_failure(sentence, hint, environment)
    if trial.clockless:
        yield problem(
            "Virtual device",
            f"{' and '.join(trial.clockless)} is not a real sound device.",
            "Connect a real device, or check ~/.asoundrc and ALSA_CONFIG_PATH.",
        )
        return
    if trial.microphone is not None:
        yield _microphone(trial, environment)
    if trial.speaker is not None and trial.stalled:
        yield problem(
            "Speaker",
            f"{trial.speaker} opens, but accepts no sound.",
            "Connect it again, or choose another device with --output-device.",
        )
    elif trial.speaker is not None:
        yield ok("Speaker", f"{trial.speaker} opens at {trial.output_rate / 1000:g} kHz.")
    if trial.chirped and trial.microphone is not None and trial.level is not None:
        yield _chirp(trial)
    if trial.dropouts:
        yield note(
            "Drop-outs",
            f"The sound dropped out {counted(trial.dropouts, 'time')} in two seconds.",
            "Close programs that keep the machine busy.",
        )


def _open_failure(sentence: str, hint: str, environment: Environment) -> Finding:
    if is_busy(sentence):
        command = " (fuser -v /dev/snd/* lists it)" if environment.system == "linux" else ""
        hint = f"Another program uses the device: close it{command}, or choose another device."
    return problem("Opening", sentence, hint)


def _microphone(trial: LoopbackResult, environment: Environment) -> Finding:
    title = "Microphone"
    name = f"{trial.microphone} opens at {trial.input_rate / 1000:g} kHz"
    if trial.level is None:
        return problem(
            title,
            f"{trial.microphone} opens, but delivers no sound.",
            "Connect it again, or choose another device with --input-device.",
        )
    if trial.level <= _SILENCE_DB and trial.return_db is None:
        return problem(
            title, f"{name}, but records only silence: it is muted.", _unmute(environment)
        )
    peak = trial.level if trial.peak is None else trial.peak
    level = f"{trial.level:.0f} dBFS, peak {peak:.0f}"
    if trial.level <= _SILENCE_DB:
        return ok(title, f"{name} and is silent between sounds (a noise gate).")
    if trial.level < _VERY_LOW_DB:
        return note(
            title, f"{name}, but is very quiet: {level}.", "Raise its level in the sound settings."
        )
    if trial.level > _LOUD_DB or peak > _CLIPPED_DB:
        return note(
            title, f"{name}, but is very loud: {level}.", "Lower its level in the sound settings."
        )
    return ok(title, f"{name} and picks up sound: {level}.")


def _unmute(environment: Environment) -> str:
    if environment.system == "darwin":
        program = environment.variables.get("TERM_PROGRAM", "your terminal")
        return (
            f"macOS sends silence to programs without permission: allow {program} in Settings,"
            " Privacy & Security, Microphone, then restart the terminal."
        )
    if environment.system == "win32":
        return (
            "Allow microphone access for desktop apps in Settings, Privacy, Microphone,"
            " or unmute the microphone."
        )
    return (
        "Unmute the microphone or raise its level in the sound settings (pavucontrol or alsamixer)."
    )


def _chirp(trial: LoopbackResult) -> Finding:
    if trial.return_db is None or trial.round_trip_ms is None:
        return note(
            "Loopback",
            "The microphone did not record the chirp. This is normal with headphones.",
            "Without headphones, turn up the volume and try again.",
        )
    sentence = (
        f"The microphone recorded the chirp after {trial.round_trip_ms:.0f} ms"
        f" at {trial.return_db:+.0f} dB."
    )
    if trial.round_trip_ms > _SLOW_MS:
        return note(
            "Loopback",
            f"{sentence} This delay is long.",
            "Bluetooth adds delay; a cable or USB is faster.",
        )
    if trial.return_db > _STRONG_ECHO_DB:
        return note(
            "Loopback", f"{sentence} This is a strong echo.", "Turn the speaker down a little."
        )
    return ok("Loopback", sentence)
