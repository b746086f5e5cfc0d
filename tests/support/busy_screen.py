"""`python tests/support/busy_screen.py WORD...`: the program with a very busy screen.

It lays out and redraws its transcript as fast as it can, and blocks its main loop for 200 ms of
every second while it holds the interpreter lock.
"""

from __future__ import annotations

import asyncio
import sys
import time

from voicechat.cli.app import main
from voicechat.tui.app import VoicechatApp
from voicechat.tui.widgets.entry_widgets import EntryLine

STALL_S = 0.2
EVERY_S = 1.0

_start_session = VoicechatApp._start_session
_tasks: list[asyncio.Task[None]] = []


def _start_busy_session(app: VoicechatApp) -> None:
    _start_session(app)
    _tasks.extend(asyncio.create_task(work(app)) for work in (_redraw, _stall))


async def _redraw(app: VoicechatApp) -> None:
    while True:
        for line in app.screen.query(EntryLine):
            line.refresh(layout=True)
        await asyncio.sleep(0)


async def _stall(app: VoicechatApp) -> None:
    while True:
        await asyncio.sleep(EVERY_S - STALL_S)
        end = time.monotonic() + STALL_S
        while time.monotonic() < end:
            sum(range(1_000))


if __name__ == "__main__":
    setattr(VoicechatApp, "_start_session", _start_busy_session)  # noqa: B010
    sys.exit(main())
