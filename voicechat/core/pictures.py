"""Pictures: kind and size, read from the bytes of a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """The supported kinds; the value is the subtype of the media type."""

    PNG = "png"
    JPEG = "jpeg"
    GIF = "gif"
    WEBP = "webp"

    @property
    def label(self) -> str:
        """Name for display."""
        return "WebP" if self is Kind.WEBP else self.upper()


_MAX_PIXELS = 1 << 16


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture. `data` is empty if the file's content is no longer kept."""

    kind: Kind
    width: int
    """In pixels."""
    height: int
    name: str = ""
    """File name, cleaned, for display."""
    data: bytes = field(default=b"", repr=False)

    @property
    def media_type(self) -> str:
        """Media type, e.g. `image/png`."""
        return f"image/{self.kind}"

    @property
    def caption(self) -> str:
        """Name, kind and size for display: "cat.png, PNG, 640 × 480 pixels"."""
        details = f"{self.kind.label}, {self.width} × {self.height} pixels"
        return f"{self.name}, {details}" if self.name else details


def picture(data: bytes, name: str = "") -> Picture | None:
    """Return the picture in these bytes; None if the kind is unknown or the file is cut off."""
    for kind, read in _READERS.items():
        size = read(data)
        if size is not None:
            width, height = size
            is_valid = 0 < width <= _MAX_PIXELS and 0 < height <= _MAX_PIXELS
            return Picture(kind, width, height, name, data) if is_valid else None
    return None


Size = tuple[int, int]


def _png(data: bytes) -> Size | None:
    """Return width and height. Source: the PNG specification, sections 5.2 and 11.2.2."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n") or data[12:16] != b"IHDR" or len(data) < 24:
        return None
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def _gif(data: bytes) -> Size | None:
    """Return width and height. Source: GIF89a, sections 17 and 18."""
    if not data.startswith((b"GIF87a", b"GIF89a")) or len(data) < 10:
        return None
    return int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")


_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG markers that begin a frame."""
_NO_PAYLOAD = frozenset({0x01, *range(0xD0, 0xDA)})
"""JPEG markers without a payload."""


def _jpeg(data: bytes) -> Size | None:
    """Return width and height from the first frame header. Source: ITU-T T.81, B.1 and B.2.2."""
    if not data.startswith(b"\xff\xd8\xff"):
        return None
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker in _NO_PAYLOAD:
            at += 2
        elif marker in _FRAME_MARKERS:
            height = int.from_bytes(data[at + 5 : at + 7], "big")
            return int.from_bytes(data[at + 7 : at + 9], "big"), height
        else:
            at += 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
    return None


def _webp(data: bytes) -> Size | None:
    """Return width and height. Source: RFC 9649, 2.4 to 2.7, and RFC 6386, 9.1."""
    if not (data.startswith(b"RIFF") and data[8:12] == b"WEBP") or len(data) < 30:
        return None
    chunk = data[12:16]
    if chunk == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
        return width, height
    if chunk == b"VP8L" and data[20] == 0x2F:
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (26, 28))
        return width, height
    return None


_READERS: Mapping[Kind, Callable[[bytes], Size | None]] = {
    Kind.PNG: _png,
    Kind.JPEG: _jpeg,
    Kind.GIF: _gif,
    Kind.WEBP: _webp,
}
