"""`voicechat token`: a short-lived token of a provider, for another program."""

from __future__ import annotations

from typing import Annotated

import typer

from voicechat.cli import _completion_values as values
from voicechat.cli.command import CommandEntry, Text, flag, load_options


def token(
    context: typer.Context,
    model: Annotated[
        Text,
        typer.Option(
            metavar="PROVIDER/MODEL", help="Model the token is for.", autocompletion=values.models
        ),
    ] = None,
    seconds: Annotated[
        int | None,
        typer.Option(metavar="NUMBER", help="Seconds in which the token can open sessions."),
    ] = None,
    voice: Annotated[Text, flag("voice")] = None,
    base_url: Annotated[Text, flag("base_url")] = None,
    profile: Annotated[Text, flag("profile")] = None,
) -> int:
    """Get a short-lived token from the provider and print it with its URL, as a line of JSON."""
    import json

    from voicechat.config.options import typed
    from voicechat.session.token_mint import mint
    from voicechat.system import exit_deadline

    found = exit_deadline.run(mint(load_options(typed(context.params)), seconds))
    typer.echo(json.dumps(found.as_json(), ensure_ascii=False))
    return 0


COMMAND = CommandEntry(90, "token", "Print a short-lived token for another program.", token)
