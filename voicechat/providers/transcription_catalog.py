"""The model that transcribes a recording: the user's choice, or the first provider with a key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

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
from voicechat.providers.transcription_service import (
    TranscriptionJob,
    TranscriptionService,
    TranscriptionWishes,
    same_host,
)
from voicechat.system.loopback import is_loopback

_LONGEST_NAME = 80


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
    environ: Mapping[str, str | Secret],
) -> RecordingChoice:
    """Find the model that transcribes a recording.

    A provider's name, or that of one of its models for conversations, means its default model for
    these wishes. With no model, the first provider that transcribes and has a key is used, and the
    embedded recognizer otherwise. Raises `UsageError` and `KeyMissing`.
    """
    provider, name = _named(model, base_url, environ)
    if provider.is_embedded:
        return RecordingChoice(
            f"{provider.name}/{provider.default_model}",
            None,
            TranscriptionJob(provider.default_model, wishes),
        )
    service = provider.transcription
    if service is None:
        raise UsageError(f"{provider.name} does not transcribe recordings.", f"Choose {_known()}.")
    address = base_url or address_of(provider, environ)
    if not name or name in provider.models:
        name = service.choose(wishes, not same_host(address, provider.url or ""))
    if not name.isprintable() or " " in name:
        raise UsageError(f"{clean(name)[:_LONGEST_NAME]!r} is not a valid model name.")
    if name in service.live_only:
        raise UsageError(
            f"{provider.name}/{name} transcribes live speech only.",
            f"Use --model {provider.name}/{service.models[0]}.",
        )
    key = _key(provider, name, address, environ)
    job = TranscriptionJob(name, wishes, key, address, environ)
    return RecordingChoice(f"{provider.name}/{name}", service, job)


def _key(
    provider: Provider, name: str, address: str | None, environ: Mapping[str, str | Secret]
) -> Secret | None:
    key, _ = key_of(provider, environ)
    if not key and (not address or provider.requires_key):
        variables = " or ".join(provider.key_variables)
        raise KeyMissing(
            f"{provider.name}/{name} needs a key.",
            f"Set {variables}, type voicechat login {provider.name}, or use --model {LOCAL.name},"
            " which needs none.",
        )
    parts = urlsplit(address or "")
    if key and parts.scheme in {"http", "ws"} and not is_loopback(parts.hostname or ""):
        raise UsageError(
            f"The key would be sent unencrypted to {parts.hostname}.",
            "Use an https:// base URL, or unset the key.",
        )
    return key


def _named(
    model: str | None, base_url: str | None, environ: Mapping[str, str | Secret]
) -> tuple[Provider, str]:
    """Return the provider that a name means, and the rest of the name."""
    if not model:
        if base_url:
            return COMPATIBLE, ""
        able = (each for each in every_provider().values() if each.transcription)
        return next((each for each in able if key_of(each, environ)[0]), LOCAL), ""
    prefix, _, name = model.strip().partition("/")
    provider = provider_named(prefix)
    if provider is not None:
        return provider, name
    if base_url:
        return COMPATIBLE, model.strip()
    raise UsageError(f"There is no model {clean(model)[:_LONGEST_NAME]!r}.", f"Choose {_known()}.")


def _known() -> str:
    able = (
        f"{each.name}/{each.transcription.models[0]}"
        for each in every_provider().values()
        if each.transcription is not None
    )
    return one_of([*able, LOCAL.name])
