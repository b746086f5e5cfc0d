"""Slash commands that open a list to choose from, or print it where there is no screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from voicechat.errors import UsageError
from voicechat.line_mode.pickers.picker_table import PICKERS
from voicechat.line_mode.pickers.tool_picker import OFF

if TYPE_CHECKING:
    from voicechat.line_mode.pickers.picker import PickerItem
    from voicechat.session.session import Session

_SAVE = "save"
_TOOL_VERBS = ("on", "off", "retry", "revoke")


def lister(name: str) -> Callable[[Session, str], None]:
    """Return the function that prints a picker as a list."""

    def print_list(session: Session, argument: str) -> None:
        picker = PICKERS[name]
        session.report(picker.title, partial(picker.printed, session))

    return print_list


def tools(session: Session, argument: str) -> str | None:
    """List the tools and MCP servers, or change one."""
    verb, _, name = argument.partition(" ")
    if not argument:
        lister("tools")(session, "")
        return None
    if verb not in _TOOL_VERBS or not name.strip():
        raise UsageError("/tools takes on, off, retry or revoke, and a name.")
    item = _tool_named(session, name.strip())
    picker = PICKERS["tools"]
    if verb in ("on", "off"):
        if (item.note == OFF) == (verb == "off"):
            return f"{item.label} is already {verb}."
        return picker.choose(session, item).text
    wanted = "retries" if verb == "retry" else "revokes your approval"
    if item.space != wanted:
        raise UsageError(f"There is nothing to {verb} for {item.label}.")
    return picker.more(session, item).text or None


def _tool_named(session: Session, name: str) -> PickerItem:
    for kind in ("tool", "server"):
        for item in PICKERS["tools"].items(session):
            if item.key == f"{kind}:{name}":
                return item
    raise UsageError(f"There is no tool or MCP server {name[:40]!r}.", "/tools lists them.")


def settings(session: Session, argument: str) -> str | None:
    """List the settings, show or change one, or save the changed ones."""
    name, _, value = argument.partition(" ")
    if not argument:
        lister("settings")(session, "")
    elif argument == _SAVE:
        session.save_settings()
    elif value:
        return session.settings.change(name, value)
    else:
        state = session.settings.state(name)
        return f"{name} is {state.value or 'not set'}. {state.help}"
    return None


def tool_words(session: Session, argument: str) -> Sequence[str]:
    """Offer the words that change a tool, with its names."""
    names = [item.key.partition(":")[2] for item in PICKERS["tools"].items(session)]
    return [f"{verb} {name}" for verb in _TOOL_VERBS[:2] for name in names]


def setting_names(session: Session, argument: str) -> Sequence[str]:
    """Offer the names of the settings."""
    return [_SAVE, *(state.name for state in session.settings.states)]
