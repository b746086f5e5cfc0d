"""Settings of the session in the settings file, beyond those that have flags.

`KEYS` lists them: each key is a field of `SessionSettings` and has a function that turns its value
in the file into the value of that field. Errors name the file, the line, the key and the nearest
right name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, Literal, NamedTuple, TypeVar, cast, get_args, get_type_hints

import msgspec

from voicechat.config.setting_place import SettingPlace, similar
from voicechat.config.value_errors import requirement
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
from voicechat.core.text import clean
from voicechat.errors import UsageError

Record = TypeVar("Record")


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
    place: SettingPlace, value: object, kind: type[Record], names: Mapping[str, str] | None = None
) -> Record:
    """The table `value` as a dataclass of this kind; `names` maps keys to fields of other names.

    Raises `UsageError` for unknown keys and wrong values.
    """
    renamed = names or {}
    key_of_field = {field: key for key, field in renamed.items()}
    known = [key_of_field.get(field.name, field.name) for field in fields(cast("Any", kind))]
    table = cast("Mapping[str, object]", value)
    for name in table:
        if name not in known:
            raise place.unknown(name, known)
    found = {renamed.get(name, name): inner for name, inner in table.items()}
    try:
        converted = msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        raise _wrong(place, error, kind, key_of_field, next(iter(table), "")) from None
    for name, inner in found.items():
        _check_limits(place(key_of_field.get(name, name)), name, inner)
    return converted


def _wrong(
    place: SettingPlace,
    error: msgspec.ValidationError,
    kind: type,
    key_of_field: Mapping[str, str],
    first: str,
) -> UsageError:
    sentence, _, path = str(error).partition(" - at `$")
    field = re.match(r"\.(\w+)", path)
    name = key_of_field.get(field[1], field[1]) if field else first
    if missing := re.search(r"missing required field `(\w+)`", sentence):
        return UsageError(f"{place(first)} needs {key_of_field.get(missing[1], missing[1])}.")
    hints = get_type_hints(kind)
    return UsageError(
        f"{place(name)} {requirement(sentence, hints.get(field[1] if field else ''))}"
    )


def _check_limits(where: str, name: str, value: object) -> None:
    low, high = _LIMITS.get(name, (None, None))
    if low is None or high is None or not isinstance(value, int | float):
        return
    if not low <= value <= high:
        raise UsageError(f"{where} must be between {low:.10g} and {high:.10g}.")


def _plain(kind: Any) -> Callable[[SettingPlace, str, object], object]:
    """A reader for values that are not tables."""

    def read(place: SettingPlace, name: str, value: object) -> object:
        try:
            converted = msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            raise UsageError(f"{place(name)} {requirement(str(error), kind)}") from None
        _check_limits(place(name), name, value)
        return cast("object", converted)

    return read


def _words(
    place: SettingPlace,
    name: str,
    value: object,
    words: Mapping[str, object],
    or_table: str = ", or a table",
) -> object:
    if isinstance(value, str) and value in words:
        return words[value]
    hint = similar(value, words) if isinstance(value, str) else ""
    raise UsageError(f"{place(name)} must be {' or '.join(words)}{or_table}.", hint)


def _turn_detection(place: SettingPlace, name: str, value: object) -> object:
    kinds = {"semantic_vad": SemanticVad, "server_vad": ServerVad, "off": None}
    if not isinstance(value, dict):
        kind = _words(place, name, value, kinds)
        return cast("type[ServerVad]", kind)() if kind else None
    rest = dict(value)
    kind = _words(place.below(name), "type", rest.pop("type", "server_vad"), kinds)
    return record(place.below(name), rest, cast("type[ServerVad]", kind)) if kind else None


def _transcription(place: SettingPlace, name: str, value: object) -> object:
    if isinstance(value, dict):
        return record(place.below(name), value, Transcription)
    if value in (False, "off"):
        return None
    return Transcription(model=cast("str", _plain(str)(place, name, value)))


def _token_limit(place: SettingPlace, name: str, value: object) -> object:
    if isinstance(value, str):
        return _words(place, name, value, {"inf": None}, ", or a number")
    return _plain(int)(place, name, value)


def _noise_reduction(place: SettingPlace, name: str, value: object) -> object:
    if isinstance(value, dict):
        return record(place.below(name), value, NoiseReduction, {"type": "kind"})
    near, far = NoiseReduction("near_field"), NoiseReduction("far_field")
    return _words(place, name, value, {"near_field": near, "far_field": far})


def _tracing(place: SettingPlace, name: str, value: object) -> object:
    if isinstance(value, dict):
        return record(place.below(name), value, Tracing)
    return _words(place, name, value, {"auto": "auto"})


def _truncation(place: SettingPlace, name: str, value: object) -> object:
    if isinstance(value, dict):
        return record(place.below(name), value, RetentionRatio, {"retention_ratio": "ratio"})
    return _words(place, name, value, {"auto": "auto", "disabled": "disabled"})


def _prompt(place: SettingPlace, name: str, value: object) -> object:
    if isinstance(value, dict):
        return record(place.below(name), value, StoredPrompt)
    return StoredPrompt(cast("str", _plain(str)(place, name, value)))


def _mcp_servers(place: SettingPlace, name: str, value: object) -> object:
    tables = _plain(list[dict[str, object]])(place, name, value)
    return tuple(_mcp_server(place.below(name), each) for each in cast("list[object]", tables))


def _mcp_server(place: SettingPlace, table: object) -> McpServer:
    server = record(place, table, McpServer)
    if server.url is server.connector is server.tunnel is None:
        raise UsageError(
            f"{place.at()}: {clean(server.label)[:40]} needs a url, a connector or a tunnel."
        )
    return server


def _pronunciation(place: SettingPlace, name: str, value: object) -> object:
    words = cast("dict[str, object]", _plain(dict[str, object])(place, name, value))
    return {word: _plain(str)(place.below(name), word, spoken) for word, spoken in words.items()}


def _audio_format(place: SettingPlace, name: str, value: object) -> object:
    formats = {
        "pcm16": AudioFormat(), "pcmu": AudioFormat("pcmu", 8_000),
        "pcma": AudioFormat("pcma", 8_000),
    }  # fmt: skip
    return _words(place, name, value, formats, or_table="")


class SessionKey(NamedTuple):
    """The schema of one key."""

    read: Callable[[SettingPlace, str, object], object]
    values: str
    """The accepted values, for the documents."""
    help: str


KEYS: Mapping[str, SessionKey] = {
    "turn_detection": SessionKey(
        _turn_detection,
        "semantic_vad, server_vad, off, or a table",
        "How the provider finds the end of your turn; off means push to talk.",
    ),
    "transcription": SessionKey(
        _transcription, "name of a model, off, or a table", "Transcription of your speech."
    ),
    "noise_reduction": SessionKey(
        _noise_reduction, "near_field, far_field, or a table", "Noise reduction by the provider."
    ),
    "audio_format": SessionKey(
        _audio_format, "pcm16, pcmu or pcma", "Audio format in both directions."
    ),
    "speed": SessionKey(
        _plain(float), "{:g} to {:g}".format(*SPEED_RANGE), "Speed of the assistant's voice."
    ),
    "pronunciation": SessionKey(
        _pronunciation,
        "table of words and spoken forms",
        "Spoken forms of written words, such as names (xAI).",
    ),
    "max_output_tokens": SessionKey(
        _token_limit, "1 to 1000000, or inf", "Limit of tokens for a response; inf for none."
    ),
    "temperature": SessionKey(_plain(float), "0 to 2", "Sampling temperature."),
    "reasoning_effort": SessionKey(
        _plain(Effort), ", ".join(get_args(Effort)), "Effort of reasoning models."
    ),
    "backing_model": SessionKey(
        _plain(str),
        "name of a model",
        "Model that reasons and calls tools for a continuous session (OpenAI Live).",
    ),
    "translate_to": SessionKey(
        _plain(str), "code of a language", "Language that a translation session speaks, like fr."
    ),
    "parallel_tool_calls": SessionKey(
        _plain(bool), "true or false", "Whether the model may call several tools at once."
    ),
    "tool_choice": SessionKey(
        _plain(str), "auto, none, required, or the name of a tool", "When the model calls tools."
    ),
    "truncation": SessionKey(
        _truncation,
        "auto, disabled, or a table",
        "How the provider drops old turns from a long conversation.",
    ),
    "tracing": SessionKey(_tracing, "auto, or a table", "Tracing of the session by the provider."),
    "prompt": SessionKey(_prompt, "id, or a table", "Prompt that is stored at the provider."),
    "include": SessionKey(
        _plain(tuple[Literal["item.input_audio_transcription.logprobs"], ...]),
        "list of field names",
        "Additional fields in the provider's events.",
    ),
    "mcp_servers": SessionKey(
        _mcp_servers, "[[mcp_servers]] tables", "MCP servers that the provider calls."
    ),
}
"""The schema of the session's keys."""


def read(place: SettingPlace, table: Mapping[str, object]) -> dict[str, object]:
    """The fields of `SessionSettings` that these keys of a table set; other keys are left out.

    `audio_format` sets both directions. Raises `UsageError` for wrong values.
    """
    found = {
        name: KEYS[name].read(place, name, value) for name, value in table.items() if name in KEYS
    }
    if "audio_format" in found:
        both = found.pop("audio_format")
        found |= {"input_format": both, "output_format": both}
    return found
