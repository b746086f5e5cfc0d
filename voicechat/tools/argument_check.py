"""The check of a call's arguments against the JSON schema of its tool."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from voicechat.core.text import clean
from voicechat.tools.registry import ToolError

_MAX_PROBLEMS = 4
_OPEN = frozenset({"allOf", "anyOf", "oneOf", "$ref", "if", "patternProperties"})
"""Keywords that may define further arguments."""


def checked_arguments(schema: Mapping[str, object], text: str) -> dict[str, Any]:
    """Parse arguments and check them against the schema of an object. Blocks on the CPU.

    Arguments that the schema does not name are refused, unless it says otherwise. Raises
    `ToolError` if they do not fit.
    """
    import jsonschema
    from referencing import Registry

    try:
        given = json.loads(text or "{}", parse_constant=_refuse)
        if "\\u" in text:
            # Half of a surrogate pair is no text: nothing can encode it.
            json.dumps(given, ensure_ascii=False).encode()
        if not isinstance(given, dict):
            raise ToolError("The arguments must be a JSON object.")
        closed = {} if _OPEN & schema.keys() else {"additionalProperties": False}
        check = jsonschema.Draft202012Validator(
            {**closed, **schema},
            registry=Registry(),  # the usual one fetches addresses that a schema names
        )
        found = [
            f"{'.'.join(map(str, each.path)) or 'arguments'}: {clean(each.message[:200])}"
            for each, _ in zip(check.iter_errors(given), range(_MAX_PROBLEMS), strict=False)
        ]
    except (ValueError, RecursionError):
        raise ToolError("The arguments are not valid JSON.") from None
    if found:
        raise ToolError(f"The arguments do not fit: {'; '.join(found)}.")
    return given


def _refuse(constant: str) -> None:
    raise ValueError(constant)
