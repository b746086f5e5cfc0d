"""The list of known models, for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from voicechat.config import loader
from voicechat.providers.catalog import every_provider


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model of the catalog. Providers may accept more models than are listed."""

    name: str
    """PROVIDER/MODEL, as `connect` accepts it."""
    provider: str
    """Name of the provider."""
    purpose: Literal["conversation", "transcription"]
    """`conversation` for `connect`; `transcription` for `voicechat transcribe`."""
    default: bool
    """True for the model that the provider's name alone selects."""
    voices: tuple[str, ...]
    """Names of its voices; empty if they are unknown."""
    key_variables: tuple[str, ...]
    """Environment variables that may hold the key; empty when it needs none."""
    has_key: bool
    """True if it needs no key, or one is set in the environment or the settings file."""


def list_models() -> tuple[ListedModel, ...]:
    """Return all known models, including those of installed packages. Does not use the network.

    Raises `UsageError` for invalid settings.
    """
    keys = loader.load().keys
    found: list[ListedModel] = []
    for provider in every_provider().values():
        names = provider.key_variables
        has_key = not names or any(name in keys for name in names)
        found += [
            ListedModel(
                f"{provider.name}/{model}",
                provider.name,
                "conversation",
                model == provider.default_model,
                provider.voices,
                names,
                has_key,
            )
            for model in provider.models
        ]
        found += [
            ListedModel(
                f"{provider.name}/{model}",
                provider.name,
                "transcription",
                False,
                (),
                names,
                has_key,
            )
            for model in provider.transcription_models
        ]
    return tuple(found)
