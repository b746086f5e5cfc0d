"""A chat endpoint that fails, and the built-in assistant behind it."""

import json
from contextlib import aclosing, asynccontextmanager

import pytest
from http_stub import CUT, http_stub
from scripted import ScriptedAssistant, until

from voicechat.errors import SessionLost, UsageError
from voicechat.server.assistant.chat_assistant import ChatAssistant
from voicechat.server.assistant.fallback_assistant import FallbackAssistant
from voicechat.server.engine_protocols import AssistantRequest, Message, Say

QUESTION = AssistantRequest((Message("user", "hi"),))
ECHO = [Say("You said hi.")]
LISTED = b'{"data": [{"id": "qwen3"}]}'


def words(text):
    return f"data: {json.dumps({'choices': [{'delta': {'content': text}}]})}\n\n".encode()


class Rig:
    def __init__(self, url, model=None):
        self.builtin, self.said = ScriptedAssistant(), []
        chat = ChatAssistant(url, model)
        self.assistant = FallbackAssistant(chat, self.builtin, self.said.append)
        self.assistant.outage._first = self.assistant.outage._delay = 0.01

    async def reply(self):
        return [output async for output in self.assistant.reply(QUESTION)]


@asynccontextmanager
async def running(model=None):
    async with http_stub() as server:
        server.models = LISTED
        server.chunks = [words("Hello.")]
        rig = Rig(server.url, model)
        try:
            yield server, rig
        finally:
            await rig.assistant.close()


async def test_the_chat_endpoint_answers():
    async with running() as (_server, rig):
        await rig.assistant.open()
        assert await rig.reply() == [Say("Hello.")]
        assert await rig.assistant.end_chance("Tell me a story, please.")
        assert (rig.said, rig.builtin.requests) == ([], [])


async def test_an_endpoint_that_refuses_is_named_and_used_again_later():
    async with running() as (server, rig):
        await rig.assistant.open()
        server.status, server.listed = 503, 503
        assert await rig.reply() == ECHO
        assert await rig.reply() == ECHO
        (said,) = rig.said
        assert said.startswith(f"The chat server at {server.url} refused (503)")
        assert "; the built-in one takes over." in said
        server.status, server.listed = 200, 200
        await until(lambda: rig.assistant.outage.usable)
        assert await rig.reply() == [Say("Hello.")]
        assert len(rig.said) == 1


async def test_a_dead_endpoint_at_the_start():
    async with running() as (server, rig):
        pass
    rig = Rig(server.url)
    await rig.assistant.open()
    (said,) = rig.said
    assert said == (
        f"The chat server at {server.url} does not answer; the built-in one takes over. "
        "Check that it is running."
    )
    assert await rig.reply() == ECHO
    await rig.assistant.close()


async def test_a_reply_that_breaks_off_is_not_answered_twice():
    async with running() as (server, rig):
        await rig.assistant.open()
        server.chunks = [words("Hello. And "), CUT]
        async with aclosing(rig.assistant.reply(QUESTION)) as outputs:
            assert await anext(outputs) == Say("Hello. ")
            with pytest.raises(SessionLost, match="ended its answer early"):
                await anext(outputs)
        assert rig.builtin.requests == []
        assert len(rig.said) == 1


async def test_a_wrong_model_stops_the_start():
    async with running("gpt-9") as (_server, rig):
        with pytest.raises(UsageError, match=r"no model 'gpt-9'. It has: qwen3"):
            await rig.assistant.open()


async def test_announcements_come_from_the_built_in_assistant():
    async with running() as (_server, rig):
        heard = []
        rig.assistant.on_announcement = heard.append
        rig.builtin.on_announcement("Your timer is done.")
        assert rig.assistant.on_announcement == heard.append
        assert heard == ["Your timer is done."]
