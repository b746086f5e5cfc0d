"""The parts of a form: the body `multipart/form-data` of a request. Source: RFC 7578, RFC 2046."""

from __future__ import annotations

from email.message import Message

from voicechat.server.realtime.server_frames import WireError

_MOST_PARTS = 8
_HEAD_BYTES = 2_000


def form_parts(content_type: str, body: bytes) -> dict[str, bytes]:
    """Return the content of each part by its name. Raises `WireError` for anything but a form."""
    boundary = _header("Content-Type", content_type).get_boundary() or ""
    if not 0 < len(boundary) <= 70 or not boundary.isascii():
        raise _wrong("its boundary is missing or too long")
    first, *pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode(), _MOST_PARTS + 1)
    if first or not pieces or not pieces.pop().startswith(b"--"):
        raise _wrong(
            f"it must begin and end with its boundary and have at most {_MOST_PARTS} parts"
        )
    found: dict[str, bytes] = {}
    for piece in pieces:
        name, content = _part(piece)
        if name in found:
            raise _wrong(f"two parts have the name '{name[:60]}'")
        found[name] = content
    return found


def _part(piece: bytes) -> tuple[str, bytes]:
    padding, line_end, rest = piece.partition(b"\r\n")
    head, gap, content = rest.partition(b"\r\n\r\n")
    if padding.strip() or not line_end or not gap or len(head) > _HEAD_BYTES:
        raise _wrong("a part has no headers")
    for line in head.decode("utf-8", "replace").split("\r\n"):
        field, _, value = line.partition(":")
        header = _header("Content-Disposition", value)
        name = header.get_param("name", header="Content-Disposition")
        is_field = field.strip().lower() == "content-disposition"
        if is_field and header.get_content_disposition() == "form-data" and isinstance(name, str):
            return name, content
    raise _wrong("a part has no name")


def _header(name: str, value: str) -> Message:
    message = Message()
    message[name] = " ".join(value.split())
    return message


def _wrong(what: str) -> WireError:
    return WireError("invalid_form", f"The form is not valid: {what}.")
