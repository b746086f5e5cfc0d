"""/find and /edit: words are found, and a conversation goes on from an earlier message."""

from __future__ import annotations

import pytest
from scripted import scripted_server
from session_driver import running_session
from two_providers import answered, heard

from voicechat.core.items import Item, ItemStatus, Role, ToolCall, ToolState, Transcript
from voicechat.errors import UsageError
from voicechat.line_mode import message_commands
from voicechat.line_mode.slash_commands import run_command
from voicechat.server.engine_protocols import AssistantRequest, Say


class Conversation:
    """A session with a transcript only."""

    def __init__(self) -> None:
        self.transcript = Transcript()
        answer = "Yes, " * 40 + "Red ones."
        for role, text in ((Role.USER, "A red boat?"), (Role.ASSISTANT, answer)):
            self.transcript.add(Item(text[:9], role, text, ItemStatus.COMPLETED))
        call = ToolCall("c", "i", "r", "look_up", '{"color": "RED"}', ToolState.DONE)
        self.transcript.add(call)


def test_find_lists_the_entries_with_the_words() -> None:
    found = str(message_commands.find(Conversation(), "red")).splitlines()  # type: ignore[arg-type]
    assert found[0] == "you: A red boat?"
    assert found[1].startswith("voice: …")
    assert found[1].endswith("Red ones.")
    assert found[2] == 'tool: look_up {"color": "RED"}'
    none = message_commands.find(Conversation(), "green")  # type: ignore[arg-type]
    assert none == "“green” is not in this conversation."
    with pytest.raises(UsageError, match="/find takes the words to find"):
        message_commands.find(Conversation(), "")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("2 x", "/edit takes a number from 1 (the last message) to 1."),
        ("x", "/edit takes a number from 1"),
        ("1", "/edit takes the new text after the number."),
    ],
)
def test_a_wrong_edit_is_refused(argument: str, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        message_commands.edit(Conversation(), argument)  # type: ignore[arg-type]
    assert str(refused.value).startswith(message)


def echoing(request: AssistantRequest) -> list[Say]:
    return [Say(f"You said {request.messages[-1].text}.")]


async def test_an_edited_message_replaces_what_followed_it() -> None:
    async with scripted_server() as backend, running_session(backend) as driver:
        backend.assistant.answer = echoing
        with pytest.raises(UsageError, match="There is no message to edit"):
            run_command(driver.session, "/edit")
        for text in ("one", "two", "three"):
            await answered(driver, text)
        assert run_command(driver.session, "/edit") == (
            "3: one\n2: two\n1: three\nType /edit NUMBER and the new text."
        )
        assert run_command(driver.session, "/edit 2 zwei") is None
        await driver.until(lambda: driver.texts(Role.ASSISTANT)[-1:] == ["You said zwei."])
        assert driver.texts(Role.USER) == ["one", "zwei"]
        assert heard(backend) == ["one", "You said one.", "zwei"]
