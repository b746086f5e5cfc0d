"""The line mode against a session that follows a script."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from following import Publisher

from voicechat.core.effects import EntryChanged, Floor, FloorChanged, Notice
from voicechat.core.items import (
    Entry,
    Item,
    ItemStatus,
    Role,
    ToolCall,
    ToolState,
    Transcript,
    entry_id,
)
from voicechat.errors import ConnectError, UsageError
from voicechat.line_mode import app, line_input
from voicechat.line_mode.slash_commands import help_lines
from voicechat.session.updates import Cleared, Link, LinkChanged, ModeChanged, SoundChanged


class Scripted(Publisher):
    """A session that goes online and answers every line in capitals, a loop turn later."""

    def __init__(self, *, with_sound: bool = False, hands_free: bool = False) -> None:
        super().__init__()
        self.transcript = Transcript()
        self.floor = Floor.IDLE
        self.link = Link.CONNECTING
        self.with_sound, self.hands_free = with_sound, hands_free
        self.microphone = "a microphone" if with_sound else None
        self.muted = self.talking = self.pending = False
        self.asked: list[tuple[Any, ...]] = []
        self.failure: Exception | None = None
        self.answer: Callable[[str], list[Entry]] = lambda text: [self.said(text.upper())]
        self._over = asyncio.Event()
        self._number = 0

    async def run(self) -> None:
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        self.link = Link.ONLINE
        self.tell(LinkChanged(Link.ONLINE))
        await self._over.wait()

    async def wait_for_tools(self) -> None:
        await asyncio.sleep(0)

    def close(self) -> None:
        self._over.set()

    def said(self, text: str, role: Role = Role.ASSISTANT, **fields: Any) -> Item:
        self._number += 1
        fields.setdefault("status", ItemStatus.COMPLETED)
        return Item(f"item{self._number}", role, text, **fields)

    def show(self, entry: Entry) -> None:
        self.transcript.add(entry)
        self.tell(EntryChanged(entry_id(entry)))

    def pass_floor(self, floor: Floor) -> None:
        self.floor = floor
        self.tell(FloorChanged(floor))

    def type(self, text: str) -> None:
        self.asked.append(("type", text))
        self.show(self.said(text, Role.USER))
        self.pass_floor(Floor.THINKING)
        asyncio.get_running_loop().call_soon(self._reply, text)

    def _reply(self, text: str) -> None:
        for entry in self.answer(text):
            self.show(entry)
        self.pass_floor(Floor.IDLE)

    def interrupt(self) -> None:
        self.asked.append(("interrupt",))

    def talk(self, on: bool) -> None:
        self.talking = on
        self.tell(ModeChanged(self.muted, self.hands_free, on))

    def set_muted(self, on: bool) -> None:
        self.muted = on
        self.tell(ModeChanged(on, self.hands_free, self.talking))

    def set_hands_free(self, on: bool) -> None:
        self.asked.append(("hands_free", on))

    def new_conversation(self) -> None:
        self.tell(Cleared())


@pytest.fixture
def typing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], None]]:
    """Puts bytes on what the program reads as its standard input, and closes it."""
    reading, writing = os.pipe()
    monkeypatch.setattr(line_input, "_read_some", lambda descriptor: os.read(reading, 65_536))

    def write(raw: bytes) -> None:
        nonlocal writing
        os.write(writing, raw)
        os.close(writing)
        writing = -1

    yield write
    if writing >= 0:
        os.close(writing)
    os.close(reading)


async def filtered(session: Scripted) -> tuple[int, list[str]]:
    out = io.StringIO()
    code = await app.live(app.Filter(session, out))  # type: ignore[arg-type]
    return code, out.getvalue().splitlines()


async def chatted(session: Scripted, echo: bool = True) -> tuple[int, list[str]]:
    out = io.StringIO()
    chat = app.Chat(session, out, echo=echo)  # type: ignore[arg-type]
    code = await app.live(chat)
    return code, out.getvalue().splitlines()


async def test_a_line_is_a_turn_and_only_answers_come_out(typing, capsys) -> None:
    typing(b"one\n\n  \ntwo\r\nthree")
    session = Scripted()
    assert await filtered(session) == (0, ["ONE", "TWO", "THREE"])
    assert [text for _, text in session.asked] == ["one", "two", "three"]
    assert capsys.readouterr() == ("", "")


async def test_no_input_is_no_error(typing) -> None:
    typing(b"")
    assert await filtered(Scripted()) == (0, [])


async def test_trouble_goes_to_standard_error(typing, capsys) -> None:
    typing(b"a\nb\n")
    session = Scripted()

    def answer(text: str) -> list[Entry]:
        session.tell(Notice("Careful.", hint="Do this."))
        if text == "b":
            return [session.said("", status=ItemStatus.FAILED, error="The model broke.")]
        return [session.said("fine"), session.said("hidden", hidden=True)]

    session.answer = answer
    assert await filtered(session) == (1, ["fine"])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "voicechat: Careful. Do this.\n" in captured.err
    assert "voicechat: The model broke.\n" in captured.err
    assert "A line got no answer." in captured.err


async def test_commands_of_a_pipe_do_not_go_to_the_model(typing, capsys) -> None:
    typing(b"/help\n  /helq\n/Forgte it\n/dance\n/usr/bin is what?\n/quit\nnever\n")
    session = Scripted()
    assert await filtered(session) == (1, ["/USR/BIN IS WHAT?"])
    assert session.asked == [("type", "/usr/bin is what?")]
    assert capsys.readouterr().err.splitlines() == [
        f"voicechat: {line}"
        for line in (
            *help_lines(),
            "/quit: quit.",
            "There is no /helq. Did you mean /help?",
            "There is no /Forgte. Did you mean /forget?",
            "There is no /dance. /help lists the commands.",
        )
    ]


@pytest.mark.parametrize("line", [b"/volume abc\n", b"/helq\n", b"/mute\n", b"/new now\n/quit\n"])
async def test_a_failed_command_is_exit_code_1_in_every_pipe(typing, capsys, line: bytes) -> None:
    typing(line)
    assert (await filtered(Scripted()))[0] == 1
    assert len(capsys.readouterr().err.splitlines()) == 1, "no second sentence"


@pytest.mark.parametrize("line", [b"/volume abc\n", b"/helq\n", b"/mute\n", b"/new now\n/quit\n"])
async def test_a_failed_command_is_exit_code_1_in_a_plain_pipe(typing, line: bytes) -> None:
    typing(line)
    assert (await chatted(Scripted()))[0] == 1


async def test_a_user_at_a_terminal_saw_what_failed(typing) -> None:
    typing(b"/helq\n")
    assert (await chatted(Scripted(), echo=False))[0] == 0


async def test_a_turn_waits_for_its_tools(typing) -> None:
    typing(b"a\nb\n")
    session = Scripted()
    call = ToolCall("call", "item", "response", "clock", state=ToolState.RUNNING)
    turns: list[str] = []

    def finish() -> None:
        turns.append("tool")
        call.state = ToolState.DONE
        session.show(session.said("noon"))

    def answer(text: str) -> list[Entry]:
        turns.append(text)
        if text == "b":
            return [session.said("later")]
        asyncio.get_running_loop().call_later(0.01, finish)
        return [call]

    session.answer = answer
    assert await filtered(session) == (0, ["noon", "later"])
    assert turns == ["a", "tool", "b"]


async def test_a_session_that_cannot_begin_says_so(typing) -> None:
    session = Scripted()
    session.failure = ConnectError("No server answers.")
    with pytest.raises(ConnectError, match=r"No server answers\."):
        await filtered(session)


async def test_odd_bytes_and_endless_lines(typing) -> None:
    typing(b"\xff\x00x\n")
    session = Scripted()
    await filtered(session)
    assert session.asked == [("type", "\ufffd\ufffdx")]


async def test_a_line_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_input, "_read_some", lambda descriptor: b"x" * 65_536)
    with pytest.raises(UsageError, match="longer than 1 MB"):
        await filtered(Scripted())


async def test_a_signal_ends_it_with_its_own_code(typing) -> None:
    session = Scripted()
    loop = asyncio.get_running_loop()
    loop.call_later(0.05, os.kill, os.getpid(), signal.SIGTERM)
    code, _ = await filtered(session)
    loop.remove_signal_handler(signal.SIGTERM)
    loop.remove_signal_handler(signal.SIGHUP)
    assert code == 128 + signal.SIGTERM


async def test_both_sides_and_states_in_lines(typing) -> None:
    typing(b"hello\n")
    session = Scripted()
    call = ToolCall("call", "item", "response", "clock", state=ToolState.DONE)

    def answer(text: str) -> list[Entry]:
        session.tell(SoundChanged(None, None, "There is no microphone.", "Plug one in."))
        cut = session.said("I know a lot", heard_chars=6, status=ItemStatus.INTERRUPTED)
        return [call, cut, session.said("Hi.")]

    session.answer = answer
    assert await chatted(session) == (
        0,
        [
            "Ready. Type a message, or /help.",
            "You: hello",
            "Thinking.",
            "There is no microphone. Plug one in.",
            "The tool clock is done.",
            "Assistant: I know (interrupted)",
            "Assistant: Hi.",
        ],
    )


async def test_what_stands_on_the_terminal_is_not_repeated(typing) -> None:
    typing(b"hello\n")
    _, lines = await chatted(Scripted(), echo=False)
    assert "Assistant: HELLO" in lines
    assert "You: hello" not in lines


async def test_commands(typing) -> None:
    typing(b"/mute\n/unmute\n/new\n/hands-free\n/interrupt\n\n/dance now\n/help\n/quit\nnever\n")
    session = Scripted(with_sound=True, hands_free=True)
    code, lines = await chatted(session)
    assert code == 1, "there is no /dance"
    assert session.asked == [("hands_free", True), ("interrupt",), ("interrupt",)]
    assert lines[1:5] == [
        "Muted.",
        "Not muted.",
        "A new conversation.",
        "There is no /dance. /help lists the commands.",
    ]
    assert lines[5:-1] == help_lines()


async def test_enter_talks_when_the_person_ends_turns(typing) -> None:
    typing(b"\n\n/quit\n")
    session = Scripted(with_sound=True, hands_free=False)
    _, lines = await chatted(session)
    assert lines[1:] == ["Talk now. An empty line ends your turn."]
    assert not session.talking


async def test_enter_does_not_talk_where_nobody_listens(typing) -> None:
    typing(b"\n/quit\n")
    session = Scripted(with_sound=True, hands_free=False)
    session.microphone = None
    _, lines = await chatted(session)
    assert lines[1:] == []
    assert session.asked == [("interrupt",)]
