"""Requests that live only in the instructions of one response.

A program asks "What's the weather in Paris? Use the tool." or "What is the user's favorite number?"
in `response.create`, without a message of the user.
"""

from __future__ import annotations

import re

from voicechat.server.assistant import instruction_following, intents, tool_selection
from voicechat.server.engine_protocols import AssistantRequest

_SENTENCE = re.compile(r"(?<=[.?!])\s+|\n+")
_STYLE = re.compile(
    r"(?:please )?(?:use|call|answer|reply|respond|speak|talk|be|keep|do not|don't|you are)\b", re.I
)
_OWN_WORDS = (
    (re.compile(r"\bthe user's\b", re.I), "my"),
    (re.compile(r"\b(did|do|does|have|has) the user\b", re.I), r"\1 I"),
    (re.compile(r"\b(tell|give|show|remind|ask|greet) the user\b", re.I), r"\1 me"),
)
_ABOUT_USER = re.compile(
    r"(?:what|which|who)(?:'s| is| are| was| were)? (?:my (?P<own>[\w ]+)"
    r"|(?P<kind>[\w ]+?) (?:did|do|does|have|has) I (?:mention|say|tell|name|give|want|like)\w*)",
    re.IGNORECASE,
)


def instructed_request(request: AssistantRequest) -> str:
    """Return the request in the instructions of this response, in words of the user.

    Empty if they hold none that the assistant understands.
    """
    if instruction_following.exact_words(request.own_instructions):
        return ""
    for sentence in _sentences(request):
        meaning = intents.parse(sentence)
        choice = request.tool_choice
        if meaning or tool_selection.choose(sentence, None, request.tools, choice) is not None:
            return sentence
    return ""


def quoted_answer(request: AssistantRequest) -> str:
    """Return what the user said about the subject of a question; empty if there is no question.

    The newest message that names the subject is the answer.
    """
    for sentence in _sentences(request):
        about = _ABOUT_USER.match(sentence)
        if about is None:
            continue
        subject = (about["own"] or about["kind"]).casefold()
        for message in reversed(request.messages):
            if message.role == "user" and subject in message.text.casefold():
                return f'You said: "{message.text.strip()}"'
    return ""


def _sentences(request: AssistantRequest) -> list[str]:
    """Return the sentences that may be requests, as the user would say them."""
    text = request.own_instructions.replace("’", "'")
    for pattern, own in _OWN_WORDS:
        text = pattern.sub(own, text)
    return [one for one in _SENTENCE.split(text.strip()) if one and not _STYLE.match(one)]
