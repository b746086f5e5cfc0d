"""Approval in line mode: the printed view of a call, and the commands that decide."""

from __future__ import annotations

import asyncio
import io
import json
import re
from dataclasses import replace

import pytest

from voicechat.config.options import Options
from voicechat.core import events, inputs
from voicechat.core.items import ToolCall, ToolState
from voicechat.core.settings import Permission, ToolSpec
from voicechat.errors import UsageError
from voicechat.line_mode import app, pipe_filter
from voicechat.line_mode.approval_view import approval_lines, approval_view
from voicechat.line_mode.completion import completions
from voicechat.line_mode.slash_commands import COMMANDS, run_command
from voicechat.session.session import Session
from voicechat.tools.permission_rules import ArgumentRules
from voicechat.tools.question import FormField

WRITE = ToolSpec("write", "Write.", {}, Permission.ASK, "built in")
RUN = ToolSpec("run", "Run.", {}, Permission.ASK, "built in", asks_always=True)


class ApprovalSetup:
    """A session without a connection whose tools need approval, and a chat that prints it."""

    def __init__(self, *, interactive: bool = True) -> None:
        self.session = Session(Options(with_sound=False))
        self.out = io.StringIO()
        self.chat = app.Chat(self.session, self.out, echo=not interactive)
        self.emit(
            inputs.OfferTools((WRITE, RUN)), events.SessionCreated("s"), events.ResponseCreated("r")
        )

    def emit(self, *emitted: events.Event | inputs.Input) -> None:
        for event in emitted:
            self.session._handle(event)

    def call_tool(self, name: str, call_id: str, arguments: str = "{}") -> ToolCall:
        self.emit(events.ToolCallReady("r", f"i{call_id}", call_id, name, arguments))
        call = self.session.transcript.get(call_id)
        assert isinstance(call, ToolCall)
        return call

    @property
    def printed(self) -> list[str]:
        self.chat.handle_updates()
        return self.out.getvalue().splitlines()


def test_many_arguments_are_read_in_one_pass() -> None:
    class Compared(str):
        count = 0

        def __eq__(self, other: object) -> bool:
            Compared.count += 1
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    pairs = [(Compared(f"a{number}"), 1) for number in range(2_000)]

    def loads(text: str, object_pairs_hook: object) -> object:
        return object_pairs_hook(pairs)  # type: ignore[operator]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("voicechat.line_mode.approval_view.json.loads", loads)
        printed_view("{}")
    assert Compared.count < 20_000


def printed_view(arguments: str, **more: object) -> list[str]:
    return approval_lines(approval_view(ToolCall("c", "i", "r", "write", arguments, **more)))  # type: ignore[arg-type]


def test_every_argument_is_shown_completely_and_no_value_can_imitate_another_line() -> None:
    text = json.dumps({"path": "a\n| force:\n|   true", "n": 3, "deep": {"x": ["y"]}})
    assert printed_view(text) == [
        "| path:", "|   a", "|   | force:", "|   |   true",
        "| n:", "|   3",
        "| deep:", "|   {", '|     "x": [', '|       "y"', "|     ]", "|   }",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["not json", "[1]", '"x"', "{", '{"a": 1, "a": 2}'])
def test_arguments_that_are_not_a_plain_object_are_shown_as_raw_text(text: str) -> None:
    lines = printed_view(text)
    assert lines[:2] == ["| raw text:", f"|   {text}"]
    assert ("! “a” appears twice; the last value counts." in lines) is ('"a": 2' in text)


def test_confusable_characters_and_the_remark_of_the_call_are_shown() -> None:
    lines = printed_view('{"path": "/еtс"}', remark="It was\nanother.")
    assert lines == [
        "| path:", "|   /еtс",
        "! It was", "! another.",
        "! “еtс” mixes Cyrillic and Latin letters.",
    ]  # fmt: skip
    assert printed_view("{}") == ["| no arguments"]


async def test_a_call_is_printed_with_the_commands_that_decide_on_it() -> None:
    setup = ApprovalSetup()
    setup.call_tool("write", "c1", '{"path": "a", "text": "b"}')
    assert setup.printed[-6:] == [
        "Allow the tool write (built in) to run? It would receive:",
        "| path:", "|   a",
        "| text:", "|   b",
        "Type /allow 1, /allow 1 session, /always 1, or /deny 1 with an optional reason.",
    ]  # fmt: skip
    setup.call_tool("run", "c2")
    assert setup.printed[-1] == "Type /allow 2, or /deny 2 with an optional reason."


async def test_commands_decide_by_number() -> None:
    setup = ApprovalSetup()
    one, two, three = (setup.call_tool("write", f"c{n}") for n in (1, 2, 3))
    for line in ("/allow", "/allow 4", "/always 1 x", "/allow 1 for ever", "/deny now"):
        with pytest.raises(UsageError):
            run_command(setup.session, line)
    assert run_command(setup.session, "/allow 2") == "write may run once."
    assert (one.state, two.state) == (ToolState.ASKING, ToolState.RUNNING)
    assert run_command(setup.session, "/deny 1 not this one") == "write will not run."
    assert one.state is ToolState.DENIED
    assert "not this one" in str(one.output)
    assert "until this conversation ends" in str(run_command(setup.session, "/allow 3 session"))
    assert three.state is ToolState.RUNNING
    with pytest.raises(UsageError, match="No tool is waiting"):
        run_command(setup.session, "/allow 1")


async def test_commands_of_a_pattern_can_be_always_allowed() -> None:
    setup = ApprovalSetup()
    rules = ArgumentRules((), {"properties": {"command": {}}}, "command")
    setup.emit(inputs.OfferTools((replace(RUN, rules=rules),)))
    call = setup.call_tool("run", "c1", '{"command": "git  status -s"}')
    assert setup.printed[-1] == (
        "Type /allow 1, /always 1 git status -s, or /deny 1 with an optional reason."
    )
    for line, said in (("* -s", "must begin with"), ("git push*", "It is git status -s")):
        with pytest.raises(UsageError, match=re.escape(said)):
            run_command(setup.session, f"/always 1 {line}")
    assert call.state is ToolState.ASKING
    assert run_command(setup.session, "/always 1 git status*") == (
        "run may always run “git status*”; voicechat tools --revoke run reverts that."
    )
    assert call.state is ToolState.RUNNING
    setup.call_tool("run", "c2", '{"command": "git status; id"}')
    assert setup.printed[-1] == "Type /allow 2, or /deny 2 with an optional reason."


async def test_a_tool_that_asks_each_time_cannot_be_always_allowed() -> None:
    setup = ApprovalSetup()
    call = setup.call_tool("run", "c1")
    with pytest.raises(UsageError, match="cannot always be allowed"):
        run_command(setup.session, "/always 1")
    assert run_command(setup.session, "/allow 1 session") == "run may run once."
    assert call.state is ToolState.RUNNING


async def test_without_a_user_a_call_is_denied() -> None:
    setup = ApprovalSetup(interactive=False)
    call = setup.call_tool("write", "c1")
    setup.chat.handle_updates()
    assert call.state is ToolState.DENIED
    assert "No user is present" in str(call.output)
    assert "The tool write was not allowed." in setup.printed


async def test_a_filter_denies_calls(capsys: pytest.CaptureFixture[str]) -> None:
    setup = ApprovalSetup()
    filter_client = pipe_filter.Filter(setup.session, io.StringIO())
    call = setup.call_tool("write", "c1")
    filter_client.handle_updates()
    assert call.state is ToolState.DENIED
    assert "no user is present to approve it" in capsys.readouterr().err


async def test_calls_of_the_provider_use_the_same_commands() -> None:
    setup = ApprovalSetup()
    setup.emit(events.RemoteApproval("m1", "r", "wiki", "edit", '{"page": "x"}'))
    [call] = setup.session.asking
    assert (call.number, call.source) == (1, "wiki")
    assert setup.printed[-4:] == [
        "Allow the tool edit (wiki, run by the provider) to run? It would receive:",
        "| page:", "|   x",
        "Type /allow 1, /allow 1 session, or /deny 1 with an optional reason.",
    ]  # fmt: skip
    setup.session.decide("m1", '{"page": "y"}', inputs.Decision.ONCE)
    assert call.state is ToolState.ASKING
    run_command(setup.session, "/allow 1 session")
    assert call.state is ToolState.QUEUED
    setup.emit(events.RemoteApproval("m2", "r", "wiki", "edit", '{"page": "z"}'))
    setup.emit(events.RemoteApproval("m3", "r", "wiki", "erase", "{}"))
    assert [each.name for each in setup.session.asking] == ["erase"]
    run_command(setup.session, "/deny 2")
    assert setup.session.asking == ()


@pytest.mark.parametrize("line", ["/allow 1", "/always 1", "/deny 1", "/let files"])
async def test_a_line_of_a_pipe_cannot_decide(line: str) -> None:
    setup = ApprovalSetup(interactive=False)
    call = setup.call_tool("write", "c1")
    with pytest.raises(UsageError, match="a pipe cannot decide"):
        run_command(setup.session, line, by_user=False)
    assert call.state is ToolState.ASKING
    setup.chat._run_line(line)
    assert setup.printed[-1].endswith("needs a user at a terminal; a pipe cannot decide.")
    assert "No user is present to approve it" in str(call.output)


@pytest.mark.parametrize(
    "command",
    ["ls" + " " * 60 + "rm -rf /", "ls" + "\n" * 12 + "rm -rf /", "ls\n" + " \n" * 9 + "x"],
)
def test_text_behind_a_long_gap_gives_a_remark(command: str) -> None:
    assert "! More text follows after a long run of spaces or empty lines." in printed_view(
        json.dumps({"command": command})
    )


def test_usual_indentation_and_paragraphs_give_no_remark() -> None:
    text = "def f():\n    if x:\n        return 1\n\n\ndef g():\n    pass\n"
    assert not any(line.startswith("!") for line in printed_view(json.dumps({"text": text})))


def test_deep_nesting_is_not_indented() -> None:
    nested = "[" * 900 + "]" * 900
    assert len("\n".join(printed_view(f'{{"a": {nested}}}'))) < 10_000
    assert len(printed_view(json.dumps({"a": [1] * 6_000}))) < 10


def test_an_argument_without_a_name_is_shown_as_raw_text() -> None:
    assert printed_view('{"": "x"}') == ["| raw text:", '|   {"": "x"}']


# ------------------------------------------------------------- questions of MCP servers


async def test_a_typed_command_answers_a_question() -> None:
    setup = ApprovalSetup()
    questions = setup.session._tools.questions
    color = FormField("color", "string", choices=(("r", "red"),), required=True)
    asking = asyncio.create_task(questions.ask("MCP server x", "Which?", (color,)))
    await asyncio.sleep(0)
    assert setup.printed[-1] == (
        "The MCP server x asks: Which? color (only red) Type /answer 1 VALUE or /decline 1."
    )
    with pytest.raises(UsageError, match="/answer takes the number of a waiting question"):
        run_command(setup.session, "/answer red")
    with pytest.raises(UsageError, match=r"color must be red\."):
        run_command(setup.session, "/answer 1 blue")
    assert [each.label for each in completions(setup.session, "/decline ")] == ["1"]
    run_command(setup.session, "/answer 1 red")
    assert (await asking).values == {"color": "r"}
    assert setup.printed[-1] == "The MCP server x has your answer."
    with pytest.raises(UsageError, match="No question is waiting"):
        run_command(setup.session, "/decline 1")
    other = asyncio.create_task(questions.ask("MCP server x", "Again?"))
    await asyncio.sleep(0)
    run_command(setup.session, "/decline 2")
    assert (await other).action == "decline"


async def test_a_question_in_a_pipe_is_dismissed() -> None:
    setup = ApprovalSetup(interactive=False)
    asking = asyncio.create_task(setup.session._tools.questions.ask("MCP server x", "Which?"))
    await asyncio.sleep(0)
    assert "It gets no answer, because no user is present." in setup.printed[-1]
    assert (await asking).action == "cancel"


@pytest.mark.parametrize("source", ["built in", "MCP server files"])
def test_a_slash_command_of_the_model_is_shown_as_the_command(source: str) -> None:
    tool = "control_app_with_approval"
    call = ToolCall("c", "i", "r", tool, '{"command": "new"}', source=source)
    view = approval_view(call)
    if source == "built in":
        assert (view.kind, view.name) == ("command", "/new")
        assert view.fields == (("effect", COMMANDS["/new"].summary),)
    else:
        assert (view.kind, view.name) == ("tool", tool)


def test_the_argument_of_a_slash_command_is_shown_completely() -> None:
    arguments = '{"command": "model", "argument": "local/x"}'
    tool = "control_app_with_approval"
    view = approval_view(ToolCall("c", "i", "r", tool, arguments, source="built in"))
    assert (view.name, view.fields[-1]) == ("/model", ("argument", "local/x"))
    odd = '{"command": "new", "other": "x"}'
    assert approval_view(ToolCall("c", "i", "r", tool, odd, source="built in")).name == tool
