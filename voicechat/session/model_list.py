"""The list of known models, for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from voicechat.config import loader
from voicechat.config.options import Options
from voicechat.core.price import Price
from voicechat.core.settings import Capabilities
from voicechat.errors import VoicechatError
from voicechat.providers.catalog import codec_of, every_provider, price_of
from voicechat.providers.provider import ModelLimits, Provider

Purpose = Literal["conversation", "transcription", "translation", "speech"]


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model of the catalog. Providers may accept more models than are listed."""

    name: str
    """PROVIDER/MODEL, as `connect` accepts it."""
    provider: str
    """Name of the provider."""
    purpose: Purpose
    """`conversation` for `connect`; `transcription`, `translation` and `speech` for `voicechat
    transcribe`, `voicechat translate` and `voicechat speak`."""
    default: bool
    """True for the model that the provider's name alone selects."""
    voices: tuple[str, ...]
    """Names of its voices; empty if they are unknown."""
    key_variables: tuple[str, ...]
    """Environment variables that may hold the key; empty when it needs none."""
    has_key: bool
    """True if it needs no key, or one is set in the environment, the settings file or by
    `voicechat login`."""


@dataclass(frozen=True, slots=True)
class ListedProvider:
    """A provider with its models, and which of its keys and addresses are set."""

    name: str
    default_model: str | None
    """PROVIDER/MODEL, like all models here; None when the user must name one."""
    models: tuple[str, ...]
    """Models for conversations."""
    transcription_models: tuple[str, ...]
    voices: tuple[str, ...]
    keys: Mapping[str, bool]
    """True for each variable of a key that is set. Empty when it needs no key."""
    key_places: Mapping[str, str]
    """Where each key comes from: environment, settings file, keyring or private file."""
    address: Mapping[str, bool]
    """True if the variable of the address is set. Empty when there is no such variable."""
    is_ready: bool
    """True if a key and an address are set, where it needs them."""
    translation_models: tuple[str, ...]
    speech_models: tuple[str, ...]
    """Models that speak a text."""
    speech_voices: tuple[str, ...]
    """Voices of those; empty if they are unknown."""
    model_voices: Mapping[str, tuple[str, ...]]
    """Voices of the models that have others than `voices`."""
    limits: Mapping[str, ModelLimits]
    """Limits of each model where they are known."""
    prices: Mapping[str, str | None]
    """Date of the price of each model with a known price; None for a price of the user."""

    @property
    def has_key(self) -> bool:
        """True if it needs no key, or one is set."""
        return not self.keys or any(self.keys.values())


def list_models() -> tuple[ListedModel, ...]:
    """Return all known models, including those of installed packages. Does not use the network.

    Raises `UsageError` for invalid settings.
    """
    return tuple(
        model for provider in list_providers(loader.load()) for model in _listed_models(provider)
    )


def list_providers(options: Options) -> tuple[ListedProvider, ...]:
    """Return all known providers, including installed packages. Does not use the network."""
    return tuple(_listed_provider(provider, options) for provider in every_provider().values())


def listed_price(name: str, options: Options) -> Price | None:
    """Return the price of PROVIDER/MODEL; None if it is unknown."""
    return price_of(name, options.prices)


def listed_capabilities(name: str) -> Capabilities | None:
    """Return what a listed model can do; None if that is unknown before a connection."""
    try:
        return codec_of(name, environ={}).capabilities
    except VoicechatError:
        return None


def _listed_models(provider: ListedProvider) -> Iterator[ListedModel]:
    lists: tuple[tuple[Purpose, tuple[str, ...], tuple[str, ...]], ...] = (
        ("conversation", provider.models, provider.voices),
        ("transcription", provider.transcription_models, ()),
        ("translation", provider.translation_models, ()),
        ("speech", provider.speech_models, provider.speech_voices),
    )
    for purpose, names, usual in lists:
        for name in names:
            voices = provider.model_voices.get(name, usual)
            is_default = purpose == "conversation" and name == provider.default_model
            yield ListedModel(
                name, provider.name, purpose, is_default, voices, tuple(provider.keys),
                provider.has_key,
            )  # fmt: skip


def _listed_provider(provider: Provider, options: Options) -> ListedProvider:
    def full(name: str) -> str:
        return f"{provider.name}/{name}"

    known = {*options.keys, *options.keyring_keys}
    keys = {variable: variable in known for variable in provider.key_variables}
    address = provider.url_variable
    has_address = provider.connect is None or provider.url is not None
    models = tuple(full(name) for name in provider.models)
    speech = provider.speech
    translators = tuple(full(name) for name in provider.translation_models)
    return ListedProvider(
        name=provider.name,
        default_model=full(provider.default_model) if provider.default_model else None,
        models=models,
        transcription_models=tuple(full(name) for name in provider.transcription_models),
        voices=provider.voices,
        keys=keys,
        key_places={
            name: options.origins[f"keys.{name}"]
            for name in provider.key_variables
            if f"keys.{name}" in options.origins
        },
        address={address: address in options.variables} if address else {},
        is_ready=(not keys or any(keys.values())) and (has_address or address in options.variables),
        translation_models=translators,
        speech_models=tuple(full(name) for name in speech.models) if speech else (),
        speech_voices=speech.voices if speech else (),
        model_voices={full(name): voices for name, voices in provider.model_voices.items()},
        limits={full(name): limits for name, limits in provider.limits.items()},
        prices={
            name: price.dated or None
            for name in (*models, *translators)
            if (price := price_of(name, options.prices)) is not None
        },
    )
