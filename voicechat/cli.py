"""The command `voicechat`: its options, its subcommands and its exit codes.

Every heavy import is inside a function, so that `--help` and `--version` stay instant.
Standard output carries only what was asked for; everything else goes to standard error.

    0    done                              5    the connection was lost for good
    1    something unexpected              6    no usable sound
    2    a wrong flag or setting           7    the embedded voice could not start
    3    no key, or a refused one          130  Ctrl-C
    4    nobody answers at the address     141  the reader of standard output went away
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from voicechat.errors import UsageError, VoicechatError

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
    input_device: Annotated[
        Text, typer.Option(metavar="NAME", help="Microphone: a number or part of its name.")
    ] = None,
    output_device: Annotated[
        Text, typer.Option(metavar="NAME", help="Speaker: a number or part of its name.")
    ] = None,
    push_to_talk: Annotated[
        bool, typer.Option("--push-to-talk", help="Listen only while told to, not hands-free.")
    ] = False,
    base_url: Annotated[
        Text, typer.Option(metavar="URL", help="Another address of the provider's API.")
    ] = None,
    chat_url: Annotated[Text, _CHAT_URL] = None,
    chat_model: Annotated[Text, _CHAT_MODEL] = None,
    no_echo_cancel: Annotated[
        bool, typer.Option("--no-echo-cancel", help="For headphones: leave the microphone raw.")
    ] = False,
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
        "input_device": input_device,
        "output_device": output_device,
        "chat_url": chat_url,
        "chat_model": chat_model,
        "with_sound": False if text else None,
        "push_to_talk": push_to_talk or None,
        "echo_cancel": False if no_echo_cancel else None,
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
    chat_url: Annotated[Text, _CHAT_URL] = None,
    chat_model: Annotated[Text, _CHAT_MODEL] = None,
) -> int:
    """Serve the embedded voice to any client of the OpenAI Realtime API.

    Prints one JSON line when ready: its url and the token that clients must send. The token is
    new each time, unless VOICECHAT_SERVE_TOKEN sets it.
    """
    from voicechat import config
    from voicechat.errors import Secret
    from voicechat.server.app import ServeOptions
    from voicechat.server.app import serve as run

    options = config.load({"chat_url": chat_url, "chat_model": chat_model})
    token = os.environ.get("VOICECHAT_SERVE_TOKEN", "").strip()
    return run(
        ServeOptions(
            host=host,
            port=port,
            token=Secret(token) if token else None,
            chat_url=options.chat_url,
            chat_model=options.chat_model,
            chat_key=options.key("VOICECHAT_CHAT_KEY"),
        )
    )


@app.command(short_help="List microphones and speakers.")
def devices() -> int:
    """List microphones and speakers, with the numbers that --input-device understands."""
    from voicechat.audio.devices import describe

    typer.echo(describe())
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (default: those typed); the exit code.

    Whatever goes wrong ends as one sentence on standard error.
    """
    return _outcome(lambda: app(args=arguments, prog_name="voicechat", standalone_mode=False))


# ------------------------------------------------------------------------------ ways to talk


def _talk(flags: dict[str, object], *, plain: bool) -> int:
    from voicechat import config, terminal

    options = config.load(flags)
    on_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if plain or (on_terminal and terminal.is_dumb()):
        if not plain:
            _say("This terminal cannot show a screen, so --plain is used.")
        from voicechat.plain import converse

        return converse(options)
    if on_terminal:
        return _show_screen(options)
    if options.with_sound:
        raise UsageError(
            "This is not a terminal.", "Use --text to answer lines of a pipe, or --plain to talk."
        )
    from voicechat.plain import answer_lines

    return answer_lines(options)


def _show_screen(options: Any) -> int:
    from voicechat import terminal

    if not sys.stderr.isatty():
        # The screen is drawn on standard error; redirecting that must not take it away.
        sys.__stderr__ = sys.__stdout__  # type: ignore[misc]
    terminal.guard()
    from voicechat.session import Session
    from voicechat.tui.app import run

    return run(Session(options))


def _show_version() -> int:
    from importlib.metadata import version

    typer.echo(f"voicechat {version('voicechat')}")
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
    except BrokenPipeError:
        # The interpreter flushes once more at its end; let it find somebody who listens.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        return _crashed(error)


def _sentence(error: TyperException) -> str:
    from voicechat.core.text import clean

    text = clean(error.format_message()).rstrip(".")
    return f"{text[:1].upper()}{text[1:]}. See voicechat --help."


def _crashed(error: Exception) -> int:
    """Write a report without local variables or keys, and say where it is."""
    import traceback

    from voicechat.errors import redact

    what = f"Something unexpected went wrong ({type(error).__name__})."
    report = redact("".join(traceback.format_exception(error)))
    try:
        _say(f"{what} The report is in {_store_report(report)}.")
    except OSError:
        _say(what)
        sys.stderr.write(report)
    return 1


def _store_report(report: str) -> str:
    import tempfile

    import platformdirs

    folder = platformdirs.user_state_path("voicechat", appauthor=False)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp makes a file that only its owner can read.
    descriptor, path = tempfile.mkstemp(prefix="crash-", suffix=".txt", dir=folder)
    with open(descriptor, "w", encoding="utf-8", errors="replace") as stream:
        stream.write(report)
    return path


def _say(sentence: str) -> None:
    typer.echo(f"voicechat: {sentence}", err=True)
