"""The model that speaks a text: the user's choice, or the first provider with a key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from voicechat.core.text import clean, one_of
from voicechat.errors import KeyMissing, Secret, UsageError
from voicechat.providers.catalog import (
    COMPATIBLE,
    LOCAL,
    address_of,
    every_provider,
    key_of,
    provider_named,
)
from voicechat.providers.provider import Provider
from voicechat.providers.speech_service import SpeechService

_LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class SpeechChoice:
    """The model that speaks."""

    provider: Provider
    model: str
    """Without the provider's name."""
    service: SpeechService | None
    """None for the embedded voice."""
    base_url: str | None = None
    key: Secret | None = None

    @property
    def name(self) -> str:
        """PROVIDER/MODEL."""
        return f"{self.provider.name}/{self.model}"


def speech_choice(
    model: str | None, *, base_url: str | None = None, environ: Mapping[str, str | Secret]
) -> SpeechChoice:
    """Find the model that speaks.

    A provider's name, or that of one of its models for conversations, means its default model for
    speech. With no model, the first provider that speaks and has a key is used, and the embedded
    voice otherwise. Raises `UsageError` and `KeyMissing`.
    """
    provider, name = _named(model, base_url, environ)
    if provider.is_embedded:
        return SpeechChoice(provider, provider.default_model, None)
    service = provider.speech
    if service is None:
        raise UsageError(f"{provider.name} has no text to speech.", f"Choose {_known()}.")
    address = base_url or address_of(provider, environ)
    if not name or name in provider.models:
        name = (service.own_model if address else "") or service.models[0]
    if not name.isprintable() or " " in name:
        raise UsageError(f"{clean(name)[:_LONGEST_NAME]!r} is not a valid model name.")
    key, _ = key_of(provider, environ)
    if not key and (not address or provider.requires_key):
        variables = " or ".join(provider.key_variables)
        raise KeyMissing(
            f"{provider.name}/{name} needs a key.",
            f"Set {variables}, type voicechat login {provider.name}, or use --model {LOCAL.name},"
            " which needs none.",
        )
    return SpeechChoice(provider, name, service, address, key)


def _named(
    model: str | None, base_url: str | None, environ: Mapping[str, str | Secret]
) -> tuple[Provider, str]:
    """Return the provider that a name means, and the rest of the name."""
    if not model:
        if base_url:
            return COMPATIBLE, ""
        keyed = (
            each for each in every_provider().values() if each.speech and key_of(each, environ)[0]
        )
        return next(keyed, LOCAL), ""
    prefix, _, name = model.strip().partition("/")
    provider = provider_named(prefix)
    if provider is not None:
        return provider, name
    if base_url:
        return COMPATIBLE, model.strip()
    raise UsageError(f"There is no model {clean(model)[:_LONGEST_NAME]!r}.", f"Choose {_known()}.")


def _known() -> str:
    speaking = (
        f"{each.name}/{each.speech.models[0]}"
        for each in every_provider().values()
        if each.speech is not None
    )
    return one_of([*speaking, LOCAL.name])
