"""Conversations of the history as documents: Markdown, JSON, HTML, plain text and subtitles.

Text of the conversation is escaped, so that it cannot become markup, a link or a subtitle of its
own. What was cut and never heard is marked.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Final

from msgspec import structs

from voicechat.history.history_rows import TOOL, ItemRow
from voicechat.history.stored_conversation import StoredConversation

NAMES: Final[Mapping[str, str]] = {"user": "You", "assistant": "Assistant", "system": "System"}

_CHARACTERS_PER_S: Final = 15.0
"""Speed of reading, for the length of a subtitle without sound."""

_INLINE = re.compile(r"([\\`*_\[\]|~])")
_LINE_START = re.compile(r"^(\d{1,9})([.)])|^([#+=-])")
_SUBTITLE_TAG = re.compile(r"<(?=/?[A-Za-z])")
_BACKTICKS = re.compile(r"`{3,}")

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem;"
    "color:#1c1c1c;background:#fff}p{white-space:pre-wrap;overflow-wrap:anywhere;margin:.2rem 0}"
    "section{margin:1.2rem 0}h2{font-size:.9rem;margin:0;color:#555}"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f3f3f3;padding:.6rem}"
    "@media(prefers-color-scheme:dark){body{color:#e8e8e8;background:#161616}h2{color:#aaa}"
    "pre{background:#222}}"
)


def exported(stored: StoredConversation, form: str) -> str:
    """Return the document of a conversation; `form` is one of `FORMATS`."""
    return FORMATS[form](stored).rstrip() + "\n"


def local_time(unix_s: float) -> str:
    """Return a Unix time (s) in the time zone of this machine: "2026-11-29 08:34"."""
    return datetime.fromtimestamp(unix_s).strftime("%Y-%m-%d %H:%M")


def _shown(stored: StoredConversation) -> Iterator[ItemRow]:
    """Yield the items with something to read."""
    for item in stored.items:
        if not item.hidden and (item.role == TOOL or item.text.strip() or item.picture):
            yield item


def _heading(stored: StoredConversation) -> str:
    row = stored.row
    return f"{local_time(row.started_at)} · {row.model}"


def _picture(item: ItemRow) -> str:
    found = _picture_fields(item)
    return f"[Picture: {found.get('name') or 'no name'}]" if found else ""


def _picture_fields(item: ItemRow) -> dict[str, object] | None:
    try:
        found = json.loads(item.picture or "null")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


# ------------------------------------------------------------------------------ formats


def _text(stored: StoredConversation) -> str:
    parts = [f"{stored.row.title}\n{_heading(stored)}\n"]
    for item in _shown(stored):
        if item.role == TOOL:
            parts.append(f"Tool {item.name} ({item.status})\n  {item.arguments}\n  {item.output}\n")
            continue
        lines = [_picture(item), item.shown.strip()]
        lines += [f"[not heard: {item.unheard.strip()}]"] if item.unheard.strip() else []
        parts.append("\n".join([f"{NAMES.get(item.role, item.role)}:", *filter(None, lines), ""]))
    return "\n".join(parts)


def _markdown(stored: StoredConversation) -> str:
    parts = [f"# {_escaped(stored.row.title)}", _escaped(_heading(stored))]
    for item in _shown(stored):
        if item.role == TOOL:
            parts.append(f"## Tool {_escaped(item.name)} ({item.status})")
            parts += [_fenced(text) for text in (item.arguments, item.output) if text]
            continue
        parts.append(f"## {NAMES.get(item.role, item.role)}")
        cut = _escaped(" ".join(item.unheard.split()))
        body = [_escaped(_picture(item)), _escaped(item.shown), f"~~{cut}~~" if cut else ""]
        parts.append("\n\n".join(filter(None, body)))
    return "\n\n".join(parts)


def _escaped(text: str) -> str:
    """Return a text that Markdown shows as it is."""
    lines = []
    for line in text.strip().split("\n"):
        safe = _INLINE.sub(r"\\\1", line.strip())
        safe = safe.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        lines.append(_LINE_START.sub(r"\1\\\2\3", safe))
    return "\\\n".join(lines).replace("\n\\\n", "\n\n")


def _fenced(text: str) -> str:
    """Return a text as a block of code that it cannot end."""
    longest = max((len(found) for found in _BACKTICKS.findall(text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}\n{text}\n{fence}"


def _html(stored: StoredConversation) -> str:
    title = html.escape(stored.row.title)
    parts = [
        '<!DOCTYPE html>\n<html lang="und"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        f"<title>{title}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{title}</h1><p>{html.escape(_heading(stored))}</p>",
    ]
    for item in _shown(stored):
        if item.role == TOOL:
            blocks = [f"<pre>{html.escape(t)}</pre>" for t in (item.arguments, item.output) if t]
            name = f"Tool {html.escape(item.name)} ({html.escape(item.status)})"
            parts.append(f"<section><h2>{name}</h2>{''.join(blocks)}</section>")
            continue
        cut = f"<del>{html.escape(item.unheard)}</del>" if item.unheard else ""
        body = html.escape(" ".join(filter(None, (_picture(item), item.shown))))
        name = html.escape(NAMES.get(item.role, item.role))
        parts.append(f"<section><h2>{name}</h2><p>{body}{cut}</p></section>")
    return "\n".join([*parts, "</body></html>"])


def _json(stored: StoredConversation) -> str:
    items = []
    for item in stored.items:
        fields = structs.asdict(item)
        del fields["conversation_id"], fields["position"], fields["entry_id"]
        items.append({**fields, "picture": _picture_fields(item)})
    return json.dumps({**stored.row.fields, "items": items}, indent=2, ensure_ascii=False)


def _subtitles(stored: StoredConversation) -> str:
    """Return the messages in the format of SubRip, with times from the start."""
    spoken = [item for item in _shown(stored) if item.role != TOOL and item.shown.strip()]
    cues = []
    for number, item in enumerate(spoken, 1):
        start = max(0.0, item.at - stored.row.started_at)
        text = " ".join(item.shown.split())
        length = item.heard_ms / 1000 or max(1.0, len(text) / _CHARACTERS_PER_S)
        if number < len(spoken):
            following = spoken[number].at - stored.row.started_at
            length = min(length, max(0.5, following - start))
        line = _untagged(f"{NAMES.get(item.role, item.role)}: {text}")
        cues.append(f"{number}\n{_clock(start)} --> {_clock(start + length)}\n{line}\n")
    return "\n".join(cues)


def _untagged(text: str) -> str:
    """Return a text without what players take for times, tags and places on the screen."""
    return _SUBTITLE_TAG.sub("‹", text.replace("-->", "→")).replace("{\\", "{ \\")


def _clock(seconds: float) -> str:
    whole = round(seconds * 1000)
    hours, minutes = whole // 3_600_000, whole // 60_000 % 60
    return f"{hours:02}:{minutes:02}:{whole // 1000 % 60:02},{whole % 1000:03}"


FORMATS: Final[Mapping[str, Callable[[StoredConversation], str]]] = {
    "md": _markdown,
    "json": _json,
    "html": _html,
    "txt": _text,
    "srt": _subtitles,
}
"""The formats by their name, which is also the ending of a file."""
