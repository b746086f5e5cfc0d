"""What the settings file may ask of a session, beyond words and switches.

`KEYS` is the whole list: each key is a field of `SessionSettings` and says how its value in the
file becomes the value of that field. Whoever reads a file gives a `Place`, so that an error
names the file, the line, the key and the nearest right name.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import msgspec

from voicechat.core.settings import (
    SPEED_RANGE,
    AudioFormat,
    Effort,
    McpServer,
    NoiseReduction,
    RetentionRatio,
    SemanticVad,
    ServerVad,
    StoredPrompt,
    Tracing,
    Transcription,
)
from voicechat.errors import UsageError

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Place:
    """A table in the settings file."""

    path: Path
    text: str
    """The whole file."""
    table: str = ""
    """The name of the table as in its header; empty at the top."""
    prefix: str = ""
    """The key whose value is being read, with a dot; empty for the table itself."""

    def __call__(self, name: str) -> str:
        """How an error names the key."""
        return f"{self.path}:{self._line(name)}: {self.prefix}{name}"

    def below(self, name: str) -> Place:
        """The value of a key that is a table itself."""
        return Place(self.path, self.text, self.table, f"{self.prefix}{name}.")

    def refuse(self, name: str, known: Iterable[str], what: str = "a setting") -> UsageError:
        """The error for a key that does not exist."""
        return UsageError(f"{self(name)} is not {what}.", nearest(name, list(known)))

    def _line(self, name: str) -> int:
        start = _find(self.text, rf"^\s*\[+\s*{_spelled(self.table)}", 0) if self.table else 0
        for part in filter(None, self.prefix.split(".")):
            start = _find(self.text, rf"(?<![\w-]){_quotable(part)}\s*[=.\]]", start)
        found = _find(self.text, rf"(?<![\w-]){_quotable(name)}\s*[=.\]]", start)
        return self.text.count("\n", 0, found) + 1 if found else 1


def _find(text: str, pattern: str, start: int) -> int:
    found = re.compile(pattern, re.MULTILINE).search(text, start)
    return found.end() if found else start


def _spelled(table: str) -> str:
    return r"\s*\.\s*".join(_quotable(part) for part in table.split("\0"))


def _quotable(name: str) -> str:
    return rf"[\"']?{re.escape(name)}[\"']?"


def nearest(name: str, known: list[str]) -> str:
    """The hint for a name that does not exist."""
    close = difflib.get_close_matches(name.replace("-", "_").lower(), known, n=1)
    return f"Did you mean {close[0]}?" if close else f"Known are {', '.join(known)}."


# --------------------------------------------------------------------------- reading values

Limits = Mapping[str, tuple[float, float]]

_LIMITS: Limits = {
    "threshold": (0, 1),
    "prefix_padding_ms": (0, 60_000),
    "silence_duration_ms": (0, 60_000),
    "idle_timeout_ms": (0, 600_000),
    "speed": SPEED_RANGE,
    "strength": (0, 10),
    "ratio": (0, 1),
    "post_instructions": (1, 10_000_000),
    "temperature": (0, 2),
    "max_output_tokens": (1, 1_000_000),
}


def record(
    place: Place, value: object, kind: type[Record], names: Mapping[str, str] | None = None
) -> Record:
    """The table `value` as a dataclass of this kind; `names` are keys that differ from fields.

    Raises `UsageError` for unknown keys and wrong values.
    """
    renamed = names or {}
    spelled = {field: key for key, field in renamed.items()}
    known = [spelled.get(field.name, field.name) for field in fields(cast("Any", kind))]
    table = cast("Mapping[str, object]", value)
    for name in table:
        if name not in known:
            raise place.refuse(name, known)
    found = {renamed.get(name, name): inner for name, inner in table.items()}
    try:
        made = msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        raise _wrong(place, error, spelled, next(iter(table), "")) from None
    for name, inner in found.items():
        _limited(place(spelled.get(name, name)), name, inner)
    return made


def _wrong(
    place: Place, error: msgspec.ValidationError, spelled: Mapping[str, str], first: str
) -> UsageError:
    sentence, _, path = str(error).partition(" - at `$")
    field = re.match(r"\.(\w+)", path)
    name = spelled.get(field[1], field[1]) if field else first
    if missing := re.search(r"missing required field `(\w+)`", sentence):
        return UsageError(f"{place(first)} stands without {spelled.get(missing[1], missing[1])}.")
    return UsageError(f"{place(name)} is wrong: {sentence[:1].lower()}{sentence[1:]}.")


def _limited(where: str, name: str, value: object) -> None:
    low, high = _LIMITS.get(name, (None, None))
    if low is None or high is None or not isinstance(value, int | float):
        return
    if not low <= value <= high:
        raise UsageError(f"{where} must be between {low:g} and {high:g}.")


def _plain(kind: Any) -> Callable[[Place, str, object], object]:
    """Reads a value that is no table."""

    def read(place: Place, name: str, value: object) -> object:
        try:
            made = msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            sentence = str(error)
            told = f"{place(name)} is wrong: {sentence[:1].lower()}{sentence[1:]}."
            raise UsageError(told) from None
        _limited(place(name), name, value)
        return cast("object", made)

    return read


def _words(place: Place, name: str, value: object, words: Mapping[str, object]) -> object:
    if isinstance(value, str) and value in words:
        return words[value]
    hint = nearest(value, list(words)) if isinstance(value, str) else ""
    raise UsageError(f"{place(name)} must be {' or '.join(words)}, or a table.", hint)


def _turn_detection(place: Place, name: str, value: object) -> object:
    kinds = {"semantic_vad": SemanticVad, "server_vad": ServerVad, "off": None}
    if not isinstance(value, dict):
        kind = _words(place, name, value, kinds)
        return cast("type[ServerVad]", kind)() if kind else None
    rest = dict(value)
    kind = _words(place.below(name), "type", rest.pop("type", "server_vad"), kinds)
    return record(place.below(name), rest, cast("type[ServerVad]", kind)) if kind else None


def _transcription(place: Place, name: str, value: object) -> object:
    if isinstance(value, dict):
        return record(place.below(name), value, Transcription)
    if value in (False, "off"):
        return None
    return Transcription(model=cast("str", _plain(str)(place, name, value)))


def _noise_reduction(place: Place, name: str, value: object) -> object:
    if isinstance(value, dict):
        return record(place.below(name), value, NoiseReduction, {"type": "kind"})
    near, far = NoiseReduction("near_field"), NoiseReduction("far_field")
    return _words(place, name, value, {"near_field": near, "far_field": far})


def _tracing(place: Place, name: str, value: object) -> object:
    if isinstance(value, dict):
        return record(place.below(name), value, Tracing)
    return _words(place, name, value, {"auto": "auto"})


def _truncation(place: Place, name: str, value: object) -> object:
    if isinstance(value, dict):
        return record(place.below(name), value, RetentionRatio, {"retention_ratio": "ratio"})
    return _words(place, name, value, {"auto": "auto", "disabled": "disabled"})


def _prompt(place: Place, name: str, value: object) -> object:
    if isinstance(value, dict):
        return record(place.below(name), value, StoredPrompt)
    return StoredPrompt(cast("str", _plain(str)(place, name, value)))


def _mcp_servers(place: Place, name: str, value: object) -> object:
    tables = _plain(list[dict[str, object]])(place, name, value)
    return tuple(
        record(place.below(name), each, McpServer) for each in cast("list[object]", tables)
    )


def _audio_format(place: Place, name: str, value: object) -> object:
    formats = {
        "pcm16": AudioFormat(), "pcmu": AudioFormat("pcmu", 8_000),
        "pcma": AudioFormat("pcma", 8_000),
    }  # fmt: skip
    return _words(place, name, value, formats)


KEYS: Mapping[str, Callable[[Place, str, object], object]] = {
    "turn_detection": _turn_detection,
    "transcription": _transcription,
    "noise_reduction": _noise_reduction,
    "audio_format": _audio_format,
    "speed": _plain(float),
    "max_output_tokens": _plain(int),
    "temperature": _plain(float),
    "reasoning_effort": _plain(Effort),
    "parallel_tool_calls": _plain(bool),
    "tool_choice": _plain(str),
    "truncation": _truncation,
    "tracing": _tracing,
    "prompt": _prompt,
    "include": _plain(tuple[Literal["item.input_audio_transcription.logprobs"], ...]),
    "mcp_servers": _mcp_servers,
}
"""How each key is read."""


def read(place: Place, table: Mapping[str, object]) -> dict[str, object]:
    """The fields of `SessionSettings` that these keys of a table set; other keys are left out.

    `audio_format` sets both directions. Raises `UsageError` for values that cannot be.
    """
    found = {name: KEYS[name](place, name, value) for name, value in table.items() if name in KEYS}
    if "audio_format" in found:
        both = found.pop("audio_format")
        found |= {"input_format": both, "output_format": both}
    return found
