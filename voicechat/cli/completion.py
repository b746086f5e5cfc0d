"""`voicechat completion`: the script that completes arguments in a shell."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from voicechat.cli.command import CommandEntry


class ShellName(StrEnum):
    """A shell with completion."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    shell: Annotated[ShellName, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
) -> int:
    """Print the script that completes commands, options, models, voices, devices and ids.

    In ~/.bashrc or ~/.zshrc: source <(voicechat completion bash), or zsh. In fish:
    voicechat completion fish > ~/.config/fish/completions/voicechat.fish
    """
    from voicechat.cli._shell_completion import SCRIPTS

    typer.echo(SCRIPTS[shell].strip())
    return 0


COMMAND = CommandEntry(110, "completion", "Print the completion script of a shell.", completion)
