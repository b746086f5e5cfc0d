"""One HTTP request to a provider, with a deadline and a limit on the answer."""

from __future__ import annotations

import asyncio
import os
import ssl
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from voicechat.errors import ConnectError, unusable_proxy

if TYPE_CHECKING:
    from voicechat.providers.rest import HttpRequest

_MAX_BYTES = 1 << 18
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


@cache
def _certificates(file: str | None, folder: str | None) -> ssl.SSLContext:
    """Load the trusted certificates, once for these variables; it takes long."""
    import httpx

    return httpx.create_ssl_context()


async def post_request(request: HttpRequest, missing: str, deadline_s: float) -> tuple[int, bytes]:
    """Send a POST and return the status code and the body of the answer.

    missing: what the host did instead of answering fully, for the error. Raises `ConnectError`
    without an answer.
    """
    import httpx

    from voicechat.system.http_body import UNCOMPRESSED, BodyError, read_all
    from voicechat.system.http_client import open_client

    host = urlsplit(request.url).hostname
    headers = {name: value.reveal() for name, value in request.headers.items()} | UNCOMPRESSED
    try:
        # The asynchronous client tries all addresses of a name side by side.
        trusted = await asyncio.to_thread(_certificates, *map(os.environ.get, _CERTIFICATES))
        made = open_client(timeout=deadline_s, follow_redirects=False, verify=trusted)
        async with (
            asyncio.timeout(deadline_s),
            made as client,
            client.stream("POST", request.url, headers=headers, content=request.body) as answer,
        ):
            content = await read_all(answer, _MAX_BYTES)
    except BodyError as error:
        raise ConnectError(f"{host} {missing}: {error}", "Try again later.") from None
    except (httpx.TimeoutException, TimeoutError):
        raise ConnectError(f"{host} did not answer in {deadline_s:g} s.", "Try again.") from None
    except ImportError:
        raise unusable_proxy() from None
    except (httpx.HTTPError, OSError, ValueError):
        raise ConnectError(f"{host} could not be reached.", "Check the network.") from None
    return answer.status_code, content
