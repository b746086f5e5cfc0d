from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from on_terminal import OnTerminal
from virtual_audio import VirtualCard


@pytest.fixture
def card(card: VirtualCard) -> VirtualCard:
    """A sound card whose microphone has noise, so that it does not count as switched off."""
    card.hiss()
    return card


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., OnTerminal]]:
    """Start the program on a terminal of its own: `start("--text", rows=36)`."""
    started: list[OnTerminal] = []

    def begin(*words: str, **options: object) -> OnTerminal:
        started.append(OnTerminal(tmp_path, *words, **options))  # type: ignore[arg-type]
        return started[-1]

    yield begin
    for terminal in started:
        terminal.close()
