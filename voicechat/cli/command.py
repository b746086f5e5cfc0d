"""The row that registers a command, and the options and messages that commands share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import typer

from voicechat.cli import _completion_values
from voicechat.config.options import SETTINGS, Options
from voicechat.core.text import clean, without_keys

Text = str | None
"""Value of an option with a text; None when it was not typed."""

CONSOLE: Any = typer.Option("--console", help="Show the frames of the connection.")
JSON: Any = typer.Option("--json", help="Print JSON.")


SHOW_CODE: Any = typer.Option(
    "--show-code", help="Print the Python program that does the same, and exit."
)


class CommandEntry(NamedTuple):
    """A command of `voicechat`."""

    rank: int
    """Position in the list of commands; the lowest comes first."""
    name: str
    summary: str
    """Line in the list of commands."""
    run: Callable[..., int] | typer.Typer
    """The function that runs it, or a group of commands."""


def flag(name: str) -> Any:
    """The option that sets this setting."""
    setting = SETTINGS[name]
    text = setting.flag_help or setting.help
    return typer.Option(
        setting.flag,
        metavar=setting.metavar or None,
        help=text,
        autocompletion=_completion_values.OF_SETTINGS.get(name),
    )


def say(sentence: str) -> None:
    """Write a message for the user to standard error, without control characters and keys.

    A message may repeat a word of the command line, and a user may paste a key there.
    """
    typer.echo(f"voicechat: {without_keys(clean(sentence))}", err=True)


def load_options(flags: Mapping[str, object] = MappingProxyType({})) -> Options:
    """Load the options of a command that connects, with the keys that the keyring keeps.

    The keyring may ask for the user's password, so it is not read for the embedded voice. Call it
    before the loop runs. Raises `UsageError` for wrong settings, and `VoicechatError` if the shell
    allows too little memory.
    """
    from voicechat.config import key_store, loader
    from voicechat.system import memory_limit

    memory_limit.require()
    options = loader.load(flags)
    if not options.keyring_keys or _is_embedded(options.model):
        return options
    for sentence in key_store.read_keyring(options.keyring_keys):
        say(sentence)
    return loader.load(flags)


def print_program(flags: Mapping[str, object], question: str | None = None) -> int:
    """Print the program equal to a command with these typed settings. Raises as `loader.load`."""
    from voicechat.cli import _program_code
    from voicechat.config import loader

    typer.echo(_program_code.program(flags, loader.load(flags), question), nl=False)
    return 0


def _is_embedded(model: str | None) -> bool:
    from voicechat.providers.catalog import provider_named

    provider = provider_named((model or "").partition("/")[0])
    return provider is not None and provider.is_embedded
