"""`voicechat models`: providers, their models and voices, and which keys are set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from voicechat.cli.command import JSON, CommandEntry

if TYPE_CHECKING:
    from voicechat.config.options import Options
    from voicechat.providers.provider import Provider


def models(as_json: Annotated[bool, JSON] = False) -> int:
    """List providers with their models and voices, and the keys they need.

    An asterisk marks the default model of each provider.
    """
    import json

    from voicechat.config import loader

    found = list_models(loader.load())
    typer.echo(json.dumps(found, indent=2) if as_json else as_text(found))
    return 0


COMMAND = CommandEntry(10, "models", "List providers, models, voices and keys.", models)


def list_models(options: Options) -> list[dict[str, Any]]:
    """Every provider as plain JSON. Keys appear as names of variables, never as values."""
    from voicechat.providers.catalog import every_provider

    return [_provider(provider, options) for provider in every_provider().values()]


def _provider(provider: Provider, options: Options) -> dict[str, Any]:
    from voicechat.providers.catalog import price_of

    keys = {variable: variable in options.keys for variable in provider.key_variables}
    address = provider.url_variable
    return {
        "provider": provider.name,
        "default": f"{provider.name}/{provider.default_model}" if provider.default_model else None,
        "models": [f"{provider.name}/{name}" for name in provider.models],
        "transcribers": [f"{provider.name}/{name}" for name in provider.transcription_models],
        "voices": list(provider.voices),
        "keys": keys,
        "address": {address: address in options.variables} if address else {},
        "ready": (not keys or any(keys.values())) and _has_address(provider, options),
        "prices": {
            f"{provider.name}/{name}": price.dated or None
            for name in provider.models
            if (price := price_of(f"{provider.name}/{name}", options.prices)) is not None
        },
    }


def _has_address(provider: Provider, options: Options) -> bool:
    known = provider.connect is None or provider.url is not None
    return known or provider.url_variable in options.variables


def as_text(found: list[dict[str, Any]]) -> str:
    """The list as plain text."""
    from voicechat.providers.catalog import installed

    lines = [line for each in found for line in _lines(each)]
    return "\n".join([*lines, *installed().problems]).strip()


def _lines(each: dict[str, Any]) -> Iterator[str]:
    from voicechat.system.text_table import table

    is_set = [name for name, found in each["keys"].items() if found]
    needed = _status(is_set[0], True) if is_set else _status(" or ".join(each["keys"]), False)
    yield f"{each['provider']}: {needed if each['keys'] else 'needs no key'}"
    for name in each["models"]:
        yield f"  {'*' if name == each['default'] else ' '} {name}"
    if not each["models"]:
        yield f"    {each['provider']}/NAME, the name of your deployment"
    transcribers = [name.partition("/")[2] for name in each["transcribers"]]
    address = [_status(name, found) for name, found in each["address"].items()]
    rows = {"address": address, "transcribes": transcribers, "voices": each["voices"]}
    yield from table((name, ", ".join(values)) for name, values in rows.items() if values)
    yield ""


def _status(name: str, is_set: bool) -> str:
    return f"{name} is {'set' if is_set else 'not set'}"
