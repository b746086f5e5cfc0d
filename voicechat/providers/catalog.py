"""The catalog of providers: which ones exist, which model a session uses, and its codecs.

A model is named PROVIDER/MODEL; the provider's name alone means its default model. Providers come
from two places:

* modules of this package whose name ends in `_provider`; each has one `PROVIDER`;
* other packages, by an entry point in the group `voicechat.providers` that names a `Provider`.
  They are used only when the user names them.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Literal
from urllib.parse import urlsplit

from voicechat import providers
from voicechat.config.joined_call import JoinedCall
from voicechat.config.url_check import check_url
from voicechat.core.price import Price
from voicechat.core.settings import Capabilities, Purpose
from voicechat.core.text import clean, one_of
from voicechat.errors import KeyMissing, Secret, ServerError, UsageError
from voicechat.providers.base_url import realtime_url
from voicechat.providers.codec import Codec
from voicechat.providers.installed_providers import Installed, load_installed
from voicechat.providers.provider import WEBSOCKET, ConnectionRequest, Provider
from voicechat.providers.rest import TokenEndpoint
from voicechat.system.loopback import is_loopback

DialectName = Literal["ga", "beta", "voice-live", "live"]
"""An API dialect of an endpoint of the OpenAI family."""

DIALECTS: tuple[DialectName, ...] = ("ga", "beta", "voice-live", "live")

_LOCAL_URL = "http://127.0.0.1:8750"


# --------------------------------------------------------------------------- collecting


def _built_in() -> Mapping[str, Provider]:
    modules = pkgutil.walk_packages(providers.__path__, f"{providers.__name__}.")
    names = [module.name for module in modules if module.name.endswith("_provider")]
    found = [import_module(name).PROVIDER for name in names]
    return {each.name: each for each in sorted(found, key=lambda each: each.order)}


PROVIDERS: Mapping[str, Provider] = _built_in()
"""The built-in providers by name, in their order."""

COMPATIBLE = next(each for each in PROVIDERS.values() if each.is_compatible)
"""The provider whose wire other servers imitate: a base URL without a model means this one."""

LOCAL = next(each for each in PROVIDERS.values() if each.is_embedded)
"""The embedded server."""


@cache
def installed() -> Installed:
    """Return the providers of other packages."""
    return load_installed(PROVIDERS)


def every_provider() -> Mapping[str, Provider]:
    """Return the built-in providers, then those of other packages."""
    return {**PROVIDERS, **installed().providers}


def provider_named(name: str) -> Provider | None:
    """Return the provider of this name; None if there is none."""
    return PROVIDERS.get(name) or installed().providers.get(name)


def provider_at(host: str) -> str | None:
    """Return the name of the provider whose public address has this host; None if none has."""
    for provider in every_provider().values():
        if provider.url and urlsplit(provider.url).hostname == host:
            return provider.name
    return None


def capable(supports: Callable[[Capabilities], bool]) -> list[str]:
    """Return PROVIDER or PROVIDER/DEPLOYMENT of each provider whose default model supports this."""
    names = []
    for provider in PROVIDERS.values():
        name = provider.name if provider.default_model else f"{provider.name}/DEPLOYMENT"
        if supports(codec_of(name, environ={}).capabilities):
            names.append(name)
    return names


def translation_choice(
    model: str | None, *, base_url: str | None = None, environ: Mapping[str, str | Secret]
) -> ModelChoice:
    """Find the model that translates; a provider's name alone means its default translator.

    With no model, the first provider that translates is used. Raises as `resolve` does, and
    `UsageError` for a model that does not translate.
    """
    able = [each for each in every_provider().values() if each.translation_models]
    prefix, _, name = (model or able[0].name).strip().partition("/")
    provider = next((each for each in able if each.name == prefix), None)
    if provider is None or (name and name not in provider.translation_models):
        known = ", ".join(f"{each.name}/{each.translation_models[0]}" for each in able)
        raise UsageError(f"{_quoted(model or '')} does not translate.", f"Known: {known}.")
    name = name or provider.translation_models[0]
    return resolve(f"{provider.name}/{name}", base_url=base_url, environ=environ)


def token_endpoint(name: str) -> TokenEndpoint:
    """Return how this provider issues tokens. Raises `UsageError` if it does not."""
    provider = provider_named(name)
    if provider is None or provider.tokens is None:
        others = one_of(each.name for each in PROVIDERS.values() if each.tokens)
        raise UsageError(f"{name} does not issue short-lived tokens.", f"Choose {others}.")
    return provider.tokens


def price_of(model: str, own: Mapping[str, Price] | None = None) -> Price | None:
    """Return the price of PROVIDER/MODEL: the user's own, or the list price; None if unknown.

    A dated version of a model (`-2026-05-07`) has the price of the model.
    """
    stem, _, day = model.rpartition("-20")
    for name in (model, stem if len(day) == len("26-05-07") else ""):
        if own and name in own:
            return own[name]
        prefix, _, rest = name.partition("/")
        provider = provider_named(prefix) if rest else None
        if provider is not None and rest in provider.prices:
            return provider.prices[rest]
    return None


# --------------------------------------------------------------------------- choosing a model


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """The model of a session, and the reason for it."""

    name: str
    """PROVIDER/MODEL."""
    provider: str
    codec: Callable[[], Codec]
    """Makes the codec of one connection. When `needs_local_server`, use `local_codec` instead."""
    needs_local_server: bool
    why: str
    """One sentence: why this model is used, and how to use another one if none was named."""
    voices: tuple[str, ...] = ()
    """Names that `--voice` accepts; empty if the catalog does not know them."""
    asks_server: bool = False
    """No model is named and the address is the user's own, so the server may list its models."""


def resolve(
    model: str | None,
    *,
    base_url: str | None = None,
    environ: Mapping[str, str | Secret],
    wire: str | None = None,
    purpose: Purpose = "conversation",
    short_lived: bool = False,
    call: JoinedCall | None = None,
    transport: str = WEBSOCKET,
) -> ModelChoice:
    """Find the model of a session.

    `model` is the user's choice (None or empty if there is none), `base_url` the address of the
    provider's API, and `environ` the variables that may hold keys and addresses. With no model,
    the first provider with a key (or the compatible one, if there is an address) is used, and
    the embedded server otherwise. `wire` is one of `DIALECTS`. `short_lived` means that a token
    comes instead of a key; every connection then needs `Codec.redirect`. `call` is a phone call to
    control. Raises `UsageError` for invalid names and addresses, `KeyMissing` without a key.
    """
    if wire and wire not in DIALECTS:
        known = f"Known: {', '.join(DIALECTS)}."
        raise UsageError(f"There is no API dialect {_quoted(wire)}.", known)
    if model:
        provider, name = _named(_at_server(model, base_url))
        why = f"Using {provider.name}/{name} because you chose it."
    else:
        provider, why = _default(base_url, environ, short_lived=short_lived)
        name = provider.default_model
    address = base_url or address_of(provider, environ)
    provider.check_transport(transport)
    if short_lived and provider.is_embedded:
        raise UsageError("The embedded voice takes no token.", "Name another --model.")
    if call is not None and not provider.takes_calls:
        takers = " or ".join(each.name for each in PROVIDERS.values() if each.takes_calls)
        raise UsageError(f"{provider.name} takes no phone calls.", f"Choose a model of {takers}.")
    if provider.connect is None:
        codec: Callable[[], Codec] = _no_address
    elif short_lived:
        codec = provider.connect(
            ConnectionRequest(name, address, None, None, wire, purpose, environ, call, transport)
        )
    else:
        codec = connection(provider, name, base_url, environ, wire, purpose, call, transport)
    return ModelChoice(
        f"{provider.name}/{name}",
        provider.name,
        codec,
        provider.is_embedded,
        why,
        provider.model_voices.get(name, provider.voices),
        asks_server=not (model or short_lived or call) and _is_own(provider, address),
    )


def _is_own(provider: Provider, address: str | None) -> bool:
    """True for an address of the user that is not the provider's public one."""
    public = urlsplit(provider.url or "").hostname
    return bool(address) and provider.is_compatible and urlsplit(address).hostname != public


def _at_server(model: str, base_url: str | None) -> str:
    """Return PROVIDER/MODEL for a model that is named as the server at `base_url` lists it."""
    known = provider_named(model.strip().partition("/")[0]) is not None
    return model if known or not base_url else f"{COMPATIBLE.name}/{model.strip()}"


def _default(
    base_url: str | None, environ: Mapping[str, str | Secret], *, short_lived: bool
) -> tuple[Provider, str]:
    """Return the provider to use when no model is named, and the reason."""
    name = f"{COMPATIBLE.name}/{COMPATIBLE.default_model}"
    if short_lived:
        return COMPATIBLE, f"Using {name}; name another one with --model."
    cause = "a base URL is set" if base_url or address_of(COMPATIBLE, environ) else None
    keyed = (each for each in PROVIDERS.values() if each.default_model and key_of(each, environ)[0])
    provider = COMPATIBLE if base_url else next(keyed, COMPATIBLE if cause else LOCAL)
    if provider.is_embedded:
        hint = f"For another model, set {COMPATIBLE.key_variable} or use --model."
        return provider, f"Using the embedded voice. {hint}"
    _, variable = key_of(provider, environ)
    cause = f"{variable} is set" if variable else cause
    name = f"{provider.name}/{provider.default_model}"
    return provider, f"Using {name} because {cause}; --model {LOCAL.name} stays offline."


def check_talks(
    model: str, *, base_url: str | None = None, environ: Mapping[str, str | Secret]
) -> None:
    """Raise `UsageError` for a model that is known to hold no conversations with its provider.

    At an address of the user's own, the names may mean other models.
    """
    if base_url:
        return
    provider, name = _named(model)
    if address_of(provider, environ) or name in provider.models:
        return
    if name in provider.transcription_models:
        raise UsageError(
            f"{provider.name}/{name} only transcribes.",
            f"Use voicechat transcribe, or talk with --model {provider.name}.",
        )
    owner = next((each for each in PROVIDERS.values() if name in each.models), None)
    if owner is not None:
        raise UsageError(f"{name} is a model of {owner.name}.", f"Use --model {owner.name}/{name}.")


def transcription_choice(
    model: str | None,
    *,
    base_url: str | None = None,
    environ: Mapping[str, str | Secret],
    wire: str | None = None,
) -> tuple[ModelChoice, str | None]:
    """Find the model that transcribes, and the name that a session has to request.

    The name of a conversation model means its provider's default transcription model. With no
    model, the first provider that transcribes and has a key is used, and the embedded server
    otherwise. Raises as `resolve` does, and `UsageError` for a provider without such sessions.
    """
    if not model:
        keyed = (
            each
            for each in PROVIDERS.values()
            if each.transcription_models and key_of(each, environ)[0]
        )
        model = COMPATIBLE.name if base_url else next(keyed, LOCAL).name
    model = _at_server(model, base_url)
    codec = codec_of(model, base_url=base_url, environ=environ, wire=wire)
    name = transcription_model(model, codec)
    if name is not None:
        model = f"{_named(model)[0].name}/{name}"
    found = resolve(model, base_url=base_url, environ=environ, wire=wire, purpose="transcription")
    return found, name


def transcription_model(model: str, codec: Codec) -> str | None:
    """Return the model that a session of this codec has to request to transcribe.

    None for the embedded server. Raises `UsageError` if the provider has no such sessions.
    """
    provider, name = _named(model)
    if not codec.capabilities.transcription_only:
        if provider.transcription_models:
            raise UsageError(
                f"{provider.name}/{clean(name)[:80]} has no transcription sessions.",
                f"Use --model {provider.name}/{provider.transcription_models[0]}.",
            )
        others = capable(lambda capabilities: capabilities.transcription_only)
        raise UsageError(
            f"{provider.name} has no transcription sessions.",
            f"Name one with --model: {', '.join(others[:-1])} or {others[-1]}.",
        )
    if provider.is_embedded:
        return None
    return provider.transcription_models[0] if name in provider.models else name


def _named(model: str) -> tuple[Provider, str]:
    prefix, _, name = model.strip().partition("/")
    provider = provider_named(prefix)
    if provider is None:
        known = ", ".join(
            f"{each.name}/{each.default_model or 'DEPLOYMENT'}"
            for each in every_provider().values()
        )
        hint = " ".join([f"Known: {known}.", *installed().problems])
        raise UsageError(f"There is no model {_quoted(model)}.", hint)
    name = name or provider.default_model
    if not name:
        raise UsageError(
            f"{provider.name} needs the name of your deployment.",
            f"Write it as --model {provider.name}/NAME.",
        )
    if provider.is_embedded and name not in provider.models:
        known = f"{provider.name}/{provider.default_model}"
        raise UsageError(f"There is no model {_quoted(model)}.", f"The embedded one is {known}.")
    if not name.isprintable() or " " in name:
        raise UsageError(f"{_quoted(model)} is not a valid model name.")
    return provider, name


def _quoted(name: str) -> str:
    return repr(clean(name)[:80])


# --------------------------------------------------------------------------- codecs


def connection(
    provider: Provider,
    model: str,
    base_url: str | None,
    environ: Mapping[str, str | Secret],
    wire: str | None = None,
    purpose: Purpose = "conversation",
    call: JoinedCall | None = None,
    transport: str = WEBSOCKET,
) -> Callable[[], Codec]:
    """Return the factory of a remote model's codecs; each call makes a new one.

    A key is sent over TLS or to this machine only. Raises as `resolve` does.
    """
    if provider.connect is None:
        return _no_address
    key, variable = key_of(provider, environ)
    base_url = base_url or address_of(provider, environ)
    if not key and provider.key_variables and (not base_url or provider.requires_key):
        variables = " or ".join(provider.key_variables)
        login = f"type voicechat login {provider.name}"
        hint = f"Set {variables}, {login}, or use --model {LOCAL.name}, which needs none."
        if model in provider.translation_models:
            hint = f"Set {variables}, or {login}."
        raise KeyMissing(f"{provider.name}/{model} needs a key.", hint)
    codec = provider.connect(
        ConnectionRequest(model, base_url, key, variable, wire, purpose, environ, call, transport)
    )
    parts = urlsplit(codec().endpoint().url)
    if key and parts.scheme == "ws" and not is_loopback(parts.hostname or ""):
        raise UsageError(
            f"The key would be sent unencrypted to {parts.hostname}.",
            "Use an https:// or wss:// base URL, or unset the key.",
        )
    return codec


def codec_of(
    model: str,
    *,
    base_url: str | None = None,
    environ: Mapping[str, str | Secret],
    wire: str | None = None,
    purpose: Purpose = "conversation",
) -> Codec:
    """Make a codec to read and write frames without dialing; it needs no key.

    Raises `UsageError` for invalid names and addresses.
    """
    provider, name = _named(model)
    if provider.connect is None:
        return _embedded_codec(realtime_url(base_url or _LOCAL_URL, name, purpose), None)
    key, variable = key_of(provider, environ)
    address = base_url or address_of(provider, environ) or provider.example_url
    key = key or Secret("missing")
    return provider.connect(
        ConnectionRequest(name, address, key, variable, wire, purpose, environ)
    )()


def local_codec(url: str, token: Secret, purpose: Purpose = "conversation") -> Codec:
    """Make the codec of one connection to the embedded server at the address it prints."""
    if purpose == "transcription":
        url = realtime_url(url, LOCAL.default_model, purpose)
    return _embedded_codec(url, token)


def _embedded_codec(url: str, token: Secret | None) -> Codec:
    from voicechat.providers.local_dialect import EMBEDDED
    from voicechat.providers.openai.openai_codec import OpenAICodec

    return OpenAICodec(url, token, EMBEDDED)


def key_of(
    provider: Provider, environ: Mapping[str, str | Secret]
) -> tuple[Secret | None, str | None]:
    """Return the provider's key and the variable that holds it; (None, None) if none is set.

    Raises `UsageError` for a value that cannot be a key.
    """
    for variable in provider.key_variables:
        found = environ.get(variable, "")
        text = (found.reveal() if isinstance(found, Secret) else found).strip()
        if not text.isascii() or not text.isprintable() or " " in text:
            raise UsageError(
                f"{variable} contains characters that no key has.", "Copy the key again."
            )
        if text:
            return Secret(text), variable
    return None, None


def address_of(provider: Provider, environ: Mapping[str, str | Secret]) -> str | None:
    """Return the address in the provider's variable; None if it is not set.

    Raises `UsageError` if the text is not an address or holds a password.
    """
    variable = provider.url_variable or ""
    found = environ.get(variable, "")
    address = found.strip() if isinstance(found, str) else ""
    if not address:
        return None
    check_url(
        variable,
        address,
        ("http://", "https://", "ws://", "wss://"),
        example="https://host:port/v1",
        hint="Set the key in a variable of its own.",
    )
    return address


def _no_address() -> Codec:
    raise ServerError("The embedded server has no address yet.")
