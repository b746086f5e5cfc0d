"""Which providers there are: names, addresses, key variables, voices; and codecs for them.

A model is named PROVIDER/MODEL; the provider's name alone means its usual model. `PROVIDERS`
is the whole list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

from voicechat.core.settings import Purpose
from voicechat.core.text import clean
from voicechat.errors import KeyMissing, Secret, ServerError, UsageError
from voicechat.providers import azure
from voicechat.providers.codec import Codec
from voicechat.providers.embedded import EMBEDDED
from voicechat.providers.gateway import gateway_codec
from voicechat.providers.gateway.gateway_codec import GatewayCodec
from voicechat.providers.google import google_codec
from voicechat.providers.google.google_codec import GoogleCodec
from voicechat.providers.openai.openai_beta import BETA, VOICE_LIVE
from voicechat.providers.openai.openai_codec import GENERAL, OpenAICodec
from voicechat.providers.xai import XAI as XAI_DIALECT
from voicechat.system.loopback import is_loopback

Wire = Literal["ga", "beta", "voice-live"]
"""How an endpoint of the OpenAI family wants to be spoken to."""

WIRES: tuple[Wire, ...] = ("ga", "beta", "voice-live")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Everything a provider's codec is made from."""

    model: str
    """Without the provider's name."""
    base_url: str | None = None
    """Where its API is; None for the usual place."""
    key: Secret | None = None
    key_variable: str | None = None
    """Where the key was found."""
    wire: str | None = None
    """One of `WIRES`; None to tell by the address."""
    purpose: Purpose = "conversation"
    environ: Mapping[str, str | Secret] = field(default_factory=dict, repr=False, hash=False)


@dataclass(frozen=True, slots=True)
class Provider:
    """One entry of the catalog."""

    name: str
    usual_model: str
    """Empty where only the person can know it."""
    models: tuple[str, ...]
    """The models to name in lists; a remote provider takes any other one, too."""
    voices: tuple[str, ...] = ()
    transcribers: tuple[str, ...] = ()
    """Models that only write down what is said; a session names one, the first is usual."""
    key_variables: tuple[str, ...] = ()
    """The environment variables that may hold the key; the first that is set counts."""
    url: str | None = None
    """Its realtime API; None where the person says it, and for the embedded voice."""
    url_variable: str | None = None
    """The environment variable that says where its API is."""
    connect: Callable[[Wanted], Callable[[], Codec]] | None = field(default=None, repr=False)
    """What makes the codecs of its connections; None for the embedded voice."""

    @property
    def key_variable(self) -> str | None:
        """The usual variable for the key; None where none is needed."""
        return self.key_variables[0] if self.key_variables else None


def _openai(wanted: Wanted) -> Callable[[], Codec]:
    url = realtime_url(wanted.base_url or OPENAI.url or "", wanted.model, wanted.purpose)
    dialect = {"beta": BETA, "voice-live": VOICE_LIVE}.get(wanted.wire or "", GENERAL)
    return partial(OpenAICodec, url, wanted.key, replace(dialect, name="openai"))


def _xai(wanted: Wanted) -> Callable[[], Codec]:
    url = realtime_url(wanted.base_url or XAI.url or "", wanted.model)
    return partial(OpenAICodec, url, wanted.key, XAI_DIALECT)


def _azure(wanted: Wanted) -> Callable[[], Codec]:
    if not wanted.base_url:
        raise UsageError(
            "Azure is reached at an address of your own.",
            f"Set {AZURE.url_variable} to it, like https://NAME.openai.azure.com.",
        )
    parts = _checked(wanted.base_url)
    wire = wanted.wire or azure.wire_of(parts)
    version = wanted.environ.get("OPENAI_API_VERSION")
    socket = azure.address(
        parts._replace(scheme=_SOCKETS[parts.scheme]),
        wanted.model,
        wire,
        version if isinstance(version, str) and version else None,
    )
    url = urlunsplit(socket)
    if wanted.purpose == "transcription" and wire == "ga":
        url = urlunsplit(socket._replace(query="intent=transcription"))
    dialect = azure.dialect(wire, token=wanted.key_variable == azure.TOKEN_VARIABLE)
    return partial(OpenAICodec, url, wanted.key, dialect)


def _google(wanted: Wanted) -> Callable[[], Codec]:
    short_lived = wanted.key is not None and google_codec.is_token(wanted.key)
    url = google_codec.address(_host(wanted.base_url or google_codec.URL), token=short_lived)
    return partial(GoogleCodec, url, wanted.model, wanted.key)


def _gateway(wanted: Wanted) -> Callable[[], Codec]:
    url = gateway_codec.address(_host(wanted.base_url or gateway_codec.URL), wanted.model)
    return partial(GatewayCodec, url, wanted.model, wanted.key)


OPENAI = Provider(
    name="openai",
    usual_model="gpt-realtime-2.1",
    models=(
        "gpt-realtime-2.1", "gpt-realtime-2.1-mini", "gpt-realtime-2", "gpt-realtime-1.5",
        "gpt-realtime", "gpt-realtime-mini",
    ),
    voices=(
        "marin", "cedar", "alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse",
    ),
    transcribers=(
        "gpt-live-transcribe", "gpt-transcribe", "gpt-realtime-whisper", "gpt-4o-transcribe",
        "gpt-4o-mini-transcribe", "gpt-4o-transcribe-diarize", "whisper-1",
    ),
    key_variables=("OPENAI_API_KEY",),
    url="wss://api.openai.com/v1/realtime",
    url_variable="OPENAI_BASE_URL",
    connect=_openai,
)  # fmt: skip
AZURE = Provider(
    name="azure",
    usual_model="",
    models=(),
    key_variables=("AZURE_OPENAI_API_KEY", azure.TOKEN_VARIABLE),
    url_variable="AZURE_OPENAI_ENDPOINT",
    connect=_azure,
)
XAI = Provider(
    name="xai",
    usual_model="grok-voice-latest",
    models=("grok-voice-latest", "grok-voice-think-fast-2.0", "grok-voice-think-fast-1.0"),
    voices=("ara", "eve", "rex", "sal", "leo"),
    key_variables=("XAI_API_KEY",),
    url="wss://api.x.ai/v1/realtime",
    connect=_xai,
)
GOOGLE = Provider(
    name="google",
    usual_model="gemini-3.8-live",
    models=("gemini-3.8-live", "gemini-3.8-live-extended-thinking"),
    voices=(
        "Puck", "Charon", "Kore", "Fenrir", "Aoede", "Leda", "Orus", "Zephyr",
    ),
    key_variables=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    url=google_codec.URL,
    connect=_google,
)  # fmt: skip
GATEWAY = Provider(
    name="gateway",
    usual_model="openai/gpt-realtime-2.1",
    models=(
        "openai/gpt-realtime-2.1", "google/gemini-3.8-live",
        "google/gemini-3.8-live-extended-thinking", "spacexai/grok-voice-3.0",
    ),
    key_variables=("AI_GATEWAY_API_KEY",),
    url=gateway_codec.URL,
    connect=_gateway,
)  # fmt: skip
LOCAL = Provider(name="local", usual_model="built-in", models=("built-in",))

PROVIDERS: Mapping[str, Provider] = {
    provider.name: provider for provider in (OPENAI, AZURE, XAI, GOOGLE, GATEWAY, LOCAL)
}


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
    model: str | None,
    *,
    base_url: str | None = None,
    environ: Mapping[str, str | Secret],
    wire: str | None = None,
    purpose: Purpose = "conversation",
    short_lived: bool = False,
) -> Choice:
    """Find the model of a session.

    `model` is what the person named (None or empty: nobody named one), `base_url` where they
    say the provider's API is, `environ` the variables that may hold keys and addresses. With no
    model named, the first provider that has a key (or OpenAI, when there is an address) is
    chosen, and the embedded voice otherwise. `wire` is one of `WIRES`. `short_lived` means that a
    token comes instead of a key; its connections have to be admitted with it.
    Raises `UsageError` for names and addresses that cannot be, `KeyMissing` without a key.
    """
    if wire and wire not in WIRES:
        raise UsageError(f"There is no wire {_quoted(wire)}.", f"Known: {', '.join(WIRES)}.")
    if model:
        provider, name = _named(model)
        why = f"{provider.name}/{name} was asked for."
    else:
        provider, why = _unasked(base_url, environ, short_lived=short_lived)
        name = provider.usual_model
    if short_lived and provider is LOCAL:
        raise UsageError("The embedded voice takes no token.", "Name another --model.")
    if provider.connect is None:
        codec: Callable[[], Codec] = _no_address
    elif short_lived:
        address = base_url or _address(provider, environ)
        codec = provider.connect(Wanted(name, address, wire=wire, purpose=purpose, environ=environ))
    else:
        codec = connection(provider, name, base_url, environ, wire, purpose)
    return Choice(
        f"{provider.name}/{name}", provider.name, codec, provider is LOCAL, why, provider.voices
    )


def _unasked(
    base_url: str | None, environ: Mapping[str, str | Secret], *, short_lived: bool
) -> tuple[Provider, str]:
    """The provider when nobody named a model, and why it is that one."""
    if short_lived:
        return OPENAI, f"Using {OPENAI.name}/{OPENAI.usual_model}; name another with --model."
    cause = "a base URL is given" if base_url or _address(OPENAI, environ) else None
    keyed = (p for p in PROVIDERS.values() if p.usual_model and key_of(p, environ)[0])
    provider = OPENAI if base_url else next(keyed, OPENAI if cause else LOCAL)
    if provider is LOCAL:
        hint = f"set {OPENAI.key_variable} or name a --model for another one."
        return LOCAL, f"Using the embedded voice; {hint}"
    _, variable = key_of(provider, environ)
    cause = f"{variable} is set" if variable else cause
    name = f"{provider.name}/{provider.usual_model}"
    return provider, f"Using {name} because {cause}; --model local stays offline."


def transcriber(
    model: str | None,
    *,
    base_url: str | None = None,
    environ: Mapping[str, str | Secret],
    wire: str | None = None,
) -> tuple[Choice, str | None]:
    """Whom to let write down what is said, and the model that a session has to ask for.

    A name of a model that talks means its provider's usual transcriber. With no model named, the
    first provider that transcribes and has a key is chosen, and the embedded voice otherwise.
    Raises as `resolve` does, and `UsageError` for a provider that has no such sessions.
    """
    if not model:
        keyed = (p for p in PROVIDERS.values() if p.transcribers and key_of(p, environ)[0])
        model = OPENAI.name if base_url else next(keyed, LOCAL).name
    name = transcriber_of(model, codec_of(model, base_url=base_url, environ=environ, wire=wire))
    if name is not None:
        model = f"{_named(model)[0].name}/{name}"
    found = resolve(model, base_url=base_url, environ=environ, wire=wire, purpose="transcription")
    return found, name


def transcriber_of(model: str, codec: Codec) -> str | None:
    """The model that a session of this codec has to ask for to write down what is said.

    None for the embedded voice. Raises `UsageError` when the provider has no such sessions.
    """
    provider, name = _named(model)
    if not codec.capabilities.transcription_only:
        raise UsageError(
            f"{provider.name} has no sessions that only write down what is said.",
            f"Name one with --model: {OPENAI.name}, {AZURE.name}/DEPLOYMENT or {LOCAL.name}.",
        )
    if provider is LOCAL:
        return None
    return provider.transcribers[0] if name in provider.models else name


def connection(
    provider: Provider,
    model: str,
    base_url: str | None,
    environ: Mapping[str, str | Secret],
    wire: str | None = None,
    purpose: Purpose = "conversation",
) -> Callable[[], Codec]:
    """What makes the codecs of a remote model's connections, a fresh one on each call.

    A key goes over TLS or to this machine, nowhere else. Raises as `resolve` does.
    """
    if provider.connect is None:
        return _no_address
    key, variable = key_of(provider, environ)
    base_url = base_url or _address(provider, environ)
    if not key and (not base_url or provider is AZURE):
        variables = " or ".join(provider.key_variables)
        raise KeyMissing(
            f"{provider.name}/{model} needs a key.",
            f"Set {variables}, or use --model local, which needs none.",
        )
    codec = provider.connect(Wanted(model, base_url, key, variable, wire, purpose, environ))
    parts = urlsplit(codec().endpoint().url)
    if key and parts.scheme == "ws" and not is_loopback(parts.hostname or ""):
        raise UsageError(
            f"The key would travel unencrypted to {parts.hostname}.",
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
    """A codec to read and write frames with, not to dial with: it is made without a key, too.

    Raises `UsageError` for names and addresses that cannot be.
    """
    provider, name = _named(model)
    if provider.connect is None:
        return OpenAICodec(realtime_url(base_url or _LOCAL_URL, name, purpose), None, EMBEDDED)
    key, variable = key_of(provider, environ)
    address = base_url or _address(provider, environ)
    if provider is AZURE and not address:
        address = "https://RESOURCE.openai.azure.com"
    key = key or Secret("missing")
    return provider.connect(Wanted(name, address, key, variable, wire, purpose, environ))()


_LOCAL_URL = "http://127.0.0.1:8765"


def local_codec(url: str, token: Secret, purpose: Purpose = "conversation") -> Codec:
    """The codec of one connection to the embedded voice, whose address `voicechat serve` prints."""
    if purpose == "transcription":
        url = realtime_url(url, LOCAL.usual_model, purpose)
    return OpenAICodec(url, token, EMBEDDED)


def realtime_url(base_url: str, model: str, purpose: str = "conversation") -> str:
    """The socket's address below a base URL: http(s) or ws(s), with or without its path.

    For transcription the address names no model. Raises `UsageError` for what is no address.
    """
    return urlunsplit(_socket_address(_checked(base_url), model, purpose))


def _host(base_url: str) -> str:
    """The base URL as that of a socket, without a query."""
    parts = _checked(base_url)
    return f"{_SOCKETS[parts.scheme]}://{parts.netloc}{parts.path}"


def _checked(base_url: str) -> SplitResult:
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
            "Put the key into the environment.",
        )
    return parts


_SOCKETS = {"http": "ws", "ws": "ws", "https": "wss", "wss": "wss"}


def _socket_address(parts: SplitResult, model: str, purpose: str) -> SplitResult:
    path = parts.path.rstrip("/") or "/v1"
    if not path.endswith("/realtime"):
        path += "/realtime"
    asked = [pair for pair in parts.query.split("&") if pair and not pair.startswith("model=")]
    what = "intent=transcription" if purpose == "transcription" else f"model={quote(model)}"
    query = "&".join([*asked, what])
    return SplitResult(_SOCKETS[parts.scheme], parts.netloc, path, query, "")


def provider_at(host: str) -> str | None:
    """The name of the provider that lives at this host; None for any other host."""
    for provider in PROVIDERS.values():
        if provider.url and urlsplit(provider.url).hostname == host:
            return provider.name
    return None


def _named(model: str) -> tuple[Provider, str]:
    prefix, _, name = model.strip().partition("/")
    provider = PROVIDERS.get(prefix)
    if provider is None:
        known = ", ".join(f"{p.name}/{p.usual_model or 'DEPLOYMENT'}" for p in PROVIDERS.values())
        raise UsageError(f"There is no model {_quoted(model)}.", f"Known: {known}.")
    name = name or provider.usual_model
    if not name:
        raise UsageError(
            f"{provider.name} needs the name of your deployment.",
            f"Write it as --model {provider.name}/NAME.",
        )
    if provider is LOCAL and name not in LOCAL.models:
        raise UsageError(
            f"There is no model {_quoted(model)}.", f"The embedded one is local/{LOCAL.models[0]}."
        )
    if not name.isprintable() or " " in name:
        raise UsageError(f"{_quoted(model)} cannot be the name of a model.")
    return provider, name


def _quoted(name: str) -> str:
    return repr(clean(name)[:80])


def key_of(
    provider: Provider, environ: Mapping[str, str | Secret]
) -> tuple[Secret | None, str | None]:
    """The provider's key and the variable that holds it; (None, None) when none is set.

    Raises `UsageError` for a variable that cannot hold a key.
    """
    for variable in provider.key_variables:
        found = environ.get(variable, "")
        text = (found.reveal() if isinstance(found, Secret) else found).strip()
        if not text.isascii() or not text.isprintable() or " " in text:
            raise UsageError(f"{variable} holds characters that no key has.", "Copy the key again.")
        if text:
            return Secret(text), variable
    return None, None


def _address(provider: Provider, environ: Mapping[str, str | Secret]) -> str | None:
    found = environ.get(provider.url_variable or "", "")
    return found.strip() or None if isinstance(found, str) else None


def _no_address() -> Codec:
    raise ServerError("The embedded voice has no address yet.")
