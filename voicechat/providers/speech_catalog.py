"""The model that speaks a text: the user's choice, or the first provider with a key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from voicechat.errors import Secret, UsageError
from voicechat.providers.catalog import address_of
from voicechat.providers.model_choice import known, named, require_name, required_key
from voicechat.providers.provider import Provider
from voicechat.providers.speech_service import SpeechService


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
    provider, name = named(model, base_url, environ, _models)
    if provider.is_embedded:
        return SpeechChoice(provider, provider.default_model, None)
    service = provider.speech
    if service is None:
        raise UsageError(f"{provider.name} has no text to speech.", f"Choose {known(_models)}.")
    address = base_url or address_of(provider, environ)
    if not name or name in provider.models:
        name = (service.own_model if address else "") or service.models[0]
    require_name(name)
    key = required_key(provider, name, address, environ)
    return SpeechChoice(provider, name, service, address, key)


def _models(provider: Provider) -> Sequence[str]:
    return provider.speech.models if provider.speech is not None else ()
