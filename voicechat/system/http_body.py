"""Bodies of HTTP answers, decompressed piece by piece.

A few kilobytes of compressed content can expand to gigabytes, and several encodings in a row
multiply that. So a body has at most one encoding, and each piece of it a fixed size; the caller
counts the decoded bytes.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator, AsyncIterable, Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import httpx

UNCOMPRESSED: Final = {"Accept-Encoding": "identity"}
"""Header of a request. Some servers compress nevertheless."""

_PIECE: Final = 65_536
"""Maximum size of a decompressed piece in bytes."""

_ZLIB_OR_GZIP: Final = 47


class BodyError(ValueError):
    """A body that is too large, damaged or encoded in an unknown way. Its text is a sentence."""


def pieces(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    """Yield the decompressed body in pieces. Raises `BodyError` and the errors of httpx."""
    return decoded(response.aiter_raw(), response.headers.get("Content-Encoding", ""))


async def read_all(response: httpx.Response, most: int) -> bytes:
    """Return the decompressed body. Raises `BodyError` when it has more than `most` bytes."""
    body = bytearray()
    async with aclosing(pieces(response)) as found:
        async for piece in found:
            body += piece
            if len(body) > most:
                raise BodyError(f"The answer has more than {most:,} bytes.")
    return bytes(body)


async def read_start(response: httpx.Response, most: int = 10_000) -> bytes:
    """Return the decompressed body, or its first `most` bytes. Raises `BodyError`."""
    body = bytearray()
    async with aclosing(pieces(response)) as found:
        async for piece in found:
            body += piece
            if len(body) >= most:
                break
    return bytes(body[:most])


async def decoded(raw: AsyncIterable[bytes], encoding: str) -> AsyncGenerator[bytes, None]:
    """Yield a body in pieces of at most 64 kB, without its one encoding.

    encoding: the header `Content-Encoding`; gzip and deflate are decompressed. Raises `BodyError`.
    """
    encoding = encoding.strip().lower()
    if encoding in {"", "identity"}:
        async for piece in raw:
            yield piece
        return
    if encoding not in {"gzip", "x-gzip", "deflate"}:
        raise BodyError(f"The answer has an unknown encoding: {encoding[:40]!a}.")
    unzip = zlib.decompressobj(_ZLIB_OR_GZIP)
    async for piece in raw:
        for part in _decompressed(unzip, piece):
            yield part
    if not unzip.eof:
        raise BodyError("The compressed answer ends early.")


def _decompressed(unzip: zlib._Decompress, piece: bytes) -> Iterator[bytes]:
    part = b" "
    while not unzip.eof:
        try:
            part = unzip.decompress(piece, _PIECE)
        except zlib.error:
            raise BodyError("The compressed answer is damaged.") from None
        if not part:
            return
        yield part
        piece = unzip.unconsumed_tail
