"""Line mode with a scripted session."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from following import Publisher
from piped_lines import read_lines_from

from voicechat.core.effects import EntryChanged, Floor, FloorChanged, Level, Notice
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
from voicechat.line_mode import app, line_client, line_input, pipe_filter
from voicechat.line_mode.slash_commands import help_lines
from voicechat.session.updates import (
    Cleared,
    HelpRequested,
    Link,
    LinkChanged,
    ModeChanged,
    SoundChanged,
)
from voicechat.session.view import SessionView
from voicechat.system import exit_deadline

MUTED = "Muted. Type /unmute to unmute."


class ScriptedSession(Publisher):
    """A session that connects and answers every line in capitals, one loop iteration later."""

    budget_used_up = joins_call = False
    speaker_label = "You"

    def __init__(self, *, with_sound: bool = False, hands_free: bool = False) -> None:
        super().__init__()
        self.transcript = Transcript()
        self.floor = Floor.IDLE
        self.link = Link.CONNECTING
        self.with_sound, self.hands_free = with_sound, hands_free
        self.asking: tuple[ToolCall, ...] = ()
        self.losses = ""
        self.knows_sound = False
        self.microphone = "a microphone" if with_sound else None
        self.muted = self.talking = self.pending = self.dismissed = False
        self.unmute_hint = SessionView.unmute_hint
        self.calls: list[tuple[Any, ...]] = []
        self.failure: Exception | None = None
        self.answer: Callable[[str], list[Entry]] = lambda text: [self.item(text.upper())]
        self._closing = asyncio.Event()
        self._number = 0

    async def run(self) -> None:
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        self.link = Link.ONLINE
        self.tell(LinkChanged(Link.ONLINE))
        if self.knows_sound:
            self.tell(SoundChanged(self.microphone, "a speaker"))
        await self._closing.wait()

    async def wait_for_tools(self) -> None:
        await asyncio.sleep(0)

    def dismiss_questions(self) -> None:
        self.dismissed = True

    def close(self) -> None:
        self._closing.set()

    def item(self, text: str, role: Role = Role.ASSISTANT, **fields: Any) -> Item:
        self._number += 1
        fields.setdefault("status", ItemStatus.COMPLETED)
        return Item(f"item{self._number}", role, text, **fields)

    def add_entry(self, entry: Entry) -> None:
        self.transcript.add(entry)
        self.tell(EntryChanged(entry_id(entry)))

    def set_floor(self, floor: Floor) -> None:
        self.floor = floor
        self.tell(FloorChanged(floor))

    def type(self, text: str) -> None:
        self.calls.append(("type", text))
        self.add_entry(self.item(text, Role.USER))
        self.set_floor(Floor.THINKING)
        asyncio.get_running_loop().call_soon(self._reply, text)

    def _reply(self, text: str) -> None:
        for entry in self.answer(text):
            self.add_entry(entry)
        self.set_floor(Floor.IDLE)

    def interrupt(self) -> None:
        self.calls.append(("interrupt",))

    def talk(self, on: bool) -> None:
        self.talking = on
        self.tell(ModeChanged(self.muted, self.hands_free, on))

    def set_muted(self, on: bool) -> None:
        self.muted = on
        self.tell(ModeChanged(on, self.hands_free, self.talking))

    def set_hands_free(self, on: bool) -> None:
        self.calls.append(("hands_free", on))

    def new_conversation(self) -> None:
        self.tell(Cleared())

    def request_help(self) -> None:
        self.tell(HelpRequested())


class SlowSession(ScriptedSession):
    """A session that answers after a number of steps of the event loop; -1: never."""

    def __init__(self, steps: int = 50) -> None:
        super().__init__()
        self.steps = steps

    def _reply(self, text: str, done: int = 0) -> None:
        if done == self.steps:
            super()._reply(text)
        elif not self._closing.is_set():
            asyncio.get_running_loop().call_soon(self._reply, text, done + 1)


@pytest.fixture
def standard_input(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], None]]:
    """A function that writes bytes to the standard input of the program and closes it."""
    reading, writing = os.pipe()
    read_lines_from(monkeypatch, reading)

    def write_and_close(raw: bytes) -> None:
        nonlocal writing
        os.write(writing, raw)
        os.close(writing)
        writing = -1

    yield write_and_close
    if writing >= 0:
        os.close(writing)
    os.close(reading)


async def run_filter(session: ScriptedSession) -> tuple[int, list[str]]:
    out = io.StringIO()
    code = await line_client.run_client(pipe_filter.Filter(session, out))  # type: ignore[arg-type]
    return code, out.getvalue().splitlines()


async def run_chat(session: ScriptedSession, echo: bool = True) -> tuple[int, list[str]]:
    out = io.StringIO()
    chat = app.Chat(session, out, echo=echo)  # type: ignore[arg-type]
    code = await line_client.run_client(chat)
    return code, out.getvalue().splitlines()


async def test_a_line_is_a_turn_and_only_answers_come_out(standard_input, capsys) -> None:
    standard_input(b"one\n\n  \ntwo\r\nthree")
    session = ScriptedSession()
    assert await run_filter(session) == (0, ["ONE", "TWO", "THREE"])
    assert [text for _, text in session.calls] == ["one", "two", "three"]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("echo", [True, False])
async def test_a_hint_fits_a_pipe_or_a_terminal(standard_input, echo: bool) -> None:
    standard_input(b"a\n")
    session = ScriptedSession()

    def answer(text: str) -> list[Entry]:
        session.tell(Notice("Wait.", hint="Type /let x.", pipe_hint="Run x."))
        return [session.item("fine")]

    session.answer = answer
    _, lines = await run_chat(session, echo=echo)
    assert ("Wait. Run x." if echo else "Wait. Type /let x.") in lines


async def test_no_input_is_no_error(standard_input) -> None:
    standard_input(b"")
    assert await run_filter(ScriptedSession()) == (0, [])


async def test_problems_go_to_standard_error(standard_input, capsys) -> None:
    standard_input(b"a\nb\n")
    session = ScriptedSession()

    def answer(text: str) -> list[Entry]:
        session.tell(Notice("Careful.", hint="Type this.", pipe_hint="Do this."))
        if text == "b":
            return [session.item("", status=ItemStatus.FAILED, error="The model broke.")]
        return [session.item("fine"), session.item("hidden", hidden=True)]

    session.answer = answer
    assert await run_filter(session) == (1, ["fine"])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "voicechat: Careful. Do this.\n" in captured.err
    assert "voicechat: The model broke.\n" in captured.err
    assert "A line got no answer." in captured.err


async def test_an_incomplete_answer_is_printed_with_its_reason_and_exit_code_1(
    standard_input, capsys
) -> None:
    session = ScriptedSession()

    def answer(text: str) -> list[Entry]:
        session.tell(Notice("It was too long."))
        return [session.item("Half", status=ItemStatus.FAILED, error="It was too long.")]

    session.answer = answer
    standard_input(b"hello\n")
    assert await run_filter(session) == (1, ["Half"])
    assert capsys.readouterr().err.count("It was too long.") == 1


@pytest.mark.parametrize("status", [ItemStatus.INTERRUPTED, ItemStatus.FAILED])
async def test_an_answer_that_was_cut_off_is_none(
    standard_input, capsys, status: ItemStatus
) -> None:
    session = ScriptedSession()
    session.answer = lambda text: [session.item("Half", status=status)]
    standard_input(b"hello\n")
    assert await run_filter(session) == (1, ["Half"])
    assert "voicechat: The answer is incomplete: it was cut off.\n" in capsys.readouterr().err


async def test_a_repeated_reason_is_printed_once(standard_input, capsys) -> None:
    session = ScriptedSession()

    def answer(text: str) -> list[Entry]:
        for _ in range(7):
            session.tell(LinkChanged(Link.RECONNECTING, "The server closed the connection."))
            session.tell(LinkChanged(Link.ONLINE, "Reconnected."))
        return [session.item("fine")]

    session.answer = answer
    standard_input(b"hello\n")
    await run_filter(session)
    assert capsys.readouterr().err.count("The server closed the connection.") == 1


async def test_commands_of_a_pipe_do_not_go_to_the_model(standard_input, capsys) -> None:
    standard_input(b"/help\n  /helq\n/Forgte it\n/dance\n/usr/bin is what?\n/quit\nnever\n")
    session = ScriptedSession()
    assert await run_filter(session) == (1, ["/USR/BIN IS WHAT?"])
    assert session.calls == [("type", "/usr/bin is what?")]
    assert capsys.readouterr().err.splitlines() == [
        f"voicechat: {line}"
        for line in (
            *help_lines(),
            "There is no /helq. Did you mean /help?",
            "There is no /Forgte. Did you mean /forget?",
            "There is no /dance. /help lists the commands.",
        )
    ]


@pytest.mark.parametrize("line", [b"/volume abc\n", b"/helq\n", b"/mute\n", b"/new now\n/quit\n"])
async def test_a_failed_command_is_exit_code_1_in_every_pipe(
    standard_input, capsys, line: bytes
) -> None:
    standard_input(line)
    assert (await run_filter(ScriptedSession()))[0] == 1
    assert len(capsys.readouterr().err.splitlines()) == 1, "no second sentence"


@pytest.mark.parametrize("line", [b"/volume abc\n", b"/helq\n", b"/mute\n", b"/new now\n/quit\n"])
async def test_a_failed_command_is_exit_code_1_in_a_plain_pipe(standard_input, line: bytes) -> None:
    standard_input(line)
    assert (await run_chat(ScriptedSession()))[0] == 1


async def test_a_failed_command_at_a_terminal_exits_with_0(standard_input) -> None:
    standard_input(b"/helq\n")
    assert (await run_chat(ScriptedSession(), echo=False))[0] == 0


async def test_a_turn_waits_for_its_tools(standard_input) -> None:
    standard_input(b"a\nb\n")
    session = ScriptedSession()
    call = ToolCall("call", "item", "response", "clock", state=ToolState.RUNNING)
    turns: list[str] = []

    def finish() -> None:
        turns.append("tool")
        call.state = ToolState.DONE
        session.add_entry(session.item("noon"))

    def answer(text: str) -> list[Entry]:
        turns.append(text)
        if text == "b":
            return [session.item("later")]
        asyncio.get_running_loop().call_later(0.01, finish)
        return [call]

    session.answer = answer
    assert await run_filter(session) == (0, ["noon", "later"])
    assert turns == ["a", "tool", "b"]


async def test_a_session_that_cannot_begin_raises_its_error(standard_input) -> None:
    session = ScriptedSession()
    session.failure = ConnectError("No server answers.")
    with pytest.raises(ConnectError, match=r"No server answers\."):
        await run_filter(session)


async def test_invalid_utf_8_and_nul_are_replaced(standard_input) -> None:
    standard_input(b"\xff\x00x\n")
    session = ScriptedSession()
    await run_filter(session)
    assert session.calls == [("type", "\ufffd\ufffdx")]


async def test_a_line_above_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_input, "_read_some", lambda descriptor: b"x" * 65_536)
    with pytest.raises(UsageError, match="longer than 1 MB"):
        await run_filter(ScriptedSession())


async def test_a_signal_ends_the_filter_with_its_exit_code(
    standard_input, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exit_deadline, "end_within", lambda *_: None)
    session = ScriptedSession()
    loop = asyncio.get_running_loop()
    loop.call_later(0.05, os.kill, os.getpid(), signal.SIGTERM)
    code, _ = await run_filter(session)
    loop.remove_signal_handler(signal.SIGTERM)
    loop.remove_signal_handler(signal.SIGHUP)
    assert code == 128 + signal.SIGTERM


async def test_turns_and_states_are_printed_as_lines(standard_input) -> None:
    standard_input(b"hello\n")
    session = ScriptedSession()
    call = ToolCall("call", "item", "response", "clock", state=ToolState.DONE)

    def answer(text: str) -> list[Entry]:
        session.tell(SoundChanged(None, None, "There is no microphone.", "Connect a device."))
        interrupted = session.item("I know a lot", heard_chars=6, status=ItemStatus.INTERRUPTED)
        return [call, interrupted, session.item("Hi.")]

    session.answer = answer
    assert await run_chat(session) == (
        0,
        [
            "Ready. Type a message, or /help.",
            "You: hello",
            "Thinking.",
            "There is no microphone. Connect a device.",
            "The tool clock is done.",
            "Assistant: I know (interrupted)",
            "Assistant: Hi.",
        ],
    )


async def test_a_line_without_a_connection_is_announced(standard_input) -> None:
    standard_input(b"hello\n")
    session = ScriptedSession()
    waiting = session.item("hello", role=Role.USER, status=ItemStatus.COMPLETED)
    waiting.unsent = True
    session.answer = lambda text: [waiting]
    _, lines = await run_chat(session, echo=False)
    assert "There is no connection. The line is sent when it is back." in lines
    assert session.outlives_connections


async def test_the_user_is_called_once_the_microphone_delivers(standard_input) -> None:
    standard_input(b"hello\n")
    session = ScriptedSession(with_sound=True, hands_free=True)
    session.microphone = None
    seen: list[str] = []
    out = io.StringIO()

    def opened() -> None:
        seen.extend(out.getvalue().splitlines())
        session.microphone = "a microphone"
        session.tell(SoundChanged("a microphone", "a speaker"))

    session.floor = Floor.LISTENING
    session.tell(FloorChanged(Floor.LISTENING))
    asyncio.get_running_loop().call_later(0.05, opened)
    assert await line_client.run_client(app.Chat(session, out)) == 0  # type: ignore[arg-type]
    assert seen == []
    assert out.getvalue().splitlines()[:2] == ["Listening.", "Ready. Type a message, or /help."]


async def test_a_microphone_that_stays_unknown_does_not_keep_the_user_waiting(
    standard_input, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "_SOUND_TIMEOUT_S", 0.01)
    standard_input(b"hello\n")
    session = ScriptedSession(with_sound=True)
    session.microphone = None
    _, lines = await run_chat(session)
    assert lines[0] == "Ready. Type a message, or /help."
    assert lines[-1] == "Assistant: HELLO"


async def test_each_line_of_a_pipe_is_answered_before_the_next(standard_input) -> None:
    standard_input(b"one\ntwo\n/help\nthree\n/quit\n")
    _, lines = await run_chat(SlowSession())
    kept = [line for line in lines if line.startswith(("You", "Assistant"))]
    assert kept == [
        "You: one",
        "Assistant: ONE",
        "You: two",
        "Assistant: TWO",
        "You: three",
        "Assistant: THREE",
    ]


async def test_a_line_of_a_pipe_without_an_answer_is_reported(
    standard_input, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "TURN_TIMEOUT_S", 0.01)
    standard_input(b"one\n")
    session = SlowSession(steps=-1)
    session.link = Link.ONLINE
    _, lines = await run_chat(session)
    assert lines[-1] == "A line got no answer."


async def test_lines_typed_at_a_terminal_are_not_repeated(standard_input) -> None:
    standard_input(b"hello\n")
    _, lines = await run_chat(ScriptedSession(), echo=False)
    assert "Assistant: HELLO" in lines
    assert "You: hello" not in lines


async def test_commands_run_in_order(standard_input) -> None:
    standard_input(
        b"/mute\n/unmute\n/new\n/hands-free\n/interrupt\n\n/dance now\n/help\n/quit\nnever\n"
    )
    session = ScriptedSession(with_sound=True, hands_free=True)
    code, lines = await run_chat(session)
    assert code == 1, "there is no /dance"
    assert session.calls == [("hands_free", True), ("interrupt",), ("interrupt",)]
    assert lines[1:7] == [
        MUTED,
        "Not muted.",
        "A new conversation.",
        "Hands-free is on.",
        "There is nothing to stop.",
        "There is no /dance. /help lists the commands.",
    ]
    assert lines[7:] == [
        *help_lines(),
        "An empty line, with push-to-talk: start or end your turn.",
        "An empty line, otherwise: stop speech, thinking and tools.",
    ]


async def test_commands_report_the_state_without_a_microphone(standard_input) -> None:
    standard_input(b"/push-to-talk\n/mute\n/unmute\n/hands-free\n/quit\n")
    session = ScriptedSession(with_sound=True, hands_free=True)
    session.microphone, session.knows_sound = None, True
    _, lines = await run_chat(session)
    assert lines[1:] == [
        "Push-to-talk is on. There is no microphone.",
        "Muted. There is no microphone.",
        "Not muted. There is no microphone.",
        "There is no microphone.",
    ]


async def test_mute_while_talking_is_reported_once_per_command(standard_input) -> None:
    standard_input(b"\n/mute\n/mute\n/quit\n")
    session = ScriptedSession(with_sound=True, hands_free=False)
    _, lines = await run_chat(session)
    assert lines[1:] == ["Talk now. An empty line ends your turn.", MUTED, MUTED]


async def test_enter_talks_in_push_to_talk(standard_input) -> None:
    standard_input(b"\n\n/quit\n")
    session = ScriptedSession(with_sound=True, hands_free=False)
    _, lines = await run_chat(session)
    assert lines[1:] == ["Talk now. An empty line ends your turn."]
    assert not session.talking


async def test_enter_does_not_talk_without_a_microphone(standard_input) -> None:
    standard_input(b"\n/quit\n")
    session = ScriptedSession(with_sound=True, hands_free=False)
    session.microphone, session.knows_sound = None, True
    _, lines = await run_chat(session)
    assert lines[1:] == []
    assert session.calls == [("interrupt",)]


@pytest.mark.parametrize("losses", ["", "The 1 minute timer will not ring without voicechat."])
def test_the_end_tells_what_it_loses(losses: str, capsys: pytest.CaptureFixture[str]) -> None:
    async def run() -> int:
        return 0

    client = SimpleNamespace(session=SimpleNamespace(losses=losses))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_client, "run_client", lambda client: run())
        assert line_client.run_to_end(client) == 0  # type: ignore[arg-type]
    assert capsys.readouterr().err == (f"voicechat: {losses}\n" if losses else "")


async def test_messages_typed_during_an_answer_wait_for_it(standard_input) -> None:
    standard_input(b"one\ntwo\n/say\nthree\n")
    session = SlowSession()
    _, lines = await run_chat(session, echo=False)
    assert [text for _, text in session.calls] == ["one", "two", "three"]
    assert [line for line in lines if line.startswith("Assistant")] == [
        "Assistant: ONE",
        "Assistant: TWO",
        "Assistant: THREE",
    ]
    assert "This is sent after the answer. An empty line stops the answer." in lines


async def test_commands_and_the_stop_do_not_wait_for_an_answer(standard_input) -> None:
    standard_input(b"one\ntwo\n/volume\n\n/quit\n")
    session = SlowSession(steps=-1)
    _, lines = await run_chat(session, echo=False)
    assert session.calls == [("type", "one"), ("interrupt",)]
    assert "There is no speaker in a typed chat. Start without --text." in lines


async def test_the_number_of_waiting_messages_is_bounded(
    standard_input, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "MAX_WAITING", 1)
    standard_input(b"one\ntwo\nthree\n/quit\n")
    _, lines = await run_chat(SlowSession(steps=-1), echo=False)
    assert lines[-1] == "1 messages wait already. Wait for an answer."


async def test_a_turn_prints_one_line_about_its_state(standard_input) -> None:
    standard_input(b"a\n")
    session = ScriptedSession(with_sound=True)

    def answer(text: str) -> list[Entry]:
        for floor in (Floor.WORKING, Floor.THINKING, Floor.SPEAKING, Floor.LISTENING):
            session.set_floor(floor)
        session.set_floor(Floor.HEARING)
        session.set_floor(Floor.THINKING)
        return [session.item("fine")]

    session.answer = answer
    _, lines = await run_chat(session, echo=False)
    assert lines[1:] == ["Thinking.", "Hearing you.", "Thinking.", "Assistant: fine"]


async def test_each_part_that_loads_has_one_line(standard_input) -> None:
    standard_input(b"a\n")
    session = ScriptedSession()

    def answer(text: str) -> list[Entry]:
        for part in ("recognizer: 0%", "voice: 10%", "recognizer: 55%", "voice: 100%"):
            session.tell(LinkChanged(Link.CONNECTING, f"Loading the {part}"))
        return []

    session.answer = answer
    _, lines = await run_chat(session, echo=False)
    assert [each for each in lines if "Loading" in each] == [
        "Loading the recognizer.",
        "Loading the voice.",
    ]


async def test_a_refused_line_of_a_pipe_has_one_message(standard_input, capsys) -> None:
    standard_input(b"a\n")
    session = ScriptedSession()

    def answer(text: str) -> list[Entry]:
        session.tell(Notice("There is no file a.", Level.WARNING))
        return []

    session.answer = answer
    assert await run_filter(session) == (1, [])
    assert capsys.readouterr().err == "voicechat: There is no file a.\n"
