"""A guardrail against prices, and an assistant that names one and can be told not to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from scripted import ScriptedServer
from session_driver import options

from voicechat.config.guardrail_settings import GuardrailRule
from voicechat.config.options import Options
from voicechat.core.guardrail import GuardrailPolicy, GuardrailSide
from voicechat.core.linear_pattern import LinearPattern, words_pattern
from voicechat.server.engine_protocols import AssistantOutput, AssistantRequest, Say

STOPPED = 'The guardrail prices stopped the reply: it found "price".'
INSTEAD = "Let us change the subject."


def answer(request: AssistantRequest) -> Iterable[AssistantOutput]:
    """Say what the instructions of the response want, or name a price when one is asked for."""
    if request.own_instructions:
        return [Say(request.own_instructions.partition('"')[2].rstrip('"') or "Because.")]
    if "cost" in request.messages[-1].text:
        return [Say("Well, "), Say("the price is "), Say("ten dollars.")]
    return [Say("Hello there.")]


def guarded_options(
    backend: ScriptedServer, policy: GuardrailPolicy = GuardrailPolicy.CLOSED
) -> Options:
    """Return the options of a guarded session at the server, whose assistant answers as above."""
    backend.assistant.answer = answer
    pattern = LinearPattern(words_pattern(["price"]))
    rule = GuardrailRule("prices", pattern, GuardrailSide.ASSISTANT, policy, INSTEAD)
    return replace(options(backend.app.url), guardrails=(rule,))
