"""Short-lived tokens from a provider, or from `voicechat serve`, for other programs.

A token opens one session, or several until it expires, where the key must not be. It does not limit
the length of a session.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from voicechat.config.options import Options
from voicechat.core.settings import SessionSettings
from voicechat.core.text import clean
from voicechat.errors import ConnectError, KeyMissing, Secret, UsageError
from voicechat.session.blocking_call import run_blocking
from voicechat.session.client_checks import check_type, check_types, rewording
from voicechat.session.client_options import Parameters
from voicechat.session.provider_request import post_request
from voicechat.session.session_config import settings_from, with_defaults
from voicechat.system.loopback import is_loopback

if TYPE_CHECKING:
    from voicechat.providers import rest
    from voicechat.providers.provider import Provider

DEADLINE_S = 10.0
"""Seconds for the whole request."""

Result = TypeVar("Result")


class TokensLimited(ConnectError):
    """The provider limits how many tokens it issues."""


@dataclass(frozen=True, slots=True)
class MintedToken:
    """A short-lived token, and the socket that it opens."""

    token: str = field(repr=False)
    url: str
    """Address of a WebSocket."""
    expires_at: int | None = None
    """Time until which it opens sessions, in seconds since 1970; None if it is unknown."""

    def as_json(self) -> dict[str, object]:
        """Return it as clients in browsers expect it: `token`, `url` and `expiresAt`."""
        known = {} if self.expires_at is None else {"expiresAt": self.expires_at}
        return {"token": self.token, "url": self.url, **known}


# --------------------------------------------------------------------------- for programs


async def mint_token_async(
    model: str | None = None,
    *,
    seconds: int | None = None,
    voice: str | None = None,
    instructions: str | None = None,
    session_config: Mapping[str, object] | None = None,
    base_url: str | None = None,
    api_key: str | None = None,
    profile: str | None = None,
    settings: bool | str | os.PathLike[str] = True,
) -> MintedToken:
    """Get a short-lived token from the provider.

    model          PROVIDER/MODEL; "local" with the `base_url` of `voicechat serve`
    seconds        time in which the token can open sessions; None for the provider's default
    voice          name of the voice
    instructions   how the assistant should behave
    session_config the session in the shape of the AI SDK's `sessionConfig`; it wins over `voice`
                   and `instructions`. OpenAI, Azure, Google and `voicechat serve` keep it
    base_url, api_key, profile, settings
                   as in `connect`

    Raises `TypeError` for a parameter of a wrong type, `UsageError` for a wrong value, `KeyMissing`
    without a valid key, `ConnectError` if the provider issues none.
    """
    check_types({"seconds": seconds}, {"seconds": int})
    if session_config is not None:
        check_type("session_config", session_config, Mapping)
    given = Parameters(
        model=model, voice=voice, instructions=instructions, base_url=base_url, api_key=api_key,
        profile=profile, settings=settings,
    )  # fmt: skip
    with rewording():
        options = given.options(None)
        wanted = None
        if session_config is not None:
            found = settings_from(dict(session_config))
            wanted = with_defaults(found, (), options.instructions, options.voice)
        return await mint(options, seconds, wanted)


def mint_token(
    model: str | None = None,
    *,
    seconds: int | None = None,
    voice: str | None = None,
    instructions: str | None = None,
    session_config: Mapping[str, object] | None = None,
    base_url: str | None = None,
    api_key: str | None = None,
    profile: str | None = None,
    settings: bool | str | os.PathLike[str] = True,
) -> MintedToken:
    """Get a short-lived token from the provider, without an event loop.

    The parameters and errors are those of `mint_token_async`.
    """
    return run_blocking(
        "mint_token",
        mint_token_async(
            model, seconds=seconds, voice=voice, instructions=instructions,
            session_config=session_config, base_url=base_url, api_key=api_key, profile=profile,
            settings=settings,
        )
    )  # fmt: skip


# --------------------------------------------------------------------------- minting


async def mint(
    options: Options, seconds: int | None = None, settings: SessionSettings | None = None
) -> MintedToken:
    """Get a token for the model of these options.

    settings: of the session, for the providers whose tokens hold them; None for the voice and the
    instructions of the options. Raises `UsageError`, `KeyMissing` and `ConnectError`.
    """
    name, tokens, request = _prepared(options, seconds, settings)
    token = tokens.read(request, await _post(tokens.build(request), request.key))
    if token is None:
        provider = name.partition("/")[0]
        raise ConnectError(f"{provider} answered without a token.", "Check --base-url.")
    expires_at = None if token.expires_at is None else int(token.expires_at)
    return MintedToken(token.value.reveal(), token.url, expires_at)


def check_mint(options: Options, seconds: int | None = None) -> str:
    """Return the PROVIDER/MODEL of the tokens for these options, without sending anything.

    Raises `UsageError` and `KeyMissing` if none can be requested.
    """
    name, tokens, request = _prepared(options, seconds, None)
    tokens.build(request)
    return name


def _prepared(
    options: Options, seconds: int | None, settings: SessionSettings | None
) -> tuple[str, rest.TokenEndpoint, rest.TokenRequest]:
    """Return PROVIDER/MODEL, the token endpoint of the provider, and the request for a token."""
    from voicechat.providers import catalog, rest

    named = catalog.provider_named((options.model or "").partition("/")[0])
    if named is not None and not named.is_embedded:
        _key(named, options)
    choice = catalog.resolve(
        options.model, base_url=options.base_url, environ=options.environ, wire=options.wire
    )
    provider = catalog.every_provider()[choice.provider]
    model = choice.name.partition("/")[2]
    if provider.is_embedded:
        socket = _served_socket(options, model)
        tokens, key, variable = _key(provider, options)
    else:
        tokens, key, variable = _key(provider, options)
        socket = choice.codec().endpoint().url
    request = rest.TokenRequest(
        model=model,
        key=key,
        socket=socket,
        seconds=seconds,
        voice=options.voice,
        instructions=options.instructions,
        settings=settings,
        key_variable=variable,
        now=time.time(),
        environ=options.environ,
    )
    return choice.name, tokens, request


def _served_socket(options: Options, model: str) -> str:
    """Return the socket of `voicechat serve` at the base URL of the options."""
    from voicechat.providers.base_url import realtime_url

    if not options.base_url:
        raise UsageError(
            "The embedded voice needs no token.",
            "Choose another --model, or add the --base-url of voicechat serve.",
        )
    socket = realtime_url(options.base_url, model)
    parts = urlsplit(socket)
    if parts.scheme == "ws" and not is_loopback(parts.hostname or ""):
        raise UsageError(
            f"The token of the server would be sent unencrypted to {parts.hostname}.",
            "Use an https:// or wss:// base URL.",
        )
    return socket


def _key(provider: Provider, options: Options) -> tuple[rest.TokenEndpoint, Secret, str | None]:
    """Return the token endpoint of this provider, the key for it, and the variable of the key."""
    from voicechat.providers import catalog
    from voicechat.providers.local_provider import SERVE_TOKEN

    tokens = catalog.token_endpoint(provider.name)
    if provider.is_embedded:
        served = options.key(SERVE_TOKEN)
        if served is None:
            raise KeyMissing(
                "voicechat serve issues tokens only for its own token.", f"Set {SERVE_TOKEN}."
            )
        return tokens, served, SERVE_TOKEN
    key, variable = catalog.key_of(provider, options.environ)
    if key is None:
        variables = " or ".join(provider.key_variables)
        raise KeyMissing(f"{provider.name} issues tokens only for a key.", f"Set {variables}.")
    return tokens, key, variable


async def _post(request: rest.HttpRequest, key: Secret) -> bytes:
    status, content = await post_request(request, "sent no token", DEADLINE_S)
    if status in {200, 201}:
        return content
    raise _refused(urlsplit(request.url).hostname or "", status, content, key)


def _refused(host: str, status: int, content: bytes, key: Secret) -> Exception:
    from voicechat.providers import rest

    said = clean(rest.read_error(content)).replace(key.reveal(), "***")[:200]
    tail = f" (HTTP {status}{f': {said}' if said else ''})."
    if status in {401, 403}:
        return KeyMissing(f"{host} refused the key{tail}", "Check the key and its permissions.")
    if status in {400, 422}:
        return UsageError(f"{host} refused the session{tail}", "Check the model and the voice.")
    if status == 404:
        return ConnectError(f"{host} issues no tokens here{tail}", "Check --base-url and --model.")
    if status == 429:
        return TokensLimited(f"{host} limits the rate of requests{tail}", "Try again later.")
    return ConnectError(f"{host} issued no token{tail}", "Try again later.")
