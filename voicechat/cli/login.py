"""`voicechat login`: keep the key of a provider."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from voicechat.cli import _completion_values as values
from voicechat.cli.command import CommandEntry, say
from voicechat.errors import ConnectError, Secret, UsageError

if TYPE_CHECKING:
    from voicechat.config.options import Options
    from voicechat.providers.provider import Provider

_LONGEST_KEY = 8_192
"""Characters of a line of standard input."""


def login(
    provider: Annotated[
        str,
        typer.Argument(
            metavar="PROVIDER", help="Provider, such as openai.", autocompletion=values.providers
        ),
    ],
    in_file: Annotated[
        bool, typer.Option("--file", help="Keep the key in a private file, not in the keyring.")
    ] = False,
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Keep the key without trying it.")
    ] = False,
) -> int:
    """Keep the key of a provider, so that it need not be in the environment.

    Asks for the key without showing it, or reads it from a pipe. The provider is asked for a
    short-lived token to try the key. The key then goes to the keyring of the desktop; where there
    is none, to a file that only you can read. A key in the environment or in the settings file
    wins over it. voicechat models shows where a key comes from.
    """
    from voicechat.config import loader

    found = provider_with_key(provider)
    keep_key(found, read_key(found), loader.load(), in_file=in_file, check=not no_check)
    return 0


COMMAND = CommandEntry(12, "login", "Keep the key of a provider in the keyring.", login)


def provider_with_key(name: str) -> Provider:
    """Return the provider of this name. Raises `UsageError` if there is none or it has no key."""
    from voicechat.config.setting_place import nearest
    from voicechat.providers.catalog import every_provider

    known = {each.name: each for each in every_provider().values() if each.key_variables}
    if name not in known:
        raise UsageError(f"There is no provider {name[:40]!r} with a key.", nearest(name, [*known]))
    return known[name]


def read_key(provider: Provider) -> Secret:
    """Ask for a key without showing it, or read a line of a pipe. Raises `UsageError`."""
    import getpass

    from voicechat.providers.catalog import key_of

    if sys.stdin.isatty():
        try:
            text = Secret(getpass.getpass(f"Key of {provider.name} (not shown): "))
        except EOFError:
            text = Secret("")
    else:
        text = Secret(sys.stdin.readline(_LONGEST_KEY))
    variable = provider.key_variables[0]
    key, _ = key_of(provider, {variable: text})
    if key is None:
        raise UsageError("No key was given.", "Copy the key from the provider's website.")
    return key


def keep_key(
    provider: Provider,
    key: Secret,
    options: Options,
    *,
    in_file: bool = False,
    check: bool = True,
) -> None:
    """Try a key, keep it and say where. Raises `KeyMissing` if the provider refuses it."""
    from voicechat.config import key_store, loader

    if check:
        say(try_key(provider, key, options))
    variable = provider.key_variables[0]
    keyring, reason = ("", "") if in_file else key_store.keyring_name()
    path = loader.settings_path().with_name(key_store.FILE_NAME)
    key_store.store(path, variable, key, in_keyring=bool(keyring))
    place = f"the keyring ({keyring})" if keyring else f"{path}, which only you can read"
    say(f"{variable} is in {place}.")
    if reason:
        say(reason)
    origin = options.origin(f"keys.{variable}")
    if origin in {key_store.KeyPlace.ENVIRONMENT, key_store.KeyPlace.SETTINGS}:
        say(f"{variable} is also set in the {origin}, which wins over it.")


def try_key(provider: Provider, key: Secret, options: Options) -> str:
    """Ask the provider for a short-lived token; a sentence about the result.

    Raises `KeyMissing` if the provider refuses the key.
    """
    from dataclasses import replace

    from voicechat.session.token_mint import mint
    from voicechat.system import exit_deadline

    is_chosen = (options.model or "").partition("/")[0] == provider.name
    trial = replace(
        options,
        model=options.model if is_chosen else provider.name,
        base_url=options.base_url if is_chosen else None,
        keys={provider.key_variables[0]: key},
    )
    try:
        exit_deadline.run(mint(trial))
    except (ConnectError, UsageError) as error:
        return f"The key was not tried: {error.message}"
    return f"{provider.name} accepts the key."
