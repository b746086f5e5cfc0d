"""Run the app on a scripted session: `python tests/support/demo.py [scene]`."""

from __future__ import annotations

import asyncio
import itertools
import math
import sys
from typing import cast

import scenes
from scripted_session import ScriptedSession

from voicechat.core.effects import Floor
from voicechat.core.items import Item, ItemStatus, Role
from voicechat.session.session import Session
from voicechat.tui.screen_start import run


class DemoSession(ScriptedSession):
    """Answers everything typed with the story, word by word."""

    def __init__(self, scene: str) -> None:
        super().__init__()
        self._scene = scene
        self._numbers = itertools.count()
        self._answer: asyncio.Task[None] | None = None

    async def run(self) -> None:
        getattr(scenes, self._scene)(self)
        async with asyncio.TaskGroup() as tasks:
            breath = tasks.create_task(self._breathe())
            await super().run()
            breath.cancel()

    async def _breathe(self) -> None:
        for step in itertools.count():
            loud = -40 + 25 * math.sin(step / 5)
            self.levels(loud, loud if self.floor is Floor.SPEAKING else -100.0)
            await asyncio.sleep(1 / 15)

    def type(self, text: str) -> None:
        self.interrupt()
        self.put(Item(f"typed_{next(self._numbers)}", Role.USER, text, ItemStatus.COMPLETED))
        self._answer = asyncio.get_running_loop().create_task(self._tell())

    def interrupt(self) -> None:
        if self._answer is not None:
            self._answer.cancel()

    async def _tell(self) -> None:
        story = Item(f"told_{next(self._numbers)}", Role.ASSISTANT, scenes.STORY, spoken=True)
        story.heard_chars = 0
        self.put(story)
        self.turn_to(Floor.SPEAKING)
        try:
            for heard in range(0, len(story.text) + 1, 2):
                story.heard_chars = heard
                self.changed(story)
                await asyncio.sleep(0.1)
            story.status, story.heard_chars = ItemStatus.COMPLETED, None
        except asyncio.CancelledError:
            story.status = ItemStatus.INTERRUPTED
        self.changed(story)
        self.turn_to(Floor.LISTENING)


if __name__ == "__main__":
    sys.exit(run(cast(Session, DemoSession((sys.argv[1:] or ["talk"])[0]))))
