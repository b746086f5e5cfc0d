"""The settings of a running session: their values, how each is changed, and how they are saved.

A setting takes effect at once, with the next connection, or at the next start. Every changed one
can be saved in the settings file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, cast

from voicechat.config import session_keys
from voicechat.config.loader import check_setting, settings_path
from voicechat.config.options import FILE_SETTINGS
from voicechat.config.setting_place import ConfigFile, SettingPlace, similar
from voicechat.core.text import clean
from voicechat.errors import UsageError

if TYPE_CHECKING:
    from voicechat.session.controls import SessionControls

MAX_TEXT = 4_000
"""Most characters of a value that is typed."""

_ON = ("true", "yes", "on", "1")
_OFF = ("false", "no", "off", "0")


class TakesEffect(StrEnum):
    """The time at which a changed setting takes effect."""

    NOW = "now"
    CONNECTION = "with the next connection"
    START = "at the next start"


_WITH_CONNECTION = ("echo_cancel", "noise_suppression", "gain_control", "barge_in")
_AT_ONCE = ("model", "voice", "instructions")
_OF_SOUND = ("push_to_talk", "input_device", "output_device")
_REMEMBERED = ("theme",)
"""Kept elsewhere, unless the settings name them."""
_IN_FILE_ONLY = ("token_command",)
"""A setting that runs a program is not changed from a conversation."""

_SESSION_KEYS: Mapping[str, tuple[str, ...]] = {
    "speed": (),
    "turn_detection": ("semantic_vad", "server_vad"),
    "noise_reduction": ("near_field", "far_field"),
    "reasoning_effort": ("none", "minimal", "low", "medium", "high", "xhigh"),
    "temperature": (),
    "max_output_tokens": (),
    "parallel_tool_calls": (),
}
"""Keys of the session whose values are one word or number, and the words."""


@dataclass(frozen=True, slots=True)
class SettingState:
    """A setting and its value now."""

    name: str
    value: str
    """As shown; empty when it is not set."""
    help: str
    choices: tuple[str, ...]
    """The accepted words; empty for other text."""
    is_switch: bool
    takes_effect: TakesEffect
    origin: str
    """The place that set it at the start: file and line, variable or flag; empty for none."""
    is_unsaved: bool
    """It was changed and is not saved."""
    in_file_only: bool = False
    """It can be changed in the settings file only."""


class LiveSettings:
    """The settings of one session. Use it on the event loop's thread, except `write`."""

    def __init__(self, session: SessionControls) -> None:
        self._session = session
        self._pending: dict[str, object] = {}
        """Changed settings that take effect at the next start."""
        self._before: dict[str, object] = {}
        """The values of changed settings when they were last saved."""
        self._written: dict[str, object] = {}
        """The values of keys of the session as they are written in the file."""

    # ----------------------------------------------------------------- reading

    @property
    def states(self) -> list[SettingState]:
        """Every setting with its value."""
        return [self.state(name) for name in (*FILE_SETTINGS, *_SESSION_KEYS)]

    def state(self, name: str) -> SettingState:
        """Return the state of one setting. Raises `UsageError` for an unknown name."""
        names = (*FILE_SETTINGS, *_SESSION_KEYS)
        if name not in names:
            hint = similar(name, names) or "/settings lists the settings."
            raise UsageError(f"There is no setting {clean(name)[:40]!r}.", hint)
        setting = FILE_SETTINGS.get(name)
        value = self._stored(name)
        return SettingState(
            name,
            _shown(value),
            setting.help if setting else session_keys.KEYS[name].help,
            setting.choices if setting else _SESSION_KEYS[name],
            setting.is_switch if setting else name == "parallel_tool_calls",
            self._takes_effect(name),
            self._session.options.origins.get(name, ""),
            name in self._before and self._before[name] != value,
            name in _IN_FILE_ONLY,
        )

    @property
    def unsaved(self) -> dict[str, object]:
        """The changed settings and their values, as the settings file writes them."""
        return {
            name: value
            for name, before in self._before.items()
            if (value := self._stored(name)) != before
        }

    def _takes_effect(self, name: str) -> TakesEffect:
        session = self._session
        if name in _WITH_CONNECTION and session.with_sound:
            return TakesEffect.CONNECTION
        if name in _AT_ONCE or name in _SESSION_KEYS:
            return TakesEffect.NOW
        is_live = session.with_sound if name in _OF_SOUND else name == "theme" and session.themes
        return TakesEffect.NOW if is_live else TakesEffect.START

    def _stored(self, name: str) -> object:
        """Return the value of a setting as the file writes it; None when it is not set."""
        session = self._session
        if name in self._pending:
            return self._pending[name]
        if name in _SESSION_KEYS:
            value = session.options.session_settings.get(name)
            is_plain = isinstance(value, str | int | float)
            return value if is_plain else self._written.get(name)
        if name == "model":
            return session.model or None
        if name == "theme" and session.theme:
            return session.theme
        if name == "push_to_talk" and session.with_sound:
            return not session.hands_free
        return cast("object", getattr(session.options, name))

    # ----------------------------------------------------------------- changing

    def note(self, name: str) -> None:
        """Note that a setting is about to change, so that it can be saved."""
        is_known = name in FILE_SETTINGS or name in _SESSION_KEYS
        if is_known and (name not in _REMEMBERED or name in self._session.options.origins):
            self._before.setdefault(name, self._stored(name))

    def change(self, name: str, text: str) -> str:
        """Change a setting to the value in a text; empty text removes it. Returns a sentence.

        Raises `UsageError` for an unknown name and a wrong value, `KeyMissing` for a model without
        a key.
        """
        state = self.state(name)
        if state.in_file_only:
            raise UsageError(
                f"{name} runs a program, so it cannot be changed here.",
                f"Write it in {settings_path()}.",
            )
        text = text.strip()
        if len(text) > MAX_TEXT:
            raise UsageError(f"{name} is longer than {MAX_TEXT:,} characters.")
        written, value = self._read(name, text)
        self._before.setdefault(name, self._stored(name))
        notes = self._apply(name, written, value)
        shown = self.state(name).value or "not set"
        sentence = f"{name} is now “{shown[:100]}”."
        if state.takes_effect is TakesEffect.START:
            sentence += f" Save it, and it takes effect {state.takes_effect}."
        elif state.takes_effect is TakesEffect.CONNECTION:
            sentence += f" It takes effect {state.takes_effect}."
        return " ".join(notes) or sentence

    def _read(self, name: str, text: str) -> tuple[object, object]:
        """Return the value as the file writes it, and as the session uses it."""
        setting = FILE_SETTINGS.get(name)
        if not text or text == "default":
            default = setting.default if setting else None
            return default, default
        if setting is not None:
            value: object = _switch(name, text) if setting.is_switch else text
            check_setting(name, name, value)
            return value, value
        written = _scalar(text)
        try:
            place = SettingPlace(ConfigFile(settings_path(), ""))
            return written, session_keys.KEYS[name].read(place, name, written)
        except UsageError as error:
            raise UsageError(error.message.removeprefix("New entry: "), error.hint) from None

    def _apply(self, name: str, written: object, value: object) -> list[str]:
        """Apply a value to the session, or keep it for the next start; return notes."""
        session = self._session
        if self._takes_effect(name) is TakesEffect.START:
            self._pending[name] = value
            return []
        if name in _SESSION_KEYS:
            self._written[name] = written
        if name in _SESSION_KEYS or name in ("voice", "instructions"):
            self._check_voice(name, value)
            return session.change(**{name: value})
        match name:
            case "model":
                self._change_model(str(value or ""))
            case "push_to_talk":
                session.set_hands_free(not value)
            case "input_device":
                session.use_device("input", str(value or "default"))
            case "output_device":
                session.use_device("output", str(value or "default"))
            case "theme":
                self._change_theme(str(value or "auto"))
            case _:
                session.replace_options(**{name: value})
        return []

    def _check_voice(self, name: str, value: object) -> None:
        session = self._session
        if name == "voice" and value and not session.may_have_voice(str(value)):
            raise UsageError(
                f"{session.model} has no voice {str(value)[:40]!r}."
                f" The voice is still {session.voice or 'the default'}.",
                "/voices lists the voices.",
            )

    def _change_model(self, name: str) -> None:
        if not name:
            raise UsageError("model needs the name of a model.", "/models lists the models.")
        self._session.change_model(name)

    def _change_theme(self, name: str) -> None:
        session = self._session
        if name not in session.themes:
            raise UsageError(
                f"There is no theme {name[:40]!r}. The theme is still {session.theme}.",
                "/themes lists the themes.",
            )
        session.request_theme(name)

    # ----------------------------------------------------------------- saving

    def write(self, changes: Mapping[str, object]) -> Path:
        """Write settings into the file; call it in a thread. Raises `UsageError`."""
        from voicechat.config.settings_file import write_settings

        return write_settings(changes, profile=self._session.options.profile)

    def saved(self, changes: Mapping[str, object]) -> list[str]:
        """Note that these values were written. Returns the variables that override them."""
        for name, value in changes.items():
            if self._stored(name) == value:
                self._before.pop(name, None)
        origins = self._session.options.origins
        names = [name for name in changes if name in FILE_SETTINGS]
        variables = {name: FILE_SETTINGS[name].variable for name in names}
        return [each for name, each in variables.items() if origins.get(name) == each]


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else " ".join(clean(str(value)).split())


def _switch(name: str, text: str) -> bool:
    word = text.lower()
    if word not in (*_ON, *_OFF):
        raise UsageError(f"{name} must be on or off, not {clean(text)[:40]!r}.")
    return word in _ON


def _scalar(text: str) -> object:
    """Return the number or the truth value that the text is, or else the text."""
    if text in ("on", "off"):
        return text == "on"
    try:
        value: object = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return value if isinstance(value, int | float) else text
