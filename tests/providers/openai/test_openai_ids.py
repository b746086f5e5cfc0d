"""Ids of other providers: short on the wire, unchanged for the conversation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from voicechat.core import commands, events
from voicechat.core.commands import Command
from voicechat.providers.openai.openai_codec import OpenAICodec
from voicechat.providers.openai.openai_session import LONGEST_ID

LONG = "item_0f6f3f0a-9a5c-4d43-8d4f-52cbe2a6d5a1"
ODD = "call:1"


def sent(codec: OpenAICodec, command: Command) -> dict[str, Any]:
    (frame,) = codec.encode(command)
    message: dict[str, Any] = json.loads(frame)
    return message


@pytest.mark.parametrize("original", [LONG, ODD, "x" * 33])
def test_a_call_and_its_result_have_the_same_short_id(original: str) -> None:
    codec = OpenAICodec("ws://x")
    call = sent(codec, commands.SeedCall(original, "look", "{}"))["item"]["call_id"]
    result = sent(codec, commands.SeedResult(original, "seen"))["item"]["call_id"]
    late = sent(codec, commands.ToolResult(original, "seen"))["item"]["call_id"]
    assert call == result == late != original
    assert len(call) <= LONGEST_ID


def test_a_message_is_found_again_by_its_original_id() -> None:
    codec = OpenAICodec("ws://x")
    short = sent(codec, commands.CreateMessage(LONG, "user", "hello"))["item"]["id"]
    assert len(short) <= LONGEST_ID
    item = {"id": short, "type": "message", "role": "user", "content": []}
    (added,) = codec.decode(json.dumps({"type": "conversation.item.added", "item": item}))
    assert isinstance(added, events.ItemAdded)
    assert added.item_id == LONG
    assert sent(codec, commands.DeleteItem(LONG))["item_id"] == short
    assert sent(codec, commands.TruncateItem(LONG, 5))["item_id"] == short
    after = sent(codec, commands.CreateMessage("typed_2", "user", "there", LONG))
    assert after["previous_item_id"] == short
    assert after["item"]["id"] == "typed_2"


def test_ids_of_the_server_itself_pass_unchanged() -> None:
    codec = OpenAICodec("ws://x")
    assert sent(codec, commands.DeleteItem(LONG))["item_id"] == LONG
    assert sent(codec, commands.ToolResult(LONG, "seen"))["item"]["call_id"] == LONG


def test_two_long_ids_stay_different() -> None:
    codec = OpenAICodec("ws://x")
    ids = {
        sent(codec, commands.SeedCall(f"{LONG}{number}", "look", "{}"))["item"]["call_id"]
        for number in range(100)
    }
    assert len(ids) == 100
