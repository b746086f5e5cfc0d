"""`voicechat ask` and `--show-code`, in processes of their own, against a scripted server."""

from __future__ import annotations

import ast
import asyncio
import io
import os
import shlex
import sys
from asyncio.subprocess import PIPE
from collections.abc import Mapping

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scripted import TOKEN, scripted_server

from voicechat.cli._program_code import _literal
from voicechat.cli.app import main


async def run(
    environ: Mapping[str, str], *words: str, stdin: str = "", module: bool = True
) -> tuple[int, str, str]:
    """Run the command, or a program; its exit code, output and errors."""
    start = ("-m", "voicechat") if module else ("-c",)
    child = await asyncio.create_subprocess_exec(
        sys.executable, *start, *words,
        env=os.environ | environ, stdin=PIPE, stdout=PIPE, stderr=PIPE,
    )  # fmt: skip
    async with asyncio.timeout(40):
        out, err = await child.communicate(stdin.encode())
    assert child.returncode is not None
    return child.returncode, out.decode(), err.decode()


async def test_a_question_and_its_program_give_the_same_answer() -> None:
    async with scripted_server() as backend:
        environ = {"OPENAI_BASE_URL": backend.app.url, "OPENAI_API_KEY": TOKEN}
        asked = ("ask", "--model", "openai/scripted", "/help is", "-")
        code, out, err = await run(environ, *asked, stdin=" text\n")
        assert (code, len(out.splitlines())) == (0, 1), err
        assert backend.assistant.requests[-1].messages[-1].text == "/help is text"
        assert "planted" not in out
        code, source, err = await run(environ, *asked, "--show-code", stdin="text")
        assert code == 0, err
        assert TOKEN not in source
        code, same, err = await run(environ, source, module=False)
        assert (code, same) == (0, out), err
        assert backend.assistant.requests[-1].messages[-1].text == "/help is text"


async def test_the_program_of_a_typed_conversation_answers_each_line() -> None:
    async with scripted_server() as backend:
        environ = {"OPENAI_BASE_URL": backend.app.url, "OPENAI_API_KEY": TOKEN}
        _, source, _ = await run(environ, "--text", "--model", "openai/scripted", "--show-code")
        code, out, err = await run(environ, source, stdin="first\nsecond\n\n", module=False)
        assert code == 0, err
        assert len(out.splitlines()) == 2
        texts = [each.messages[-1].text for each in backend.assistant.requests]
        assert texts == ["first", "second"]


@pytest.mark.parametrize(
    ("words", "stdin", "says"),
    [
        (["ask", ""], "", "The question is empty."),
        (["ask", "-"], " \n", "The question is empty."),
        (["ask", "-", "-"], "x", "Standard input can be read only once."),
        (["ask"], "", "Missing argument 'QUESTION'"),
        (["ask", "-"], "x" * ((1 << 20) + 1), "The question is longer than 1 MB."),
        (["--show-code", "ask", "x"], "", "Options of 'ask' must follow its name."),
        (["--show-code", "--voice", ""], "", "--voice is empty."),
    ],
    ids=["empty", "empty pipe", "twice", "none", "long", "place", "wrong"],
)
def test_wrong_input_is_one_sentence(
    words: list[str], stdin: str, says: str, monkeypatch, capsys
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert says in err
    assert (out, err.count("\n")) == ("", 1)


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        (
            "--model local --voice heart --input-device 'my mic' --no-echo-cancel",
            ['"local",', 'voice="heart",', 'Devices(input="my mic", echo_cancel=False)'],
        ),
        ("--text --instructions 'say \"hi\" \\'", ['output="text"', "'say \"hi\" \\\\'"]),
        ("--push-to-talk", ["push_to_talk=True", "session.start_turn()"]),
        (
            "--chat-url http://127.0.0.1:9/v1 --no-local-chat",
            [
                'os.environ["VOICECHAT_CHAT_URL"] = "http://127.0.0.1:9/v1"',
                'os.environ["VOICECHAT_LOCAL_CHAT"] = "no"',
            ],
        ),
        ("--text --budget 2.50", ["history=True,", "budget=2.50,"]),
        ("--record x --theme dark", ["no counterpart of --record", "no counterpart of --theme"]),
    ],
)
def test_flags_become_parameters(line: str, parts: list[str], capsys) -> None:
    assert main([*shlex.split(line), "--show-code"]) == 0
    source = capsys.readouterr().out
    ast.parse(source)
    for part in parts:
        assert part in source


def test_a_conversation_that_is_not_kept_is_not_kept_by_the_program(capsys) -> None:
    assert main(["--text", "--no-history", "--show-code"]) == 0
    source = capsys.readouterr().out
    assert "history" not in source.lower()


@given(st.text() | st.text("'\"\\\n{}#"))
@example("\\'")
@example('"""\n__import__("os")\n')
def test_any_text_is_a_literal_of_the_same_text(text: str) -> None:
    source = _literal(text)
    assert ast.literal_eval(source) == text
    assert source.isprintable()
