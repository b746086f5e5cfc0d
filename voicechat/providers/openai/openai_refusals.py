"""Errors that say little: the part of a session object that an error is about, or its command.

Source: OpenAI Realtime API reference, server event `error` (`param`), which holds a path such as
`session.tools[2].parameters` or `session.audio.output.voice`.
"""

from __future__ import annotations

import re

from voicechat.core.commands import CommandName
from voicechat.core.provider_errors import BUSY
from voicechat.core.settings_updates import TOOLS
from voicechat.providers.json_fields import as_list, as_text, fields
from voicechat.providers.openai.openai_parts import Message

_SETTINGS = {
    "voice": "voice",
    "speed": "speed",
    "replace": "pronunciation",
    "transcription": "transcription",
    "input_audio_transcription": "transcription",
    "turn_detection": "turn_detection",
    "noise_reduction": "noise_reduction",
    "input_audio_noise_reduction": "noise_reduction",
    "tool_choice": "tool_choice",
    "max_output_tokens": "max_output_tokens",
    "max_response_output_tokens": "max_output_tokens",
    "parallel_tool_calls": "parallel_tool_calls",
    "reasoning": "reasoning_effort",
    "temperature": "temperature",
    "tracing": "tracing",
    "truncation": "truncation",
    "prompt": "prompt",
    "include": "include",
    "instructions": "instructions",
}
"""Wire name -> setting."""

_TOLD: tuple[tuple[re.Pattern[str], CommandName | None, str | None], ...] = (
    (re.compile(r"already has an active response"), None, BUSY),
    (re.compile(r"no active response"), CommandName.CANCEL_RESPONSE, None),
    (re.compile(r"already shorter than|can be truncated"), CommandName.TRUNCATE_ITEM, None),
)
"""Wordings of errors, with their command or code. The beta and some servers name neither."""

_TOOL = re.compile(r"\btools(?:\[(\d{1,4})\]|\.(\d{1,4}))?")


def told_by(message: str) -> tuple[CommandName | None, str | None]:
    """Return the command and the code of an error that has only a message, as far as it tells."""
    for wording, command, code in _TOLD:
        if wording.search(message):
            return command, code
    return None, None


def refused_part(param: str, session: Message) -> str | None:
    """Return the key of the part that `param` names in this session object; None if there is none.

    Keys are those of `core.settings_updates`.
    """
    tool = _TOOL.search(param)
    if tool is None:
        return setting_of(param)
    number = tool[1] or tool[2]
    sent = as_list(session.get("tools"))
    if number is None or int(number) >= len(sent):
        return TOOLS
    refused = fields(sent[int(number)])
    if refused.get("type") == "mcp":
        return f"mcp_servers.{as_text(refused.get('server_label'))}"
    return f"{TOOLS}.{as_text(refused.get('name'))}"


def setting_of(param: str) -> str | None:
    """Return the first setting in a path; None if it has none."""
    for name in re.split(r"[.\[\]]", param):
        if name in _SETTINGS:
            return _SETTINGS[name]
    return None
