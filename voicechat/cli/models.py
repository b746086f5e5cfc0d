"""`voicechat models`: providers, their models and voices, and which keys are set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from voicechat.cli.command import JSON, CommandEntry

if TYPE_CHECKING:
    from voicechat.session.model_list import ListedProvider


def models(as_json: Annotated[bool, JSON] = False) -> int:
    """List providers with their models and voices, and the keys they need.

    An asterisk marks the default model of each provider.
    """
    from voicechat.config import loader
    from voicechat.session.model_list import list_providers

    providers = list_providers(loader.load())
    typer.echo(models_as_json(providers) if as_json else models_as_text(providers))
    return 0


COMMAND = CommandEntry(10, "models", "List providers, models, voices and keys.", models)


def models_as_json(providers: Sequence[ListedProvider]) -> str:
    """The providers as JSON. Keys appear as names of variables, never as values."""
    import json

    fields = [
        {
            "provider": provider.name,
            "default": provider.default_model,
            "models": provider.models,
            "transcribers": provider.transcription_models,
            "voices": provider.voices,
            "keys": provider.keys,
            "address": provider.address,
            "ready": provider.is_ready,
            "prices": provider.prices,
        }
        for provider in providers
    ]
    return json.dumps(fields, indent=2)


def models_as_text(providers: Sequence[ListedProvider]) -> str:
    """The providers as plain text."""
    from voicechat.providers.catalog import installed

    lines = [line for provider in providers for line in _lines(provider)]
    return "\n".join([*lines, *installed().problems]).strip()


def _lines(provider: ListedProvider) -> Iterator[str]:
    from voicechat.system.text_table import table

    is_set = [name for name, found in provider.keys.items() if found]
    needed = _status(is_set[0], True) if is_set else _status(" or ".join(provider.keys), False)
    yield f"{provider.name}: {needed if provider.keys else 'needs no key'}"
    for name in provider.models:
        yield f"  {'*' if name == provider.default_model else ' '} {name}"
    if not provider.models:
        yield f"    {provider.name}/NAME, the name of your deployment"
    rows = {
        "address": [_status(name, found) for name, found in provider.address.items()],
        "transcribes": [name.partition("/")[2] for name in provider.transcription_models],
        "voices": provider.voices,
    }
    yield from table((name, ", ".join(values)) for name, values in rows.items() if values)
    yield ""


def _status(name: str, is_set: bool) -> str:
    return f"{name} is {'set' if is_set else 'not set'}"
