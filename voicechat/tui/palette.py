"""The commands of the palette: what makes sense now."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from textual.app import SystemCommand
from textual.command import CommandList, CommandPalette
from textual.widgets import Button, Input

from voicechat.line_mode.slash_commands import COMMANDS
from voicechat.tui.keys import Key, key_names, keys_in_use
from voicechat.tui.screens.conversation_screen import ConversationScreen

if TYPE_CHECKING:
    from voicechat.session.session import Session

_COMMAND_OF = {
    "interrupt": ("/interrupt",),
    "mute": ("/mute", "/unmute"),
    "hands_free": ("/hands-free", "/push-to-talk"),
    "new_conversation": ("/new",),
    "help": ("/help",),
    "settings": ("/settings",),
    "quit": ("/quit",),
}
"""Slash commands that do what an action does; the palette offers these instead."""


class Palette(CommandPalette):
    """The command palette, which ignores keys for its list while that has no room yet."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Return False for a move in a list without lines; paging in it raises `KeyError`."""
        if action == "command_list" and not self.query_one(CommandList).scrollable_content_region:
            return False
        return super().check_action(action, parameters)

    def _select_or_command(self, event: Input.Submitted | Button.Pressed | None = None) -> None:
        if self in self.app.screen_stack:  # not closed by the Enter before
            super()._select_or_command(event)


def _keys_of(name: str) -> str:
    """Return the keys that do what a slash command does, in parentheses; empty without one."""
    found = (key for key in keys_in_use() if name in _COMMAND_OF.get(key.action, ()))
    return next((f" ({key_names(key)})" for key in found), "")


def palette_commands(session: Session, screen: ConversationScreen) -> Iterator[SystemCommand]:
    """Yield the slash commands and the other actions that make sense now.

    A command that opens the same list as another one is left out: `/theme` opens `/themes`.
    """
    for name, command in COMMANDS.items():
        opens_other = command.picker and name != f"/{command.picker}"
        if command.available(session) and not opens_other:
            start = partial(screen.start_command, name)
            yield SystemCommand(name, command.summary + _keys_of(name), start)
    for key in keys_in_use():
        owner = screen.app if key.of_app else screen
        if key.action not in _COMMAND_OF and owner.check_action(key.action, ()):
            yield _action(key, screen)


def _action(key: Key, screen: ConversationScreen) -> SystemCommand:
    namespace = "app" if key.of_app else "screen"

    async def run_action() -> None:
        await screen.run_action(f"{namespace}.{key.action}")

    name = key.label or key.action.replace("_", " ").capitalize()
    return SystemCommand(name, f"{key.description} ({key_names(key)})", run_action)
