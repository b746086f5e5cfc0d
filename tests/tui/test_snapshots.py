"""Snapshots of the screen. `make snapshots` updates them after an intended change."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import scenes
from scripted_session import ScriptedSession
from textual.pilot import Pilot

from voicechat.core.effects import Level, Notice
from voicechat.session.updates import Link
from voicechat.tui.app import VoicechatApp
from voicechat.tui.screens.conversation_screen import ConversationScreen
from voicechat.tui.themes import LIGHT
from voicechat.tui.widgets.entry_widgets import EntryLine

Scene = Callable[[ScriptedSession], None]
SnapshotComparison = Callable[..., bool]


MARKDOWN = """\
## Powers of two

Use `2**10` for **1,024**; see [the docs](https://docs.python.org/3/) and *not* `__init__`.

1. Write the base.
   - Then the power.

| Power | Value |
|---|---|
| `2**8` | 256 |

```python
def power(n: int) -> int:
    return 2**n  # exact
```
> Python never overflows.
"""


def empty_conversation(session: ScriptedSession) -> None:
    """A conversation without entries."""


def starting_voice(session: ScriptedSession) -> None:
    """The embedded voice is starting."""
    session.link_to(Link.CONNECTING, "Loading the speech recognizer: 40%")


def problems(session: ScriptedSession) -> None:
    """A missing microphone, a lost connection and a notice."""
    scenes.talk(session)
    session.sound("No microphone was found.", "Connect a device, or type.")
    session.link_to(Link.RECONNECTING, "The server closed the connection; trying again")
    session.notice(Notice("The tool took too long.", Level.WARNING, "It was stopped."))


def typed_markdown(session: ScriptedSession) -> None:
    """A typed reply with every kind of block."""
    session.you("How do I raise two to a power?", spoken=False)
    session.voiced(MARKDOWN, spoken=False)


def matches_snapshot(
    compare_svg: SnapshotComparison,
    scene: Scene,
    size: tuple[int, int],
    session: ScriptedSession | None = None,
    keys: tuple[str, ...] = (),
    theme: str = "",
) -> bool:
    """Return True if the screen with this scene matches its snapshot."""
    session = session or ScriptedSession()
    app = VoicechatApp(session)
    if theme:
        app.theme = theme

    async def show(pilot: Pilot[None]) -> None:
        scene(session)
        screen = pilot.app.screen
        assert isinstance(screen, ConversationScreen)
        await screen.flush()
        await pilot.press(*keys)
        while any(line.is_waiting for line in screen.query(EntryLine)):
            await pilot.pause()
        await pilot.pause()

    return compare_svg(app, terminal_size=size, run_before=show)


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
@pytest.mark.parametrize("scene", [empty_conversation, scenes.talk, scenes.tools])
def test_conversation(
    snap_compare: SnapshotComparison, scene: Scene, size: tuple[int, int]
) -> None:
    assert matches_snapshot(snap_compare, scene, size)


@pytest.mark.parametrize("scene", [scenes.shown, scenes.limited, scenes.summed_up])
def test_pictures_costs_and_sheets(snap_compare: SnapshotComparison, scene: Scene) -> None:
    assert matches_snapshot(snap_compare, scene, (80, 24))


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
def test_event_console(snap_compare: SnapshotComparison, size: tuple[int, int]) -> None:
    session = ScriptedSession()
    app = VoicechatApp(session)

    async def show(pilot: Pilot[None]) -> None:
        await scenes.with_console(pilot.app, session)
        await pilot.press(*["up"] * 3, *["enter"] * (size[0] > 100))
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=show)


@pytest.mark.parametrize("size", [(80, 24), (44, 12)])
def test_focused_approval_card(snap_compare: SnapshotComparison, size: tuple[int, int]) -> None:
    assert matches_snapshot(snap_compare, scenes.asking, size, keys=("f8", "o"))


def test_unfocused_approval_card(snap_compare: SnapshotComparison) -> None:
    assert matches_snapshot(snap_compare, scenes.asking, (80, 24))


def test_problems(snap_compare: SnapshotComparison) -> None:
    assert matches_snapshot(snap_compare, problems, (80, 24))


def test_starting_voice(snap_compare: SnapshotComparison) -> None:
    assert matches_snapshot(snap_compare, starting_voice, (80, 24))


def test_push_to_talk_narrow(snap_compare: SnapshotComparison) -> None:
    session = ScriptedSession(hands_free=False)
    assert matches_snapshot(snap_compare, scenes.noted, (60, 20), session)


def test_text_only(snap_compare: SnapshotComparison) -> None:
    session = ScriptedSession(with_sound=False)
    keys = (*"hello", "ctrl+j", *"there")
    assert matches_snapshot(snap_compare, empty_conversation, (80, 24), session, keys)


@pytest.mark.parametrize("size", [(80, 24), (40, 30)])
def test_typed_markdown(snap_compare: SnapshotComparison, size: tuple[int, int]) -> None:
    session = ScriptedSession(with_sound=False)
    assert matches_snapshot(snap_compare, typed_markdown, size, session)


def test_light_theme(snap_compare: SnapshotComparison) -> None:
    assert matches_snapshot(snap_compare, scenes.talk, (80, 24), theme=LIGHT.name)


def test_help(snap_compare: SnapshotComparison) -> None:
    assert matches_snapshot(snap_compare, scenes.talk, (80, 36), keys=("f1",))


def test_tiny_terminal(snap_compare: SnapshotComparison) -> None:
    assert matches_snapshot(snap_compare, scenes.talk, (24, 6))
