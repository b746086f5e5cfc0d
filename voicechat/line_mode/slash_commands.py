"""Slash commands of the line mode and the screen, and which of them the model may run.

Each command is one row of `COMMANDS`. The help, the documentation and the model's tools for the app
(`tools.builtin.control`) are made from that table.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from voicechat.core.effects import Floor
from voicechat.core.settings import Permission
from voicechat.errors import UsageError
from voicechat.line_mode import (
    approval_commands,
    command_choices,
    console_commands,
    message_commands,
    picker_commands,
    setting_commands,
    sound_commands,
)
from voicechat.line_mode.command_choices import Choices
from voicechat.line_mode.pickers.picker_table import PICKERS
from voicechat.session.view import MAX_VOLUME
from voicechat.tools.tool_context import AppCommand

if TYPE_CHECKING:
    from voicechat.session.session import Session


@dataclass(frozen=True, slots=True)
class Command:
    """One slash command. `run` receives the argument; it returns the text to show, or None."""

    summary: str
    run: Callable[[Session, str], str | None]
    argument: str = ""
    """Argument as the help shows it; empty when it takes none."""
    starts_turn: bool = False
    """True if the model answers it."""
    needs_user: bool = False
    """True if it approves or denies something, so that only a user at a terminal may type it."""
    by_model: Permission = Permission.NEVER
    """Permission of the model to run it.

    `ASK` for what the user would miss and for what opens the microphone. `NEVER` for what reads
    files and for approvals: a web page could ask the model for them.
    """
    available: Callable[[Session], bool] = command_choices.always
    """True while the command makes sense; the palette and the completion offer only those."""
    choices: Choices = command_choices.no_values
    """Values that complete the argument."""
    picker: str = ""
    """Name of the picker that opens on a screen when the user gives no argument."""
    selects: str = ""
    """Start of the key of the item that is selected in it."""
    edits_choice: bool = False
    """True if the user changes a chosen value before the command runs."""
    model_result: str | Callable[[Session], Awaitable[str]] = "Done."
    """Result for the model when `run` returns no text; a function replaces `run`."""


def _delete_last(session: Session, argument: str) -> str:
    before = len(session.transcript.entries)
    session.forget_last()
    deleted = len(session.transcript.entries) < before
    return "Deleted the last exchange." if deleted else "There is nothing to delete."


def _usage(session: Session, argument: str) -> str:
    return "\n".join(session.usage_report)


async def _tool_list(session: Session) -> str:
    return setting_commands.tools(session, "")


def _list_command(name: str, summary: str) -> Command:
    available = PICKERS[name].available
    return Command(summary, picker_commands.lister(name), available=available, picker=name)


def _interrupt(session: Session, argument: str) -> str:
    busy = session.floor in {Floor.THINKING, Floor.SPEAKING, Floor.WORKING}
    stops = busy or session.talking
    session.interrupt()
    return "Stopped." if stops else "There is nothing to stop."


def _without_argument(act: Callable[[Session], None]) -> Callable[[Session, str], None]:
    return lambda session, argument: act(session)


HELP = "/help"
QUIT = ("/quit", "/exit")

COMMANDS: Mapping[str, Command] = {
    "/interrupt": Command(
        "stop speech, thinking and tools", _interrupt, available=command_choices.is_busy
    ),
    "/hangup": Command(
        "end the phone call",
        _without_argument(lambda s: s.hang_up()),
        needs_user=True,
        available=command_choices.has_call,
    ),
    "/image": Command(
        "send a picture",
        lambda s, path: s.show(path),
        "PATH [words]",
        starts_turn=True,
        choices=command_choices.image_files,
    ),
    "/say": Command(
        "speak a text word for word",
        setting_commands.say,
        "TEXT",
        starts_turn=True,
        available=command_choices.can_say,
    ),
    "/mute": Command(
        "mute the microphone",
        sound_commands.mute,
        by_model=Permission.AUTO,
        available=command_choices.can_mute,
    ),
    "/unmute": Command(
        "unmute the microphone",
        sound_commands.unmute,
        by_model=Permission.ASK,
        available=command_choices.can_unmute,
    ),
    "/volume": Command(
        "show or set the volume",
        sound_commands.volume,
        f"0-{MAX_VOLUME}|up|down",
        by_model=Permission.AUTO,
        available=command_choices.has_sound,
        choices=command_choices.fixed("up", "down", "50", "100", "150"),
    ),
    "/microphone": Command(
        "show or switch the microphone",
        sound_commands.microphone,
        "NAME|default",
        by_model=Permission.ASK,
        available=command_choices.has_sound,
        choices=command_choices.fixed("default"),
        picker="devices",
        selects="input:",
    ),
    "/speaker": Command(
        "show or switch the speaker",
        sound_commands.speaker,
        "NAME|default",
        by_model=Permission.ASK,
        available=command_choices.has_sound,
        choices=command_choices.fixed("default"),
        picker="devices",
        selects="output:",
    ),
    "/devices": _list_command("devices", "list and choose devices"),
    "/levels": Command(
        "show microphone and speaker levels",
        sound_commands.levels,
        by_model=Permission.AUTO,
        available=command_choices.has_sound,
    ),
    "/hands-free": Command(
        "end turns automatically",
        sound_commands.hands_free,
        by_model=Permission.ASK,
        available=command_choices.can_go_hands_free,
    ),
    "/push-to-talk": Command(
        "talk between two presses of a key",
        sound_commands.push_to_talk,
        by_model=Permission.AUTO,
        available=command_choices.can_push_to_talk,
    ),
    "/allow": Command(
        "run the waiting tool call",
        approval_commands.allow,
        "NUMBER [session]",
        needs_user=True,
        available=command_choices.is_asking,
        choices=command_choices.waiting_calls,
    ),
    "/always": Command(
        "always allow this tool or pattern",
        approval_commands.always,
        "NUMBER [PATTERN]",
        needs_user=True,
        available=command_choices.is_asking,
        choices=command_choices.waiting_calls,
    ),
    "/deny": Command(
        "deny it, with an optional reason",
        approval_commands.deny,
        "NUMBER [words]",
        needs_user=True,
        available=command_choices.is_asking,
        choices=command_choices.waiting_calls,
    ),
    "/answer": Command(
        "answer a question of an MCP server",
        approval_commands.answer,
        "NUMBER [NAME=VALUE …]",
        needs_user=True,
        available=command_choices.has_questions,
        choices=command_choices.waiting_questions,
    ),
    "/decline": Command(
        "decline to answer it",
        approval_commands.decline,
        "NUMBER",
        needs_user=True,
        available=command_choices.has_questions,
        choices=command_choices.waiting_questions,
    ),
    "/let": Command(
        "allow an MCP server to start",
        approval_commands.allow_mcp_server,
        "NAME",
        needs_user=True,
        available=command_choices.has_waiting_servers,
        choices=command_choices.waiting_servers,
    ),
    "/voice": Command(
        "show or change the voice",
        setting_commands.voice,
        "NAME|next",
        by_model=Permission.AUTO,
        available=command_choices.has_sound,
        choices=command_choices.voices,
        picker="voices",
    ),
    "/voices": _list_command("voices", "list, hear and choose voices"),
    "/speed": Command(
        "show or change the speaking speed",
        setting_commands.speed,
        "NUMBER|faster|slower",
        by_model=Permission.AUTO,
        available=command_choices.has_sound,
        choices=command_choices.fixed("faster", "slower", "1"),
    ),
    "/theme": Command(
        "list the themes, or change to one",
        setting_commands.theme,
        "dark|light|auto|other",
        by_model=Permission.AUTO,
        available=command_choices.has_screen,
        choices=command_choices.themes,
        picker="themes",
    ),
    "/themes": _list_command("themes", "list, preview and choose themes"),
    "/instructions": Command(
        "show or change the instructions",
        setting_commands.instructions,
        "TEXT",
        by_model=Permission.ASK,
    ),
    "/model": Command(
        "switch to another model",
        setting_commands.model,
        "PROVIDER/MODEL",
        by_model=Permission.ASK,
        choices=command_choices.models,
        picker="models",
    ),
    "/models": _list_command("models", "list and choose models"),
    "/tools": Command(
        "list or switch tools and MCP servers",
        picker_commands.tools,
        "on|off|retry|revoke NAME",
        by_model=Permission.AUTO,
        choices=picker_commands.tool_words,
        model_result=_tool_list,
        picker="tools",
    ),
    "/settings": Command(
        "show, change and save the settings",
        picker_commands.settings,
        "NAME [VALUE]|save",
        choices=picker_commands.setting_names,
        picker="settings",
    ),
    "/summary": Command(
        "summarize, without adding a turn",
        _without_argument(lambda s: s.summarize()),
        starts_turn=True,
        by_model=Permission.AUTO,
        model_result=lambda s: s.summary(),
        available=command_choices.has_entries,
    ),
    "/ask-aside": Command(
        "ask outside the conversation",
        setting_commands.ask_aside,
        "WORDS",
        starts_turn=True,
        available=command_choices.can_ask_aside,
    ),
    "/copy": Command(
        "copy the last answer to the clipboard",
        setting_commands.copy,
        available=command_choices.has_entries,
    ),
    "/find": Command(
        "find words in the conversation",
        message_commands.find,
        "WORDS",
        available=command_choices.has_entries,
    ),
    "/edit": Command(
        "change a message and go on from there",
        message_commands.edit,
        "NUMBER TEXT",
        starts_turn=True,
        available=command_choices.has_entries,
        choices=message_commands.earlier_messages,
        edits_choice=True,
    ),
    "/forget": Command(
        "delete the last exchange", _delete_last, available=command_choices.has_entries
    ),
    "/usage": Command("show tokens, cost and limits", _usage, by_model=Permission.AUTO),
    "/latency": Command(
        "show how long answers take",
        _without_argument(lambda s: s.report_latency()),
        by_model=Permission.AUTO,
        model_result=lambda s: s.latency_report(),
    ),
    "/continue": Command(
        "allow more when a budget is used up",
        lambda s, _: s.allow_more(),
        needs_user=True,
        available=command_choices.is_over_budget,
    ),
    "/history": Command(
        "show or continue past conversations",
        lambda s, argument: s.request_history(argument),
        "[WORDS|ID]",
    ),
    "/console": Command(
        "show or hide the connection's frames",
        console_commands.console,
        "FILTER|off",
        choices=console_commands.filters,
    ),
    "/event": Command(
        "send an event of your own",
        console_commands.send_event,
        "JSON",
        available=console_commands.has_connection,
        choices=console_commands.client_events,
    ),
    "/new": Command(
        "start a new conversation",
        _without_argument(lambda s: s.new_conversation()),
        by_model=Permission.ASK,
        available=command_choices.has_entries,
    ),
    HELP: Command(
        "show the commands",
        _without_argument(lambda s: s.request_help()),
        by_model=Permission.AUTO,
        model_result="The help is shown.",
    ),
    QUIT[0]: Command(
        f"quit (or {QUIT[1]})", _without_argument(lambda s: s.close()), by_model=Permission.ASK
    ),
}
"""The commands. A reader of typed lines handles those in `QUIT` itself."""

_COMMAND = re.compile(r"/[a-z-]*(?:\s|$)", re.IGNORECASE)


def find_command(line: str) -> Command | None:
    """The command with the name that begins the line; None when there is none."""
    return COMMANDS.get(line.split(maxsplit=1)[0])


def is_command(line: str) -> bool:
    """Return True when the line begins like a command, known or not; a path does not.

    A slash alone is the start of a command, too.
    """
    return _COMMAND.match(line) is not None


def run_command(session: Session, line: str, *, by_user: bool = True) -> str | None:
    """Run the command of a line; return the text to show, or None.

    by_user: False for lines of a pipe or a file.
    Raises `UsageError` for an unknown command, a wrong argument, and for a command that needs a
    user when the line comes from a pipe.
    """
    name, _, argument = line.strip().partition(" ")
    if name == "/":
        raise UsageError("A slash alone is not a command.", f"{HELP} lists the commands.")
    command = COMMANDS.get(name)
    if command is None:
        names = [each.removeprefix("/") for each in COMMANDS]
        similar = difflib.get_close_matches(name.removeprefix("/").lower(), names, n=1)
        hint = f"Did you mean /{similar[0]}?" if similar else f"{HELP} lists the commands."
        raise UsageError(f"There is no {name[:40]}.", hint)
    if command.needs_user and not by_user:
        raise UsageError(f"{name} needs a user at a terminal; a pipe cannot decide.")
    if argument and not command.argument:
        raise UsageError(f"{name} takes no argument.")
    if command.picker and by_user and session.themes and not argument.strip():
        session.request_picker(command.picker, command.selects)
        return None
    return command.run(session, argument.strip())


def app_commands(session: Session | None = None) -> tuple[AppCommand, ...]:
    """The commands that the model may run on a session; without one they can only be listed."""
    return tuple(
        AppCommand(
            name.removeprefix("/"),
            command.argument,
            command.summary,
            command.by_model is Permission.ASK,
            partial(_run_for_model, session, name),
        )
        for name, command in COMMANDS.items()
        if command.by_model is not Permission.NEVER
    )


async def _run_for_model(session: Session | None, name: str, argument: str) -> str:
    assert session is not None
    result = COMMANDS[name].model_result
    if not isinstance(result, str):
        return await result(session)
    return run_command(session, f"{name} {argument}", by_user=False) or result


def help_rows() -> list[tuple[str, str]]:
    """The text to type and the summary of every command."""
    return [
        (f"{name} {command.argument}".strip(), command.summary)
        for name, command in COMMANDS.items()
    ]


def help_lines() -> list[str]:
    """The help of the commands, one line for each."""
    return [f"{typed}: {summary}." for typed, summary in help_rows()]


def markdown() -> str:
    """The commands as a table in Markdown, for docs/commands.md."""
    lines = ["| Command | What it does |", "|---|---|"]
    for typed, summary in help_rows():
        escaped = typed.replace("|", r"\|")
        lines.append(f"| `{escaped}` | {summary} |")
    return "\n".join(lines) + "\n"
