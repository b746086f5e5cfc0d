"""`voicechat wire`: a provider's codec between lines of JSON, without a socket.

One line is written for each line read, in order, as soon as it was read; state is kept across
the lines. A line that cannot be read gives an object with `error` instead of what was asked for,
and the next line is read as if nothing had happened. Settings that a wire cannot carry are named
on standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Literal

from voicechat.errors import UsageError
from voicechat.providers.gateway.normalized import Wire, json_line
from voicechat.providers.json_fields import message

Action = Literal["decode", "encode", "session", "connect"]


def converse(wire: Wire, action: Action, lines: Iterable[bytes]) -> int:
    """Answer each line on standard output; the exit code."""
    if action == "connect":
        _say(wire.connect())
        return 0
    answer = _ANSWERS[action]
    for line in lines:
        try:
            _say(answer(wire, line))
        except UsageError as wrong:
            _say({"error": {"message": str(wrong)}})
    return 0


def _decode(wire: Wire, line: bytes) -> object:
    return wire.decode(line)


def _encode(wire: Wire, line: bytes) -> object:
    return [message(frame) for frame in wire.encode(_object(line))]


def _session(wire: Wire, line: bytes) -> object:
    config = _object(line)
    for sentence in wire.unsupported(config):
        sys.stderr.write(f"voicechat: {sentence}\n")
    return wire.session(config)


_ANSWERS: dict[str, Callable[[Wire, bytes], object]] = {
    "decode": _decode,
    "encode": _encode,
    "session": _session,
}


def _object(line: bytes) -> dict[str, object]:
    found = message(line)
    if found is None:
        raise UsageError("The line is not a JSON object.")
    return found


def _say(value: object) -> None:
    sys.stdout.write(json_line(value) + "\n")
    sys.stdout.flush()
