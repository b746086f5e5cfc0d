"""Which providers there are: names, addresses, key variables, voices; and codecs for them.

A model is named PROVIDER/MODEL; the provider's name alone means its usual model. `PROVIDERS`
is the whole list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

from voicechat.core.text import clean
from voicechat.errors import KeyMissing, Secret, ServerError, UsageError
from voicechat.providers.codec import Codec
from voicechat.providers.openai import OpenAICodec


@dataclass(frozen=True, slots=True)
class Provider:
    """One entry of the catalog."""

    name: str
    usual_model: str
    models: tuple[str, ...]
    """The models to name in lists; a remote provider takes any other one, too."""
    voices: tuple[str, ...] = ()
    key_variable: str | None = None
    """The environment variable that holds the key; None where none is needed."""
    url: str | None = None
    """Its realtime API; None for the embedded voice, which listens where it likes."""


OPENAI = Provider(
    name="openai",
    usual_model="gpt-realtime-2.1",
    models=("gpt-realtime-2.1", "gpt-realtime-2.1-mini", "gpt-realtime-2", "gpt-realtime-1.5"),
    voices=(
        "marin", "cedar", "alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse",
    ),
    key_variable="OPENAI_API_KEY",
    url="wss://api.openai.com/v1/realtime",
)  # fmt: skip
LOCAL = Provider(name="local", usual_model="built-in", models=("built-in",))

PROVIDERS: Mapping[str, Provider] = {provider.name: provider for provider in (OPENAI, LOCAL)}


@dataclass(frozen=True, slots=True)
class Choice:
    """The model of a session, and why it is that one."""

    name: str
    """PROVIDER/MODEL."""
    provider: str
    codec: Callable[[], Codec]
    """Makes the codec of one connection. When `needs_local_server`, use `local_codec` instead."""
    needs_local_server: bool
    why: str
    """One sentence: how it was chosen, and how to choose another when nobody chose this one."""
    voices: tuple[str, ...] = ()
    """Names that `--voice` takes; empty when the catalog does not know them."""


def resolve(
    model: str | None, *, base_url: str | None = None, environ: Mapping[str, str | Secret]
) -> Choice:
    """Find the model of a session.

    `model` is what the person named (None or empty: nobody named one), `base_url` where they
    say the provider's API is, `environ` the variables that may hold keys. With no model named,
    a key or an address of OpenAI's chooses OpenAI, and the embedded voice is used otherwise.
    Raises `UsageError` for names and addresses that cannot be, `KeyMissing` without a key.
    """
    key = _key(OPENAI, environ)
    if model:
        provider, name = _named(model)
        why = f"{provider.name}/{name} was asked for."
    elif key or base_url:
        provider, name = OPENAI, OPENAI.usual_model
        cause = f"{OPENAI.key_variable} is set" if key else "a base URL is given"
        why = f"Using {provider.name}/{name} because {cause}; --model local stays offline."
    else:
        provider, name = LOCAL, LOCAL.usual_model
        why = "Using the embedded voice; set OPENAI_API_KEY or name a --model for another one."
    if provider is LOCAL:
        codec: Callable[[], Codec] = _no_address
    else:
        codec = codec_for(f"{provider.name}/{name}", base_url, key)
    return Choice(
        f"{provider.name}/{name}", provider.name, codec, provider is LOCAL, why, provider.voices
    )


def codec_for(model: str, base_url: str | None, key: Secret | None) -> Callable[[], Codec]:
    """What makes the codecs of a remote model's connections, a fresh one on each call.

    A key goes over TLS or to this machine, nowhere else. Raises as `resolve` does.
    """
    provider, name = _named(model)
    if not base_url and not key:
        raise KeyMissing(
            f"{provider.name}/{name} needs a key.",
            f"Set {provider.key_variable}, or use --model local, which needs none.",
        )
    url = realtime_url(base_url, name) if base_url else f"{provider.url}?model={quote(name)}"
    parts = urlsplit(url)
    if key and parts.scheme == "ws" and not is_loopback(parts.hostname or ""):
        raise UsageError(
            f"The key would travel unencrypted to {parts.hostname}.",
            "Use an https:// or wss:// base URL, or unset the key.",
        )
    return partial(OpenAICodec, url, key)


def local_codec(url: str, token: Secret) -> Codec:
    """The codec of one connection to the embedded voice, whose address `voicechat serve` prints."""
    return OpenAICodec(url, token)


def realtime_url(base_url: str, model: str) -> str:
    """The socket's address below a base URL: http(s) or ws(s), with or without its path.

    Raises `UsageError` for what is not such an address.
    """
    try:
        parts = urlsplit(base_url.strip())
        usable = parts.scheme in _SOCKETS and parts.hostname and (parts.port or 1)
    except ValueError:
        usable = False
    if not usable or clean(base_url) != base_url:
        raise UsageError(
            "The base URL is not an http(s):// or ws(s):// address.",
            "It looks like https://host/v1.",
        )
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            f"The base URL of {parts.hostname} holds a user name or password.",
            "Put the key into OPENAI_API_KEY.",
        )
    return urlunsplit(_socket_address(parts, model))


_SOCKETS = {"http": "ws", "ws": "ws", "https": "wss", "wss": "wss"}


def _socket_address(parts: SplitResult, model: str) -> SplitResult:
    path = parts.path.rstrip("/") or "/v1"
    if not path.endswith("/realtime"):
        path += "/realtime"
    asked = [pair for pair in parts.query.split("&") if pair and not pair.startswith("model=")]
    query = "&".join([*asked, f"model={quote(model)}"])
    return SplitResult(_SOCKETS[parts.scheme], parts.netloc, path, query, "")


def is_loopback(host: str) -> bool:
    """Whether the host is this machine for certain."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _named(model: str) -> tuple[Provider, str]:
    prefix, _, name = model.strip().partition("/")
    provider = PROVIDERS.get(prefix)
    if provider is None:
        known = ", ".join(f"{each.name}/{each.usual_model}" for each in PROVIDERS.values())
        raise UsageError(f"There is no model {_quoted(model)}.", f"Known: {known}.")
    name = name or provider.usual_model
    if provider is LOCAL and name not in LOCAL.models:
        raise UsageError(
            f"There is no model {_quoted(model)}.", f"The embedded one is local/{LOCAL.models[0]}."
        )
    if not name.isprintable() or " " in name:
        raise UsageError(f"{_quoted(model)} cannot be the name of a model.")
    return provider, name


def _quoted(name: str) -> str:
    return repr(clean(name)[:80])


def _key(provider: Provider, environ: Mapping[str, str | Secret]) -> Secret | None:
    found = environ.get(provider.key_variable or "", "")
    text = (found.reveal() if isinstance(found, Secret) else found).strip()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise UsageError(
            f"{provider.key_variable} holds characters that no key has.", "Copy the key again."
        )
    return Secret(text) if text else None


def _no_address() -> Codec:
    raise ServerError("The embedded voice has no address yet.")
