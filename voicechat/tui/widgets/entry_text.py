"""How one entry of the conversation reads: words and styles, no layout.

State is always told by a word; color and strike only repeat it. Styles name theme
variables; outside text goes in as `Content` and is never parsed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from textual.content import Content

from voicechat.core.items import Entry, Item, ItemStatus, Role, ToolCall, ToolState
from voicechat.core.tool_calls import for_user
from voicechat.tui.safe_text import plain

FOLDED_CHARS = 160
"""A tool's arguments and its result take at most this many characters each until unfolded."""
UNFOLDED_CHARS = 8_000
"""More than this of a result is never laid out; the whole of it went to the model."""

QUIET = "$foreground 60%"


@dataclass(frozen=True, slots=True)
class Reading:
    """An entry as it is shown: who, in the margin, and what, next to it."""

    label: Content
    body: Content

    def is_same(self, other: Reading) -> bool:
        """True if both would be drawn alike."""
        return self.body.is_same(other.body) and self.label.is_same(other.label)


_LABELS = {
    Role.USER: ("you", "bold $accent"),
    Role.ASSISTANT: ("voice", "bold $primary"),
    Role.SYSTEM: ("note", QUIET),
}

_TOOL_WORDS = {
    ToolState.STREAMING: ("…", "preparing", QUIET),
    ToolState.QUEUED: ("…", "waiting", QUIET),
    ToolState.ASKING: ("?", "allow it to run?", "bold $warning"),
    ToolState.RUNNING: ("▸", "running", "$primary"),
    ToolState.DONE: ("✓", "done", "$success"),
    ToolState.FAILED: ("✗", "failed", "$error"),
    ToolState.DENIED: ("⊘", "refused", "$warning"),
    ToolState.CANCELLED: ("⊘", "cancelled", "$warning"),
}


def worth_showing(entry: Entry) -> bool:
    """True if the entry has something for the user by now."""
    if isinstance(entry, ToolCall):
        return True
    if entry.hidden:
        return False
    if entry.role is Role.ASSISTANT and entry.status is ItemStatus.IN_PROGRESS:
        return bool(entry.shown)
    return bool(entry.text or entry.error or entry.role is Role.USER)


def read(entry: Entry, unfolded: bool = False) -> Reading:
    """The entry as label and body. `unfolded` shows a tool's result whole."""
    if isinstance(entry, ToolCall):
        return Reading(Content("tool").stylize("bold $secondary"), _tool(entry, unfolded))
    word, style = _LABELS[entry.role]
    return Reading(Content(word).stylize(style), _item(entry))


def _item(item: Item) -> Content:
    if item.role is Role.USER:
        return _user(item)
    said = plain(_in_step(item), QUIET if item.role is Role.SYSTEM else "")
    if item.status is ItemStatus.INTERRUPTED:
        return Content.assemble(said, "\n" if said else "", _cut(item))
    if item.status is ItemStatus.FAILED:
        why = Content.assemble(("✗ not finished", "$error"), _because(item.error))
        return Content.assemble(said, "\n" if said else "", why)
    return said


def _user(item: Item) -> Content:
    if item.error:
        return Content.assemble(("✗ not transcribed", "$warning"), _because(item.error))
    if item.status is ItemStatus.IN_PROGRESS:
        return Content.assemble(plain(item.text), (" …" if item.text else "…", QUIET))
    if item.picture is not None:
        shown = Content.assemble(("▣ ", "$accent"), plain(item.picture.caption, QUIET))
        return Content.assemble(shown, "\n", plain(item.text)) if item.text else shown
    return plain(item.text) if item.text else Content("(no words)").stylize(QUIET)


def _in_step(item: Item) -> str:
    """What was heard, up to the end of the word being spoken just now."""
    if item.heard_chars is None or item.status is not ItemStatus.IN_PROGRESS:
        return item.shown
    if not item.heard_chars:
        return ""
    end = item.heard_chars
    while end < len(item.text) and not item.text[end].isspace():
        end += 1
    return item.text[:end].rstrip()


def _cut(item: Item) -> Content:
    mark: tuple[str, str] = ("┄ interrupted", "$warning")
    rest = item.unheard.strip()
    if not rest:
        return Content.assemble(mark)
    return Content.assemble(
        mark, (" · not heard: ", QUIET), plain(" ".join(rest.split()), f"strike {QUIET}")
    )


def _because(reason: str | None) -> Content:
    return plain(f": {reason}", QUIET) if reason else Content("")


def _tool(call: ToolCall, unfolded: bool) -> Content:
    glyph, word, style = _TOOL_WORDS[call.state]
    head = Content.assemble(plain(call.name, "bold"), "  ", (f"{glyph} {word}", style))
    if call.elapsed_ms is not None and call.state.final:
        head = Content.assemble(head, (f" · {duration(call.elapsed_ms)}", QUIET))
    parts = [head]
    arguments = _arguments(call.arguments)
    if arguments:
        parts.append(_folded(arguments, unfolded, QUIET))
    if call.output:
        parts.append(Content.assemble(("→ ", QUIET), _folded(_output(call, unfolded), unfolded)))
    return Content("\n").join(parts)


def _folded(text: str, whole: bool, style: str = "") -> Content:
    limit = UNFOLDED_CHARS if whole else FOLDED_CHARS
    if len(text) <= limit:
        return plain(text, style)
    more = f" … {len(text) - limit:,} more characters"
    hint = "" if whole else " (Ctrl+R)"
    return Content.assemble(plain(text[:limit], style), (more + hint, f"italic {QUIET}"))


def _arguments(text: str) -> str:
    found = _json(text)
    if isinstance(found, dict):
        return " · ".join(f"{key}: {_value(value)}" for key, value in found.items())
    return " ".join(text.split())


def _output(call: ToolCall, unfolded: bool) -> str:
    output = for_user(call.output or "")
    found = _json(output)
    if unfolded:
        nested = isinstance(found, dict | list)
        return json.dumps(found, ensure_ascii=False, indent=2) if nested else output
    if isinstance(found, dict):
        return _arguments(output)
    return " ".join(output.split())


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _json(text: str) -> object:
    """The value of a JSON text, or None. Long texts are not read: they are shown as they are."""
    if len(text) > UNFOLDED_CHARS * 4:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def duration(ms: float) -> str:
    """A time taken, as a user reads it: "312 ms", "1.4 s", "2 min 5 s"."""
    if ms < 1000:
        return f"{ms:.0f} ms"
    if ms < 60_000:
        return f"{ms / 1000:.1f} s"
    minutes, seconds = divmod(round(ms / 1000), 60)
    return f"{minutes} min {seconds} s"
