"""Fixtures of all tests: private folders, a sound card, the profiles of Hypothesis."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Generator, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from machine_stalls import StallWatch
from needs import SOUND, need
from on_terminal import not_first_start
from virtual_audio import VirtualCard
from wire_examples import NO_RECORDINGS

_TESTS = Path(__file__).parent
MEASURED = [
    _TESTS / one
    for one in (
        "api", "calls", "core", "providers", "server/realtime", "server/test_beta_clients.py",
        "session", "synthesis", "transcription", "tui/screens/test_history_screen.py",
        "tui/screens/test_picker_screen.py",
    )
]  # fmt: skip
"""The tests of the packages in `tool.coverage.run.source` of pyproject.toml."""

settings.register_profile("fuzz", max_examples=5_000, deadline=None)
settings.register_profile(
    "quick", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("quick")


def pytest_configure(config: pytest.Config) -> None:
    """Let children receive signals, and stop the first measurement of pytest-cov in a worker.

    A shell ignores two signals for what it runs in the background, and children inherit that.
    pytest-cov 7.1 starts one for the whole program and then one for the worker. The first is never
    read, and the two together trace each line twice.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if sys.platform != "win32" and signal.getsignal(signal.SIGQUIT) is signal.SIG_IGN:
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    coverage = config.pluginmanager.getplugin("_cov")
    if coverage is not None and hasattr(config, "workerinput"):
        coverage.cov_controller.pause()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Measure only examples in `MEASURED`: measuring more than doubles the time of a test.

    Examples of Hypothesis differ from run to run, and so would what they cover.
    """
    for item in items:
        is_inside = any(item.path.is_relative_to(folder) for folder in MEASURED)
        if not is_inside or getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker(pytest.mark.no_cover)


@pytest.fixture(scope="session", autouse=True)
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep tests away from the user's own notes, settings, logs and keys."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for kind in ("CONFIG", "DATA", "STATE", "CACHE"):
            patch.setenv(f"XDG_{kind}_HOME", str(home / kind.lower()))
        not_first_start(home / "state")
        patch.setenv("VOICECHAT_LOCAL_CHAT", "no")  # a chat server of the developer stays out
        for name in [name for name in os.environ if name.endswith("_API_KEY")]:
            patch.delenv(name)
        yield


@pytest.fixture
def card() -> Iterator[VirtualCard]:
    """A sound card for one test; pass its `environment` to a program."""
    need(SOUND)
    with VirtualCard() as made:
        yield made


@pytest.fixture
def own_card(card: VirtualCard, monkeypatch: pytest.MonkeyPatch) -> VirtualCard:
    """The card as the default of this process and of every program that it starts."""
    for name, value in card.environment.items():
        monkeypatch.setenv(name, value)
    return card


@pytest.fixture(scope="session")
def stall_watch() -> Iterator[StallWatch]:
    """Watch the machine's cores while sound tests run."""
    watch = StallWatch()
    yield watch
    watch.close()


@pytest.fixture(autouse=True)
def _watched(request: pytest.FixtureRequest) -> None:
    """Let `pytest_runtest_call` see the stalls during a sound test."""
    if request.node.get_closest_marker("sound"):
        request.node.stash[_WATCH] = request.getfixturevalue("stall_watch")


_WATCH = pytest.StashKey[StallWatch]()


@pytest.fixture(autouse=True)
def _ordinary_priority() -> Iterator[None]:
    """Fail a test that leaves its process at real-time priority, which slows all others down."""
    yield
    real_time = (os.SCHED_FIFO, os.SCHED_RR) if sys.platform == "linux" else ()
    if real_time and os.sched_getscheduler(0) in real_time:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        pytest.fail("the test left its process at real-time priority")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Run a sound test again (see `addopts`) if it fails while the machine stalls."""
    watch = item.stash.get(_WATCH, None)
    with watch.stalls_reported() if watch else nullcontext():
        return (yield)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report how many tests were skipped because recordings of other projects are missing."""
    reasons = [str(report.longrepr) for report in terminalreporter.getreports("skipped")]
    absent = sum(NO_RECORDINGS in reason for reason in reasons)
    if absent:
        terminalreporter.write_line(
            f"{absent} tests of recorded sockets were skipped: {NO_RECORDINGS}. "
            "tests/providers/test_own_sockets.py covers the same with frames of our own."
        )
