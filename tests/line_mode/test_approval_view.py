"""Asking in lines: what a person reads of a call, and the commands that decide."""

from __future__ import annotations

import io
import json

import pytest

from voicechat.config.options import Options
from voicechat.core import events, inputs
from voicechat.core.items import ToolCall, ToolState
from voicechat.core.settings import Permission, ToolSpec
from voicechat.errors import UsageError
from voicechat.line_mode import app
from voicechat.line_mode.approval_view import asked, lines
from voicechat.line_mode.slash_commands import obey
from voicechat.session.session import Session

WRITE = ToolSpec("write", "Write.", {}, Permission.ASK, "built in")
RUN = ToolSpec("run", "Run.", {}, Permission.ASK, "built in", asks_always=True)


class Table:
    """A session that is not connected, where tools ask, and lines tell of it."""

    def __init__(self, *, typed: bool = True) -> None:
        self.session = Session(Options(with_sound=False))
        self.out = io.StringIO()
        self.chat = app.Chat(self.session, self.out, echo=not typed)
        self.take(
            inputs.OfferTools((WRITE, RUN)), events.SessionCreated("s"), events.ResponseCreated("r")
        )

    def take(self, *happenings: events.Event | inputs.Input) -> None:
        for happening in happenings:
            self.session._take(happening)

    def called(self, name: str, call_id: str, arguments: str = "{}") -> ToolCall:
        self.take(events.ToolCallReady("r", f"i{call_id}", call_id, name, arguments))
        call = self.session.transcript.get(call_id)
        assert isinstance(call, ToolCall)
        return call

    @property
    def told(self) -> list[str]:
        self.chat.hear_all()
        return self.out.getvalue().splitlines()


def shown(arguments: str, **more: object) -> list[str]:
    return lines(asked(ToolCall("c", "i", "r", "write", arguments, **more)))  # type: ignore[arg-type]


def test_every_argument_is_shown_whole_and_no_line_can_pass_for_another() -> None:
    text = json.dumps({"path": "a\n| force:\n|   true", "n": 3, "deep": {"x": ["y"]}})
    assert shown(text) == [
        "| path:", "|   a", "|   | force:", "|   |   true",
        "| n:", "|   3",
        "| deep:", "|   {", '|     "x": [', '|       "y"', "|     ]", "|   }",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["not json", "[1]", '"x"', "{", '{"a": 1, "a": 2}'])
def test_what_is_no_plain_object_is_shown_as_it_came(text: str) -> None:
    found = shown(text)
    assert found[:2] == ["| as it came:", f"|   {text}"]
    assert ("! “a” is given twice; the last one counts." in found) is ('"a": 2' in text)


def test_what_cannot_be_seen_is_told_and_so_is_what_changed() -> None:
    found = shown('{"path": "/еtс"}', remark="It was\nanother.")
    assert found == [
        "| path:", "|   /еtс",
        "! It was", "! another.",
        "! “еtс” mixes Cyrillic and Latin letters.",
    ]  # fmt: skip
    assert shown("{}") == ["| without arguments"]


async def test_a_call_is_told_with_the_commands_that_decide_on_it() -> None:
    table = Table()
    table.called("write", "c1", '{"path": "a", "text": "b"}')
    assert table.told[-6:] == [
        "Allow the tool write (built in) to run? It would receive:",
        "| path:", "|   a",
        "| text:", "|   b",
        "Type /allow 1, /allow 1 session, /always 1 or /deny 1, with a reason if you like.",
    ]  # fmt: skip
    table.called("run", "c2")
    assert table.told[-1] == "Type /allow 2 or /deny 2, with a reason if you like."


async def test_commands_decide_by_number() -> None:
    table = Table()
    one, two, three = (table.called("write", f"c{n}") for n in (1, 2, 3))
    for line in ("/allow", "/allow 4", "/always 1 x", "/allow 1 for ever", "/deny now"):
        with pytest.raises(UsageError):
            obey(table.session, line)
    assert obey(table.session, "/allow 2") == "write may run once."
    assert (one.state, two.state) == (ToolState.ASKING, ToolState.RUNNING)
    assert obey(table.session, "/deny 1 not this one") == "write will not run."
    assert one.state is ToolState.DENIED
    assert "not this one" in str(one.output)
    assert "until this conversation ends" in str(obey(table.session, "/allow 3 session"))
    assert three.state is ToolState.RUNNING
    with pytest.raises(UsageError, match="No tool waits"):
        obey(table.session, "/allow 1")


async def test_a_tool_that_asks_each_time_cannot_be_allowed_for_ever() -> None:
    table = Table()
    call = table.called("run", "c1")
    with pytest.raises(UsageError, match="cannot be always allowed"):
        obey(table.session, "/always 1")
    assert obey(table.session, "/allow 1 session") == "run may run once."
    assert call.state is ToolState.RUNNING


async def test_without_anybody_to_ask_a_call_is_denied() -> None:
    table = Table(typed=False)
    call = table.called("write", "c1")
    table.chat.hear_all()
    assert call.state is ToolState.DENIED
    assert "No user is present" in str(call.output)
    assert "The tool write was not allowed." in table.told


async def test_a_pipe_denies_too(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table()
    pipe = app.Filter(table.session, io.StringIO())
    call = table.called("write", "c1")
    pipe.hear_all()
    assert call.state is ToolState.DENIED
    assert "no user is present to approve it" in capsys.readouterr().err


async def test_calls_of_the_provider_are_decided_on_in_the_same_place() -> None:
    table = Table()
    table.take(events.RemoteApproval("m1", "r", "wiki", "edit", '{"page": "x"}'))
    [call] = table.session.asking
    assert (call.number, call.source) == (1, "wiki")
    assert table.told[-4:] == [
        "Allow the tool edit (wiki, run by the provider) to run? It would receive:",
        "| page:", "|   x",
        "Type /allow 1, /allow 1 session or /deny 1, with a reason if you like.",
    ]  # fmt: skip
    table.session.decide("m1", '{"page": "y"}', inputs.Decision.ONCE)
    assert call.state is ToolState.ASKING
    obey(table.session, "/allow 1 session")
    assert call.state is ToolState.QUEUED
    table.take(events.RemoteApproval("m2", "r", "wiki", "edit", '{"page": "z"}'))
    table.take(events.RemoteApproval("m3", "r", "wiki", "erase", "{}"))
    assert [each.name for each in table.session.asking] == ["erase"]
    obey(table.session, "/deny 2")
    assert table.session.asking == ()


@pytest.mark.parametrize("line", ["/allow 1", "/always 1", "/deny 1", "/let files"])
async def test_a_line_of_a_pipe_decides_nothing(line: str) -> None:
    table = Table(typed=False)
    call = table.called("write", "c1")
    with pytest.raises(UsageError, match="a pipe cannot decide"):
        obey(table.session, line, person=False)
    assert call.state is ToolState.ASKING
    table.chat._obey(line)
    assert table.told[-1].endswith("is for a person at a terminal; a pipe cannot decide.")
    assert "No user is present to approve it" in str(call.output)


@pytest.mark.parametrize(
    "command",
    ["ls" + " " * 60 + "rm -rf /", "ls" + "\n" * 12 + "rm -rf /", "ls\n" + " \n" * 9 + "x"],
)
def test_what_stands_far_behind_the_rest_is_told(command: str) -> None:
    assert "! More text follows after a long run of spaces or empty lines." in shown(
        json.dumps({"command": command})
    )


def test_usual_indentation_and_paragraphs_are_not_remarked_on() -> None:
    text = "def f():\n    if x:\n        return 1\n\n\ndef g():\n    pass\n"
    assert not any(line.startswith("!") for line in shown(json.dumps({"text": text})))


def test_deep_nesting_does_not_grow() -> None:
    deep = "[" * 900 + "]" * 900
    assert len("\n".join(shown(f'{{"a": {deep}}}'))) < 10_000
    assert len(shown(json.dumps({"a": [1] * 6_000}))) < 10


def test_an_argument_without_a_name_is_shown_as_it_came() -> None:
    assert shown('{"": "x"}') == ["| as it came:", '|   {"": "x"}']
