"""The chat assistant with a small HTTP server on loopback."""

import asyncio
import json
import logging
from contextlib import aclosing, asynccontextmanager

import pytest

from voicechat.errors import ConnectError, KeyMissing, Secret, SessionLost, UsageError
from voicechat.server.assistant.chat_assistant import ChatAssistant
from voicechat.server.engine_protocols import AssistantRequest, Call, Message, Say, ToolOffer

MODELS = json.dumps({"object": "list", "data": [{"id": "llama3.2:latest"}, {"id": "qwen3"}]})
LONG_LIST = json.dumps({"data": [{"id": "x" * 5_000_000}]})
QUESTION = AssistantRequest((Message("user", "hi"),))


class Server:
    """Serves scripted answers for `models` and `chat/completions`, and keeps the requests."""

    def __init__(self):
        self.models = (200, MODELS)
        self.status = 200
        self.takes_tools = True
        self.chunks = []
        self.redirect = ""
        self.hang = asyncio.Event()
        self.gone = asyncio.Event()
        self.seen = []

    async def _serve(self, reader, writer):
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.gone.set()
            writer.close()

    async def _one(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.seen.append((lines[0], headers, json.loads(body) if body else None))
        if lines[0].startswith("GET"):
            self._whole(writer, *self.models)
            await writer.drain()
            return True
        if not self.takes_tools and "tools" in self.seen[-1][2]:
            # As Ollama answers for a model whose template has no tools.
            reason = {"message": "registry.ollama.ai/library/qwen3 does not support tools"}
            self._whole(writer, 400, json.dumps({"error": reason}))
            await writer.drain()
            return True
        if self.status != 200:
            self._whole(writer, self.status, "".join(self.chunks))
            await writer.drain()
            return True
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
        writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
        for chunk in self.chunks:
            if chunk == "HANG":
                await writer.drain()
                await asyncio.wait(
                    [asyncio.ensure_future(self.hang.wait()), asyncio.ensure_future(reader.read())],
                    return_when=asyncio.FIRST_COMPLETED,
                )
                return False
            if chunk == "CUT":
                await writer.drain()
                return False
            content = chunk.encode()
            writer.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    def _whole(self, writer, status, text):
        extra = f"Location: {self.redirect}\r\n" if self.redirect else ""
        content = text.encode()
        writer.write(
            f"HTTP/1.1 {status} X\r\n{extra}Content-Length: {len(content)}\r\n\r\n".encode()
            + content
        )


@asynccontextmanager
async def running(**kwargs):
    server = Server()
    listening = await asyncio.start_server(server._serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    assistant = ChatAssistant(f"http://127.0.0.1:{port}/v1", **kwargs)
    try:
        yield server, assistant
    finally:
        server.hang.set()
        await assistant.close()
        listening.close()
        await listening.wait_closed()


def event(**delta):
    return f"data: {json.dumps({'choices': [{'index': 0, 'delta': delta}]})}\n\n"


def words(*pieces):
    return [event(content=piece) for piece in pieces] + ["data: [DONE]\n\n"]


async def answer(assistant, request=QUESTION):
    return [thought async for thought in assistant.reply(request)]


async def test_text_arrives_clause_by_clause_while_it_streams():
    async with running(model="qwen3") as (server, assistant):
        await assistant.open()
        server.chunks = [event(role="assistant", content=""), *words("Well, the sky is ")[:-1]]
        server.chunks += words("blue, because. Dr. Ray", "leigh said so. It costs 3.5 dollars.")[
            :-1
        ]
        server.chunks += ["HANG"]
        seen = []
        async with aclosing(assistant.reply(QUESTION)) as thoughts:
            async for thought in thoughts:
                seen.append(thought.text)
                if len(seen) == 3:
                    break
        assert seen == ["Well, the sky is blue, ", "because. ", "Dr. Rayleigh said so. "]


async def test_closing_the_iterator_hangs_up():
    async with running(model="qwen3") as (server, assistant):
        await assistant.open()
        server.chunks = [event(content="One sentence. And another "), "HANG"]
        thoughts = assistant.reply(QUESTION)
        await anext(thoughts)
        server.gone.clear()
        await thoughts.aclose()
        async with asyncio.timeout(5):
            await server.gone.wait()


async def test_the_request_body():
    request = AssistantRequest(
        (
            Message("user", "weather?"),
            Message("tool_call", '{"city":"Paris"}', "c1", "get_weather"),
            Message("tool_call", "", "c2", "now"),
            Message("tool_result", "sunny", "c1"),
            Message("tool_result", "noon", "c2"),
        ),
        "Be kind.",
        (ToolOffer("get_weather", "Weather", {"type": "object", "properties": {}}),),
        "get_weather",
    )
    async with running(key=Secret("sk-1")) as (server, assistant):
        await assistant.open()
        assert assistant.model == "llama3.2:latest"
        server.chunks = words("Fine.")
        assert await answer(assistant, request) == [Say("Fine.")]
        line, headers, body = server.seen[-1]
        assert line == "POST /v1/chat/completions HTTP/1.1"
        assert headers["authorization"] == "Bearer sk-1"
        system, user, calls, first, second = body["messages"]
        assert system["role"] == "system"
        assert system["content"].endswith("Be kind.")
        assert user == {"role": "user", "content": "weather?"}
        assert [call["id"] for call in calls["tool_calls"]] == ["c1", "c2"]
        assert calls["tool_calls"][1]["function"] == {"name": "now", "arguments": "{}"}
        assert first == {"role": "tool", "tool_call_id": "c1", "content": "sunny"}
        assert second["tool_call_id"] == "c2"
        assert body["stream"] is True
        assert body["tools"][0]["function"]["name"] == "get_weather"
        assert body["tool_choice"]["function"] == {"name": "get_weather"}


async def test_tool_calls_in_pieces_and_whole():
    def part(index, **function):
        call = {"index": index, "function": function}
        if "name" in function:
            call["id"] = f"id{index}"
        return event(tool_calls=[call])

    async with running(model="qwen3") as (server, assistant):
        await assistant.open()
        server.chunks = [
            part(0, name="add", arguments=""),
            part(0, arguments='{"a":'),
            part(1, name="now", arguments="{}"),
            part(0, arguments="1}"),
            "data: [DONE]\n\n",
        ]
        assert await answer(assistant) == [Call("id0", "add", '{"a":1}'), Call("id1", "now", "{}")]
        whole = {"id": "x", "function": {"name": "add", "arguments": {"a": 1}}}
        server.chunks = [event(content="", tool_calls=[whole])]
        assert await answer(assistant) == [Call("x", "add", '{"a": 1}')]


MARKDOWN = "## Powers\n\n- `2**10` is 1,024.\n- `__init__` starts.\n\n```python\n# x\nx = 1\n```"


async def test_the_reply_is_what_the_model_wrote():
    async with running(model="qwen3") as (server, assistant):
        await assistant.open()
        server.chunks = words(MARKDOWN[:11], MARKDOWN[11:40], MARKDOWN[40:])
        assert "".join(output.text for output in await answer(assistant)) == MARKDOWN


async def test_only_a_spoken_reply_must_be_without_markdown():
    async with running(model="qwen3") as (server, assistant):
        await assistant.open()
        server.chunks = words("Fine.")
        for spoken in (True, False):
            await answer(assistant, AssistantRequest(QUESTION.messages, "Be kind.", spoken=spoken))
        systems = [server.seen[at][2]["messages"][0]["content"] for at in (-2, -1)]
        assert "without markdown" in systems[0]
        assert systems[1] == "Be kind."


async def test_reasoning_is_never_part_of_the_reply():
    async with running(model="qwen3") as (server, assistant):
        await assistant.open()
        server.chunks = [event(reasoning="hm"), event(reasoning_content="hm")]
        server.chunks += words(
            "<thi", "nk>secret, long ", "thought. </think>\n\n", "It is **blue**."
        )
        assert await answer(assistant) == [Say("It is **blue**.")]
        server.chunks = words("<b", "ig> news.")
        assert "".join(thought.text for thought in await answer(assistant)) == "<big> news."


async def test_text_is_cleaned():
    async with running(model="qwen3") as (server, assistant):
        await assistant.open()
        server.chunks = words("a\x1b[31mb", "\u202ec.")
        assert "".join(one.text for one in await answer(assistant)) == "a\ufffd[31mb\ufffdc."


async def test_no_server():
    async with running() as (_server, assistant):
        pass
    with pytest.raises(ConnectError, match=r"The chat server at http://127.* does not answer"):
        await assistant.open()


@pytest.mark.parametrize(
    ("model", "status", "content", "error", "words"),
    [
        ("mistral", 200, MODELS, UsageError, "no model 'mistral'. It has: llama3.2:latest, qwen3."),
        ("", 200, '{"data": []}', UsageError, "no models"),
        ("", 401, "{}", KeyMissing, "refused the key"),
        ("", 404, "<html>", ConnectError, "not a chat endpoint"),
        ("x", 503, "", ConnectError, "503"),
        ("", 200, "hello", ConnectError, "not a chat endpoint"),
        ("", 200, "[" * 200_000, ConnectError, "not a chat endpoint"),
        ("", 200, LONG_LIST, ConnectError, "not a chat endpoint"),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_probe_results(model, status, content, error, words):
    async with running(model=model) as (server, assistant):
        server.models = (status, content)
        with pytest.raises(error) as caught:
            await assistant.open()
        assert words in str(caught.value)


async def test_a_short_model_name_and_a_missing_list_are_accepted():
    async with running(model="llama3.2") as (server, assistant):
        await assistant.open()
        assert assistant.model == "llama3.2:latest"
    async with running(model="any") as (server, assistant):
        server.models = (404, "")
        await assistant.open()
        assert assistant.model == "any"


@pytest.mark.parametrize(
    ("status", "content", "error", "words"),
    [
        (401, '{"error":{"message":"bad key"}}', KeyMissing, "refused the key"),
        (400, '{"error":{"message":"does not support tools"}}', ConnectError, "support tools"),
        (500, '{"error":"out of\\u001b memory"}', ConnectError, "out of\ufffd memory"),
        (502, "<html>", ConnectError, "no reason given"),
    ],
)
async def test_refusals(status, content, error, words):
    tool = ToolOffer("a", "b", {})
    async with running(model="qwen3") as (server, assistant):
        await assistant.open()
        server.status, server.chunks = status, [content]
        with pytest.raises(error) as caught:
            await answer(assistant, AssistantRequest((Message("user", "hi"),), tools=(tool,)))
        assert words in str(caught.value)


async def test_a_model_without_tools_answers_without_them():
    request = AssistantRequest((Message("user", "hi"),), tools=(ToolOffer("a", "b", {}),))
    told = []
    async with running(model="qwen3") as (server, assistant):
        assistant.notify = told.append
        await assistant.open()
        server.takes_tools, server.chunks = False, words("Hello.")
        for _ in range(2):
            assert await answer(assistant, request) == [Say("Hello.")]
        asked = [body for _, _, body in server.seen if body]
    assert ["tools" in body for body in asked] == [True, False, False]
    (sentence,) = told
    assert "does not accept tools: registry.ollama.ai/library/qwen3 does not" in sentence
    assert "It answers without them." in sentence


async def test_redirects_are_not_followed():
    async with running(model="qwen3", key=Secret("sk-1")) as (server, assistant):
        await assistant.open()
        server.status, server.redirect = 307, "http://127.0.0.1:1/elsewhere"
        with pytest.raises(ConnectError, match="another address"):
            await answer(assistant)
        assert len(server.seen) == 2


async def test_a_silent_server_times_out():
    async with running(model="qwen3", first=0.1, idle=0.05) as (server, assistant):
        await assistant.open()
        server.chunks = ["HANG"]
        with pytest.raises(SessionLost, match="stopped answering"):
            await answer(assistant)
    async with running(model="qwen3", idle=0.05) as (server, assistant):
        await assistant.open()
        server.chunks = [event(content="Hello. "), event(content="And"), "HANG"]
        thoughts = assistant.reply(QUESTION)
        assert await anext(thoughts) == Say("Hello. ")
        with pytest.raises(SessionLost, match="stopped answering"):
            await anext(thoughts)


@pytest.mark.parametrize(
    ("chunks", "words"),
    [
        ([event(content="Hello. "), "CUT"], "ended its answer early"),
        (["data: {nonsense\n\n"], "invalid answer"),
        (["data: " + "[" * 200_000 + "\n\n"], "invalid answer"),
        (['data: {"error": {"message": "overloaded"}}\n\n'], "overloaded"),
    ],
)
async def test_a_broken_stream_is_reported(chunks, words):
    async with running(model="qwen3") as (server, assistant):
        await assistant.open()
        server.chunks = chunks
        with pytest.raises(SessionLost, match=words):
            await answer(assistant)


@pytest.mark.parametrize("chunks", [["<p>hello</p>"], ["data: {}\n\n", "data: [DONE]\n\n"], []])
async def test_a_body_without_a_reply_is_reported(chunks):
    async with running(model="qwen3") as (server, assistant):
        await assistant.open()
        server.chunks = chunks
        with pytest.raises(ConnectError) as caught:
            await answer(assistant)
    host = assistant._api.root.removeprefix("http://").removesuffix("/v1")
    assert str(caught.value) == (
        f"The chat server at {host} sent something that is not a chat reply. Check --chat-url."
    )


async def test_a_key_is_not_sent_unencrypted_to_other_machines(caplog):
    assistant = ChatAssistant("http://192.0.2.1/v1", "m", Secret("sk-1"))
    with caplog.at_level(logging.WARNING):
        client = assistant._api.create_client()
    assert "authorization" not in client.headers
    assert "not sent" in caplog.text
    assert "sk-1" not in caplog.text
    await client.aclose()
    with pytest.raises(KeyMissing) as caught:
        assistant._api.raise_refused(401, "")
    assert str(caught.value) == (
        "The chat server at http://192.0.2.1/v1 asks for a key. "
        "Keys are sent over https or to this machine only."
    )


@pytest.mark.parametrize(
    "url", ["localhost:11434", "ftp://x/v1", "http://u:p@x/v1", "http://x?k=1", ""]
)
def test_invalid_urls(url):
    with pytest.raises(UsageError):
        ChatAssistant(url)


async def test_an_event_of_megabytes_is_refused():
    async with running() as (server, assistant):
        await assistant.open()
        server.chunks = ["data: " + "9" * 2_000_000 + "\n\n", "HANG"]
        with pytest.raises(SessionLost, match="too long"):
            await answer(assistant)
