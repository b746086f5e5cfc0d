"""Bodies are decompressed in small pieces, and only once."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import AsyncIterator

import httpx
import pytest
from bombs import BOMB, NESTED

from voicechat.system.http_body import BodyError, decoded, read_all, read_start

TEXT = b"the same words again " * 40_000


async def arriving(body: bytes, size: int = 10_000) -> AsyncIterator[bytes]:
    for at in range(0, len(body), size):
        yield body[at : at + size]


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("", TEXT),
        ("Identity", TEXT),
        (" GZIP ", gzip.compress(TEXT)),
        ("x-gzip", gzip.compress(TEXT)),
        ("deflate", zlib.compress(TEXT)),
        ("gzip", gzip.compress(b"")),
    ],
    ids=["none", "identity", "GZIP", "x-gzip", "deflate", "empty"],
)
@pytest.mark.parametrize("size", [1_000_000, 10_000, 7])
async def test_a_body_has_one_encoding(encoding: str, body: bytes, size: int) -> None:
    if size == 7 and len(body) > 50_000:
        body = TEXT[:1_000] if encoding in {"", "Identity"} else body
    found = [piece async for piece in decoded(arriving(body, size), encoding)]
    assert b"".join(found) in {TEXT, TEXT[:1_000], b""}
    assert all(len(piece) <= 65_536 for piece in found) or encoding in {"", "Identity"}


@pytest.mark.parametrize(
    ("encoding", "body", "says"),
    [
        (NESTED, BOMB, "unknown encoding: 'gzip, gzip'"),
        ("br", b"x", "unknown encoding: 'br'"),
        ("gzip\x1b[2J" * 9, b"x", "unknown encoding"),
        ("gzip", b"no gzip", "damaged"),
        ("gzip", gzip.compress(TEXT)[:-20], "ends early"),
        ("gzip", b"", "ends early"),
    ],
    ids=["nested", "br", "escapes", "no gzip", "cut", "nothing"],
)
async def test_a_body_that_cannot_be_read(encoding: str, body: bytes, says: str) -> None:
    with pytest.raises(BodyError, match=says) as caught:
        [piece async for piece in decoded(arriving(body), encoding)]
    assert str(caught.value).isprintable()


def response(body: bytes) -> httpx.Response:
    return httpx.Response(200, headers={"Content-Encoding": "gzip"}, content=arriving(body))


async def test_the_decoded_bytes_are_counted() -> None:
    body = gzip.compress(TEXT)
    assert await read_all(response(body), len(TEXT)) == TEXT
    assert await read_start(response(body), 1_000) == TEXT[:1_000]
    with pytest.raises(BodyError, match="more than 1,000 bytes"):
        await read_all(response(body), 1_000)
