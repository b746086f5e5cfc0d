"""Probe the audio devices in a child process, with a deadline kept by the parent.

The child runs this module with `-m` and a `ProbeRequest` as JSON. It writes its results as JSON
lines, one by one, so that a later hang loses nothing. Output of PortAudio and ALSA is discarded.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, TextIO

from voicechat.audio.devices.device_list import Device, Kind, NoSound, choose, devices, library
from voicechat.system.child_main import take_pipes, when_closed
from voicechat.system.child_process import module_command, start_blocking

RATES: Final = (8_000, 16_000, 24_000, 44_100, 48_000)
"""Sample rates in Hz that devices are asked about."""

_NAMES_S = 2.0
"""Deadline in s, so that a hanging sound server does not delay the start."""


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """Devices to probe and how; None is the default device, else a part of a name."""

    input_device: str | None = None
    output_device: str | None = None
    all_rates: bool = False
    """Query the rates of every device, not only of the two chosen ones."""
    only_names: bool = False
    """List the devices without querying them."""
    listen: bool = False
    """Open both devices and record for a second."""
    chirp: bool = False
    """Also play a chirp and search for it in the recording."""


@dataclass(frozen=True, slots=True)
class LoopbackResult:
    """Result of opening the chosen devices for two seconds."""

    microphone: str | None = None
    """Name of the opened device, or None."""
    speaker: str | None = None
    problems: tuple[tuple[str, str], ...] = ()
    """Sentence and remedy for each device that could not be opened."""
    input_rate: int = 0
    output_rate: int = 0
    """Sample rates in Hz of the open streams; 0 without a stream."""
    level: float | None = None
    """Level in dBFS of a second of recording, -100 for digital silence; None without sound."""
    peak: float | None = None
    chirped: bool = False
    """True if the speaker took the whole chirp."""
    round_trip_ms: float | None = None
    """Time from handing a frame to the speaker until the microphone returns it."""
    return_db: float | None = None
    """Gain of that path in dB."""
    dropouts: int = 0
    stalled: bool = False
    """True if the speaker opened but took no more sound than its buffer holds."""
    clockless: tuple[str, ...] = ()
    """Names of devices without a clock, which run as fast as they are called."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """Everything found out before the deadline."""

    devices: tuple[Device, ...] = ()
    input_rates: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    """Accepted sample rates in Hz by device number; absent if not queried."""
    output_rates: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    version: str = ""
    """Version text of PortAudio."""
    canceller: str = ""
    """Name of the installed echo canceller."""
    problem: str = ""
    """Set if there is no sound library at all; `hint` is the remedy."""
    hint: str = ""
    trial: LoopbackResult | None = None
    step: str = ""
    """Step that was running when the time ran out or the child ended; empty at the end."""
    timed_out: bool = False
    listed: bool = False
    """True once the devices were listed, even if there are none."""


def probe(request: ProbeRequest, deadline: float, command: tuple[str, ...] = ()) -> ProbeResult:
    """Probe within `deadline` seconds, plus half a second to kill the child. Never raises.

    `command` replaces the child in tests.
    """
    command = command or module_command("voicechat.audio.devices.device_probe")
    try:
        child = start_blocking((*command, json.dumps({**asdict(request), "deadline": deadline})))
    except OSError as error:
        return ProbeResult(problem=f"Sound cannot start: {error.strerror}.", step="starting")
    stdin, child.stdin = child.stdin, None  # or `communicate` closes it, which ends the child
    assert stdin is not None
    with stdin:
        output, timed_out = _collect_output(child, deadline)
    return replace(_read(output), timed_out=timed_out)


def name_of(among: Sequence[Device], kind: Kind, number: str) -> str | None:
    """Return a name by which `choose` finds the numbered device; None if it has none."""
    try:
        device = choose(among, kind, number)
        names = (device.name, device.node)
        return next(n for n in names if n and choose(among, kind, n) == device)
    except (NoSound, StopIteration):
        return None


def named_device(kind: str, number: str) -> str | None:
    """Return the name of a numbered device on this machine, within 2 s; None if it has none."""
    found = probe(ProbeRequest(only_names=True), _NAMES_S).devices
    return name_of(found, "input" if kind == "input" else "output", number)


def _collect_output(child: subprocess.Popen[bytes], deadline: float) -> tuple[bytes, bool]:
    try:
        return child.communicate(timeout=deadline)[0], False
    except subprocess.TimeoutExpired:
        child.kill()
    try:
        return child.communicate(timeout=0.5)[0], True
    except subprocess.TimeoutExpired as error:
        # A process stuck in the kernel cannot be killed; keep its output so far.
        return error.output or b"", True


def _read(output: bytes) -> ProbeResult:
    """Merge the results; an incomplete line is dropped."""
    found: dict[str, Any] = {"step": "starting"}
    for line in output.splitlines():
        with contextlib.suppress(ValueError, TypeError):
            found.update(json.loads(line))
    found["devices"] = tuple(Device(**each) for each in found.get("devices", ()))
    for side in ("input_rates", "output_rates"):
        found[side] = {int(k): tuple(v) for k, v in found.get(side, {}).items()}
    if trial := found.get("trial"):
        problems = tuple((problem, hint) for problem, hint in trial.pop("problems"))
        clockless = tuple(trial.pop("clockless", ()))
        found["trial"] = LoopbackResult(**trial, problems=problems, clockless=clockless)
    return ProbeResult(**found)


# ------------------------------------------------------------------------------ in the child

_Report = Callable[[dict[str, object]], None]


def main(request: ProbeRequest, report: _Report) -> None:
    """Probe step by step, and report each result with `report`."""
    report({"step": "loading the sound library"})
    try:
        sd = library()
    except NoSound as error:
        report({"problem": error.problem, "hint": error.hint, "step": ""})
        return
    report({"version": sd.get_portaudio_version()[1], "step": "listing the devices"})
    found = devices()
    report({"devices": [asdict(each) for each in found], "listed": True, "step": ""})
    if request.only_names:
        return
    report({"step": "asking for rates"})
    chosen = {kind: _chosen(found, request, kind) for kind in ("input", "output")}
    _report_rates(sd, found, chosen if not request.all_rates else {}, report)
    report({"step": "loading the echo canceller"})
    from voicechat.audio.capture.echo_canceller import canceller

    report({"canceller": canceller(True).name, "step": "opening the devices"})
    if request.listen:
        from voicechat.audio.devices.loopback_test import run_loopback_test

        report(
            {"trial": asdict(run_loopback_test(chosen["input"], chosen["output"], request.chirp))}
        )
    report({"step": ""})


def _chosen(found: list[Device], request: ProbeRequest, kind: str) -> Device | NoSound:
    side: Kind = "input" if kind == "input" else "output"
    try:
        return choose(
            found, side, request.input_device if side == "input" else request.output_device
        )
    except NoSound as error:
        return error


def _report_rates(
    sd: Any, found: list[Device], only: Mapping[str, Device | NoSound], report: _Report
) -> None:
    for kind, check in (("input", sd.check_input_settings), ("output", sd.check_output_settings)):
        rates: dict[int, list[int]] = {}
        for device in found:
            if not (device.inputs if kind == "input" else device.outputs):
                continue
            if only and device is not only[kind]:
                continue
            rates[device.index] = [
                rate for rate in RATES if _accepts(sd, check, device.opens, rate)
            ]
            report({f"{kind}_rates": rates})


def _accepts(sd: Any, check: Callable[..., None], index: int, rate: int) -> bool:
    try:
        check(device=index, channels=1, dtype="int16", samplerate=rate)
    except (sd.PortAudioError, ValueError):
        return False
    return True


def quiet_pipe() -> TextIO:
    """Return the pipe to the parent; this process ends with it, and library output is lost."""
    parent, pipe = take_pipes(prints=None)
    when_closed(parent)
    return io.TextIOWrapper(pipe, encoding="utf-8")


def _run() -> None:
    """Probe, and end the process one second after the deadline at the latest."""
    request = json.loads(sys.argv[1])
    end = threading.Timer(request.pop("deadline") + 1.0, os._exit, (1,))
    end.daemon = True
    end.start()
    pipe = quiet_pipe()

    def report(result: dict[str, object]) -> None:
        pipe.write(json.dumps(result) + "\n")
        pipe.flush()

    main(ProbeRequest(**request), report)


if __name__ == "__main__":
    _run()
    # Daemon threads may hang inside the sound library; a normal exit would wait for them.
    os._exit(0)
