"""The key table: source of the bindings, the key line, the help, the palette and the README.

Constraints on the choice of keys: every terminal sends Escape, the function keys, Page Up, Page
Down, and Ctrl with a letter as one byte. Four of these bytes are other keys (Ctrl+I is Tab,
Ctrl+M is Enter, Ctrl+[ is Escape, Ctrl+H is Backspace on many terminals). Ctrl+B and Ctrl+A are
the prefixes of tmux and screen, and Ctrl with A C D E F K U V W X Y edits text. By convention,
Ctrl+Z suspends, Ctrl+L draws the screen again, Ctrl+P opens the palette and Ctrl+Q quits. Ctrl+J
is a line feed, so it inserts a new line, and Ctrl+S stops the output of some terminals. This leaves
G N O R T, which are all in use, so the settings have no letter: where the desktop reserves F10,
/settings and the palette open them. Most actions have a function key
and a letter, because a desktop may reserve some function keys (F1, F10, F11) and a tmux
configuration some letters.
"""

from __future__ import annotations

from dataclasses import dataclass


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
        "f3,ctrl+o",
        "Mute",
        "mute or unmute the microphone",
        needs_sound=True,
        is_toggle=True,
    ),
    Key(
        "hands_free",
        "f4,ctrl+g",
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
    Key("toggle_results", "ctrl+r", "", "expand or fold tool results and long messages"),
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


def key_name(key: str) -> str:
    """Return the display name of a key: "Ctrl+T" for `ctrl+t`, "Page Up" for `pageup`."""
    return "+".join(_DISPLAY_NAMES.get(part, part.title()) for part in key.split("+"))


def key_names(key: Key) -> str:
    """Return the display names of all keys of an action: "F2, Ctrl+T"."""
    return ", ".join(key_name(name) for name in key.keys.split(","))


def key_of(action: str) -> str:
    """Return the display name of the first key of an action: "F3" for `mute`."""
    return next(key_name(key.keys.split(",")[0]) for key in KEYS if key.action == action)


def key_rows() -> list[tuple[str, str]]:
    """Return display names and description of every key, for help and README."""
    return [(key_names(key), key.description) for key in KEYS] + list(COMPOSER_KEYS)


def markdown() -> str:
    """Return the key table as Markdown, for the README."""
    lines = ["| Key | What it does |", "|---|---|"]
    lines += [f"| {key} | {description} |" for key, description in key_rows()]
    return "\n".join(lines) + "\n"
