"""Pictures that a program gives to a session."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from voicechat.core.pictures import Picture, picture
from voicechat.core.text import clean
from voicechat.errors import UsageError
from voicechat.session.client_checks import check_type
from voicechat.session.images import find

LIMIT = 20_000_000
"""Bytes of the largest picture file that is read; most models take less."""


def read_picture(source: str | os.PathLike[str] | bytes, name: str = "") -> Picture:
    """A picture from a file or from the bytes of one: PNG, JPEG, GIF or WebP.

    `name` is shown in the transcript; by default it is the name of the file. Raises `UsageError`
    for anything else. Reading a file blocks: on a slow disk, call it with `asyncio.to_thread`.
    """
    check_type("source", source, str, os.PathLike, bytes)
    check_type("name", name, str)
    if not isinstance(source, bytes):
        found, _ = find([(_path(source), "")], LIMIT)
        return replace(found, name=clean(name)) if name else found
    shown = picture(source, clean(name))
    if shown is None:
        title = clean(name) or f"source ({len(source)} bytes)"
        raise UsageError(f"{title} is not a PNG, JPEG, GIF or WebP picture.")
    return shown


def _path(source: str | os.PathLike[str]) -> Path:
    try:
        return Path(source).expanduser()
    except RuntimeError:  # there is no such user
        return Path(source)
