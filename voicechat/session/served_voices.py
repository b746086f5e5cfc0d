"""The voices that a provider lists for the user's account, custom ones among them.

Source: xAI docs, "Text to Speech", `GET /v1/tts/voices`.
"""

from __future__ import annotations

import msgspec

from voicechat.providers.json_fields import as_text, fields, parse
from voicechat.session.served_models import list_at, root_of
from voicechat.system.dial_target import DialTarget

_MAX_VOICES = 1_000
_MAX_NAME = 100


class _Voices(msgspec.Struct):
    voices: list[object]


async def served_voices(target: DialTarget, path: str) -> tuple[str, ...]:
    """Return the names in the list at `path` below the API of this socket; empty if there is none.

    Names that cannot be requested are left out.
    """
    content = await list_at(f"{root_of(target.url)}/{path}", target)
    found = None if content is None else parse(content, _Voices)
    if found is None:
        return ()
    entries = map(fields, found.voices[:_MAX_VOICES])
    names = (
        name
        for entry in entries
        if (name := as_text(entry.get("voice_id"))) == entry.get("voice_id")
    )
    usable = (n for n in names if 0 < len(n) <= _MAX_NAME and n.isprintable() and " " not in n)
    return tuple(dict.fromkeys(usable))
