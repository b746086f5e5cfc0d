"""Questions before an action that the user may not have asked for: "Should I call you Serious?".

Some sentences are requests only if the user talks to the assistant, such as "give me a minute". The
templates mark them with `unsure`, which completes "Should I ...?" with the values in braces.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from voicechat.server.assistant import intents, plausibility
from voicechat.server.assistant.answer_context import to_listener, value_of
from voicechat.server.assistant.dialogue_state import DialogueState
from voicechat.server.assistant.intents import Meaning
from voicechat.server.assistant.spoken_time import ClockTime
from voicechat.skills.wording import lasting, spoken_clock

_HARMLESS = frozenset({"goodbye", "stop"})
"""Changes that only end speech."""
_YES = re.compile(
    r"(?:yes|yeah|yep|yup|sure|okay|ok|please|of course|absolutely|right|correct|exactly|do|do it|"
    r"do that|go ahead|that is right|please do|i do|you should|you may|you can|thanks|thank you| )+"
)


def question(meanings: Sequence[Meaning], now: datetime, before: Meaning | None = None) -> str:
    """Return the question to ask before the actions; empty if the request is clear.

    before: the request before. After one about a list, the user adds to the list.
    """
    if before is not None and before.intent.startswith("list_"):
        meanings = [one for one in meanings if one.intent != "list_add"]
    return " ".join(filter(None, (_question(one, now) for one in meanings)))


def _question(meaning: Meaning, now: datetime) -> str:
    unsure = str(meaning.values.get("unsure", ""))
    name = meaning.values.get("name") if meaning.intent == "name_set" else None
    if not unsure or (name is not None and plausibility.is_likely_name(str(name))):
        return ""
    return f"Should I {unsure.format_map(_Spoken(meaning.values, now))}?"


def doubt(text: str, meanings: Sequence[Meaning]) -> str:
    """Return the question if the user said this text; empty if it changes nothing."""
    changing = any(one.intent in intents.CHANGING - _HARMLESS for one in meanings)
    return f'Did you say "{text.strip(" .,?!")}"?' if changing else ""


def permission(meaning: Meaning | None) -> str:
    """Return the sentence for a change of the app that the user must allow; empty for others."""
    if meaning is None or meaning.intent != "control_approved":
        return ""
    what = re.sub(r" (?:of|in) this app$| from here$", "", str(meaning.values["what"]))
    return f"May I {what}? I need your approval."


def accepted(state: DialogueState, text: str) -> str:
    """Return the request that the text says yes to; empty if there is none."""
    offered, state.offered = state.offered, ""
    return offered if offered and agrees(text) else ""


def agrees(text: str) -> bool:
    """Return True if the text says yes and nothing else."""
    return _YES.fullmatch(re.sub(r"[^a-z ]", "", text.replace("'s", " is").lower())) is not None


class _Spoken(dict[str, str]):
    """The values of a request in words."""

    def __init__(self, values: Mapping[str, object], now: datetime) -> None:
        super().__init__({name: _in_words(value) for name, value in values.items()})
        today, tomorrow = values.get("at"), values.get("tomorrow")
        if isinstance(tomorrow, ClockTime):
            self["at"] = f"{spoken_clock(tomorrow.after(now, day=1))} tomorrow"
        elif isinstance(today, ClockTime):
            moment = today.after(now)
            later = moment.date() - now.date() >= timedelta(days=1)
            self["at"] = spoken_clock(moment) + (" tomorrow" if later else "")
        if "seconds" in values:
            self["seconds"] = lasting(value_of(values["seconds"]))


def _in_words(value: object) -> str:
    return to_listener(value) if isinstance(value, str) else ""
