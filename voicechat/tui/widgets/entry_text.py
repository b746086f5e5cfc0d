"""Text and styles of a transcript entry, without layout.

A word always shows the state; color and strikethrough only repeat it. Styles are theme variables.
Outside text becomes `Content` and is never parsed as markup.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from textual.content import Content

from voicechat.core.items import Entry, Item, ItemStatus, Role, ToolCall, ToolState
from voicechat.core.text import clean
from voicechat.core.tool_calls import for_user
from voicechat.tui.keys import key_of
from voicechat.tui.safe_text import plain

COLLAPSED_CHARS = 160
"""Most characters shown of the arguments, and of the result, of a collapsed tool call."""
EXPANDED_CHARS = 8_000
"""Most characters shown of an expanded result. The model gets the whole result."""
FOLDED_LINES = 10
"""Lines shown of a long message of the user until it is expanded."""
FOLDED_CHARS = 1_000
"""Characters shown of a long message of the user until it is expanded."""
MAX_SHOWN_CHARS = 12_000
"""Most characters shown of any message: the whole conversation waits for its layout."""
MAX_SHOWN_LINES = 500
"""Most lines shown of any message."""
_SLACK = 1.5
"""A message longer than this times the limit folds; a shorter one would save little."""

QUIET = "$foreground 60%"
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class EntryText:
    """The displayed text of an entry: a label for the margin, and a body."""

    label: Content
    body: Content
    markdown: str = ""
    """Markdown that is laid out above the body; empty if there is none."""
    growing: bool = False
    """True if more of the Markdown may follow."""

    @property
    def plain(self) -> str:
        """The text as it was written, without the label."""
        return "\n".join(part for part in (self.markdown, self.body.plain) if part)

    def is_same(self, other: EntryText) -> bool:
        """Return True if both look the same."""
        return (
            (self.markdown, self.growing) == (other.markdown, other.growing)
            and self.body.is_same(other.body)
            and self.label.is_same(other.label)
        )


_SPEAKER = ["you"]
"""The label of the person who speaks with the assistant; see `use_speaker_label`."""
_LABELS = {
    Role.ASSISTANT: ("voice", "bold $primary"),
    Role.SYSTEM: ("note", QUIET),
}

_TOOL_STATES = {
    ToolState.STREAMING: ("…", "preparing", QUIET),
    ToolState.QUEUED: ("…", "waiting", QUIET),
    ToolState.ASKING: ("?", "needs your approval", "bold $warning"),
    ToolState.RUNNING: ("▸", "running", "$primary"),
    ToolState.DONE: ("✓", "done", "$success"),
    ToolState.FAILED: ("✗", "failed", "$error"),
    ToolState.DENIED: ("⊘", "denied", "$warning"),
    ToolState.CANCELLED: ("⊘", "stopped", "$warning"),
}


def use_speaker_label(word: str) -> None:
    """Use this word for the person who speaks with the assistant, for the app of this process."""
    _SPEAKER[0] = word


def is_visible(entry: Entry) -> bool:
    """Return True if the entry has something to show."""
    if isinstance(entry, ToolCall):
        return True
    if entry.hidden:
        return False
    if entry.role is Role.ASSISTANT and entry.status is ItemStatus.IN_PROGRESS:
        return bool(entry.shown)
    return bool(entry.text or entry.error or entry.role is Role.USER)


def format_entry(entry: Entry, expanded: bool = False, *, is_repeated: bool = False) -> EntryText:
    """Return the text of an entry; `expanded` shows more of a tool result and a long message.

    is_repeated: the answer below repeats the result, which is shown only if `expanded`.
    """
    if isinstance(entry, ToolCall):
        call = _tool_call(entry, expanded, shows_output=expanded or not is_repeated)
        return EntryText(Content("tool").stylize("bold $secondary"), call)
    word, style = _LABELS.get(entry.role) or (_SPEAKER[0], "bold $accent")
    label = Content(word).stylize(style)
    if entry.role is Role.USER:
        return EntryText(label, _user_item(entry, expanded))
    mark = _end_mark(entry)
    if entry.role is Role.ASSISTANT and not entry.spoken:
        growing = entry.status is ItemStatus.IN_PROGRESS
        shown, more = _start_of(entry.shown)
        mark = Content("\n").join(part for part in (more, mark) if part)
        return EntryText(label, mark, clean(shown), growing)
    text = _bounded(_heard_text(entry), QUIET if entry.role is Role.SYSTEM else "")
    return EntryText(label, Content.assemble(text, "\n" if text and mark else "", mark))


def _start_of(text: str) -> tuple[str, Content]:
    """Return the part of a text that is shown, and a line about the rest; empty without one."""
    shown = text[:MAX_SHOWN_CHARS]
    if shown.count("\n") >= MAX_SHOWN_LINES:
        shown = "\n".join(shown.split("\n", MAX_SHOWN_LINES)[:MAX_SHOWN_LINES])
    if len(shown) == len(text):
        return text, Content("")
    return shown, Content.styled(f"… {len(text) - len(shown):,} more characters", f"italic {QUIET}")


def _bounded(text: str, style: str = "") -> Content:
    """Return a text as it was written, cut at the limits."""
    shown, more = _start_of(text)
    return Content.assemble(plain(shown, style), "\n", more) if more else plain(shown, style)


def repeats(answer: Item, call: ToolCall) -> bool:
    """Return True if the answer contains the words of the result of a call."""
    output = for_user(call.output or "")
    value = _json(output)
    spoken = value.get("spoken") if isinstance(value, dict) else None
    result = _bare_words(spoken if isinstance(spoken, str) else output)
    return result != "  " and result in _bare_words(answer.shown)


def _bare_words(text: str) -> str:
    return f" {' '.join(_WORD.findall(text.casefold()))} "


def _end_mark(item: Item) -> Content:
    """Return the line that says why an item is not complete; empty if it is."""
    if item.status is ItemStatus.INTERRUPTED:
        return _interruption(item)
    if item.status is ItemStatus.FAILED:
        return Content.assemble(("✗ not finished", "$error"), _reason(item.error))
    return Content("")


def folds(item: Item) -> bool:
    """Return True for a message of the user that is shown in part until it is expanded."""
    is_long = (
        len(item.text) > FOLDED_CHARS * _SLACK or item.text.count("\n") > FOLDED_LINES * _SLACK
    )
    return item.role is Role.USER and item.status is not ItemStatus.IN_PROGRESS and is_long


def _message(item: Item, expanded: bool) -> Content:
    if expanded or not folds(item):
        return _bounded(item.text)
    lines = item.text.split("\n")
    head = "\n".join(lines[:FOLDED_LINES])[:FOLDED_CHARS].rstrip()
    rest = item.text[len(head) :].strip()
    more = rest.count("\n") + 1
    count = f"{more:,} more lines" if more > 1 else f"{len(rest):,} more characters"
    return Content.assemble(
        plain(head), (f"\n… {count} ({key_of('toggle_results')})", f"italic {QUIET}")
    )


def _user_item(item: Item, expanded: bool) -> Content:
    if item.unsent:
        mark = Content.styled("↻ not sent yet", "$warning")
        return Content.assemble(_sent_item(item, expanded), "\n", mark)
    return _sent_item(item, expanded)


def _sent_item(item: Item, expanded: bool) -> Content:
    if item.error:
        return Content.assemble(("✗ not transcribed", "$warning"), _reason(item.error))
    if item.status is ItemStatus.IN_PROGRESS:
        return Content.assemble(_bounded(item.text), (" …" if item.text else "…", QUIET))
    if item.picture is not None:
        picture = Content.assemble(("▣ ", "$accent"), plain(item.picture.caption, QUIET))
        return Content.assemble(picture, "\n", _message(item, expanded)) if item.text else picture
    return _message(item, expanded) if item.text else Content("(no words)").stylize(QUIET)


def _heard_text(item: Item) -> str:
    """Return the text heard so far, up to the end of the word being spoken."""
    if item.heard_chars is None or item.status is not ItemStatus.IN_PROGRESS:
        return item.shown
    if not item.heard_chars:
        return ""
    end = item.heard_chars
    while end < len(item.text) and not item.text[end].isspace():
        end += 1
    return item.text[:end].rstrip()


def _interruption(item: Item) -> Content:
    mark: tuple[str, str] = ("┄ interrupted", "$warning")
    unheard = " ".join(item.unheard[:EXPANDED_CHARS].split())
    if not unheard:
        return Content.assemble(mark)
    return Content.assemble(mark, (" · not heard: ", QUIET), plain(unheard, f"strike {QUIET}"))


def _reason(reason: str | None) -> Content:
    return plain(f": {reason}", QUIET) if reason else Content("")


def _tool_call(call: ToolCall, expanded: bool, *, shows_output: bool) -> Content:
    glyph, word, style = _TOOL_STATES[call.state]
    head = Content.assemble(plain(call.name, "bold"), "  ", (f"{glyph} {word}", style))
    if call.elapsed_ms is not None and call.state.final:
        head = Content.assemble(head, (f" · {duration(call.elapsed_ms)}", QUIET))
    if call.progress and call.state is ToolState.RUNNING:
        head = Content.assemble(head, (" · ", QUIET), plain(call.progress, QUIET))
    parts = [head]
    arguments = _arguments(call.arguments)
    if arguments:
        parts.append(_shortened(arguments, expanded, QUIET))
    if call.output and shows_output:
        parts.append(Content.assemble(("→ ", QUIET), _shortened(_output(call, expanded), expanded)))
    return Content("\n").join(parts)


def _shortened(text: str, expanded: bool, style: str = "") -> Content:
    limit = EXPANDED_CHARS if expanded else COLLAPSED_CHARS
    if len(text) <= limit:
        return plain(text, style)
    more = f" … {len(text) - limit:,} more characters"
    hint = "" if expanded else f" ({key_of('toggle_results')})"
    return Content.assemble(plain(text[:limit], style), (more + hint, f"italic {QUIET}"))


def _arguments(text: str) -> str:
    value = _json(text)
    if isinstance(value, dict):
        return " · ".join(f"{key}: {_value(value)}" for key, value in value.items())
    return " ".join(text.split())


def _output(call: ToolCall, expanded: bool) -> str:
    output = for_user(call.output or "")
    value = _json(output)
    if expanded:
        nested = isinstance(value, dict | list)
        return json.dumps(value, ensure_ascii=False, indent=2) if nested else output
    if isinstance(value, dict):
        return _arguments(output)
    return " ".join(output.split())


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _json(text: str) -> object:
    """Parse a JSON text; return None if it is invalid or too long to parse for display."""
    if len(text) > EXPANDED_CHARS * 4:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def duration(ms: float) -> str:
    """Format a duration in ms for the user: "312 ms", "1.4 s", "2 min 5 s"."""
    if ms < 1000:
        return f"{ms:.0f} ms"
    if ms < 60_000:
        return f"{ms / 1000:.1f} s"
    minutes, seconds = divmod(round(ms / 1000), 60)
    return f"{minutes} min {seconds} s"
