"""A picture on each wire."""

from __future__ import annotations

import base64
import json

import pytest
from google.genai import types
from openai.types.realtime import RealtimeClientEvent
from pydantic import TypeAdapter

from voicechat.core.commands import Command, CreateMessage, CreateResponse
from voicechat.core.pictures import Kind, Picture
from voicechat.core.settings import SessionSettings
from voicechat.errors import Secret
from voicechat.providers import catalog
from voicechat.providers.google.google_codec import GoogleCodec
from voicechat.providers.openai.openai_codec import OpenAICodec

CAT = Picture(Kind.PNG, 3, 2, "cat.png", b"\x89PNG\r\n\x1a\n" + bytes(20))
DATA = base64.b64encode(CAT.data).decode()
ASKED = CreateMessage("typed_1", "user", "What is this?", picture=CAT)
SHOWN = CreateMessage("typed_2", "user", "", picture=CAT)


def google(model: str) -> GoogleCodec:
    codec = GoogleCodec("wss://x", model, tag="t")
    codec.opening(SessionSettings())
    return codec


def frames(codec: OpenAICodec | GoogleCodec, *commands: Command) -> list[dict]:
    return [json.loads(frame) for command in commands for frame in codec.encode(command)]


def test_openai_gets_a_picture_as_a_url() -> None:
    asked, shown = frames(OpenAICodec("wss://x"), ASKED, SHOWN)
    for frame in (asked, shown):
        TypeAdapter(RealtimeClientEvent).validate_python(frame, strict=True)
    image = {"type": "input_image", "image_url": f"data:image/png;base64,{DATA}"}
    assert asked["item"]["content"] == [image, {"type": "input_text", "text": "What is this?"}]
    assert shown["item"]["content"] == [image]


def test_gemini_gets_a_picture_and_its_text_in_one_turn() -> None:
    blob = {"data": DATA, "mimeType": "image/png"}
    for model in ("gemini-3.8-live", "gemini-3.8-live-extended-thinking"):
        said = frames(google(model), ASKED, CreateResponse(), SHOWN, CreateResponse())
        for frame in said[1:]:
            types.LiveClientMessage.model_validate(frame)
            assert frame["clientContent"]["turnComplete"] is True
        turns = [frame["clientContent"]["turns"][0]["parts"] for frame in said[1:]]
        assert turns[0] == [{"inlineData": blob}, {"text": "What is this?"}]
        assert turns[1][0] == {"inlineData": blob}
        assert turns[1][1]["text"]


def test_gemini_3_1_gets_a_picture_before_its_text() -> None:
    """It takes no content after the first turn."""
    codec = google("gemini-3.1-flash-live-preview")
    said = frames(codec, ASKED, CreateResponse(), SHOWN, CreateResponse())
    blob = {"data": DATA, "mimeType": "image/png"}
    assert [frame["realtimeInput"] for frame in said[1:3]] == [
        {"video": blob},
        {"text": "What is this?"},
    ]
    assert said[3] == {"realtimeInput": {"video": blob}}
    assert said[4]["realtimeInput"]["text"]
    types.Blob.model_validate(said[1]["realtimeInput"]["video"])


def test_gemini_gets_an_earlier_picture_as_history() -> None:
    for model in ("gemini-3.8-live", "gemini-live-2.5-flash"):
        answered = CreateMessage("a", "assistant", "A cat.")
        told = frames(google(model), ASKED, answered)[0]
        (turn,) = told["clientContent"]["turns"]
        types.Content.model_validate(turn)
        assert turn["parts"] == [
            {"inlineData": {"data": DATA, "mimeType": "image/png"}},
            {"text": "What is this?"},
        ]


def test_older_gemini_models_get_both_at_once() -> None:
    (frame,) = frames(google("gemini-live-2.5-flash"), SHOWN, CreateResponse())
    assert frame["clientContent"]["turnComplete"] is True
    assert [list(part) for part in frame["clientContent"]["turns"][0]["parts"]] == [["inlineData"]]


@pytest.mark.parametrize(
    ("model", "wire", "takes"),
    [
        ("openai/gpt-realtime-2.1", None, "png jpeg"),
        ("openai/gpt-realtime-2.1", "beta", ""),
        ("azure/d", None, "png jpeg"),
        ("azure/d", "voice-live", ""),
        ("google/gemini-3.8-live", None, "png jpeg webp"),
        ("xai/grok-voice-latest", None, ""),
        ("gateway/openai/gpt-realtime-2.1", None, ""),
        ("local/built-in", None, ""),
    ],
)
def test_providers_that_accept_pictures(model: str, wire: str | None, takes: str) -> None:
    codec = catalog.codec_of(model, environ={"OPENAI_API_KEY": Secret("k")}, wire=wire)
    assert " ".join(codec.capabilities.pictures) == takes
