"""Checks of JSON values in client events, and their combinations.

A check takes a value and its path, and returns the value to keep. It raises `WireError` with the
code, message and `param` of the OpenAI service. Many clients send null for each field that they do
not set: null means "not given", except where null is a value, as in `turn_detection`.

msgspec structs cannot express this: the service echoes the wrong value, names the violated bound
in the code, tells unknown fields from wrong ones, and allows voice names per connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from voicechat.server.realtime.server_frames import Json, WireError

Check = Callable[[Any, str], Any]

_NAMES: Mapping[type, str] = {
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
    str: "a string",
    list: "an array",
    dict: "an object",
    type(None): "null",
}


def _wrong(value: Any, path: str, expected: str) -> WireError:
    got = _NAMES.get(type(value), "something else")
    message = f"Invalid type for '{path}': expected {expected}, but got {got} instead."
    return WireError("invalid_type", message, path)


def _quoted(names: tuple[str, ...]) -> str:
    quoted = [f"'{name}'" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def invalid(path: str, message: str) -> WireError:
    """Return the error for a value of the right type that is not allowed."""
    return WireError("invalid_value", message, path)


def missing(path: str) -> WireError:
    """Return the error for a missing field."""
    return WireError("missing_required_parameter", f"Missing required parameter: '{path}'.", path)


def text(value: Any, path: str) -> str:
    """Accept any string."""
    if not isinstance(value, str):
        raise _wrong(value, path, "a string")
    return value


def flag(value: Any, path: str) -> bool:
    """Accept a boolean."""
    if not isinstance(value, bool):
        raise _wrong(value, path, "a boolean")
    return value


def anything(value: Any, path: str) -> Any:
    """Accept and echo any value; it has no effect here."""
    return value


def mapping(value: Any, path: str) -> Json:
    """Accept any object."""
    if not isinstance(value, dict):
        raise _wrong(value, path, "an object")
    return value


def short(limit: int) -> Check:
    """Accept a string of 1 to `limit` characters."""

    def check(value: Any, path: str) -> str:
        if not text(value, path):
            raise invalid(path, f"Invalid '{path}': must not be empty.")
        if len(value) > limit:
            raise WireError(
                "string_above_max_length",
                f"Invalid '{path}': string too long. Expected a string with maximum length "
                f"{limit}, but got a string with length {len(value)} instead.",
                path,
            )
        return str(value)

    return check


def number(low: float, high: float, whole: bool = False) -> Check:
    """Accept a number within both bounds."""
    kinds = (int,) if whole else (int, float)

    def check(value: Any, path: str) -> Any:
        if isinstance(value, bool) or not isinstance(value, kinds):
            raise _wrong(value, path, "an integer" if whole else "a decimal")
        for wrong, code, sense, bound in (
            (value < low, "decimal_below_min_value", ">=", low),
            (value > high, "decimal_above_max_value", "<=", high),
        ):
            if wrong:
                raise WireError(
                    code.replace("decimal", "integer") if whole else code,
                    f"Invalid '{path}': expected a value {sense} {bound}, but got {value} instead.",
                    path,
                )
        return value

    return check


def one_of(*names: str) -> Check:
    """Accept one of these strings."""

    def check(value: Any, path: str) -> str:
        if text(value, path) not in names:
            supported = f"Supported values are: {_quoted(names)}."
            raise invalid(path, f"Invalid value: '{value[:64]}'. {supported}")
        return str(value)

    return check


@dataclass(frozen=True, slots=True)
class _Nullable:
    inner: Check

    def __call__(self, value: Any, path: str) -> Any:
        """Return null as it is, or the checked value."""
        return None if value is None else self.inner(value, path)


def nullable(inner: Check) -> Check:
    """Accept null, as a value of its own, or what `inner` accepts."""
    return _Nullable(inner)


def list_of(inner: Check, limit: int) -> Check:
    """Accept a list of at most `limit` entries, each accepted by `inner`."""

    def check(value: Any, path: str) -> list[Any]:
        if not isinstance(value, list):
            raise _wrong(value, path, "an array")
        if len(value) > limit:
            raise WireError(
                "array_above_max_length", f"Invalid '{path}': more than {limit} entries.", path
            )
        return [inner(entry, f"{path}[{index}]") for index, entry in enumerate(value)]

    return check


def shape(
    fields: Mapping[str, Check], required: tuple[str, ...] = (), strict: bool = True
) -> Check:
    """Accept an object with these fields. Drop unknown ones, or refuse them if `strict`.

    A field that is null counts as absent, unless its check is `nullable`.
    """

    def check(value: Any, path: str) -> Json:
        kept: Json = {}
        for name, entry in mapping(value, path).items():
            inner = fields.get(name)
            if entry is None and not isinstance(inner, _Nullable):
                continue
            where = f"{path}.{name}" if path else name
            if inner is not None:
                kept[name] = inner(entry, where)
            elif strict:
                raise WireError("unknown_parameter", f"Unknown parameter: '{where}'.", where)
        for name in required:
            if name not in kept:
                raise missing(f"{path}.{name}" if path else name)
        return kept

    return check


def tagged(variants: Mapping[str, Check], tag: str = "type") -> Check:
    """Accept an object whose `tag` field names its variant."""

    def check(value: Any, path: str) -> Json:
        if mapping(value, path).get(tag) is None:
            raise missing(f"{path}.{tag}")
        kind = one_of(*variants)(value[tag], f"{path}.{tag}")
        kept: Json = variants[kind](value, path)
        return kept

    return check


def filled(inner: Check, defaults: Mapping[str, Any]) -> Check:
    """Accept what `inner` accepts, and add defaults for absent or null fields."""

    def check(value: Any, path: str) -> Json:
        kept = {name: entry for name, entry in inner(value, path).items() if entry is not None}
        return {**defaults, **kept}

    return check
