"""MCP servers that ask the user, ask the model, and report progress, on real connections."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp_http_stub import mcp_stub
from mcp_rig import RunningServers, running_servers

from voicechat.config.mcp_server import ServerConfig
from voicechat.tools.mcp import mcp_elicitation
from voicechat.tools.question import Question, Questions
from voicechat.tools.registry import Outcome, RunningCall

ASKING = r"""
import json, sys

def send(**message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)

def answer_to(method, params):
    send(id="q", method=method, params=params)
    for line in sys.stdin:
        reply = json.loads(line)
        if reply.get("id") == "q":
            return reply

visited = False
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    if message["method"] == "initialize":
        offered = message["params"]["capabilities"]
        send(id=message["id"], result={
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "asks", "version": "1"},
        })
    elif message["method"] == "tools/list":
        names = ("ask", "open", "sample", "offered", "visit")
        tools = [{"name": name, "inputSchema": {}} for name in names]
        send(id=message["id"], result={"tools": tools})
    elif message["method"] == "tools/call":
        name = message["params"]["name"]
        if name == "ask":
            reply = answer_to("elicitation/create", {
                "message": "Which one?",
                "requestedSchema": {
                    "type": "object",
                    "properties": {"color": {"type": "string", "enum": ["red", "green"]}},
                    "required": ["color"],
                },
            })
        elif name == "open":
            reply = answer_to("elicitation/create", {
                "mode": "url", "message": "Sign in.", "url": "https://example.com/in",
                "elicitationId": "e",
            })
        elif name == "sample":
            reply = answer_to("sampling/createMessage", {"messages": [], "maxTokens": 9})
        elif name == "visit":
            if not visited:
                page = {
                    "mode": "url", "message": "Link your account.", "elicitationId": "e9",
                    "url": "https://example.com/link",
                }
                send(id=message["id"], error={
                    "code": -32042, "message": "Visit the page.", "data": {"elicitations": [page]},
                })
                visited = True
                if message["params"]["arguments"].get("reports"):
                    done = {"elicitationId": "e9"}
                    send(method="notifications/elicitation/complete", params=done)
                continue
            reply = "visited"
        else:
            reply = offered
        send(id=message["id"], result={"content": [{"type": "text", "text": json.dumps(reply)}]})
    else:
        send(id=message["id"], error={"code": -32601, "message": "Method not found"})
"""

SERVER = ServerConfig("asks", (sys.executable, "-S", "-c", ASKING))


async def asked(rig: RunningServers, questions: Questions, tool: str) -> asyncio.Task[Outcome]:
    """Call a tool and wait until its question is there."""
    call = asyncio.create_task(rig.call(tool))
    await rig.until(lambda: bool(questions.waiting))
    return call


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The pages that the browser would open."""
    pages: list[str] = []

    async def open_page(url: str) -> str:
        pages.append(url)
        return ""

    monkeypatch.setattr(mcp_elicitation, "open_in_browser", open_page)
    return pages


async def test_a_server_asks_the_user_without_a_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: list[str]
) -> None:
    ends: list[float | None] = []
    monkeypatch.setattr(RunningCall, "_reschedule", lambda self, when: ends.append(when))
    questions = Questions(lambda notice: None)
    async with running_servers(tmp_path, SERVER, questions=questions) as rig:
        call = await asked(rig, questions, "asks__ask")
        assert ends == [None]
        (question,) = questions.waiting
        assert (question.source, question.message) == ("MCP server asks", "Which one?")
        questions.answer(question.number, "green")
        reply = json.loads((await call).output)
        assert reply["result"] == {"action": "accept", "content": {"color": "green"}}
        assert ends[-1] is not None

        call = await asked(rig, questions, "asks__open")
        assert questions.waiting[0].url == "https://example.com/in"
        assert opened == []
        questions.answer(questions.waiting[0].number, "")
        assert json.loads((await call).output)["result"] == {"action": "accept"}
        assert opened == ["https://example.com/in"]

        call = await asked(rig, questions, "asks__ask")
        call.cancel()
        await rig.until(lambda: not questions.waiting)


@pytest.mark.parametrize("end", ["reported", "told", "declined"])
async def test_a_call_that_needs_a_visit_to_a_page_is_sent_again(
    end: str, tmp_path: Path, opened: list[str]
) -> None:
    questions = Questions(lambda notice: None)
    async with running_servers(tmp_path, SERVER, questions=questions) as rig:
        arguments = json.dumps({"reports": end == "reported"})
        call = asyncio.create_task(rig.call("asks__visit", arguments))
        await rig.until(lambda: bool(questions.waiting))
        assert questions.waiting[0].url == "https://example.com/link"
        questions.answer(questions.waiting[0].number, "")
        if end != "reported":
            await rig.until(lambda: [each.number for each in questions.waiting] == [2])
            assert "Are you done" in questions.waiting[0].message
            settle = questions.decline if end == "declined" else lambda n: questions.answer(n, "")
            settle(2)
        outcome = await call
        assert opened == ["https://example.com/link"]
        assert questions.waiting == ()
        if end == "declined":
            assert "The user did not do it." in outcome.output
        else:
            assert outcome.output == '"visited"'


async def test_sampling_is_refused_and_reported(tmp_path: Path) -> None:
    async with running_servers(tmp_path, SERVER) as rig:
        reply = json.loads((await rig.call("asks__sample")).output)
        assert "error" in reply
        (sentence,) = rig.reported
        assert sentence.startswith("MCP server asks: It wants to use the model itself (sampling).")
        assert json.loads((await rig.call("asks__offered")).output) == {}, "nobody could answer"


def needs_input(params: dict[str, Any]) -> dict[str, Any]:
    """Answer a call as MCP 2026-07-28: the question is part of the first result."""
    replies = params.get("inputResponses")
    if replies is None:
        question = {
            "method": "elicitation/create",
            "params": {"message": "Sure?", "requestedSchema": {"type": "object", "properties": {}}},
        }
        return {"resultType": "input_required", "inputRequests": {"q": question}}
    return {"resultType": "complete", "content": [{"type": "text", "text": json.dumps(replies)}]}


NEWEST = {
    "server/discover": {
        "supportedVersions": ["2026-07-28"],
        "capabilities": {"tools": {}},
        "ttlMs": 0,
        "cacheScope": "private",
        "resultType": "complete",
    },
    "tools/list": {
        "tools": [{"name": "nod", "inputSchema": {"type": "object"}}],
        "ttlMs": 0,
        "cacheScope": "private",
        "resultType": "complete",
    },
    "tools/call": needs_input,
}


@pytest.mark.parametrize("accept", [True, False])
async def test_a_question_within_a_result_is_answered(tmp_path: Path, accept: bool) -> None:
    questions = Questions(lambda notice: None)

    def decide(question: Question) -> None:
        number = question.number
        if accept:
            questions.answer(number, "")
        else:
            questions.decline(number)

    async with mcp_stub(results=NEWEST) as stub:
        config = ServerConfig("new", url=stub.url)
        async with running_servers(tmp_path, config, questions=questions) as rig:
            call = await asked(rig, questions, "new__nod")
            decide(questions.waiting[0])
            replies = json.loads((await call).output)
    assert replies["q"]["action"] == ("accept" if accept else "decline")
