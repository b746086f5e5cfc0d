"""`voicechat replay`: play a recording back."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, cast

import typer

from voicechat.cli.command import CONSOLE, CommandEntry
from voicechat.cli.talk import prepare_screen

if TYPE_CHECKING:
    from voicechat.session.session import Session


def replay(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Folder that --record made.")],
    speed: Annotated[
        float,
        typer.Option(metavar="TIMES", min=0.1, max=1000, help="Speed; sound plays from 0.5 to 4."),
    ] = 1.0,
    text: Annotated[bool, typer.Option("--text", help="Play without sound.")] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="Line by line instead of a screen.")
    ] = False,
    console: Annotated[bool, CONSOLE] = False,
) -> int:
    """Play a recorded conversation back, without its provider.

    Space pauses, the arrow keys move and change the speed, Home starts over, Esc quits.
    """
    from pathlib import Path

    from voicechat.recording.replayed_session import Replay
    from voicechat.system import terminal_guard

    on_screen = (
        sys.stdin.isatty() and sys.stdout.isatty() and not (plain or terminal_guard.is_dumb())
    )
    path = Path(folder).expanduser()
    session = Replay(path, speed=speed, play_sound=not text, wait_at_end=on_screen)
    if not on_screen:
        from voicechat.line_mode.app import print_replay

        return print_replay(cast("Session", session), console=console)
    prepare_screen()
    from voicechat.tui.screens.replay_screen import run

    return run(session, console=console)


COMMAND = CommandEntry(70, "replay", "Play a recording back.", replay)
