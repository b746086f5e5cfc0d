"""The built-in tools, one module per topic.

Every module of this folder is loaded. It has `POSITION`, its place in the list, and
`tools(context)`, which returns its tools. Tools that only read the clock or change voicechat's own
notebook run without asking; the others ask the user, or are off until the user names folders.
"""

from __future__ import annotations

import importlib
import pkgutil

from voicechat.tools.registry import Tool
from voicechat.tools.tool_context import ToolContext


def builtin(context: ToolContext) -> tuple[Tool, ...]:
    """Load the built-in tools, in the order in which they are listed."""
    names = (module.name for module in pkgutil.iter_modules(__path__, f"{__name__}."))
    modules = sorted(map(importlib.import_module, names), key=lambda module: module.POSITION)
    return tuple(tool for module in modules for tool in module.tools(context))
