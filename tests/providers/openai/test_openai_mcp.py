"""MCP that the provider runs: its frames, and the answers to approvals."""

from __future__ import annotations

import json

import pytest
from wire_examples import frames

from voicechat.core import commands
from voicechat.core.events import Event, RemoteApproval, RemoteCall, RemoteTools
from voicechat.core.items import ToolState
from voicechat.providers.gateway.normalized import NormalizedWire
from voicechat.providers.openai.openai_codec import OpenAICodec

URL = "wss://example.invalid/v1/realtime"
ARGUMENTS = '{"repoName":"python/cpython","question":"What is a frame object?"}'
CALL = "mcp_coUvNOhT5VnshTGvHRPw1"
ASKED = "mcpr_kNkR8Dci0QFIf2m5g2CtC"


def decode(*said: dict | str) -> list[Event]:
    reader = OpenAICodec(URL)
    texts = [frame if isinstance(frame, str) else json.dumps(frame) for frame in said]
    return [event for text in texts for event in reader.decode(text)]


def test_progress_of_a_list_of_tools():
    events = decode(*frames("openai_ga_server", "mcp"))
    lists = [event for event in events if isinstance(event, RemoteTools)]
    assert [(each.server, each.tools, each.done) for each in lists] == [
        ("deepwiki", (), False),
        ("deepwiki", (), False),
        ("deepwiki", ("ask_question",), False),
        ("deepwiki", ("ask_question",), True),
    ]
    assert {each.item_id for each in lists} == {"mcpl_PonKROyVf7OdXWIinXatE"}
    assert {each.error for each in lists} == {None}


def test_an_approval_in_five_frames_is_requested_once():
    events = decode(*frames("openai_ga_server", "mcp"))
    assert [event for event in events if isinstance(event, RemoteApproval)] == [
        RemoteApproval(ASKED, "resp_BeNfyB2PvKs1q9lV2Z8ur", "deepwiki", "ask_question", ARGUMENTS)
    ]


def test_each_call_event_contains_everything_known():
    calls = [e for e in decode(*frames("openai_ga_server", "mcp")) if isinstance(e, RemoteCall)]
    assert [(each.state, each.arguments) for each in calls] == [
        (ToolState.STREAMING, ""),
        (ToolState.STREAMING, '{"repoName":"python/cpyt'),
        (ToolState.STREAMING, ARGUMENTS),
        (ToolState.STREAMING, ARGUMENTS),
        (ToolState.RUNNING, ARGUMENTS),
        (ToolState.DONE, ARGUMENTS),
        (ToolState.DONE, ARGUMENTS),
    ]
    assert {(each.item_id, each.server, each.name, each.approval_id) for each in calls} == {
        (CALL, "deepwiki", "ask_question", ASKED)
    }
    assert {each.response_id for each in calls} == {"resp_IOgJJB8ougWn1bdKW9iag"}
    assert calls[-1].output == "A frame object holds the state of one running call."


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ({"type": "protocol_error", "code": -32602, "message": "Invalid params"}, "Invalid params"),
        ({"type": "tool_execution_error", "message": "Not \x1b[31mfound"}, "Not \ufffd[31mfound"),
        ({"type": "http_error", "code": 503}, "http_error"),
        ("plain words", "plain words"),
    ],
)
def test_a_failed_call_has_its_reason(error, told):
    item = {"id": "m", "type": "mcp_call", "server_label": "s", "name": "n", "error": error}
    frame = {"type": "response.output_item.done", "response_id": "r", "item": item}
    (call,) = (event for event in decode(frame) if isinstance(event, RemoteCall))
    assert (call.state, call.error) == (ToolState.FAILED, told)


def test_a_failure_without_a_reason_gets_one_from_a_later_item():
    failed = {"type": "response.mcp_call.failed", "item_id": "m", "output_index": 0}
    item = {"id": "m", "type": "mcp_call", "error": {"type": "http_error", "message": "Away"}}
    first, *_, last = decode(failed, {"type": "conversation.item.done", "item": item})
    assert (first.state, first.error) == (ToolState.FAILED, None)
    assert (last.state, last.error) == (ToolState.FAILED, "Away")


def test_a_finished_call_does_not_restart():
    events = decode(
        {"type": "response.mcp_call.completed", "item_id": "m"},
        {"type": "response.mcp_call.in_progress", "item_id": "m"},
    )
    assert [event.state for event in events] == [ToolState.DONE, ToolState.DONE]


def test_a_failed_list_of_tools():
    (first,) = decode({"type": "mcp_list_tools.failed", "item_id": "l"})
    assert first == RemoteTools("l", done=True, error="the server did not give them")


def test_the_answer_to_an_approval_request():
    (frame,) = OpenAICodec(URL).encode(commands.AnswerApproval(ASKED, False, "Not now."))
    item = json.loads(frame)["item"]
    assert item == {
        "type": "mcp_approval_response",
        "id": "mcpa_mcpr_kNkR8Dci0QFIf2m5g2CtC",
        "approval_request_id": ASKED,
        "approve": False,
        "reason": "Not now.",
    }
    assert len(item["id"]) <= 32


@pytest.mark.parametrize("scenario", ["mcp", "mcp-failures"])
def test_normalized_events_have_no_mcp(scenario):
    wire = NormalizedWire(OpenAICodec(URL))
    for frame in frames("openai_ga_server", scenario):
        kind = json.loads(frame)["type"]
        (event,) = wire.decode(frame)
        is_own = "mcp" in kind or kind == "conversation.item.done"
        assert (event["type"] == "custom") is is_own, kind
        if is_own:
            assert event["rawType"] == kind
        assert event["raw"] == json.loads(frame)
