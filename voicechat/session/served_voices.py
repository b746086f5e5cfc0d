"""The voices that a provider lists for the user's account, custom ones among them.

Sources: xAI docs, "Text to Speech" (`GET /v1/tts/voices`) and "Custom Voices"
(`GET /v1/custom-voices`: custom voices are in this list only).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from voicechat.providers.json_fields import as_text, fields, parse
from voicechat.session.served_models import list_at, root_of
from voicechat.system.dial_target import DialTarget

_MAX_VOICES = 1_000
_MAX_NAME = 100


class _Voices(msgspec.Struct):
    voices: list[object]
    pagination_token: object = None


@dataclass(frozen=True, slots=True)
class ServedVoices:
    """Voices that a provider lists."""

    names: tuple[str, ...]
    complete: bool
    """False if a list was not readable to its end, so that there may be other voices."""


async def served_voices(target: DialTarget, paths: Iterable[str]) -> ServedVoices:
    """Return the voices in the lists at `paths` below the API of this socket.

    Names that cannot be requested are left out.
    """
    root = root_of(target.url)
    contents = await asyncio.gather(*(list_at(f"{root}/{path}", target) for path in paths))
    lists = [None if content is None else parse(content, _Voices) for content in contents]
    names = (name for each in lists if each is not None for name in _names(each))
    complete = all(each is not None and not each.pagination_token for each in lists)
    return ServedVoices(tuple(dict.fromkeys(names)), complete)


def _names(found: _Voices) -> Iterator[str]:
    for entry in map(fields, found.voices[:_MAX_VOICES]):
        name = as_text(entry.get("voice_id"))
        usable = 0 < len(name) <= _MAX_NAME and name.isprintable() and " " not in name
        if usable and name == entry.get("voice_id"):
            yield name
