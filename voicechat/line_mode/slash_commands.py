"""What can be typed behind a slash, in the line mode and on the screen alike."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicechat.core.inputs import Decision
from voicechat.core.settings import SPEED_RANGE
from voicechat.errors import UsageError

if TYPE_CHECKING:
    from voicechat.core.items import ToolCall
    from voicechat.session.session import Session


@dataclass(frozen=True, slots=True)
class Command:
    """One command. `run` gets what stood behind it, and gives a sentence to show or nothing."""

    meaning: str
    run: Callable[[Session, str], str | None]
    argument: str = ""
    """How its argument is shown in the help; empty when it takes none."""
    turn: bool = False
    """It says something to the model: an answer follows."""
    person: bool = False
    """It decides what may run: only a user may say it, no line of a pipe."""


def _volume(session: Session, argument: str) -> str:
    _require_sound(session, "speaker")
    if argument:
        number = argument.removesuffix("%").strip()
        if not number.isdecimal() or int(number) > 100:
            raise UsageError("/volume takes a number from 0 to 100.")
        session.set_volume(int(number))
    return f"The volume is {session.volume} percent."


def _levels(session: Session, argument: str) -> str:
    _require_sound(session, "sound to measure")
    levels = session.loudness
    mic = _loudness(levels.mic, levels.mic_peak)
    if session.microphone is None:
        mic = "not there"
    elif session.muted or not (session.hands_free or session.talking):
        mic = "muted" if session.muted else "closed"
    speaker = _loudness(levels.speaker, levels.speaker_peak)
    return f"The microphone is {mic}, the speaker {speaker if session.speaker else 'not there'}."


def _loudness(level: float, peak: float) -> str:
    """As part of a sentence."""
    return "silent" if peak <= _SILENT else f"at {level:.0f} dBFS with a peak of {peak:.0f}"


_SILENT = -90.0


def _meant(session: Session, name: str, argument: str) -> tuple[ToolCall, str]:
    """The call whose number stands first, and what stands behind it."""
    first, _, rest = argument.partition(" ")
    calls = {call.number: call for call in session.asking}
    if not calls:
        raise UsageError("No tool waits for a decision.")
    if not first.isdecimal() or int(first) not in calls:
        choices = " or ".join(f"{name} {each}" for each in calls)
        raise UsageError(f"{name} takes the number of a tool that waits.", f"Type {choices}.")
    return calls[int(first)], rest.strip()


def _allow(session: Session, argument: str) -> str:
    call, rest = _meant(session, "/allow", argument)
    if rest not in {"", "session"}:
        raise UsageError("/allow takes a number, and “session” to allow more of the same.")
    lasting = bool(rest) and not call.asks_always
    session.decide(call.call_id, call.arguments, Decision.SESSION if lasting else Decision.ONCE)
    return f"{call.name} may run {'until this conversation ends' if lasting else 'once'}."


def _always(session: Session, argument: str) -> str:
    call, rest = _meant(session, "/always", argument)
    if rest:
        raise UsageError("/always takes a number and nothing else.")
    if call.asks_always or call.server:
        raise UsageError(f"{call.name} cannot be always allowed.", "/allow allows it once.")
    session.decide(call.call_id, call.arguments, Decision.ALWAYS)
    return f"{call.name} may always run; voicechat tools --revoke {call.name} reverts that."


def _deny(session: Session, argument: str) -> str:
    call, words = _meant(session, "/deny", argument)
    session.decide(call.call_id, call.arguments, Decision.DENY, words)
    return f"{call.name} will not run."


def _let(session: Session, name: str) -> str:
    if not name:
        raise UsageError("/let takes the name of an MCP server.")
    session.allow_server(name)
    return f"The MCP server {name} may run."


def _voice(session: Session, name: str) -> str:
    known = session.voices
    if not name:
        told = f" {session.model} has {', '.join(known)}." if known else ""
        return f"The voice is {session.voice or 'the default'}.{told}"
    if known and name not in known and not name.startswith("voice_"):
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean {close[0]}?" if close else f"There are {', '.join(known)}."
        raise UsageError(f"{session.model} has no voice {name[:40]!r}.", hint)
    notes = session.change(voice=name)
    return _changed(f"The voice is {name}.", notes)


def _instructions(session: Session, text: str) -> str:
    if not text:
        return f"The instructions: {session.instructions}"
    return _changed("The instructions are changed.", session.change(instructions=text))


def _speed(session: Session, argument: str) -> str:
    if not argument:
        return f"The speed is {session.speaking_rate:g}; 1 is normal."
    try:
        speed = float(argument)
    except ValueError:
        speed = math.nan
    slowest, fastest = session.capabilities.speed_range or SPEED_RANGE
    if not slowest <= speed <= fastest:
        raise UsageError(f"/speed takes a number from {slowest:g} to {fastest:g}; 1 is normal.")
    return _changed(f"The speed is {speed:g}.", session.change(speed=speed))


def _changed(done: str, notes: Sequence[str]) -> str:
    """What was done, or why it was not, or not yet."""
    return " ".join(notes) or done


def _model(session: Session, name: str) -> str | None:
    if not name:
        return f"This is {session.model}; voicechat models lists others."
    session.change_model(name)
    return f"Continuing with {session.model}."


def _forget(session: Session, argument: str) -> str:
    before = len(session.transcript.entries)
    session.forget_last()
    forgot = len(session.transcript.entries) < before
    return "Deleted the last exchange." if forgot else "There is nothing to delete."


def _usage(session: Session, argument: str) -> str:
    return "\n".join(session.usage_report)


def _simply(act: Callable[[Session], None]) -> Callable[[Session, str], None]:
    return lambda session, argument: act(session)


def _with_microphone(act: Callable[[Session], None]) -> Callable[[Session, str], None]:
    def run(session: Session, argument: str) -> None:
        _require_sound(session, "microphone")
        act(session)

    return run


def _require_sound(session: Session, what: str) -> None:
    if not session.with_sound:
        raise UsageError(f"There is no {what} in a typed chat.", "Start without --text.")


COMMANDS: Mapping[str, Command] = {
    "/interrupt": Command("stop speech, thinking and tools", _simply(lambda s: s.interrupt())),
    "/image": Command("send a picture", lambda s, path: s.show(path), "PATH [words]", turn=True),
    "/mute": Command("mute the microphone", _with_microphone(lambda s: s.set_muted(True))),
    "/unmute": Command("unmute the microphone", _with_microphone(lambda s: s.set_muted(False))),
    "/volume": Command("show or set the volume", _volume, "0-100"),
    "/levels": Command("show the levels of microphone and speaker", _levels),
    "/hands-free": Command(
        "end turns automatically", _with_microphone(lambda s: s.set_hands_free(True))
    ),
    "/push-to-talk": Command(
        "talk only between two presses of a key",
        _with_microphone(lambda s: s.set_hands_free(False)),
    ),
    "/allow": Command("run the tool that waits", _allow, "NUMBER [session]", person=True),
    "/always": Command("always run exactly this tool", _always, "NUMBER", person=True),
    "/deny": Command("deny it, with an optional reason", _deny, "NUMBER [words]", person=True),
    "/let": Command("allow the program of an MCP server to run", _let, "NAME", person=True),
    "/voice": Command("show or change the voice", _voice, "NAME"),
    "/speed": Command("show or change the speaking speed", _speed, "NUMBER"),
    "/instructions": Command("show or change the instructions", _instructions, "TEXT"),
    "/model": Command("switch to another model", _model, "PROVIDER/MODEL"),
    "/summary": Command(
        "summarize the conversation without adding to it",
        _simply(lambda s: s.summarize()),
        turn=True,
    ),
    "/forget": Command("delete the last exchange", _forget),
    "/usage": Command("show tokens, cost and limits", _usage),
    "/new": Command("start a new conversation", _simply(lambda s: s.new_conversation())),
}
"""The commands that act on a session. Leaving and help belong to whoever reads the line."""

HELP = "/help"
QUIT = ("/quit", "/exit")

_COMMAND = re.compile(r"/[a-z-]+(?:\s|$)", re.IGNORECASE)


def known(line: str) -> Command | None:
    """The command that the line means, if there is one of that name."""
    return COMMANDS.get(line.split(maxsplit=1)[0])


def is_command(line: str) -> bool:
    """True if the line means a command, known or not; a path does not."""
    return _COMMAND.match(line) is not None


def obey(session: Session, line: str, *, person: bool = True) -> str | None:
    """Carry out a line for which `is_command` holds; a sentence to show, or nothing.

    `person` says whether someone types the line; out of a pipe or a file, no one does.
    Raises `UsageError` for a command that is not there, for a bad argument, and for a decision
    that no person made.
    """
    name, _, argument = line.strip().partition(" ")
    command = COMMANDS.get(name)
    if command is None:
        names = [known.removeprefix("/") for known in (*COMMANDS, HELP, *QUIT)]
        near = difflib.get_close_matches(name.removeprefix("/").lower(), names, n=1)
        hint = f"Did you mean /{near[0]}?" if near else f"{HELP} lists the commands."
        raise UsageError(f"There is no {name[:40]}.", hint)
    if command.person and not person:
        raise UsageError(f"{name} is for a person at a terminal; a pipe cannot decide.")
    if argument and not command.argument:
        raise UsageError(f"{name} takes no argument.")
    return command.run(session, argument.strip())


def help_rows() -> list[tuple[str, str]]:
    """What is typed and what it does, for every command."""
    return [
        (f"{name} {command.argument}".strip(), command.meaning)
        for name, command in COMMANDS.items()
    ]


def help_lines() -> list[str]:
    """One line per command."""
    return [f"{typed}: {meaning}." for typed, meaning in help_rows()]


def markdown() -> str:
    """The commands as the README has them."""
    lines = ["| Command | What it does |", "|---|---|"]
    lines += [f"| `{typed}` | {meaning} |" for typed, meaning in help_rows()]
    return "\n".join(lines) + "\n"
