"""Numbers that fade out in silence cost no more than others."""

from __future__ import annotations

import platform
import queue
import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from voicechat.audio import engine, process
from voicechat.audio.messages import AudioSettings
from voicechat.system.flush_to_zero import set_flush_to_zero

x86 = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="x86 on Linux"
)
SMALL = np.full(4, 1e-38, np.float32)


def fades() -> bool:
    """Return True if a subnormal result becomes 0 in the calling thread."""
    return not (SMALL * np.float32(1e-3)).any()


@x86
def test_only_the_calling_thread_and_those_it_starts_flush() -> None:
    found: list[bool] = []

    def inner() -> None:
        found.append(fades())

    def outer() -> None:
        found.append(set_flush_to_zero())
        found.append(fades())
        thread = threading.Thread(target=inner)
        thread.start()
        thread.join()

    thread = threading.Thread(target=outer)
    thread.start()
    thread.join()
    assert found == [True, True, True]
    assert not fades()


@x86
def test_normal_numbers_are_exact() -> None:
    program = """if True:
        import numpy as np
        from voicechat.system.flush_to_zero import set_flush_to_zero
        values = np.random.default_rng(1).standard_normal(1000).astype(np.float32)
        before = np.fft.rfft(values * np.float32(1e-30))
        assert set_flush_to_zero()
        assert (np.fft.rfft(values * np.float32(1e-30)) == before).all()
    """
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


@x86
def test_the_audio_process_flushes(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[bool] = []

    class Ended:
        finished = True

        def __init__(self, *_: object) -> None:
            found.append(fades())

        def close(self) -> None:
            return

    monkeypatch.setattr(engine, "Engine", Ended)
    monkeypatch.setattr(process, "gc", SimpleNamespace(collect=list, freeze=list, enable=list))
    outbox = SimpleNamespace(put=print, broken=False)
    arguments = (AudioSettings(), queue.SimpleQueue(), outbox)
    thread = threading.Thread(target=process._loop, args=arguments)
    thread.start()
    thread.join()
    assert found == [True]


def test_other_platforms_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert not set_flush_to_zero()
