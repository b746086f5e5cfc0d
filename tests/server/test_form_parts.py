"""Forms: their parts, and what is no form."""

from __future__ import annotations

import pytest

from voicechat.server.form_parts import form_parts
from voicechat.server.realtime.server_frames import WireError

FORM = "multipart/form-data; boundary=line"


def part(name: str, content: str, *headers: str) -> str:
    lines = [f'Content-Disposition: form-data; name="{name}"', *headers]
    return "--line\r\n" + "\r\n".join(lines) + f"\r\n\r\n{content}\r\n"


def test_parts_are_read_byte_for_byte() -> None:
    body = (
        part("sdp", "v=0\r\na=b\r\n", "Content-Type: application/sdp")
        + part("session", '{"instructions": "ü\n--line"}')
        + "--line--\r\n"
    )
    assert form_parts('multipart/form-data; boundary="line"', body.encode()) == {
        "sdp": b"v=0\r\na=b\r\n",
        "session": '{"instructions": "ü\n--line"}'.encode(),
    }


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", part("sdp", "") + "--line--"),
        ("multipart/form-data; boundary=", part("sdp", "") + "--line--"),
        (f"multipart/form-data; boundary={'x' * 71}", ""),
        (FORM, ""),
        (FORM, "--line"),
        (FORM, part("sdp", "cut off")),
        (FORM, "before\r\n" + part("sdp", "") + "--line--"),
        (FORM, part("sdp", "") + part("sdp", "") + "--line--"),
        (FORM, "".join(part(str(each), "") for each in range(9)) + "--line--"),
        (FORM, "--line\r\nContent-Type: a/b\r\n\r\nx\r\n--line--"),
        (FORM, "--line\r\nContent-Disposition: attachment; name=sdp\r\n\r\nx\r\n--line--"),
        (FORM, "--line\r\nContent-Disposition: form-data; name=sdp\r\nx\r\n--line--"),
        (FORM, part("sdp", "", "X: " + "y" * 2_000) + "--line--"),
    ],
    ids=range(13),
)
def test_another_body_is_no_form(kind: str, body: str) -> None:
    with pytest.raises(WireError, match=r"^The form is not valid: "):
        form_parts(kind, body.encode())
