"""The entry point of the command `voicechat`: its commands, exit codes and error messages.

Standard output carries only the result; messages go to standard error. The exit codes are those of
the error tree in errors.py, and:

    0  success
    1  unexpected error, or a problem that `doctor` found
    128 + n  ended by signal n: 130 is Ctrl-C, 141 means that the reader of the output is gone
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException
from typer.main import get_command

from voicechat import cli
from voicechat.cli._completion_candidates import COMPLETE, answer
from voicechat.cli.command import CommandEntry, say
from voicechat.cli.talk import talk
from voicechat.core.text import clean, has_key
from voicechat.errors import UsageError, VoicechatError
from voicechat.system import home_folder, process_secrecy, standard_streams


def commands() -> list[CommandEntry]:
    """The commands that the modules of this package define, by rank."""
    return sorted(_found())


def _found(likely: str = "") -> Iterator[CommandEntry]:
    """Yield the commands. The module with this name is the first that is imported."""
    names = [
        name.removesuffix(".py")
        for folder in cli.__path__
        for name in os.listdir(folder)
        # The others are the heavy part of a command, which the command imports when it runs.
        if name.endswith(".py") and not name.startswith("_")
    ]
    for name in sorted(names, key=lambda name: name != likely):
        command = vars(import_module(f"voicechat.cli.{name}")).get("COMMAND")
        if command is not None:
            yield command


class _Commands(TyperGroup):
    """Builds a command when it runs; the help needs only the rows."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; `--resume` may stand without an id."""
        pairs = zip(args, [*args[1:], "-"], strict=False)
        words = [f"{a}=" if a == "--resume" and b.startswith("-") else a for a, b in pairs]
        return super().parse_args(ctx, words)

    def list_commands(self, ctx: object) -> list[str]:
        return [entry.name for entry in commands()]

    def get_command(self, ctx: object, cmd_name: str) -> Any:
        found = _found(likely=cmd_name.replace("-", "_"))
        entry = next((entry for entry in found if entry.name == cmd_name), None)
        if entry is None:
            return None
        if isinstance(entry.run, typer.Typer):
            return _sparing(get_command(entry.run))
        single = typer.Typer(**_STYLE)
        single.command(entry.name, short_help=entry.summary)(entry.run)
        return _sparing(get_command(single))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the arguments name, or raise `UsageError` with a similar one."""
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            from voicechat.config.setting_place import similar

            hint = similar(name, self.list_commands(ctx)) or "See voicechat --help."
            raise UsageError(f"No such command {clean(name)[:40]!r}.", hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: object, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(entry.name, entry.summary) for entry in commands()])


def _sparing(command: Any) -> Any:
    """Return the command, which converts only typed numbers and paths, as do those below it.

    To convert a value, typer imports pydantic: 10 MB, and twice the time to start. Texts, switches
    and defaults need no conversion.
    """
    command.get_params = partial(_sparing_parameters, command.get_params)
    for inner in getattr(command, "commands", {}).values():
        _sparing(inner)
    return command


def _sparing_parameters(parameters: Callable[[object], list[Any]], ctx: object) -> list[Any]:
    found = parameters(ctx)
    for each in found:
        if not isinstance(each.process_value, partial):
            each.process_value = partial(_process, each, each.process_value)
    return found


def _process(
    parameter: Any, convert: Callable[[Any, object], object], ctx: object, value: object
) -> object:
    if _needs_conversion(parameter, value):
        return convert(ctx, value)
    value = list(value) if isinstance(value, tuple) else value
    return value if parameter.callback is None else parameter.callback(ctx, parameter, value)


def _needs_conversion(parameter: Any, value: object) -> bool:
    kind = parameter.type_descriptor.annotation
    if parameter.value_is_missing(value):
        return bool(parameter.required)
    if isinstance(value, list | tuple):
        return kind not in {str, list[str]}
    return isinstance(value, str) and kind is not str


_STYLE: Any = {
    "add_completion": False,
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"], "max_content_width": 100},
}


def _command() -> Any:
    app = typer.Typer(name="voicechat", cls=_Commands, **_STYLE)
    app.callback(invoke_without_command=True)(talk)
    return _sparing(get_command(app))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (default: those of the process); the exit code.

    Every failure ends as one sentence on standard error. With the arguments of the process, the
    process first hides its keys from other programs.
    """
    if arguments is None:
        process_secrecy.protect()
        threading.excepthook = _thread_failed
    if arguments is None and (shell := os.environ.get(COMPLETE)):
        return answer(_command(), shell, sys.argv[1:])
    with standard_streams.guarded(), home_folder.ensured():
        return _exit_code(
            lambda: _command()(args=arguments, prog_name="voicechat", standalone_mode=False)
        )


def _exit_code(run: Callable[[], object]) -> int:
    try:
        code = run()
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except VoicechatError as error:
        if str(error):
            say(str(error))
        return error.exit_code
    except TyperException as error:
        say(_sentence(error))
        return 2
    except (KeyboardInterrupt, typer.Abort):
        return 128 + signal.SIGINT
    except Exception as error:
        say(_NO_MEMORY if _is_out_of_memory(error) else _reported(error))
        return 1


def _thread_failed(failure: threading.ExceptHookArgs) -> None:
    """Report a thread that failed. Without memory the program ends, because others wait for it."""
    if failure.exc_value is not None and _is_out_of_memory(failure.exc_value):
        say(_NO_MEMORY)
        os._exit(1)
    threading.__excepthook__(failure)


_NO_MEMORY = "There is not enough memory. Close other programs, or raise the limit (ulimit -v)."


def _is_out_of_memory(error: BaseException) -> bool:
    """Return True for an error of Python without memory, also for the stack of a new thread."""
    if isinstance(error, BaseExceptionGroup):
        return any(_is_out_of_memory(each) for each in error.exceptions)
    return isinstance(error, MemoryError) or "can't start new thread" in str(error)


def _reported(error: BaseException) -> str:
    """Write a crash report; return the sentence about it."""
    from voicechat.system import crash_report

    return crash_report.save_report(error)


_PLAIN = (
    (r"Value error, ", ""),
    (r"Input should be a valid integer\b.*", r"it must be a whole number"),
    (r"Input should be ", "it must be "),
)
"""Words of the package that parses arguments, and plain ones."""

_LOGIN = "Type only voicechat login PROVIDER, and give the key when it asks."


def _sentence(error: TyperException) -> str:
    text = " ".join(clean(error.format_message()).split()).rstrip(".")
    for pattern, words in _PLAIN:
        text = re.sub(pattern, words, text)
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "voicechat"
    if has_key(text):
        return f"A key does not belong on a command line: shells keep what you type. {_LOGIN}"
    end = "" if text.endswith("?") else "."
    return f"{text[:1].upper()}{text[1:]}{end} See {command} --help."
