"""Guardrails of `voicechat serve`: what its clients get of a reply that a rule stops."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from scripted import scripted_server
from socket_events import events_until

from voicechat.config.guardrail_settings import GuardrailRule
from voicechat.core import linear_pattern
from voicechat.core.guardrail import GuardrailPolicy, GuardrailSide
from voicechat.core.linear_pattern import LinearPattern, words_pattern
from voicechat.server.engine_protocols import AssistantOutput, AssistantRequest, Call, Say
from voicechat.server.guarded_assistant import MAX_ROUNDS
from voicechat.server.serve_options import ServeOptions


def rule(
    say: str = "", instructions: str = "", watches: GuardrailSide = GuardrailSide.ASSISTANT
) -> GuardrailRule:
    words = LinearPattern(words_pattern(["price", "special offer"]))
    return GuardrailRule("prices", words, watches, GuardrailPolicy.OPEN, say, instructions)


async def replied(
    pieces: Iterable[AssistantOutput],
    given: GuardrailRule,
    *,
    question: str = "hello",
    spoken: bool = True,
    again: str = "",
) -> tuple[dict[str, Any], str, list[str], int]:
    """Return the response, its text, the spoken texts and the number of requests.

    again: the reply to a request with instructions of its own.
    """

    def answer(request: AssistantRequest) -> Iterable[AssistantOutput]:
        return [Say(again)] if request.own_instructions else pieces

    async with (
        scripted_server(guardrails=(given,)) as backend,
        backend.client().realtime.connect(model="m") as connection,
    ):
        backend.assistant.answer = answer
        modalities: Any = ["audio"] if spoken else ["text"]
        await connection.session.update(
            session={"type": "realtime", "output_modalities": modalities, "tools": [TOOL]}
        )
        await connection.conversation.item.create(
            item={
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": question}],
            }
        )
        await connection.response.create()
        events = await events_until(connection, "response.done")
        text = "".join(e["delta"] for e in events if e["type"].endswith(("t.delta", "text.delta")))
        said = [words for words, *_ in backend.tts.asked]
        return events[-1]["response"], text, said, len(backend.assistant.requests)


TOOL: Any = {"type": "function", "name": "buy", "description": "", "parameters": {}}
CALL = Call("call_1", "buy", "{}")


@pytest.mark.parametrize("spoken", [True, False])
async def test_nothing_after_the_last_allowed_word_is_sent(spoken: bool) -> None:
    pieces = [Say("Well, "), Say("the pri"), Say("ce is ten."), CALL]
    response, text, said, _ = await replied(pieces, rule("Ask my boss."), spoken=spoken)
    assert (response["status"], text) == ("completed", "Well, the Ask my boss.")
    assert said == (["Well, ", "the ", "Ask my boss."] if spoken else [])
    assert [item["type"] for item in response["output"]] == ["message"]


async def test_a_reply_without_a_replacement_is_incomplete() -> None:
    response, text, _, _ = await replied([Say("A special"), Say(" offer!"), CALL], rule())
    assert text == "A "
    assert (response["status"], response["status_details"]["reason"]) == (
        "incomplete",
        "content_filter",
    )
    assert [item["type"] for item in response["output"]] == ["message"]


@pytest.mark.parametrize(("again", "count"), [("Bread.", 2), ("A price.", MAX_ROUNDS + 1)])
async def test_another_reply_is_requested_a_few_times(again: str, count: int) -> None:
    given = rule(instructions="Change the subject.")
    response, text, _, requests = await replied([Say("The price.")], given, again=again)
    assert requests == count
    assert (response["status"] == "completed") is (count == 2)
    assert text == ("Bread." if count == 2 else "")


async def test_a_question_can_be_stopped_before_the_assistant_gets_it() -> None:
    given = rule("Ask my boss.", watches=GuardrailSide.USER)
    asked = await replied([Say("The price.")], given, question="What is the price?")
    assert (asked[1], asked[3]) == ("Ask my boss.", 0)
    assert (await replied([Say("The price.")], given))[1] == "The price."


async def test_what_passes_is_not_changed() -> None:
    pieces = [Say("One "), Say("`code`", silent=True), Say("surp"), CALL, Say("rise"), Say(".")]
    response, text, said, _ = await replied(pieces, rule())
    assert (response["status"], text) == ("completed", "One `code`surprise.")
    assert [item["type"] for item in response["output"]] == ["message", "function_call", "message"]
    assert said == ["One ", "surp", "rise."]


@pytest.mark.parametrize("policy", GuardrailPolicy)
async def test_the_policy_decides_about_a_search_that_is_too_slow(
    policy: GuardrailPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear_pattern, "MAX_WORK", -1)
    response, text, _, _ = await replied([Say("Bread. ")], replace(rule("No."), policy=policy))
    assert response["status"] == "completed"
    assert text == ("Bread. " if policy is GuardrailPolicy.OPEN else "No.")


def test_the_server_of_a_conversation_leaves_guardrails_to_it() -> None:
    options = ServeOptions(guardrails=(rule(),))
    assert options.with_environment({}).guardrails
    assert not options.with_environment({"VOICECHAT_PARENT_WATCH": "1"}).guardrails
