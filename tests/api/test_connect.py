"""Conversations through the Python API with a server on scripted engines, over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import pytest
from scripted import TOKEN, ScriptedServer, scripted_server, silence, tone, until
from usage_rows import usage_rows

import voicechat
from voicechat.history.database import opened
from voicechat.server.engine_protocols import AssistantRequest, Call, Partial, Say
from voicechat.session.updates import SoundChanged

Kind = TypeVar("Kind")


@asynccontextmanager
async def session_on(
    backend: ScriptedServer, **more: Any
) -> AsyncIterator[voicechat.ClientSession]:
    """A session with the server, with no tools and no settings unless the test names them."""
    given = {"tools": [], "settings": False, **more}
    async with (
        asyncio.timeout(20),
        voicechat.connect("openai", base_url=backend.app.url, api_key=TOKEN, **given) as session,
    ):
        yield session


async def rest_of_turn(session: voicechat.ClientSession) -> list[voicechat.Event]:
    """All events up to the end of the turn."""
    found = []
    async for event in session:
        found.append(event)
        if isinstance(event, voicechat.TurnEnded):
            return found
    raise AssertionError("the session ended in the middle of a turn")


def of(kind: type[Kind], events: Iterable[object]) -> list[Kind]:
    """The events of this kind."""
    return [event for event in events if isinstance(event, kind)]


async def test_typed_turn_gives_text_sound_and_usage() -> None:
    async with scripted_server() as backend, session_on(backend) as session:
        await session.send("hello there")
        events = await rest_of_turn(session)
        said = [e for e in of(voicechat.Transcript, events) if e.role == "assistant"]
        assert "".join(each.delta for each in said) == "You said hello there."
        assert said[-1].final
        assert said[-1].heard == said[-1].text
        assert [each.role for each in session.transcript] == ["user", "assistant"]
        sound = of(voicechat.Audio, events)
        assert {each.rate for each in sound} == {session.output_rate}
        assert sum(each.ms for each in sound) == pytest.approx(400, abs=2)
        (used,) = of(voicechat.Usage, events)
        assert used == session.usage
        assert used.total_tokens > 0
        assert not of(voicechat.Interrupted, events)
    states = [e.state for e in of(voicechat.ConnectionChanged, events)]
    assert states == ["connecting", "online"]


async def test_a_message_is_fetched_and_a_buffer_cleared_where_there_is_one() -> None:
    async with scripted_server() as backend, session_on(backend) as session:
        await session.send("hello")
        await rest_of_turn(session)
        item = await session.fetch(session.transcript[0].item_id)
        assert item["role"] == "user"
        with pytest.raises(voicechat.SessionLost):
            await session.fetch("nothing-like-it")
        session.clear_output()
        while not isinstance(event := await anext(session), voicechat.Problem):
            continue
        assert "WebRTC and SIP connections only" in event.text


async def test_text_output_gives_no_sound() -> None:
    async with scripted_server() as backend, session_on(backend, output="text") as session:
        await session.send("hello")
        events = await rest_of_turn(session)
        assert not of(voicechat.Audio, events)
        assert session.transcript[-1].text == "You said hello."
        assert not session.transcript[-1].spoken


async def test_pcm_is_heard_and_answered() -> None:
    async with scripted_server() as backend, session_on(backend) as session:
        backend.stt.texts = ["what time is it"]
        backend.stt.partials = {10_000: Partial("what time is it.")}
        sending = asyncio.create_task(session.send(silence(200) + tone(400) + silence(700)))
        events = await rest_of_turn(session)
        await sending
        assert [e.text for e in session.transcript] == [
            "what time is it",
            "You said what time is it.",
        ]
        assert of(voicechat.Audio, events)


async def test_push_to_talk_turn_ends_when_the_program_says_so() -> None:
    async with scripted_server() as backend, session_on(backend, push_to_talk=True) as session:
        backend.stt.texts = ["first", "second"]
        for words, ms in (("first", 500), ("second", 200)):
            await session.send(tone(ms))
            session.end_turn()
            await rest_of_turn(session)
            assert session.transcript[-1].text == f"You said {words}."


# ------------------------------------------------------------------------ barge-in


def long_reply(request: AssistantRequest) -> list[Say]:
    return [Say("one two three four five six seven eight nine ten.")]


async def take_sound(session: voicechat.ClientSession, ms: float) -> list[voicechat.Audio]:
    """Take at least so much sound."""
    taken: list[voicechat.Audio] = []
    while sum(each.ms for each in taken) < ms:
        taken.append(await next_of(session, voicechat.Audio))
    return taken


async def next_of(session: voicechat.ClientSession, kind: type[Kind]) -> Kind:
    async for event in session:
        if isinstance(event, kind):
            return event
    raise AssertionError(f"there was no {kind.__name__}")


async def test_barge_in_truncates_at_what_was_consumed() -> None:
    async with scripted_server() as backend, session_on(backend) as session:
        backend.assistant.answer = long_reply
        await session.send("count")
        *played, last = await take_sound(session, 300)
        # The loop did not come back after the last piece: only those before it were played.
        await session.send("stop")
        cut = await next_of(session, voicechat.Interrupted)
        assert cut.item_id == last.item_id
        assert cut.heard_ms == pytest.approx(sum(each.ms for each in played), abs=1)
        assert cut.heard.startswith("one two")
        assert "seven" not in cut.heard
        assert not [e for e in await rest_of_turn(session) if e in (last, *played)]


async def test_barge_in_truncates_at_the_reported_position() -> None:
    async with scripted_server() as backend, session_on(backend, reports_played=True) as session:
        backend.assistant.answer = long_reply
        await session.send("count")
        item_id = (await take_sound(session, 1_000))[0].item_id
        session.played(item_id, 430)
        session.played(item_id, 100)  # Positions never go back.
        session.interrupt()
        cut = await next_of(session, voicechat.Interrupted)
        assert cut.heard_ms == pytest.approx(430, abs=2)
        later = [e async for e in until_idle(session) if isinstance(e, voicechat.Audio)]
        assert later == []


async def until_idle(session: voicechat.ClientSession) -> AsyncIterator[voicechat.Event]:
    """What still comes when the session is asked to close."""
    closing = asyncio.create_task(session.close())
    async for event in session:
        yield event
    await closing


async def test_reported_turn_ends_when_all_was_played() -> None:
    async with scripted_server() as backend, session_on(backend, reports_played=True) as session:
        await session.send("hello there")
        taken = 0.0
        async for event in session:
            if isinstance(event, voicechat.Audio):
                taken += event.ms
                session.played(event.item_id, taken)
            elif isinstance(event, voicechat.TurnEnded):
                break
        assert session.transcript[-1].status == "completed"


async def test_speech_interrupts_a_reply() -> None:
    async with scripted_server() as backend, session_on(backend) as session:
        backend.assistant.answer = long_reply
        await session.send("count")
        *played, _ = await take_sound(session, 300)
        backend.stt.texts = ["stop"]
        # No loop takes sound meanwhile, so nothing more is played before the provider hears this.
        await session.send(tone(400))
        await until(lambda: any(e.status == "interrupted" for e in session.transcript))
        cut = await next_of(session, voicechat.Interrupted)
        assert cut.heard_ms <= sum(each.ms for each in played) + 101


# ------------------------------------------------------------------------ tools


def calling(name: str, arguments: str) -> Callable[[AssistantRequest], Iterable[Any]]:
    """Call the tool once per turn, then say its result."""
    numbers = count()

    def answer(request: AssistantRequest) -> list[Any]:
        last = request.messages[-1]
        if last.role == "tool_result":
            return [Say(f"Result {last.text}.")]
        return [Call(f"call_{next(numbers)}", name, arguments)]

    return answer


class Lights:
    """A tool of the program, and what was done with it."""

    def __init__(self) -> None:
        self.set: list[bool] = []

        @voicechat.tool
        def lights(on: bool) -> str:
            """Switch the lights."""
            self.set.append(on)
            return "switched"

        self.tool = lights


async def test_call_that_needs_permission_is_denied_by_default() -> None:
    mine = Lights()
    async with scripted_server() as backend, session_on(backend, tools=[mine.tool]) as session:
        backend.assistant.answer = calling("lights", '{"on": true}')
        await session.send("lights on")
        events = await rest_of_turn(session)
        assert mine.set == []
        (request,) = of(voicechat.Approval, events)
        assert (request.name, request.arguments) == ("lights", '{"on": true}')
        assert request.source == "this program"
        assert of(voicechat.ToolCall, events)[-1].state == "denied"
        assert "does not allow" in (of(voicechat.ToolCall, events)[-1].output or "")


@pytest.mark.parametrize(
    ("verdict", "asked"),
    [(True, 2), (voicechat.Decision.ONCE, 2), (voicechat.Decision.SESSION, 1)],
)
async def test_callback_allows_a_call(verdict: Any, asked: int) -> None:
    mine, seen = Lights(), []

    async def approve(request: voicechat.Approval) -> Any:
        seen.append(request)
        return verdict

    async with (
        scripted_server() as backend,
        session_on(backend, tools=[mine.tool], approve=approve) as session,
    ):
        backend.assistant.answer = calling("lights", '{"on": true}')
        for _ in range(2):
            await session.send("lights on")
            events = await rest_of_turn(session)
            assert of(voicechat.ToolCall, events)[-1].state == "done"
        assert mine.set == [True, True]
        assert len(seen) == asked
        assert "switched" in session.transcript[-1].text


@pytest.mark.parametrize("answer", [lambda request: False, lambda request: 1 / 0, lambda r: "yes"])
async def test_anything_but_true_denies(answer: Any) -> None:
    mine = Lights()
    async with (
        scripted_server() as backend,
        session_on(backend, tools=[mine.tool], approve=answer) as session,
    ):
        backend.assistant.answer = calling("lights", '{"on": true}')
        await session.send("lights on")
        events = await rest_of_turn(session)
        assert mine.set == []
        assert of(voicechat.ToolCall, events)[-1].state == "denied"


async def test_only_the_listed_tools_are_offered() -> None:
    mine = Lights()
    async with (
        scripted_server() as backend,
        session_on(backend, tools=[mine.tool, "current_time"]) as session,
    ):
        await session.send("hello")
        await rest_of_turn(session)
        offered = {each.name for each in backend.assistant.requests[-1].tools}
        assert offered == {"lights", "current_time"}


# ------------------------------------------------------------------------ mistakes and ends


async def test_wrong_parameters_are_usage_errors() -> None:
    mine = Lights()
    with pytest.raises(voicechat.UsageError, match="There is no model"):
        voicechat.connect("nothing/at-all", settings=False)
    with pytest.raises(voicechat.KeyMissing, match="needs a key"):
        voicechat.connect("openai", settings=False)
    with pytest.raises(voicechat.UsageError, match="takes no API key"):
        voicechat.connect("local", api_key="x", settings=False)
    with pytest.raises(voicechat.UsageError, match="two tools called 'lights'"):
        voicechat.connect("local", tools=[mine.tool, mine.tool], settings=False)


async def test_nothing_answers_at_the_address() -> None:
    with pytest.raises(voicechat.ConnectError):
        async with voicechat.connect("openai", base_url="http://127.0.0.1:9", settings=False):
            raise AssertionError("it connected")


async def test_refused_key_is_key_missing_and_never_shown() -> None:
    async with scripted_server() as backend:
        wrong = {"base_url": backend.app.url, "api_key": "wrong-key", "settings": False}
        with pytest.raises(voicechat.KeyMissing) as caught:
            async with voicechat.connect("openai", **wrong):  # type: ignore[arg-type]
                raise AssertionError("it connected")
        assert "wrong-key" not in str(caught.value)


async def test_calls_that_do_not_fit_the_session() -> None:
    async with scripted_server() as backend, session_on(backend) as session:
        with pytest.raises(voicechat.UsageError, match="odd number of bytes"):
            await session.send(b"x")
        with pytest.raises(voicechat.UsageError, match="push_to_talk"):
            session.end_turn()
        with pytest.raises(voicechat.UsageError, match="reports_played"):
            session.played("item", 1)


async def test_close_ends_the_loop_and_is_repeatable() -> None:
    async with scripted_server() as backend, session_on(backend) as session:
        closing = asyncio.create_task(session.close())
        assert of(voicechat.ConnectionChanged, [e async for e in session])[-1].state == "offline"
        await closing
        await session.close()
        with pytest.raises(voicechat.SessionLost, match="closed"):
            await session.send("hello")
        await until(lambda: not backend.app.pipelines)


async def test_body_that_fails_closes_the_session() -> None:
    async with scripted_server() as backend:
        with pytest.raises(ZeroDivisionError):
            async with session_on(backend):
                raise ZeroDivisionError
        await until(lambda: not backend.app.pipelines)


async def test_events_nobody_takes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicechat.session.event_queue.LIMIT", 5)
    async with scripted_server() as backend, session_on(backend) as session:
        backend.assistant.answer = long_reply
        await session.send("count")
        await until(lambda: session.dropped > 5)
        # The oldest events went first: those of the connection.
        assert not isinstance(await anext(session), voicechat.ConnectionChanged)


async def test_missing_device_is_a_problem() -> None:
    async with scripted_server() as backend, session_on(backend) as session:
        session._session._publish_update(
            SoundChanged(None, "Speaker", "There is no microphone.", "Connect a device.")
        )
        problem = await next_of(session, voicechat.Problem)
        assert (problem.text, problem.hint) == ("There is no microphone.", "Connect a device.")


async def test_picture_is_read_from_bytes_or_refused() -> None:
    header = b"\x89PNG\r\n\x1a\n" + bytes(4) + b"IHDR" + (8).to_bytes(4, "big") * 2
    shown = voicechat.read_picture(header, "dot.png")
    assert (shown.width, shown.height, shown.name) == (8, 8, "dot.png")
    with pytest.raises(voicechat.UsageError, match="not a PNG"):
        voicechat.read_picture(b"text")


def test_models_are_listed() -> None:
    models = {each.name: each for each in voicechat.list_models()}
    assert models["openai/gpt-realtime-2.1"].default
    assert models["local/built-in"].has_key
    assert not models["openai/gpt-realtime-2.1"].has_key
    assert models["openai/whisper-1"].purpose == "transcription"


@pytest.fixture
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@pytest.mark.usefixtures("own_state")
@pytest.mark.parametrize("settings", [True, False])
async def test_the_conversation_is_kept_on_request(settings: bool) -> None:
    async with scripted_server() as backend:
        async with session_on(backend, settings=settings, history=True) as session:
            await session.send("hello")
            await rest_of_turn(session)
        async with session_on(backend, settings=settings) as session:
            await session.send("forget this")
            await rest_of_turn(session)
    with opened() as kept:
        (listed,) = kept.execute("SELECT id, title FROM conversations").fetchall()
        found = [text for (text,) in kept.execute("SELECT text FROM items ORDER BY position")]
    assert listed[1] == "hello"
    assert found == ["hello", "You said hello."]
    assert {row["conversation_id"] for row in usage_rows()} >= {listed[0]}


async def test_a_budget_ends_the_session() -> None:
    async with scripted_server() as backend:

        async def ask_twice() -> None:
            async with session_on(backend, budget=0.000001) as session:
                await session.send("one")
                await rest_of_turn(session)
                await session.send("two")
                async for _ in session:
                    pass

        with pytest.raises(voicechat.BudgetSpent, match="Nothing more is requested"):
            await ask_twice()
    assert len(backend.assistant.requests) == 1
