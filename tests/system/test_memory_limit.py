"""The limit of memory that the shell sets is told before anything heavy is loaded."""

from __future__ import annotations

import subprocess
import sys

import pytest

from voicechat.system import memory_limit

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits address space")

SHOW = "from voicechat.system import memory_limit as m; print(m.sound_warning()); m.require()"


def limited(megabytes: str) -> subprocess.CompletedProcess[str]:
    command = f'ulimit -v {megabytes}; exec "$0" -c "$1"'
    return subprocess.run(
        ["sh", "-c", command, sys.executable, SHOW],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


def test_low_limit_is_refused_with_the_remedy() -> None:
    done = limited(str((memory_limit.LEAST_MB - 1) << 10))
    assert done.returncode == 1
    assert "may use only 349 MB of memory (ulimit -v), and voicechat needs 350 MB" in done.stderr
    assert "Type: ulimit -v unlimited" in done.stderr


def test_limit_below_what_sound_needs_is_a_warning() -> None:
    done = limited(str((memory_limit.SOUND_MB - 1) << 10))
    assert done.returncode == 0
    assert done.stdout.startswith("A program here may use only 1499 MB of memory")


@pytest.mark.parametrize("megabytes", ["unlimited", str(memory_limit.SOUND_MB << 10)])
def test_enough_memory_says_nothing(megabytes: str) -> None:
    done = limited(megabytes)
    assert (done.returncode, done.stdout) == (0, "\n")
