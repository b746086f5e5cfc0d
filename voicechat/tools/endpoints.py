"""HTTP endpoints from the settings file as tools: one address, one method, one schema each.

Arguments that the address names as {name} go there, quoted; the others go into the query of a GET
or DELETE and into a JSON body otherwise. The model cannot change the host, the method or the
headers, and keys in headers go only to that host.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urljoin, urlsplit

from voicechat.config.endpoint import PLACE, Endpoint
from voicechat.core.settings import ToolSpec
from voicechat.core.text import clean
from voicechat.system.http_body import UNCOMPRESSED, BodyError, read_start
from voicechat.system.http_client import open_client
from voicechat.tools.argument_check import checked_arguments
from voicechat.tools.page_text import charset
from voicechat.tools.registry import Tool, ToolError

if TYPE_CHECKING:
    import httpx

MAX_BYTES = 256 * 1024
"""Bytes of an answer that are read."""

MIN_KEY = 8
"""Characters; a shorter word of a header is not treated as a key."""

_REDIRECTS = 3
_PART_CHARS = 2_000
_IN_QUERY = frozenset({"GET", "DELETE"})


def endpoint_tool(endpoint: Endpoint) -> Tool:
    """Make a tool of an endpoint."""
    schema = {"type": "object", "properties": {}, **endpoint.parameters}
    spec = ToolSpec(endpoint.name, clean(endpoint.description), schema, endpoint.permission)
    source = f"endpoint {endpoint.method} {endpoint.url}"
    return Tool(spec, partial(_call, endpoint, schema), source, endpoint.deadline_s)


async def _call(endpoint: Endpoint, schema: Mapping[str, object], arguments: str) -> str:
    if endpoint.problem:
        raise ToolError(f"{endpoint.name} cannot be called: {endpoint.problem}")
    given = await asyncio.to_thread(checked_arguments, schema, arguments)
    # Loading the client and its certificates takes long: on a thread.
    client = await asyncio.to_thread(_client, endpoint)
    import httpx

    try:
        async with client:
            return _without_keys(await _request(client, endpoint, given), endpoint)
    except ToolError as error:
        raise ToolError(_without_keys(str(error), endpoint)) from None
    except httpx.TimeoutException:
        raise ToolError(f"{endpoint.name}: {endpoint.origin} did not answer in time.") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = clean(str(error)) or type(error).__name__
        raise ToolError(f"{endpoint.name}: {endpoint.origin} cannot be reached: {reason}") from None


def _without_keys(text: str, endpoint: Endpoint) -> str:
    """Remove the keys of the headers, which some endpoints send back, from a text."""
    words = {word for value in endpoint.headers.values() for word in value.reveal().split()}
    for word in sorted(words, key=len, reverse=True):
        if len(word) >= MIN_KEY:
            text = text.replace(word, "[key]")
    return text


def _client(endpoint: Endpoint) -> httpx.AsyncClient:
    headers = {name: value.reveal() for name, value in endpoint.headers.items()}
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            # The HTTP client would repeat the value in its error message.
            raise ToolError(
                f"{endpoint.name}: the header {name} holds characters that cannot be sent."
            )
    # A proxy from the environment must not see plain HTTP.
    return open_client(
        headers={
            "User-Agent": "voicechat",
            "Accept": "application/json, text/*;q=0.9",
            **UNCOMPRESSED,
            **headers,
        },
        timeout=endpoint.deadline_s,
        trust_env=urlsplit(endpoint.url).scheme != "http",
    )


def _address(endpoint: Endpoint, given: dict[str, Any]) -> str:
    """Fill in the placeholders of the address; remove the arguments used from `given`."""
    placeholders = PLACE.findall(endpoint.url)
    filled = {name: _text(given[name]) for name in placeholders if name in given}
    missing = [name for name in placeholders if not filled.get(name)]
    if missing:
        raise ToolError(f"The arguments do not fit: {missing[0]} is missing.")
    if paths := [name for name in placeholders if _is_path(filled[name])]:
        raise ToolError(f"The arguments do not fit: {paths[0]} cannot be a path.")
    for name in placeholders:
        given.pop(name, None)
    return PLACE.sub(lambda found: quote(filled[found[1]], safe=""), endpoint.url)


def _is_path(text: str) -> bool:
    """Return True if a text leads elsewhere in an address once servers have decoded it."""
    if len(text) > _PART_CHARS:
        return True
    while (plain := unquote(text)) != text:
        text = plain
    return "/" in text or "\\" in text or text.strip() in {".", ".."}


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


async def _request(client: httpx.AsyncClient, endpoint: Endpoint, given: dict[str, Any]) -> str:
    url = _address(endpoint, given)
    if endpoint.method in _IN_QUERY:
        words = {name: _text(value) for name, value in given.items() if value is not None}
        request = client.build_request(endpoint.method, url, params=words or None)
    else:
        request = client.build_request(endpoint.method, url, json=given)
    for _ in range(_REDIRECTS + 1):
        response = await client.send(request, stream=True)
        try:
            if not response.is_redirect:
                return await _read_answer(response, endpoint)
            request = client.build_request("GET", _redirect_target(response, endpoint))
        finally:
            await response.aclose()
    raise ToolError(f"{endpoint.name} redirects too often.")


def _redirect_target(response: httpx.Response, endpoint: Endpoint) -> str:
    """Return the target of a GET's redirect on the same host. Raises `ToolError` otherwise."""
    url = urljoin(str(response.url), response.headers.get("location", ""))
    parts = urlsplit(url)
    if f"{parts.scheme}://{parts.netloc}" != endpoint.origin or endpoint.method != "GET":
        raise ToolError(f"{endpoint.name} redirects to another address, which is not followed.")
    return str(url)


async def _read_answer(response: httpx.Response, endpoint: Endpoint) -> str:
    try:
        raw = await read_start(response, MAX_BYTES)
        codec = charset(response.charset_encoding or "utf-8")
    except BodyError as error:
        raise ToolError(f"{endpoint.name}: {error}") from None
    except LookupError:
        raise ToolError(f"{endpoint.name} answered in an unknown character set.") from None
    text = (await asyncio.to_thread(raw.decode, codec, "replace")).strip()
    if response.is_error:
        reason = f"{response.status_code} {response.reason_phrase}".strip()
        detail = f": {' '.join(text.split())[:300]}" if text else "."
        raise ToolError(f"{endpoint.name} answered {reason}{detail}")
    return text or "Done."
