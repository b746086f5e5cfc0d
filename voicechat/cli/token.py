"""`voicechat token`: a short-lived token of a provider, for another program."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from voicechat.cli import _completion_values as values
from voicechat.cli.command import CommandEntry, Text, flag, load_options
from voicechat.core.text import clean
from voicechat.errors import ConnectError, KeyMissing, Secret, UsageError, unusable_proxy

if TYPE_CHECKING:
    from voicechat.config.options import Options
    from voicechat.providers import rest
    from voicechat.providers.provider import Provider

DEADLINE_S = 10.0
"""Seconds for the whole request."""

_MAX_BYTES = 1 << 18


def token(
    context: typer.Context,
    model: Annotated[
        Text,
        typer.Option(
            metavar="PROVIDER/MODEL", help="Model the token is for.", autocompletion=values.models
        ),
    ] = None,
    seconds: Annotated[
        int | None,
        typer.Option(metavar="NUMBER", help="Seconds in which the token can open sessions."),
    ] = None,
    voice: Annotated[Text, flag("voice")] = None,
    base_url: Annotated[Text, flag("base_url")] = None,
    profile: Annotated[Text, flag("profile")] = None,
) -> int:
    """Get a short-lived token from the provider and print it with its URL, as a line of JSON."""
    import json

    from voicechat.config.options import typed

    found = mint(load_options(typed(context.params)), seconds)
    typer.echo(json.dumps(found, ensure_ascii=False))
    return 0


COMMAND = CommandEntry(90, "token", "Print a short-lived token for another program.", token)


def mint(options: Options, seconds: int | None = None) -> dict[str, object]:
    """A token for the model of these options, with the URL it opens.

    The keys are those that clients in browsers expect from an endpoint: `token`, `url` and
    `expiresAt` (seconds since 1970; absent when unknown). Raises `UsageError`, `KeyMissing` and
    `ConnectError`.
    """
    import asyncio

    from voicechat.providers import catalog, rest

    named = catalog.provider_named((options.model or "").partition("/")[0])
    if named is not None and not named.is_embedded:
        _key(named, options)
    choice = catalog.resolve(
        options.model, base_url=options.base_url, environ=options.environ, wire=options.wire
    )
    if choice.needs_local_server:
        raise UsageError("The embedded voice needs no token.", "Choose another --model.")
    provider = catalog.every_provider()[choice.provider]
    tokens, key, variable = _key(provider, options)
    request = rest.TokenRequest(
        model=choice.name.partition("/")[2],
        key=key,
        socket=choice.codec().endpoint().url,
        seconds=seconds,
        voice=options.voice,
        instructions=options.instructions,
        key_variable=variable,
        now=time.time(),
        environ=options.environ,
    )
    token = tokens.read(request, asyncio.run(_post(tokens.build(request), key)))
    if token is None:
        raise ConnectError(f"{provider.name} answered without a token.", "Check --base-url.")
    found: dict[str, object] = {"token": token.value.reveal(), "url": token.url}
    if token.expires_at is not None:
        found["expiresAt"] = int(token.expires_at)
    return found


def _key(provider: Provider, options: Options) -> tuple[rest.TokenEndpoint, Secret, str | None]:
    """The token endpoint of this provider, the key for it, and the variable of the key."""
    from voicechat.providers import catalog

    tokens = catalog.token_endpoint(provider.name)
    key, variable = catalog.key_of(provider, options.environ)
    if key is None:
        variables = " or ".join(provider.key_variables)
        raise KeyMissing(f"{provider.name} issues tokens only for a key.", f"Set {variables}.")
    return tokens, key, variable


async def _post(request: rest.HttpRequest, key: Secret) -> bytes:
    import asyncio

    import httpx

    from voicechat.system.http_body import UNCOMPRESSED, BodyError, read_all
    from voicechat.system.http_client import open_client

    host = httpx.URL(request.url).host
    headers = {name: value.reveal() for name, value in request.headers.items()} | UNCOMPRESSED
    try:
        # The asynchronous client tries all addresses of a name side by side.
        async with (
            asyncio.timeout(DEADLINE_S),
            open_client(timeout=DEADLINE_S, follow_redirects=False) as client,
            client.stream("POST", request.url, headers=headers, content=request.body) as answer,
        ):
            content = await read_all(answer, _MAX_BYTES)
    except BodyError as error:
        raise ConnectError(f"{host} sent no token: {error}", "Try again later.") from None
    except (httpx.TimeoutException, TimeoutError):
        raise ConnectError(f"{host} did not answer in {DEADLINE_S:g} s.", "Try again.") from None
    except ImportError:
        raise unusable_proxy() from None
    except (httpx.HTTPError, OSError, ValueError):
        raise ConnectError(f"{host} could not be reached.", "Check the network.") from None
    if answer.status_code in {200, 201}:
        return content
    raise _refused(host, answer.status_code, content, key)


def _refused(host: str, status: int, content: bytes, key: Secret) -> Exception:
    from voicechat.providers import rest

    said = clean(rest.read_error(content)).replace(key.reveal(), "***")[:200]
    tail = f" (HTTP {status}{f': {said}' if said else ''})."
    if status in {401, 403}:
        return KeyMissing(f"{host} refused the key{tail}", "Check the key and its permissions.")
    if status == 404:
        return ConnectError(f"{host} issues no tokens here{tail}", "Check --base-url and --model.")
    if status == 429:
        return ConnectError(f"{host} limits the rate of requests{tail}", "Try again later.")
    return ConnectError(f"{host} issued no token{tail}", "Try again later.")
