"""`voicechat logout`: forget the key of a provider."""

from __future__ import annotations

from typing import Annotated

import typer

from voicechat.cli import _completion_values as values
from voicechat.cli.command import CommandEntry, say
from voicechat.errors import UsageError


def logout(
    provider: Annotated[
        str,
        typer.Argument(
            metavar="PROVIDER", help="Provider, such as openai.", autocompletion=values.providers
        ),
    ],
) -> int:
    """Forget the key that `voicechat login` keeps. Keys set elsewhere stay."""
    from voicechat.cli.login import provider_with_key
    from voicechat.config import key_store, loader

    found = provider_with_key(provider)
    path = loader.settings_path().with_name(key_store.FILE_NAME)
    kept = key_store.forget(path, found.key_variables)
    options = loader.load()
    left = [name for name in found.key_variables if f"keys.{name}" in options.origins]
    if not kept and not left:
        raise UsageError(f"No key of {found.name} is kept.", "See: voicechat models")
    for name in kept:
        say(f"{name} is forgotten.")
    for name in left:
        say(f"{name} is still set in the {options.origin(f'keys.{name}')}.")
    return 0


COMMAND = CommandEntry(14, "logout", "Forget the key of a provider.", logout)
