"""Slash commands of the line mode and the screen, and which of them the model may run.

Each command is one row of `COMMANDS`. The help, the documentation and the model's tools for the app
(`tools.builtin.control`) are made from that table.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from voicechat.core.effects import Floor
from voicechat.core.inputs import Decision
from voicechat.core.settings import SPEED_RANGE, Permission
from voicechat.errors import UsageError, VoicechatError
from voicechat.session.view import MAX_VOLUME
from voicechat.tools.tool_context import AppCommand

if TYPE_CHECKING:
    from voicechat.core.items import ToolCall
    from voicechat.core.settings import ToolSpec
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
    model_result: str = "Done."
    """Result for the model when `run` returns no text."""


_VOLUME_STEP = 1.5
"""Factor of "up" and "down": 3.5 dB."""

_SMALLEST_VOLUME = 5
"""Percent; "down" goes no lower, because silence looks like a fault."""


def _volume(session: Session, argument: str) -> str:
    _require_sound(session, "speaker")
    before = session.volume
    if argument in {"up", "down"}:
        factor = _VOLUME_STEP if argument == "up" else 1 / _VOLUME_STEP
        louder = max(_SMALLEST_VOLUME, 5 * round(before * factor / 5))
        session.set_volume(min(MAX_VOLUME, louder))
    elif argument:
        number = argument.removesuffix("%").strip()
        if not number.isdecimal() or int(number) > MAX_VOLUME:
            raise UsageError(f"/volume takes up, down or a number from 0 to {MAX_VOLUME}.")
        session.set_volume(int(number))
    already = "already " if argument and session.volume == before else ""
    return f"The volume is {already}{session.volume} percent."


def _levels(session: Session, argument: str) -> str:
    _require_sound(session, "sound to measure")
    if session.microphone is None and session.speaker is None:
        return "There is no microphone and no speaker."
    levels = session.loudness
    mic = _level_text(levels.mic, levels.mic_peak)
    if session.microphone is None:
        mic = "not available"
    elif session.muted or not (session.hands_free or session.talking):
        mic = "muted" if session.muted else "closed"
    speaker = _level_text(levels.speaker, levels.speaker_peak)
    speaker = speaker if session.speaker else "not available"
    return f"The microphone is {mic}; the speaker is {speaker}."


def _level_text(level: float, peak: float) -> str:
    """A level and a peak in dBFS as part of a sentence."""
    return "silent" if peak <= _SILENCE_DBFS else f"at {level:.0f} dBFS with a peak of {peak:.0f}"


_SILENCE_DBFS = -90.0


def _waiting_call(session: Session, name: str, argument: str) -> tuple[ToolCall, str]:
    """The waiting call with the number that begins the argument, and the rest of the argument."""
    first, _, rest = argument.partition(" ")
    calls = {call.number: call for call in session.asking}
    if not calls:
        raise UsageError("No tool is waiting for a decision.")
    if not first.isdecimal() or int(first) not in calls:
        choices = " or ".join(f"{name} {each}" for each in calls)
        raise UsageError(f"{name} takes the number of a waiting tool.", f"Type {choices}.")
    return calls[int(first)], rest.strip()


def _allow(session: Session, argument: str) -> str:
    call, rest = _waiting_call(session, "/allow", argument)
    if rest not in {"", "session"}:
        raise UsageError("/allow takes a number, and “session” to allow more of the same.")
    lasting = bool(rest) and not call.asks_always
    session.decide(call.call_id, call.arguments, Decision.SESSION if lasting else Decision.ONCE)
    return f"{call.name} may run {'until this conversation ends' if lasting else 'once'}."


def _always(session: Session, argument: str) -> str:
    call, rest = _waiting_call(session, "/always", argument)
    if rest:
        raise UsageError("/always takes a number and nothing else.")
    if call.asks_always or call.server:
        raise UsageError(f"{call.name} cannot always be allowed.", "/allow allows it once.")
    session.decide(call.call_id, call.arguments, Decision.ALWAYS)
    return f"{call.name} may always run; voicechat tools --revoke {call.name} reverts that."


def _deny(session: Session, argument: str) -> str:
    call, words = _waiting_call(session, "/deny", argument)
    session.decide(call.call_id, call.arguments, Decision.DENY, words)
    return f"{call.name} will not run."


def _allow_mcp_server(session: Session, name: str) -> str:
    if not name:
        raise UsageError("/let takes the name of an MCP server.")
    session.allow_server(name)
    return f"The MCP server {name} may run."


def _voice(session: Session, name: str) -> str:
    voices = session.voices
    if not name:
        choices = f" {session.model} has {', '.join(voices)}." if voices else ""
        return f"The voice is {session.voice or 'the default'}.{choices}"
    name = {each.lower(): each for each in voices}.get(name.lower(), name)
    if name == "next":
        name = _next_voice(session)
    if voices and name not in voices and not name.startswith("voice_"):
        close = difflib.get_close_matches(name, voices, n=1)
        hint = f"Did you mean {close[0]}?" if close else f"Choose one of: {', '.join(voices)}."
        raise UsageError(f"{session.model} has no voice {name[:40]!r}.", hint)
    notes = session.change(voice=name)
    return _changed(f"The voice is {name}.", notes)


def _next_voice(session: Session) -> str:
    voices = session.voices
    if len(voices) < 2:
        raise UsageError(f"{session.model} has no other voice that voicechat knows.")
    return voices[(voices.index(session.voice) + 1) % len(voices) if session.voice in voices else 1]


def _instructions(session: Session, text: str) -> str:
    if not text:
        return f"The instructions: {session.instructions}"
    return _changed("The instructions are changed.", session.change(instructions=text))


def _speed(session: Session, argument: str) -> str:
    if not argument:
        rate = session.speaking_rate
        return "The speed is 1 (normal)." if rate == 1 else f"The speed is {rate:g} (normal: 1)."
    slowest, fastest = session.capabilities.speed_range or SPEED_RANGE
    if argument in _SPEED_STEPS:
        speed = round(session.speaking_rate + _SPEED_STEPS[argument], 2)
        if not slowest <= speed <= fastest:
            speed = max(slowest, min(fastest, speed))
        if speed == session.speaking_rate:
            return f"The speed is already {speed:g}."
    else:
        speed = _number(argument)
    if not slowest <= speed <= fastest:
        raise UsageError(
            f"/speed takes faster, slower or a number from {slowest:g} to {fastest:g}; 1 is normal."
        )
    return _changed(f"The speed is {speed:g}.", session.change(speed=speed))


_SPEED_STEPS = {"faster": 0.2, "slower": -0.2}


def _number(text: str) -> float:
    """The number, or nan for other text."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _changed(done: str, notes: Sequence[str]) -> str:
    """The sentence about a change, or the notes that say why it has no effect yet."""
    return " ".join(notes) or done


def _model(session: Session, name: str) -> str | None:
    if not name:
        return f"This is {session.model}; voicechat models lists others."
    try:
        session.change_model(name)
    except VoicechatError as error:
        # The catalog names the flag; here the user types the command.
        error.hint = error.hint.replace("--model ", "/model ")
        raise
    return f"Continuing with {session.model}."


def _delete_last(session: Session, argument: str) -> str:
    before = len(session.transcript.entries)
    session.forget_last()
    deleted = len(session.transcript.entries) < before
    return "Deleted the last exchange." if deleted else "There is nothing to delete."


def _usage(session: Session, argument: str) -> str:
    return "\n".join(session.usage_report)


def _tools(session: Session, argument: str) -> str:
    tools = session.tools
    asking = [spec for spec in tools if spec.permission is Permission.ASK]
    free = [spec for spec in tools if spec.permission is Permission.AUTO]
    if not tools:
        return "There are no tools."
    lines = [f"Tools that run at once: {_spaced(free)}."] if free else []
    return "\n".join(
        lines + ([f"Tools that need your approval: {_spaced(asking)}."] if asking else [])
    )


def _spaced(tools: Sequence[ToolSpec]) -> str:
    """The names of the tools as words."""
    return ", ".join(" ".join(spec.name.replace("_", " ").split()) for spec in tools)


def _theme(session: Session, name: str) -> str:
    if not session.themes:
        raise UsageError("There is no screen, so there is no theme.")
    if not name:
        return f"The themes are {', '.join(session.themes)}."
    if name.lower() not in session.themes:
        close = difflib.get_close_matches(name.lower(), session.themes, n=1)
        hint = f"Did you mean {close[0]}?" if close else f"There are {', '.join(session.themes)}."
        raise UsageError(f"There is no theme {name[:40]!r}.", hint)
    session.request_theme(name.lower())
    return "The theme is changed."


def _mute(session: Session, argument: str) -> str:
    _require_sound(session, "microphone")
    session.set_muted(True)
    hint = session.unmute_hint if session.microphone is not None else _NO_MICROPHONE
    return f"Muted. {hint}"


def _without_argument(act: Callable[[Session], None]) -> Callable[[Session, str], None]:
    return lambda session, argument: act(session)


def _with_microphone(change: Callable[[Session], None], done: str) -> Callable[[Session, str], str]:
    def run(session: Session, argument: str) -> str:
        _require_sound(session, "microphone")
        change(session)
        return _with_microphone_state(session, done)

    return run


def _hands_free(session: Session, argument: str) -> str:
    _require_sound(session, "microphone")
    if session.microphone is None:
        raise UsageError(_NO_MICROPHONE)
    session.set_hands_free(True)
    return "Hands-free is on."


def _interrupt(session: Session, argument: str) -> str:
    stops = session.floor in {Floor.THINKING, Floor.SPEAKING, Floor.WORKING}
    session.interrupt()
    return "Stopped." if stops else "There is nothing to stop."


_NO_MICROPHONE = "There is no microphone."


def _with_microphone_state(session: Session, text: str) -> str:
    """The sentence, and a second one if there is no microphone."""
    return text if session.microphone is not None else f"{text} {_NO_MICROPHONE}"


def _require_sound(session: Session, what: str) -> None:
    if not session.with_sound:
        raise UsageError(f"There is no {what} in a typed chat.", "Start without --text.")


HELP = "/help"
QUIT = ("/quit", "/exit")

COMMANDS: Mapping[str, Command] = {
    "/interrupt": Command("stop speech, thinking and tools", _interrupt),
    "/image": Command(
        "send a picture", lambda s, path: s.show(path), "PATH [words]", starts_turn=True
    ),
    "/mute": Command("mute the microphone", _mute, by_model=Permission.AUTO),
    "/unmute": Command(
        "unmute the microphone",
        _with_microphone(lambda session: session.set_muted(False), "Not muted."),
        by_model=Permission.ASK,
    ),
    "/volume": Command(
        "show or set the volume", _volume, f"0-{MAX_VOLUME}|up|down", by_model=Permission.AUTO
    ),
    "/levels": Command("show microphone and speaker levels", _levels, by_model=Permission.AUTO),
    "/hands-free": Command("end turns automatically", _hands_free, by_model=Permission.ASK),
    "/push-to-talk": Command(
        "talk between two presses of a key",
        _with_microphone(lambda session: session.set_hands_free(False), "Push-to-talk is on."),
        by_model=Permission.AUTO,
    ),
    "/allow": Command("run the waiting tool call", _allow, "NUMBER [session]", needs_user=True),
    "/always": Command("always allow this tool", _always, "NUMBER", needs_user=True),
    "/deny": Command("deny it, with an optional reason", _deny, "NUMBER [words]", needs_user=True),
    "/let": Command("allow an MCP server to start", _allow_mcp_server, "NAME", needs_user=True),
    "/voice": Command("show or change the voice", _voice, "NAME|next", by_model=Permission.AUTO),
    "/speed": Command(
        "show or change the speaking speed",
        _speed,
        "NUMBER|faster|slower",
        by_model=Permission.AUTO,
    ),
    "/theme": Command(
        "show or change the colors",
        _theme,
        "dark|light|other|NAME",
        by_model=Permission.AUTO,
    ),
    "/instructions": Command(
        "show or change the instructions", _instructions, "TEXT", by_model=Permission.ASK
    ),
    "/model": Command("switch to another model", _model, "PROVIDER/MODEL", by_model=Permission.ASK),
    "/tools": Command("list the tools of the model", _tools, by_model=Permission.AUTO),
    "/summary": Command(
        "summarize, without adding a turn",
        _without_argument(lambda s: s.summarize()),
        starts_turn=True,
        by_model=Permission.AUTO,
        model_result="The summary follows.",
    ),
    "/forget": Command("delete the last exchange", _delete_last),
    "/usage": Command("show tokens, cost and limits", _usage, by_model=Permission.AUTO),
    "/new": Command(
        "start a new conversation",
        _without_argument(lambda s: s.new_conversation()),
        by_model=Permission.ASK,
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

_COMMAND = re.compile(r"/[a-z-]+(?:\s|$)", re.IGNORECASE)


def find_command(line: str) -> Command | None:
    """The command with the name that begins the line; None when there is none."""
    return COMMANDS.get(line.split(maxsplit=1)[0])


def is_command(line: str) -> bool:
    """Return True when the line begins like a command, known or not; a path does not."""
    return _COMMAND.match(line) is not None


def run_command(session: Session, line: str, *, by_user: bool = True) -> str | None:
    """Run the command of a line; return the text to show, or None.

    by_user: False for lines of a pipe or a file.
    Raises `UsageError` for an unknown command, a wrong argument, and for a command that needs a
    user when the line comes from a pipe.
    """
    name, _, argument = line.strip().partition(" ")
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


def _run_for_model(session: Session | None, name: str, argument: str) -> str:
    assert session is not None
    shown = run_command(session, f"{name} {argument}", by_user=False)
    return shown or COMMANDS[name].model_result


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
