from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sound_rig import Rig
from virtual_audio import VirtualCard

from voicechat.audio.messages import AudioSettings


@pytest.fixture
def card(own_card: VirtualCard) -> VirtualCard:
    """A sound card for this test alone, the default of every process it starts."""
    return own_card


@pytest.fixture
def make_rig() -> Iterator[Callable[..., Rig]]:
    """Make audio processes that end with the test: `make_rig(**settings)`."""
    rigs: list[Rig] = []

    def make(**settings: object) -> Rig:
        rigs.append(Rig(AudioSettings(**settings)))  # type: ignore[arg-type]
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.process.close()
