"""Tools that the model can call.

A plugin needs only `from voicechat.tools import tool`.
"""

from voicechat.tools.functions import tool
from voicechat.tools.registry import ToolError

__all__ = ["ToolError", "tool"]
