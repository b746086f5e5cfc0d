"""Pictures are recognized by their bytes, and a conversation seeds them while it can."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.core import commands, events, inputs
from voicechat.core.conversation import Conversation
from voicechat.core.effects import Effect, Notice, Send
from voicechat.core.items import Item, Role
from voicechat.core.pictures import Kind, Picture, picture
from voicechat.core.settings import Capabilities, Permission, SessionSettings, ToolSpec
from voicechat.core.tool_pictures import NOT_SHOWN
from voicechat.core.user_items import KEPT_BYTES

HEADS = {
    # The first bytes of 123 by 45 pixels as ImageMagick writes them.
    "png": "iVBORw0KGgoAAAANSUhEUgAAAHsAAAAtEAIAAABR",
    "gif": "R0lGODlhewAtAPUAAP8AAPkA",
    "webp": "UklGRqYAAABXRUJQVlA4IJoAAADwBgCdASp7AC0A",
    "webp lossless": "UklGRnYAAABXRUJQVlA4TGkAAAAvegALABmA",
    "webp extended": "UklGRmIAAABXRUJQVlA4WAoAAAAQAAAAegAALAAA",
}
JPEG = (
    b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
    b"\xff\xdb\x00\x04\x00\x01\xff\xff\xc2\x00\x11\x08\x00\x2d\x00\x7b\x03\x01"
)


def head(name: str) -> bytes:
    return base64.b64decode(HEADS[name]).ljust(40, b"\0")


@pytest.mark.parametrize("name", HEADS)
def test_kind_and_size_are_read_from_the_bytes(name: str) -> None:
    found = picture(head(name), "cat")
    assert found is not None
    assert (found.kind, found.width, found.height) == (Kind(name.split()[0]), 123, 45)
    assert found.caption == f"cat, {found.kind.label}, 123 × 45 pixels"
    assert found.data == head(name)


def test_the_size_of_a_jpeg_follows_other_segments() -> None:
    found = picture(JPEG)
    assert found is not None
    assert (found.media_type, found.width, found.height) == ("image/jpeg", 123, 45)
    assert picture(JPEG[:20]) is None


@pytest.mark.parametrize(
    "data",
    [b"", b"BM6\0", b"%PDF-1.7", b"<svg xmlns=", b"RIFF\0\0\0\0WAVEfmt ", b"\xff\xd8\xff\xe0"],
)
def test_other_bytes_are_not_a_picture(data: bytes) -> None:
    assert picture(data) is None
    assert picture(data.ljust(64, b"\0")) is None


def test_a_picture_without_a_size_is_rejected() -> None:
    empty = bytearray(head("png"))
    empty[16:20] = bytes(4)
    assert picture(bytes(empty)) is None


@given(st.sampled_from([*map(head, HEADS), JPEG]), st.integers(0, 40), st.binary(max_size=40))
def test_arbitrary_bytes_never_raise(start: bytes, keep: int, rest: bytes) -> None:
    found = picture(start[:keep] + rest)
    assert found is None or found.width > 0 < found.height


# ----------------------------------------------------------------------- in a conversation


CAT = Picture(Kind.PNG, 123, 45, "cat.png", head("png"))


class Talk:
    """A conversation, and the messages it sends."""

    def __init__(self, capabilities: Capabilities | None = None) -> None:
        self.conversation = Conversation(SessionSettings(), capabilities or Capabilities())

    def take(self, event: events.Event | inputs.Input) -> list[Effect]:
        return self.conversation.handle(event, 0.0)

    def told(self, event: events.Event | inputs.Input) -> list[commands.CreateMessage]:
        sent = [effect.command for effect in self.take(event) if isinstance(effect, Send)]
        return [command for command in sent if isinstance(command, commands.CreateMessage)]


def test_a_picture_is_sent_with_its_text_and_answered() -> None:
    talk = Talk()
    talk.take(events.SessionCreated("s"))
    effects = talk.take(inputs.Typed("What is this?", CAT))
    sent = [effect.command for effect in effects if isinstance(effect, Send)]
    assert sent == [
        commands.CreateMessage("typed_1", "user", "What is this?", picture=CAT),
        commands.CreateResponse(),
    ]
    (item,) = talk.conversation.transcript.entries
    assert isinstance(item, Item)
    assert item.picture is CAT


def test_a_picture_alone_is_a_turn_and_blank_text_is_not() -> None:
    talk = Talk()
    talk.take(events.SessionCreated("s"))
    assert talk.told(inputs.Typed(" ")) == []
    assert talk.told(inputs.Typed("", CAT)) == [
        commands.CreateMessage("typed_1", "user", "", picture=CAT)
    ]  # fmt: skip


def test_a_picture_is_seeded_on_the_next_connection() -> None:
    talk = Talk()
    talk.take(events.SessionCreated("s"))
    talk.take(inputs.Typed("", CAT))
    talk.take(inputs.Disconnected("lost"))
    effects = talk.take(events.SessionCreated("t"))
    assert Send(commands.CreateMessage("typed_1", "user", "", picture=CAT)) in effects
    assert Send(commands.CreateResponse()) in effects, "and still owed an answer"
    assert not [effect for effect in effects if isinstance(effect, Notice)]


def test_a_provider_that_rejects_the_kind_gets_a_note() -> None:
    talk = Talk(Capabilities(pictures=(Kind.JPEG,)))
    talk.take(inputs.Typed("What is this?", CAT))
    effects = talk.take(events.SessionCreated("s"))
    (message,) = [
        effect.command
        for effect in effects
        if isinstance(effect, Send) and isinstance(effect.command, commands.CreateMessage)
    ]
    assert message.picture is None
    assert "cat.png" in message.text
    assert "What is this?" in message.text
    (notice,) = [effect for effect in effects if isinstance(effect, Notice)]
    assert notice.text == "An image cannot be sent to the model again."


def test_kept_picture_data_is_bounded_and_the_oldest_is_dropped() -> None:
    talk = Talk()
    large = replace(CAT, data=bytes(KEPT_BYTES // 2))
    for _ in range(3):
        talk.take(inputs.Typed("look", large))
    kept = [bool(item.picture.data) for item in items(talk) if item.picture]
    assert kept == [False, True, True]
    huge = replace(CAT, data=bytes(KEPT_BYTES + 1))
    talk.take(inputs.Typed("look", huge))
    kept = [bool(item.picture.data) for item in items(talk) if item.picture]
    assert kept == [False, False, False, True], "the last one is always kept"


# ------------------------------------------------------------------- in the result of a tool


def with_call(capabilities: Capabilities | None = None) -> Talk:
    """A conversation in which the tool `draw` runs."""
    talk = Talk(capabilities)
    draw = ToolSpec("draw", "", {}, Permission.AUTO)
    for event in (
        events.SessionCreated("s"),
        inputs.OfferTools((draw,)),
        events.ResponseCreated("r"),
        events.ToolCallReady("r", "i", "c1", "draw", "{}"),
        events.ResponseDone("r"),
    ):
        talk.take(event)
    return talk


RESULT = inputs.ToolFinished("c1", "drawn", pictures=(CAT, CAT))
SHOWN = [
    commands.CreateMessage(f"picture_{n}", "user", f"Image from draw: {CAT.caption}", picture=CAT)
    for n in (1, 2)
]


def test_pictures_of_a_result_follow_it_before_the_response() -> None:
    talk = with_call()
    sent = [effect.command for effect in talk.take(RESULT) if isinstance(effect, Send)]
    assert sent == [
        commands.ToolResult("c1", "drawn", "draw"),
        *SHOWN,
        commands.CreateResponse(),
    ]
    assert [item.role for item in items(talk)] == [Role.SYSTEM] * 2


@pytest.mark.parametrize(
    "capabilities",
    [Capabilities(pictures=()), Capabilities(picture_bytes=4), Capabilities(tool_pictures=False)],
)
def test_a_model_that_takes_no_pictures_knows_that_there_were_some(
    capabilities: Capabilities,
) -> None:
    talk = with_call(capabilities)
    sent = [effect.command for effect in talk.take(RESULT) if isinstance(effect, Send)]
    assert sent[0] == commands.ToolResult("c1", f"drawn\n{NOT_SHOWN}", "draw")
    assert items(talk) == []


def test_pictures_of_a_result_during_an_outage_are_seeded_and_answered() -> None:
    talk = with_call()
    talk.take(inputs.Disconnected("lost"))
    assert talk.told(RESULT) == []
    effects = talk.take(events.SessionCreated("t"))
    sent = [effect.command for effect in effects if isinstance(effect, Send)]
    assert sent[-3:] == [*SHOWN, commands.CreateResponse()]


def test_pictures_of_a_result_that_is_not_wanted_are_dropped() -> None:
    talk = with_call()
    talk.take(inputs.Interrupt())
    assert talk.told(RESULT) == []
    assert items(talk) == []


def items(talk: Talk) -> list[Item]:
    return [entry for entry in talk.conversation.transcript.entries if isinstance(entry, Item)]
