"""What the model may do: typed functions offered as tools.

A plugin needs no more than `from voicechat.tools import tool`.
"""

from voicechat.tools.functions import tool
from voicechat.tools.registry import ToolError

__all__ = ["ToolError", "tool"]
