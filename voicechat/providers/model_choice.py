"""The model of a request outside a conversation: the user's choice, or one that has a key."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from voicechat.core.text import clean, one_of
from voicechat.errors import KeyMissing, Secret, UsageError
from voicechat.providers.catalog import COMPATIBLE, LOCAL, every_provider, key_of, provider_named
from voicechat.providers.provider import Provider

ModelsOf = Callable[[Provider], Sequence[str]]
"""Returns the models of a provider for this kind of request, the default one first."""

_LONGEST_NAME = 80


def named(
    model: str | None,
    base_url: str | None,
    environ: Mapping[str, str | Secret],
    models_of: ModelsOf,
) -> tuple[Provider, str]:
    """Return the provider that a name means, and the rest of the name.

    With no name, it is the first provider with such models and a key, else the embedded voice.
    Raises `UsageError` for an unknown model.
    """
    if not model:
        if base_url:
            return COMPATIBLE, ""
        able = filter(models_of, every_provider().values())
        return next((each for each in able if key_of(each, environ)[0]), LOCAL), ""
    prefix, _, name = model.strip().partition("/")
    provider = provider_named(prefix)
    if provider is not None:
        return provider, name
    if base_url:
        return COMPATIBLE, model.strip()
    raise UsageError(
        f"There is no model {clean(model)[:_LONGEST_NAME]!r}.", f"Choose {known(models_of)}."
    )


def known(models_of: ModelsOf) -> str:
    """Return the default models for this kind of request, as a choice in words."""
    able = filter(models_of, every_provider().values())
    return one_of([*(f"{each.name}/{models_of(each)[0]}" for each in able), LOCAL.name])


def require_name(name: str) -> None:
    """Raise `UsageError` for a name that no model can have."""
    if not name.isprintable() or " " in name:
        raise UsageError(f"{clean(name)[:_LONGEST_NAME]!r} is not a valid model name.")


def required_key(
    provider: Provider, name: str, address: str | None, environ: Mapping[str, str | Secret]
) -> Secret | None:
    """Return the key of a provider; None for a server of the user that needs none.

    Raises `KeyMissing`.
    """
    key, _ = key_of(provider, environ)
    if not key and (not address or provider.requires_key):
        variables = " or ".join(provider.key_variables)
        raise KeyMissing(
            f"{provider.name}/{name} needs a key.",
            f"Set {variables}, type voicechat login {provider.name}, or use --model {LOCAL.name},"
            " which needs none.",
        )
    return key
