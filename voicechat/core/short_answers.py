"""Reasons why an answer is incomplete or missing, in sentences for the user."""

from __future__ import annotations

from collections.abc import Iterable

from voicechat.core.events import ResponseDone, ResponseStatus
from voicechat.core.items import ToolCall, ToolState
from voicechat.core.text import excerpt

EMPTY = "The answer of the model is empty."
UNKNOWN = "The model could not answer."

_INCOMPLETE = {
    "max_output_tokens": "The answer is incomplete: it reached the limit of output tokens.",
    "content_filter": "The answer is incomplete: the content filter of the provider stopped it.",
}
_HINTS = {"max_output_tokens": "Raise max_output_tokens, or ask for a shorter answer."}


def reason_of(event: ResponseDone, calls: Iterable[ToolCall]) -> tuple[str, str]:
    """Return the sentence and the hint for a response that failed or is incomplete.

    `calls` are its tool calls, before they are closed.
    """
    reason = event.reason or ""
    sentence = excerpt(event.error or "") or _INCOMPLETE.get(reason, "")
    if not sentence and event.status is ResponseStatus.INCOMPLETE:
        sentence = f"The answer is incomplete: {excerpt(reason) or 'the provider gives no reason'}."
    cut = [call.name for call in calls if call.state is ToolState.STREAMING and call.name]
    if cut:
        names = f"tools {', '.join(cut)}" if len(cut) > 1 else f"tool {cut[0]}"
        sentence = f"{sentence or UNKNOWN} The {names} did not run, because the call was cut off."
    return sentence or UNKNOWN, _HINTS.get(reason, "")
