"""Tools as function declarations of Gemini Live.

Sources: Gemini API reference, "Caching", `FunctionDeclaration`; guide "Live API: tool use".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from string import ascii_letters

from voicechat.core.settings import ToolSpec
from voicechat.providers.google.google_schema import Schema, plain_schema
from voicechat.providers.openai.openai_parts import without_none

LONGEST_NAME = 64
"""Most characters in the name of a function."""

_FIRST = {*ascii_letters, "_"}
"""Characters that a function's name may begin with."""


def wire_names(tools: Iterable[ToolSpec]) -> dict[str, str]:
    """Return the name on the wire of each tool, by its own name: with a `_` where it needs one."""
    found: dict[str, str] = {}
    taken = {tool.name for tool in tools}
    for name in sorted(taken):
        on_wire = name
        while on_wire[0] not in _FIRST or (on_wire != name and on_wire in taken):
            on_wire = f"_{on_wire}"[:LONGEST_NAME]
        taken.add(on_wire)
        found[name] = on_wire
    return found


def declaration(
    tool: ToolSpec, names: Mapping[str, str], *, is_plain: bool, behavior: str | None
) -> Schema:
    """Return the declaration of one tool.

    With `is_plain`, the model takes `parameters` only: of `parametersJsonSchema` it sees nothing,
    and calls the function without arguments.
    """
    arguments = (
        {"parameters": plain_schema(tool.parameters)}
        if is_plain
        else {"parametersJsonSchema": tool.parameters}
    )
    return without_none(
        {
            "name": names[tool.name],
            "description": tool.description,
            **arguments,
            "behavior": behavior,
        }
    )
