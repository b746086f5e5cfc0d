"""A private sound card for tests: one PulseAudio daemon, without root, dbus or hardware.

    program's playback ─► [spk] ─► right ┐
                                         hw (a null sink: one clock) ─► stereo recording
    feed(wav) ─► [mic_in] ─► left ───────┘        └─ left ─► [mic] ─► program's capture
    echo(): right ─► delay ─► left

One recording has both sides, sample-aligned: the microphone on the left, the speaker on the right.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

RATE = 48_000
STEADY_RATE = 50_000
"""Rate in Hz of a card whose clock is exact for minutes with an echo.

The sound server's null sink counts the length of each block in whole microseconds. An echo makes
the blocks shorter and shorter, and at 48 kHz, where a frame takes 20.8 us, the card then runs up to
3 % too fast. Real cards are within 0.01 %.
"""

_FIRST = ("nice", "-n", "-11")
"""Players and recorders need priority too; if it is refused, nice runs them without it."""

_FOREIGN = ("PULSE_", "PIPEWIRE_", "ALSA_", "DBUS_", "JACK_")

_DAEMON = """\
load-module module-native-protocol-unix socket={socket} auth-anonymous=1 auth-cookie-enabled=0
load-module module-null-sink sink_name=hw rate={rate} channels=2 format=s16le \
channel_map=front-left,front-right norewinds=1
load-module module-remap-sink sink_name=spk master=hw channels=1 channel_map=mono \
master_channel_map=front-right remix=no
load-module module-remap-sink sink_name=mic_in master=hw channels=1 channel_map=mono \
master_channel_map=front-left remix=no
load-module module-remap-source source_name=mic master=hw.monitor channels=1 channel_map=mono \
master_channel_map=front-left remix=no
load-module module-remap-source source_name=spk_mon master=hw.monitor channels=1 channel_map=mono \
master_channel_map=front-right remix=no
set-default-sink spk
set-default-source mic
"""

_SUSPENDS = """\
load-module module-suspend-on-idle timeout=0
"""

_ALSA = """\
pcm.!default {{
  type asym
  playback.pcm {{ type pulse server "unix:{socket}" device "{sink}" }}
  capture.pcm {{ type pulse server "unix:{hears}" device "{source}" }}
}}
ctl.!default {{ type pulse server "unix:{socket}" }}
"""


_FOLLOWING = """\
pcm.pulse {{
  type pulse
  server "unix:{socket}"
  hint {{ show on }}
}}
pcm.!default {{ type pulse server "unix:{socket}" }}
ctl.!default {{ type pulse server "unix:{socket}" }}
"""
"""As on desktops: programs without a device choice follow the server's defaults."""


class Recording:
    """A recording of both sides of the card, from `VirtualCard.record` on."""

    def __init__(self, process: subprocess.Popen[bytes], path: Path) -> None:
        self._process = process
        self._path = path
        self.began = time.monotonic()

    def stop(self) -> NDArray[np.int16]:
        """Stop, and return int16 of shape (frames, 2) at 48 kHz: microphone, speaker."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(30)
        raw = np.fromfile(self._path, np.int16)
        return raw[: len(raw) // 2 * 2].reshape(-1, 2)


class VirtualCard:
    """A context manager; `environment` is what a program under test needs to see the card."""

    def __init__(self, rate: int = RATE, *, cold: bool = False) -> None:
        """Prepare a card.

        cold: its devices are suspended until a program uses them, and its microphone then takes up
        to two seconds until its first sound.
        """
        self.rate = rate
        self._script = _DAEMON.replace(" norewinds=1", "") + _SUSPENDS if cold else _DAEMON
        self._folder = Path(tempfile.mkdtemp(prefix="card-"))
        self._socket = self._folder / "native"
        self._daemon: subprocess.Popen[bytes] | None = None
        self._programs: list[subprocess.Popen[bytes]] = []
        self._count = 0

    def __enter__(self) -> VirtualCard:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that lead ALSA and PulseAudio programs to this card only."""
        folder = str(self._folder)
        return {
            "PULSE_SERVER": f"unix:{self._socket}",
            "PULSE_RUNTIME_PATH": folder,
            "PULSE_STATE_PATH": folder,
            "PULSE_COOKIE": str(self._folder / "cookie"),
            "PULSE_CLIENTCONFIG": str(self._folder / "client.conf"),
            "ALSA_CONFIG_PATH": str(self._folder / "asound.conf"),
            "DBUS_SESSION_BUS_ADDRESS": "disabled:",
            "JACK_NO_START_SERVER": "1",
        }

    def start(self) -> None:
        """Start the daemon with the priority it has on desktops; return when it answers."""
        script = self._folder / "card.pa"
        script.write_text(self._script.format(socket=self._socket, rate=self.rate))
        self.route()
        (self._folder / "cookie").write_bytes(os.urandom(256))
        (self._folder / "client.conf").write_text("autospawn = no\n")
        with (self._folder / "log").open("wb") as log:
            self._daemon = subprocess.Popen(
                [
                    *_FIRST,
                    *("pulseaudio", "-n", "-F", str(script), "--daemonize=no"),
                    *("--use-pid-file=no", "--exit-idle-time=-1", "--high-priority=yes"),
                    *("--realtime=yes", "--log-target=stderr", "--log-level=error"),
                ],
                env=self._private(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        give_up = time.monotonic() + 10
        while self._daemon.poll() is None and time.monotonic() < give_up:
            if self._socket.exists() and self.pactl("info", check=False).returncode == 0:
                with suppress(OSError, AttributeError):
                    os.sched_setscheduler(self._daemon.pid, os.SCHED_RR, os.sched_param(4))
                return
            time.sleep(0.01)
        raise RuntimeError("the sound daemon did not start: " + (self._folder / "log").read_text())

    def stop(self) -> None:
        """End the daemon and every program started here; remove all files."""
        self.thaw()
        programs = [*self._programs, *([self._daemon] if self._daemon else [])]
        for program in programs:
            program.terminate()
        for program in programs:
            try:
                program.wait(2)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait(2)
        shutil.rmtree(self._folder, ignore_errors=True)

    def route(
        self, sink: str = "spk", source: str = "mic", microphone_of: VirtualCard | None = None
    ) -> None:
        """Set the default device of programs that start from now on."""
        hears = (microphone_of or self)._socket
        text = _ALSA.format(socket=self._socket, sink=sink, source=source, hears=hears)
        (self._folder / "asound.conf").write_text(text)

    def route_as_desktop(self) -> None:
        """Let programs that start from now on see all devices and follow the server's defaults."""
        (self._folder / "asound.conf").write_text(_FOLLOWING.format(socket=self._socket))

    def pactl(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run pactl."""
        return subprocess.run(
            ["pactl", *arguments],
            env=self._private(),
            check=check,
            capture_output=True,
            text=True,
            timeout=10,
        )

    # ----------------------------------------------------------------- sound

    def feed(self, wav: Path) -> subprocess.Popen[bytes]:
        """Play a WAV file into the microphone; `wait()` on the result for its end."""
        return self._run("paplay", "-d", "mic_in", "--latency-msec=300", str(wav))

    def say(self, samples: NDArray[np.int16], rate: int = RATE) -> subprocess.Popen[bytes]:
        """Play samples into the microphone."""
        self._count += 1
        return self.feed(write_wav(self._folder / f"say{self._count}.wav", samples, rate))

    def record(self, source: str = "hw.monitor") -> Recording:
        """Record both sides until `Recording.stop`; return when sound arrives."""
        self._count += 1
        path = self._folder / f"record{self._count}.raw"
        path.touch()
        process = self._run(
            *("parec", "-d", source, f"--rate={RATE}", "--format=s16le", "--channels=2"),
            *("--latency-msec=10", "--raw", str(path)),
        )
        recording = Recording(process, path)
        give_up = time.monotonic() + 5
        while not path.stat().st_size and time.monotonic() < give_up:
            time.sleep(0.002)
        recording.began = time.monotonic()
        return recording

    @contextmanager
    def echo(self, delay_ms: int = 60, gain_db: float = -12.0) -> Iterator[None]:
        """Loop the speaker back to the microphone within this context."""
        module = self._load_player(
            *("module-loopback", "source=spk_mon", "sink=mic_in"),
            *(f"latency_msec={delay_ms}", "source_dont_move=1", "sink_dont_move=1"),
            "adjust_time=0",
            gain_db=gain_db,
        )
        try:
            yield
        finally:
            self.pactl("unload-module", module, check=False)

    def hiss(self) -> None:
        """Give the microphone a noise floor of one or two steps, as real ones have."""
        self._load_player("module-sine", "sink=mic_in", "frequency=97", gain_db=-80)

    def _load_player(self, *module: str, gain_db: float) -> str:
        """Load a module that plays into a sink, at this gain; return its number."""
        number = self.pactl("load-module", *module).stdout.strip()
        for entry in self.pactl("list", "sink-inputs").stdout.split("Sink Input #")[1:]:
            if f"Owner Module: {number}\n" in entry:
                self.pactl("set-sink-input-volume", entry.split("\n")[0].strip(), f"{gain_db}dB")
        return number

    # ----------------------------------------------------------------- faults

    def suspend(self, on: bool, sinks: str = "hw", sources: str = "hw.monitor") -> None:
        """Stall the card like a Bluetooth profile switch: no error, no callback."""
        for kind, names in (("sink", sinks), ("source", sources)):
            for name in names.split():
                self.pactl(f"suspend-{kind}", name, str(int(on)), check=False)

    def unplug(self, *names: str) -> None:
        """Unload the modules of these sinks or sources, or of all of them."""
        for name in names or ("mic", "spk_mon", "mic_in", "spk", "hw"):
            for line in self.pactl("list", "short", "modules").stdout.splitlines():
                if f"_name={name} " in line:
                    self.pactl("unload-module", line.split("\t")[0])

    def wait_for_streams(self, seconds: float = 30) -> None:
        """Wait until a program records from the card and can play on it; RuntimeError if none."""
        give_up = time.monotonic() + seconds
        while not all(
            "protocol-native" in self.pactl("list", "short", streams).stdout
            for streams in ("source-outputs", "sink-inputs")
        ):
            if time.monotonic() > give_up:
                raise RuntimeError("no program uses the card")
            time.sleep(0.05)

    def plug(self, *names: str) -> None:
        """Reload at `rate` what `unplug` removed, or all of it."""
        for name in names or ("hw", "spk", "mic_in", "mic", "spk_mon"):
            for line in self._script.format(socket=self._socket, rate=self.rate).splitlines():
                if f"_name={name} " in line:
                    self.pactl("load-module", *line.split()[1:])

    def kill(self) -> None:
        """Crash the daemon; `start` starts another one."""
        assert self._daemon is not None
        self._daemon.kill()
        self._daemon.wait(5)

    def add(self, name: str, title: str) -> None:
        """Add a speaker `name` and a microphone `name_mic` with a clock of their own.

        The microphone hears the speaker; record `name.monitor` for the sound.
        """
        properties = "{}_properties=device.description={}"
        self.pactl(
            *("load-module", "module-null-sink", f"sink_name={name}", f"rate={self.rate}"),
            *("norewinds=1", properties.format("sink", title)),
        )
        self.pactl(
            *("load-module", "module-remap-source", f"source_name={name}_mic"),
            *(f"master={name}.monitor", properties.format("source", f"{title}-Mic")),
        )

    def make_default(self, sink: str = "", source: str = "") -> None:
        """Change the defaults, as a user does in the system settings."""
        if sink:
            self.pactl("set-default-sink", sink)
        if source:
            self.pactl("set-default-source", source)

    def freeze(self) -> None:
        """Freeze the daemon."""
        assert self._daemon is not None
        self._daemon.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen daemon continue."""
        if self._daemon is not None:
            with suppress(ProcessLookupError):
                self._daemon.send_signal(signal.SIGCONT)

    # ----------------------------------------------------------------- inside

    def _private(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN)}
        folder = str(self._folder)
        return kept | self.environment | {"HOME": folder, "XDG_RUNTIME_DIR": folder}

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        program = subprocess.Popen(
            [*_FIRST, *command], env=self._private(), stdin=subprocess.DEVNULL
        )
        self._programs.append(program)
        return program


def write_wav(path: Path, samples: NDArray[np.int16], rate: int = RATE) -> Path:
    """Write a mono WAV file of int16 samples; return its path."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return path


def tone(seconds: float, pitch: float = 440.0, rate: int = 24_000, level: float = 0.3) -> bytes:
    """Return a sine as PCM16."""
    time_axis = np.arange(int(seconds * rate)) / rate
    return (level * 32767 * np.sin(2 * np.pi * pitch * time_axis)).astype(np.int16).tobytes()
