"""The tools that come with voicechat, one topic to a file.

Those that read no more than the clock, or touch only voicechat's own notebook, run when the model
asks. Everything else asks the person, or is not offered until the person named folders for it.
"""

from __future__ import annotations

from voicechat.tools.builtin import (
    alarms,
    calculator,
    clipboard,
    current_time,
    folders,
    notes,
    shell,
    web,
)
from voicechat.tools.registry import Tool
from voicechat.tools.tool_context import Surroundings


def builtin(surroundings: Surroundings) -> tuple[Tool, ...]:
    """The built-in tools, in the order in which they are listed."""
    return (
        *current_time.tools(),
        *alarms.tools(surroundings),
        *calculator.tools(),
        *notes.tools(surroundings),
        *folders.tools(surroundings),
        *web.tools(),
        *clipboard.tools(),
        *shell.tools(),
    )
