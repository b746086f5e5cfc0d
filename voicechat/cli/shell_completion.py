"""`voicechat completion`: the script that completes arguments in a shell."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from voicechat.cli.command import CommandEntry


def completion(
    shell: Annotated[
        Literal["bash", "zsh", "fish"], typer.Argument(metavar="SHELL", help="bash, zsh or fish.")
    ],
) -> int:
    """Print the script that completes commands, options, models, voices, devices and ids.

    In ~/.bashrc or ~/.zshrc: source <(voicechat completion bash), or zsh. In fish:
    voicechat completion fish > ~/.config/fish/completions/voicechat.fish
    """
    from voicechat.cli._completion_candidates import SCRIPTS

    typer.echo(SCRIPTS[shell].strip())
    return 0


COMMAND = CommandEntry(110, "completion", "Print the completion script of a shell.", completion)
