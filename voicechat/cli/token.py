"""Short-lived tokens: asking a provider for one, and printing it for another program."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

import httpx

from voicechat.config.options import Options
from voicechat.core.text import clean
from voicechat.errors import ConnectError, KeyMissing, Secret, UsageError
from voicechat.providers import azure, catalog, rest

DEADLINE_S = 10.0
"""Seconds for the whole request."""


def mint(options: Options, seconds: int | None = None) -> dict[str, object]:
    """A token for the model of these options, with the address it opens.

    The answer has the shape that browsers' clients take from an endpoint: `token`, `url`,
    `expiresAt` (seconds since 1970; left out when unknown). Raises `UsageError`, `KeyMissing`
    and `ConnectError`.
    """
    choice = catalog.resolve(
        options.model, base_url=options.base_url, environ=options.environ, wire=options.wire
    )
    provider = catalog.PROVIDERS[choice.provider]
    if choice.needs_local_server:
        raise UsageError("The embedded voice needs no token.", "Name a --model.")
    key, variable = catalog.key_of(provider, options.environ)
    if key is None:
        variables = " or ".join(provider.key_variables)
        raise KeyMissing(f"A token of {provider.name} is given for a key.", f"Set {variables}.")
    ask = rest.Ask(
        model=choice.name.partition("/")[2],
        key=key,
        socket=choice.codec().endpoint().url,
        seconds=seconds,
        voice=options.voice,
        instructions=options.instructions,
        is_entra=variable == azure.TOKEN_VARIABLE,
        now=time.time(),
    )
    token = rest.read_token(provider.name, ask, _post(rest.mint_request(provider.name, ask), key))
    if token is None:
        raise ConnectError(f"{provider.name} answered without a token.", "Check --base-url.")
    found: dict[str, object] = {"token": token.value.reveal(), "url": token.url}
    if token.expires_at is not None:
        found["expiresAt"] = int(token.expires_at)
    return found


def printed(token: Mapping[str, object]) -> str:
    """The token as a line of JSON."""
    return json.dumps(token, ensure_ascii=False)


def _post(request: rest.Request, key: Secret) -> bytes:
    host = httpx.URL(request.url).host
    headers = {name: value.reveal() for name, value in request.headers.items()}
    try:
        with httpx.Client(timeout=DEADLINE_S, follow_redirects=False) as client:
            answer = client.post(request.url, headers=headers, content=request.body)
    except httpx.TimeoutException:
        raise ConnectError(f"{host} did not answer in {DEADLINE_S:g} s.", "Try again.") from None
    except (httpx.HTTPError, OSError, ValueError):
        raise ConnectError(f"{host} could not be reached.", "Check the network.") from None
    if answer.status_code in {200, 201}:
        return answer.content
    raise _refused(host, answer, key)


def _refused(host: str, answer: httpx.Response, key: Secret) -> Exception:
    said = clean(rest.read_error(answer.content)).replace(key.reveal(), "***")[:200]
    tail = f" (HTTP {answer.status_code}{f': {said}' if said else ''})."
    if answer.status_code in {401, 403}:
        return KeyMissing(f"{host} refused the key{tail}", "Check the key, and what it may do.")
    if answer.status_code == 404:
        return ConnectError(f"{host} gives no tokens here{tail}", "Check --base-url and --model.")
    if answer.status_code == 429:
        return ConnectError(f"{host} asks us to wait{tail}", "Try again later.")
    return ConnectError(f"{host} gave no token{tail}")
