"""The command `voicechat`: its options, its subcommands and its exit codes.

Every heavy import is inside a function, so that `--help` and `--version` stay instant.
Standard output carries only what was asked for; everything else goes to standard error.

    0    done                              5    the connection was lost for good
    1    something unexpected, a problem   6    no usable sound
    2    a wrong flag or setting           7    the embedded voice could not start
    3    no key, or a refused one          130  Ctrl-C
    4    nobody answers at the address     141  the reader of standard output went away
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, cast

import typer
from typer.exceptions import TyperException

from voicechat.cli import mcp
from voicechat.cli import wire as wirecommand
from voicechat.core.text import clean
from voicechat.errors import UsageError, VoicechatError

if TYPE_CHECKING:
    from voicechat.config.options import Options
    from voicechat.session.session import Session

app = typer.Typer(
    name="voicechat",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

Text = str | None
"""An option with a text; None when it was not typed."""


_CHAT_URL = typer.Option(
    metavar="URL", help="OpenAI-compatible chat endpoint that thinks for the embedded voice."
)
_WIRE = typer.Option(metavar="KIND", help="How the API is spoken to: ga, beta or voice-live.")
_BARGE_IN = typer.Option(
    metavar="KIND", help="How readily your voice stops a reply: off, low, normal or high."
)
_INPUT_DEVICE = typer.Option(metavar="NAME", help="Microphone: a number or part of its name.")
_BASE_URL = typer.Option(metavar="URL", help="Another address of the provider's API.")
_PROFILE = typer.Option(metavar="NAME", help="A profile of the settings file.")
_CHAT_MODEL = typer.Option(metavar="NAME", help="Model to ask for at --chat-url.")


@app.callback(invoke_without_command=True)
def talk(
    context: typer.Context,
    text: Annotated[bool, typer.Option("--text", help="Typed chat; opens no sound.")] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="Line by line, for screen readers; with voice.")
    ] = False,
    model: Annotated[Text, typer.Option(metavar="PROVIDER/MODEL", help="Who to talk with.")] = None,
    voice: Annotated[Text, typer.Option(metavar="NAME", help="The voice that answers.")] = None,
    instructions: Annotated[
        Text, typer.Option(metavar="TEXT", help="How the assistant should behave.")
    ] = None,
    input_device: Annotated[Text, _INPUT_DEVICE] = None,
    output_device: Annotated[
        Text, typer.Option(metavar="NAME", help="Speaker: a number or part of its name.")
    ] = None,
    push_to_talk: Annotated[
        bool, typer.Option("--push-to-talk", help="Listen only while told to, not hands-free.")
    ] = False,
    base_url: Annotated[Text, _BASE_URL] = None,
    wire: Annotated[Text, _WIRE] = None,
    token: Annotated[
        bool,
        typer.Option("--token", help="Connect with the short-lived token in VOICECHAT_TOKEN."),
    ] = False,
    token_url: Annotated[
        Text, typer.Option(metavar="URL", help="Setup endpoint that gives a short-lived token.")
    ] = None,
    profile: Annotated[Text, _PROFILE] = None,
    chat_url: Annotated[Text, _CHAT_URL] = None,
    chat_model: Annotated[Text, _CHAT_MODEL] = None,
    no_echo_cancel: Annotated[
        bool, typer.Option("--no-echo-cancel", help="For headphones: leave the microphone raw.")
    ] = False,
    noise_suppression: Annotated[
        bool, typer.Option("--noise-suppression", help="Take noise out of the microphone.")
    ] = False,
    gain_control: Annotated[
        bool, typer.Option("--gain-control", help="Bring your voice to an even loudness.")
    ] = False,
    barge_in: Annotated[Text, _BARGE_IN] = None,
    earcons: Annotated[
        bool, typer.Option("--earcons", help="Short sounds for listening, working, stopped.")
    ] = False,
    record: Annotated[
        Text, typer.Option(metavar="DIR", help="Keep what is said and heard in a new folder.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, help="Show the version and exit.")
    ] = False,
) -> int:
    """Talk with a realtime speech model from your terminal, out loud or by typing.

    Without a key or a network the embedded voice answers. Settings are read from a file too;
    flags win over the environment, the environment over the file.
    """
    if version:
        return _show_version()
    flags: dict[str, object] = {
        "model": model,
        "voice": voice,
        "instructions": instructions,
        "base_url": base_url,
        "wire": wire,
        "token": token or None,
        "token_url": token_url,
        "profile": profile,
        "input_device": input_device,
        "output_device": output_device,
        "chat_url": chat_url,
        "chat_model": chat_model,
        "with_sound": False if text else None,
        "push_to_talk": push_to_talk or None,
        "echo_cancel": False if no_echo_cancel else None,
        "noise_suppression": noise_suppression or None,
        "gain_control": gain_control or None,
        "barge_in": barge_in,
        "earcons": earcons or None,
        "record": record,
    }
    if context.invoked_subcommand is None:
        return _talk(flags, plain=plain)
    if plain or any(value is not None for value in flags.values()):
        raise UsageError(
            f"Options of {context.invoked_subcommand!r} stand behind its name.",
            f"See voicechat {context.invoked_subcommand} --help.",
        )
    return 0


@app.command(short_help="Serve the embedded voice to other programs.")
def serve(
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="NUMBER", min=0, max=65535, help="Port; 0 picks a free one.")
    ] = 8765,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Let other machines in, with the token.")
    ] = False,
    voice: Annotated[Text, typer.Option(metavar="NAME", help="Voice of new sessions.")] = None,
    chat_url: Annotated[Text, _CHAT_URL] = None,
    chat_model: Annotated[Text, _CHAT_MODEL] = None,
) -> int:
    """Serve the embedded voice to any client of the OpenAI Realtime API.

    Prints one JSON line when ready: its url and the token that clients must send. The token is
    new each time, unless VOICECHAT_SERVE_TOKEN sets it.
    """
    from voicechat.config import loader
    from voicechat.server.app import serve as run
    from voicechat.server.serve_options import ServeOptions

    options = loader.load({"chat_url": chat_url, "chat_model": chat_model})
    return run(
        ServeOptions(
            host=host,
            port=port,
            allow_remote=allow_remote,
            chat_url=options.chat_url,
            chat_model=options.chat_model,
            chat_key=options.chat_key,
            voice=voice,
        )
    )


@app.command(short_help="Play a recording of --record back.")
def replay(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="What --record made.")],
    speed: Annotated[
        float,
        typer.Option(metavar="TIMES", min=0.1, max=1000, help="How fast; sound from 0.5 to 4."),
    ] = 1.0,
    text: Annotated[bool, typer.Option("--text", help="Opens no sound.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Line by line.")] = False,
) -> int:
    """Play a recorded conversation back, without its provider.

    Space pauses, the arrow keys move and change the speed, Home begins anew,
    Esc ends.
    """
    from pathlib import Path

    from voicechat.recording.replayed_session import Replay
    from voicechat.system import terminal_guard

    on_screen = (
        sys.stdin.isatty() and sys.stdout.isatty() and not (plain or terminal_guard.is_dumb())
    )
    again = Replay(Path(folder).expanduser(), speed=speed, aloud=not text, stay=on_screen)
    if not on_screen:
        from voicechat.line_mode.app import narrate

        return narrate(cast("Session", again))
    _prepare_screen()
    from voicechat.tui.screens.replay_screen import run

    return run(again)


@app.command(short_help="Write down what is said, while it is said.")
def transcribe(
    source: Annotated[
        Text, typer.Argument(metavar="FILE", help="A WAV file, or - for standard input.")
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Listen to the microphone.")] = False,
    model: Annotated[
        Text, typer.Option(metavar="PROVIDER/MODEL", help="Who writes it down.")
    ] = None,
    language: Annotated[
        Text, typer.Option(metavar="CODE", help="The language that is spoken, like en.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="For programs: an object a line.")
    ] = False,
    logprobs: Annotated[
        bool, typer.Option("--logprobs", help="With --json: how sure each token was.")
    ] = False,
    input_device: Annotated[Text, _INPUT_DEVICE] = None,
    base_url: Annotated[Text, _BASE_URL] = None,
    profile: Annotated[Text, _PROFILE] = None,
) -> int:
    """Write down what is said: a line for each passage, as soon as it is over.

    Words in the making are shown on a terminal while they are spoken. Ctrl-C ends, and the last
    words are still written down. What comes from a pipe is a WAV file or PCM16 mono at 24 kHz.
    """
    from voicechat.cli import transcribe as writing
    from voicechat.config import loader, remembered_devices

    if live is (source is not None):
        raise UsageError(
            "Say --live to listen to the microphone, or name a WAV file; not both."
            if live
            else "There is nothing to write down.",
            "" if live else "Say --live to listen to the microphone, or name a WAV file.",
        )
    flags = {
        "model": model,
        "base_url": base_url,
        "profile": profile,
        "input_device": input_device,
    }
    wish = writing.Wish(source, language, as_json, logprobs)
    options = loader.load(flags)
    if live:
        options = remembered_devices.with_devices(options, flags, _device_name)
    return writing.transcribe(options, wish)


@app.command(short_help="List providers, models, voices and keys.")
def models(
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> int:
    """List providers with their models and voices, and which key each wants; * is the usual one."""
    from voicechat.cli import models
    from voicechat.config import loader

    options = loader.load()
    typer.echo(models.as_json(options) if json else models.as_text(options))
    return 0


@app.command(short_help="List the tools a model may use, and who decides on each.")
def tools(
    as_json: Annotated[bool, typer.Option("--json", help="For programs, with schemas.")] = False,
    revoke: Annotated[
        Text, typer.Option(metavar="NAME", help="Ask again for a tool you always allowed.")
    ] = None,
) -> int:
    """List every tool: built in, from plugins, endpoints and MCP servers, which are started for it.

    auto runs when the model calls it, ask waits for your word, off is not offered.
    """
    import asyncio

    from voicechat.cli import tools
    from voicechat.config import loader

    if revoke is not None:
        _say(tools.revoke(revoke))
        return 0
    options = loader.load()
    found = asyncio.run(tools.every_tool(options, _say))
    telling = tools.as_json if as_json else tools.as_text
    typer.echo(telling(options, found))
    return 0


app.add_typer(mcp.app, name="mcp", short_help="List, add, remove and test MCP servers.")


@app.command(short_help="Print a short-lived token for another program.")
def token(
    model: Annotated[Text, typer.Option(metavar="PROVIDER/MODEL", help="Whom it is for.")] = None,
    seconds: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="How long it can open sessions.")
    ] = None,
    voice: Annotated[Text, typer.Option(metavar="NAME", help="The voice that answers.")] = None,
    base_url: Annotated[Text, _BASE_URL] = None,
    profile: Annotated[Text, _PROFILE] = None,
) -> int:
    """Have the provider mint a token, and print it with the address it opens as a line of JSON."""
    from voicechat.cli import token as tokens
    from voicechat.config import loader

    flags = {"model": model, "voice": voice, "base_url": base_url, "profile": profile}
    typer.echo(tokens.printed(tokens.mint(loader.load(flags), seconds)))
    return 0


@app.command(short_help="List microphones and speakers.")
def devices(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> int:
    """List microphones and speakers, with the numbers that --input-device understands."""
    from voicechat.config import loader, remembered_devices
    from voicechat.doctor.device_listing import devices as find_devices

    found = find_devices(remembered_devices.recalled(loader.load()))
    typer.echo(found.as_json() if as_json else found.as_text())
    for unmet in found.unmet:
        _say(unmet)
    return 0


@app.command(short_help="Say what is wrong with sound and network, and what helps.")
def doctor(
    quick: Annotated[
        bool, typer.Option("--quick", help="Without the chirp and the embedded voice.")
    ] = False,
    connect: Annotated[
        bool, typer.Option("--connect", help="Open a session with the chosen provider, too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> int:
    """Say what sound there is, what is wrong, and what helps; then the same of the network.

    Listens for a second and plays a short chirp. Takes about six seconds, shows no keys and no
    names of yours, and ends with 1 when there is a problem.
    """
    import asyncio
    import shutil

    from voicechat.doctor import checkup, findings

    if sys.stderr.isatty():
        _say("Listening for a second…" if quick else "Listening for a second, then a chirp…")
    found = asyncio.run(checkup.check_up(quick=quick, connect=connect))
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    typer.echo(findings.as_json(found) if as_json else findings.as_text(found, columns))
    return 0 if findings.is_usable(found) else 1


app.command(short_help="Translate frames of a provider, line by line, without a socket.")(
    wirecommand.wire
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (default: those typed); the exit code.

    Whatever goes wrong ends as one sentence on standard error.
    """
    return _outcome(lambda: app(args=arguments, prog_name="voicechat", standalone_mode=False))


# ------------------------------------------------------------------------------ ways to talk


def _talk(flags: dict[str, object], *, plain: bool) -> int:
    from voicechat.config import loader, remembered_devices
    from voicechat.system import terminal_guard

    options = remembered_devices.with_devices(loader.load(flags), flags, _device_name)
    on_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if plain or (on_terminal and terminal_guard.is_dumb()):
        if not plain:
            _say("This terminal cannot show a screen, so --plain is used.")
        from voicechat.line_mode.app import converse

        return converse(options)
    if on_terminal:
        return _show_screen(options)
    if options.with_sound:
        raise UsageError(
            "This is not a terminal.", "Use --text to answer lines of a pipe, or --plain to talk."
        )
    from voicechat.line_mode.app import answer_lines

    return answer_lines(options)


def _device_name(kind: str, number: str) -> str | None:
    from voicechat.audio.devices.device_probe import named_device

    return named_device(kind, number)


def _prepare_screen() -> None:
    from voicechat.system import terminal_guard

    if not sys.stderr.isatty():
        # The screen is drawn on standard error; redirecting that must not take it away.
        sys.__stderr__ = sys.__stdout__  # type: ignore[misc]
    terminal_guard.guard()


def _show_screen(options: Options) -> int:
    _prepare_screen()
    from voicechat.session.session import Session
    from voicechat.tui.app import run

    return run(Session(options))


def _show_version() -> int:
    from voicechat import __version__

    typer.echo(f"voicechat {__version__}")
    return 0


# -------------------------------------------------------------------------------- exit codes


def _outcome(run: Callable[[], object]) -> int:
    try:
        code = run()
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except VoicechatError as error:
        _say(str(error))
        return error.exit_code
    except TyperException as error:
        _say(_sentence(error))
        return 2
    except (KeyboardInterrupt, typer.Abort):
        return 128 + signal.SIGINT
    except Exception as error:
        from voicechat.system import crash_report

        _say(crash_report.tell(error))
        return 1


def _sentence(error: TyperException) -> str:
    text = clean(error.format_message()).rstrip(".")
    return f"{text[:1].upper()}{text[1:]}. See voicechat --help."


def _say(sentence: str) -> None:
    typer.echo(f"voicechat: {sentence}", err=True)
