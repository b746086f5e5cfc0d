"""The tools that come with voicechat, one topic to a file.

Those that read no more than the clock, or touch only voicechat's own notebook, run when the model
asks. Everything else asks the person, or is not offered until the person named folders for it.
"""

from __future__ import annotations

from voicechat.tools.builtin import (
    clipboard,
    clock,
    commands,
    folders,
    notes,
    numbers,
    ringing,
    web,
)
from voicechat.tools.registry import Tool
from voicechat.tools.surroundings import Surroundings


def builtin(surroundings: Surroundings) -> tuple[Tool, ...]:
    """The built-in tools, in the order in which they are listed."""
    return (
        *clock.tools(),
        *ringing.tools(surroundings),
        *numbers.tools(),
        *notes.tools(surroundings),
        *folders.tools(surroundings),
        *web.tools(),
        *clipboard.tools(),
        *commands.tools(),
    )
