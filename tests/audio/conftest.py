from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sound_rig import Rig
from virtual_audio import AVAILABLE, VirtualCard

from voicechat.audio.messages import AudioSettings


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Iterator[VirtualCard]:
    """A sound card of this test alone, the default of every process it starts."""
    if not AVAILABLE:
        pytest.skip("PulseAudio is not installed")
    with VirtualCard() as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture
def make_rig() -> Iterator[Callable[..., Rig]]:
    """Makes audio processes that end with the test: `make_rig(**settings)`."""
    rigs: list[Rig] = []

    def make(**settings: object) -> Rig:
        rigs.append(Rig(AudioSettings(**settings)))  # type: ignore[arg-type]
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.process.close()
