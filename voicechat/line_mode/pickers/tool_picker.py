"""The tools and MCP servers, with their permission and state."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from voicechat.core.settings import Permission
from voicechat.core.text import clean
from voicechat.line_mode.pickers.picker import MAX_DETAIL, Details, PickerItem, PickResult

if TYPE_CHECKING:
    from voicechat.core.settings import ToolSpec
    from voicechat.session.session import Session
    from voicechat.session.toolbox import Toolbox
    from voicechat.tools.mcp.mcp_servers import ServerState

_SERVERS = "MCP servers"
_WORDS = {
    Permission.AUTO: "runs at once",
    Permission.ASK: "asks you",
    Permission.NEVER: "never, by the settings",
}
_SPACE = {"failed": "retries", "waiting for approval": "allows it to start"}
OFF = "off until you quit"
"""State of a tool or server that the user switched off."""


def tool_items(session: Session) -> list[PickerItem]:
    """Return the MCP servers, then the tools by their source."""
    toolbox = session.toolbox
    specs = sorted(toolbox.specs, key=lambda spec: (_rank(spec), spec.source))
    return [
        *(_server(toolbox, state) for state in toolbox.server_states),
        *(_tool(toolbox, spec) for spec in specs),
    ]


def _rank(spec: ToolSpec) -> bool:
    """Sort the tools that come with voicechat first."""
    from voicechat.tools.registry import BUILT_IN

    return spec.source != BUILT_IN


def _server(toolbox: Toolbox, state: ServerState) -> PickerItem:
    is_off = toolbox.is_source_off(state.source)
    tools = f"{state.tools} tool{'s' * (state.tools != 1)}"
    note = OFF if is_off else f"{state.state}, {tools}"
    return PickerItem(
        f"server:{state.name}",
        state.name,
        note,
        _SERVERS,
        enter=_toggle(is_off) if state.tools or is_off else "",
        space=_SPACE.get(state.state, ""),
        details=lambda: [("State", note), *_problem(state)],
    )


def _problem(state: ServerState) -> Details:
    return [("Problem", clean(state.problem)[:MAX_DETAIL])] if state.problem else []


def _tool(toolbox: Toolbox, spec: ToolSpec) -> PickerItem:
    is_off, is_approved = toolbox.is_off(spec), spec.name in toolbox.approved
    forbidden = spec.permission is Permission.NEVER and not is_off
    note = OFF if is_off else _WORDS[spec.permission]
    if is_approved and spec.permission is Permission.AUTO:
        note = f"{note}: you always allow it"
    elif is_approved and not is_off:
        note = f"{note}, except what you always allow"
    return PickerItem(
        f"tool:{spec.name}",
        spec.name,
        note,
        spec.source,
        enter="" if forbidden or toolbox.is_source_off(spec.source) else _toggle(is_off),
        space="revokes your approval" if is_approved else "",
        details=partial(_details, spec, note),
    )


def _toggle(is_off: bool) -> str:
    return "switches it on" if is_off else "switches it off"


def _details(spec: ToolSpec, note: str) -> Details:
    found = [("Permission", note), ("About", " ".join(clean(spec.description).split()))]
    rules = () if spec.rules is None else spec.rules.rules
    found += [(str(rule.permission), clean(rule.shown)) for rule in rules]
    if spec.remark:
        found.append(("Note", clean(spec.remark)))
    return [(name, text[:MAX_DETAIL]) for name, text in found]


def toggle_tool(session: Session, item: PickerItem) -> PickResult:
    """Switch a tool, or all tools of a server, off or on until the session ends."""
    toolbox = session.toolbox
    kind, _, name = item.key.partition(":")
    if not item.enter:
        return PickResult(f"{item.label} cannot be switched: {item.note}.")
    if kind == "server":
        name = next(each.source for each in toolbox.server_states if each.name == name)
    on = item.note == OFF
    toolbox.switch(name, on)
    return PickResult(f"{item.label} is {'on' if on else OFF}.")


def mend_tool(session: Session, item: PickerItem) -> PickResult:
    """Start a failed server again, allow a waiting one, or revoke the approval of a tool."""
    kind, _, name = item.key.partition(":")
    if not item.space:
        return PickResult()
    if kind == "tool":
        session.revoke_approval(name)
        return PickResult()
    if item.space == _SPACE["failed"]:
        session.toolbox.retry_server(name)
        return PickResult(f"Starting {item.label} again.")
    session.allow_server(name)
    return PickResult(f"{item.label} may start.")
