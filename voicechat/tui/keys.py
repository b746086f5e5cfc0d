"""The key table: source of the bindings, the key line, the help, the palette and the README.

Constraints on the choice of keys: every terminal sends Escape, the function keys, Page Up, Page
Down, and Ctrl with a letter as one byte. Four of these bytes are other keys (Ctrl+I is Tab,
Ctrl+M is Enter, Ctrl+[ is Escape, Ctrl+H is Backspace on many terminals). Ctrl+B and Ctrl+A are
the prefixes of tmux and screen, and Ctrl with A C D E K U V W X Y edits text. By convention,
Ctrl+Z suspends, Ctrl+L draws the screen again, Ctrl+P opens the palette, Ctrl+Q quits, Ctrl+F
finds, Ctrl+R searches earlier lines as in a shell, and Ctrl+G opens an editor and Ctrl+O expands
output as in similar programs. Ctrl+J is a line feed, so it inserts a new line, and Ctrl+S stops the
output of some terminals. This leaves N T, which are in use: where the desktop reserves F10,
/settings and the palette open the settings. Some actions have a function key and a letter, because
a desktop may reserve some function keys (F1, F10, F11) and a tmux configuration some letters.

The settings may give an action other keys (`use_keymap`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from voicechat.core.text import clean
from voicechat.errors import UsageError


@dataclass(frozen=True, slots=True)
class Key:
    """A row of the key table: an action and its keys."""

    action: str
    """Name of the Textual action; also the id of its binding."""
    keys: str
    """Textual's key names, separated by commas; the key line shows the first one."""
    label: str
    """Text in the key line; empty if the key is not shown there."""
    description: str
    """Description for help and README: a phrase without a period."""
    needs_sound: bool = False
    """True if the action requires a sound device."""
    is_toggle: bool = False
    """True if the repeats of a held key must not take the action back or repeat it."""
    of_app: bool = False
    """True if the action belongs to the app and works on every screen."""


KEYS = (
    Key(
        "talk",
        "f2,ctrl+t",
        "Talk",
        "start talking; press again to send (push-to-talk)",
        needs_sound=True,
        is_toggle=True,
    ),
    Key(
        "mute",
        "f3",
        "Mute",
        "mute or unmute the microphone",
        needs_sound=True,
        is_toggle=True,
    ),
    Key(
        "hands_free",
        "f4",
        "Hands-free",
        "switch between hands-free and push-to-talk",
        needs_sound=True,
        is_toggle=True,
    ),
    Key(
        "interrupt",
        "escape",
        "Stop",
        "stop speech, thinking and tools; discard what you are saying (push-to-talk)",
    ),
    Key(
        "decide",
        "f8",
        "Decide",
        "select the tool call that waits; Esc denies it; or allow more when the budget is used up",
    ),
    Key(
        "new_conversation",
        "f5,ctrl+n",
        "New",
        "start a new conversation; the history keeps the old one",
        is_toggle=True,
    ),
    Key("history", "f7", "History", "search and continue past conversations", is_toggle=True),
    Key(
        "console",
        "f6",
        "",
        "open the event console, go to it, or close it",
        is_toggle=True,
    ),
    Key("search_history", "ctrl+r", "", "search the messages you sent, as in a shell"),
    Key("edit_in_editor", "ctrl+g", "", "write the message in $EDITOR"),
    Key("find", "ctrl+f", "", "find words in the conversation"),
    Key(
        "toggle_results",
        "ctrl+o",
        "",
        "expand or fold tool results and long messages",
        is_toggle=True,
    ),
    Key("previous_page", "pageup", "", "scroll up and load earlier turns"),
    Key("next_page", "pagedown", "", "scroll down"),
    Key("newest", "f9,ctrl+end", "", "scroll to the newest text"),
    Key(
        "settings",
        "f10",
        "",
        "open the settings, and from there models, voices, devices, themes and tools",
    ),
    Key("redraw", "ctrl+l", "", "draw the screen again", of_app=True),
    Key("suspend", "ctrl+z", "", "suspend; fg in the shell returns", of_app=True),
    Key("help", "f1,f12", "Help", "show this help", is_toggle=True),
    Key("quit", "ctrl+q", "Quit", "quit (or press Ctrl+C twice)", of_app=True),
)

COMPOSER_KEYS = (
    ("Enter", "send the message; this interrupts the answer"),
    ("Ctrl+J", "new line (or Shift+Enter, Alt+Enter)"),
    ("Ctrl+_, Ctrl+Y", "undo and redo typing"),
    ("/, Tab", "list the commands, and complete a command or its argument"),
    ("Up, Down", "recall a sent message, while the input is empty"),
    ("Space", "push-to-talk while the input is empty: tap or hold"),
    ("Ctrl+P", "open the command palette, which also has the themes"),
)
"""Keys that the composer handles itself, with their descriptions; editing keys are omitted."""

_DISPLAY_NAMES = {"pageup": "Page Up", "pagedown": "Page Down", "escape": "Esc"}
_TYPED_NAMES = {"page up": "pageup", "page down": "pagedown", "esc": "escape", "control": "ctrl"}

_KEY_NAME = re.compile(
    r"(?:(?:ctrl\+|alt\+)(?:shift\+)?(?:[a-z0-9]|up|down|left|right|home|end|pageup|pagedown|f\d{1,2})"
    r"|(?:shift\+)?f(?:[1-9]|1\d|2[0-4])|pageup|pagedown|escape|insert)"
)
_BYTES_OF_OTHER_KEYS = {
    "ctrl+i": "Tab",
    "ctrl+m": "Enter",
    "ctrl+h": "Backspace",
    "ctrl+j": "a new line",
}
_FIXED_KEYS = {"ctrl+c": "copies, and quits when pressed twice", "ctrl+p": "opens the palette"}
MAX_KEYS = 4
"""Most keys of one action."""

_in_use: tuple[Key, ...] = KEYS
"""The table with the keys in use; of the process, which runs one app."""


def use_keymap(keymap: Mapping[str, str]) -> None:
    """Use these keys, from `checked_keymap`, for their actions and the default keys for others."""
    global _in_use
    _in_use = tuple(replace(key, keys=keymap.get(key.action, key.keys)) for key in KEYS)


def keys_in_use() -> tuple[Key, ...]:
    """Return the rows of the table with the keys that the settings chose."""
    return _in_use


def checked_keymap(keymap: Mapping[str, str], place: Callable[[str], str] = str) -> dict[str, str]:
    """Return Textual's names for the keys of a settings table, by action.

    place: the file and line of an action, for the error. Raises `UsageError` for an unknown action
    or key, for a key of another action, and for a key that edits text.
    """
    found = {action: _read_keys(place(action), action, text) for action, text in keymap.items()}
    owners = {key.action: found.get(key.action, key.keys) for key in KEYS}
    for action, names in found.items():
        for name in names.split(","):
            _refuse_conflict(place(action), action, name, owners)
    return found


def _read_keys(where: str, action: str, text: str) -> str:
    if action not in {key.action for key in KEYS}:
        close = difflib.get_close_matches(action, [key.action for key in KEYS], n=1)
        hint = f"Did you mean {close[0]}?" if close else "docs/settings.md lists the actions."
        raise UsageError(f"{where} is not an action of the screen.", hint)
    names = []
    for part in text.lower().split(","):
        name = part.strip()
        for typed, own in _TYPED_NAMES.items():
            name = name.replace(typed, own)
        if not _KEY_NAME.fullmatch(name):
            hint = "Write it like F11, Ctrl+T or Alt+M."
            raise UsageError(f"{where}: {clean(part.strip())[:40]!r} is not a usable key.", hint)
        names.append(name)
    if len(names) > MAX_KEYS:
        raise UsageError(f"{where} has more than {MAX_KEYS} keys.")
    return ",".join(dict.fromkeys(names))


def _refuse_conflict(where: str, action: str, name: str, owners: Mapping[str, str]) -> None:
    shown = key_name(name)
    if name in _BYTES_OF_OTHER_KEYS:
        raise UsageError(
            f"{where}: A terminal sends {shown} as {_BYTES_OF_OTHER_KEYS[name]}.", _OTHER
        )
    if name in _FIXED_KEYS:
        raise UsageError(f"{where}: {shown} {_FIXED_KEYS[name]}.", _OTHER)
    for other, names in owners.items():
        if other != action and name in names.split(","):
            raise UsageError(
                f"{where}: {shown} is the key of {other}.", f"{_OTHER[:-1]} for one of them."
            )
    own_default = next(key.keys for key in KEYS if key.action == action).split(",")
    if name in editing_keys() and name not in own_default:
        raise UsageError(f"{where}: {shown} edits the message.", _OTHER)


_OTHER = "Choose another key."


def editing_keys() -> set[str]:
    """Return the keys that edit text in the composer."""
    from textual.binding import Binding
    from textual.widgets import TextArea

    bindings = [each for each in TextArea.BINDINGS if isinstance(each, Binding)]
    return {name for each in bindings for name in each.key.split(",")} - UNUSED_EDITING_KEYS


UNUSED_EDITING_KEYS = {"f6", "f7"}
"""Keys of Textual's text input that the composer leaves to the screen."""


def key_name(key: str) -> str:
    """Return the display name of a key: "Ctrl+T" for `ctrl+t`, "Page Up" for `pageup`."""
    return "+".join(_DISPLAY_NAMES.get(part, part.title()) for part in key.split("+"))


def key_names(key: Key) -> str:
    """Return the display names of all keys of an action: "F2, Ctrl+T"."""
    return ", ".join(key_name(name) for name in key.keys.split(","))


def key_of(action: str) -> str:
    """Return the display name of the first key of an action: "F3" for `mute`."""
    found = next(key for key in keys_in_use() if key.action == action)
    return key_name(found.keys.split(",")[0])


def names_of(is_wanted: Callable[[Key], bool]) -> Iterator[str]:
    """Yield Textual's names of the keys in use of the rows that are wanted."""
    for key in keys_in_use():
        if is_wanted(key):
            yield from key.keys.split(",")


def key_rows(keys: tuple[Key, ...] | None = None) -> list[tuple[str, str]]:
    """Return display names and description of every key: those in use, or of another table."""
    table = keys_in_use() if keys is None else keys
    return [(key_names(key), key.description) for key in table] + list(COMPOSER_KEYS)


def markdown() -> str:
    """Return the key table as Markdown, for the README."""
    lines = ["| Key | What it does |", "|---|---|"]
    lines += [f"| {key} | {description} |" for key, description in key_rows(KEYS)]
    return "\n".join(lines) + "\n"
