"""The transitions in docs/architecture.md match the code."""

from __future__ import annotations

from typing import Any

import asset_scripts
import pytest

from voicechat.core.conversation import _ON, _SHORT


@pytest.fixture(scope="module")
def script() -> Any:
    return asset_scripts.script("make_transitions")


def test_the_tables_are_current(script: Any) -> None:
    text = script.PAGE.read_text(encoding="utf-8")
    assert text == script.page(text), "run python assets/make_transitions.py"


def test_every_event_and_input_has_a_row(script: Any) -> None:
    tables = script.tables()
    assert len({*_ON, *_SHORT}) > 20
    for kind in {*_ON, *_SHORT}:
        assert f"{kind.__name__}`" in tables


def test_effects_of_a_called_part_are_found(script: Any) -> None:
    row = next(line for line in script.tables().splitlines() if "`inputs.Talk`" in line)
    for made in ("CommitAudio", "ClearAudio", "CloseMic", "StopPlayback", "CancelResponse"):
        assert f"`{made}`" in row
