"""Guardrails and asides in plain mode, with a real session at a server."""

from __future__ import annotations

import asyncio
import io
import os

import pytest
from guarded_talk import INSTEAD, STOPPED, guarded_options
from piped_lines import read_lines_from
from scripted import scripted_server, until

from voicechat.core import linear_pattern
from voicechat.core.guardrail import GuardrailPolicy
from voicechat.line_mode import app, line_client, pipe_filter
from voicechat.line_mode.pipe_filter import SingleQuestion
from voicechat.session.session import Session


@pytest.mark.parametrize("echo", [True, False])
async def test_a_trip_and_an_aside_are_lines(monkeypatch: pytest.MonkeyPatch, echo: bool) -> None:
    reading, writing = os.pipe()
    read_lines_from(monkeypatch, reading)
    out = io.StringIO()
    async with scripted_server() as backend:
        session = Session(guarded_options(backend))
        running = asyncio.create_task(line_client.run_client(app.Chat(session, out, echo=echo)))
        os.write(writing, b"what does it cost\n")
        await until(lambda: f"Assistant: {INSTEAD}" in out.getvalue())
        os.write(writing, b"/ask-aside why\n")
        await until(lambda: "Aside, why" in out.getvalue())
        os.write(writing, b"/ask-aside\n")
        await until(lambda: "/ask-aside takes a question." in out.getvalue())
        os.close(writing)
        assert await running == int(echo)
    os.close(reading)
    lines = out.getvalue().splitlines()
    assert lines.count(STOPPED) == 1, "one line about it"
    assert "ten dollars" not in out.getvalue()
    assert "Because." in out.getvalue()


@pytest.mark.parametrize("policy", GuardrailPolicy)
async def test_a_pipe_gets_the_other_answer_and_one_line_about_it(
    policy: GuardrailPolicy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reading, writing = os.pipe()
    read_lines_from(monkeypatch, reading)
    os.write(writing, b"what does it cost\n")
    os.close(writing)
    out = io.StringIO()
    async with scripted_server() as backend:
        session = Session(guarded_options(backend, policy))
        code = await line_client.run_client(pipe_filter.Filter(session, out))
    os.close(reading)
    assert out.getvalue().splitlines()[-1] == INSTEAD, "a pipe waits for the last check"
    if policy is GuardrailPolicy.CLOSED:
        assert (code, out.getvalue()) == (1, f"Well,\n{INSTEAD}\n")
    assert capsys.readouterr().err.count("The guardrail prices") == 1


async def test_a_pattern_that_is_too_slow_is_one_notice(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(linear_pattern, "MAX_WORK", -1)
    out = io.StringIO()
    async with scripted_server() as backend:
        session = Session(guarded_options(backend, GuardrailPolicy.OPEN))
        question = "what does it cost"
        assert await line_client.run_client(SingleQuestion(session, out, question)) == 0
    assert out.getvalue() == "Well, the price is ten dollars.\n"
    assert "The guardrail prices is too slow for this text" in capsys.readouterr().err
