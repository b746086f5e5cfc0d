"""The model that transcribes a recording: the user's choice, or the first provider with a key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import urlsplit

from voicechat.errors import Secret, UsageError
from voicechat.providers.catalog import address_of
from voicechat.providers.model_choice import known, named, require_name, required_key
from voicechat.providers.provider import Provider
from voicechat.providers.transcription_service import (
    TranscriptionJob,
    TranscriptionService,
    TranscriptionWishes,
    same_host,
)
from voicechat.system.loopback import is_loopback


@dataclass(frozen=True, slots=True)
class RecordingChoice:
    """The model that transcribes recordings."""

    name: str
    """PROVIDER/MODEL."""
    service: TranscriptionService | None
    """None for the embedded recognizer."""
    job: TranscriptionJob

    @property
    def unsupported(self) -> list[str]:
        """A sentence for each wish that the model does not take."""
        wishes = self.job.wishes
        if self.service is not None:
            lost = self.service.lost(self.job)
        else:
            asked = {
                "a prompt": wishes.prompt or wishes.keywords,
                "speakers": wishes.diarize,
                "times of words": wishes.times == "word",
                "log probabilities": wishes.logprobs,
            }
            lost = [name for name, is_asked in asked.items() if is_asked]
        return [f"{self.name} does not support {each}." for each in lost]


def recording_choice(
    model: str | None,
    wishes: TranscriptionWishes,
    *,
    base_url: str | None = None,
    options: Mapping[str, object] = MappingProxyType({}),
    environ: Mapping[str, str | Secret],
) -> RecordingChoice:
    """Find the model that transcribes a recording; `options` are those of its provider.

    A provider's name, or that of one of its models for conversations, means its default model for
    these wishes. With no model, the first provider that transcribes and has a key is used, and the
    embedded recognizer otherwise. Raises `UsageError` and `KeyMissing`.
    """
    provider, name = named(model, base_url, environ, _models)
    if provider.is_embedded:
        return RecordingChoice(
            f"{provider.name}/{provider.default_model}",
            None,
            TranscriptionJob(provider.default_model, wishes),
        )
    service = provider.transcription
    if service is None:
        raise UsageError(
            f"{provider.name} does not transcribe recordings.", f"Choose {known(_models)}."
        )
    address = base_url or address_of(provider, environ)
    if not name or name in provider.models:
        name = service.choose(wishes, not same_host(address, provider.url or ""))
    require_name(name)
    if name in service.live_only:
        raise UsageError(
            f"{provider.name}/{name} transcribes live speech only.",
            f"Use --model {provider.name}/{service.models[0]}.",
        )
    key = _key(provider, name, address, environ)
    job = TranscriptionJob(name, wishes, key, address, options, environ)
    return RecordingChoice(f"{provider.name}/{name}", service, job)


def _key(
    provider: Provider, name: str, address: str | None, environ: Mapping[str, str | Secret]
) -> Secret | None:
    key = required_key(provider, name, address, environ)
    parts = urlsplit(address or "")
    if key and parts.scheme in {"http", "ws"} and not is_loopback(parts.hostname or ""):
        raise UsageError(
            f"The key would be sent unencrypted to {parts.hostname}.",
            "Use an https:// base URL, or unset the key.",
        )
    return key


def _models(provider: Provider) -> Sequence[str]:
    return provider.transcription.models if provider.transcription is not None else ()
