"""Wrong uses of the Python API raise one clear error that names the parameter and the remedy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scripted import TOKEN, scripted_server

import voicechat
from voicechat.session import client_approvals
from voicechat.session.client_checks import api_words

PNG = b"\x89PNG\r\n\x1a\n" + bytes(4) + b"IHDR" + (8).to_bytes(4, "big") * 2


@voicechat.tool
def lights(on: bool) -> str:
    """Switch the lights."""
    return "switched"


class Card:
    """A sound card that plays everything at once."""

    line: voicechat.CardLine

    def __init__(self) -> None:
        self.playing = asyncio.Event()

    def open(self, line: voicechat.CardLine) -> None:
        self.line = line

    def play(self, item_id: str, pcm: bytes) -> None:
        self.line.played(item_id, 60_000)

    def end_item(self, item_id: str) -> None:
        self.line.finished(item_id)

    def stop(self) -> Mapping[str, float]:
        return {}

    async def close(self) -> None:
        pass


class SilentServer:
    """Accepts connections and never answers."""

    async def __aenter__(self) -> SilentServer:
        self.dialed = asyncio.Event()
        self._writers: list[asyncio.StreamWriter] = []
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _accept(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        self.dialed.set()


class NoStop:
    """A card with a method missing."""

    open = play = end_item = close = Card.open


WRONG_TYPES: dict[str, tuple[dict[str, Any], str]] = {
    "model": ({"model": 3}, "model must be str, not 3"),
    "voice": ({"voice": 3}, "voice must be str, not 3"),
    "instructions": ({"instructions": [1]}, r"instructions must be str, not \[1\]"),
    "base_url": ({"base_url": 3}, "base_url must be str"),
    "api_key": ({"api_key": 1234}, "api_key must be str, not int"),
    "profile": ({"profile": 3}, "profile must be str"),
    "push_to_talk": ({"push_to_talk": "yes"}, "push_to_talk must be bool, not 'yes'"),
    "reports_played": ({"reports_played": 1}, "reports_played must be bool, not 1"),
    "settings": ({"settings": None}, "settings must be bool, str or PathLike, not None"),
    "audio": ({"audio": 3}, r"audio must be None, voicechat\.Devices or .* 3 has no method open"),
    "audio class": ({"audio": Card}, r"not a class; pass Card\(\)"),
    "audio lacks a method": ({"audio": NoStop()}, "has no method stop"),
    "tools is a name": ({"tools": "clock"}, r'tools must be a list of tools.* pass \["clock"\]'),
    "tools is a tool": ({"tools": lights}, r"pass \[lights\]"),
    "tools is a number": ({"tools": 3}, "tools must be a list of tools, not int"),
    "tools holds a function": ({"tools": [print]}, r"'print'.*@voicechat\.tool"),
    "approve": ({"approve": True}, r"approve must be a function .*Approval, not True"),
    "approve takes nothing": ({"approve": lambda: True}, "approve must take one argument"),
    "input": ({"audio": voicechat.Devices(input=1.5)}, r"Devices\.input must be str or int"),  # type: ignore[arg-type]
    "echo_cancel": ({"audio": voicechat.Devices(echo_cancel="no")}, "echo_cancel must be bool"),  # type: ignore[arg-type]
}

WRONG_VALUES: dict[str, tuple[dict[str, Any], str]] = {
    "model is empty": ({"model": ""}, "model is empty. Leave it out"),
    "model is unknown": ({"model": "opanai/x", "api_key": "k"}, "no model 'opanai/x'. Known: "),
    "model lacks a name": ({"model": "azure"}, 'Write it as model="azure/NAME"'),
    "voice is empty": ({"voice": " "}, "voice is empty"),
    "output": ({"output": "speech"}, 'output must be "audio" or "text", not \'speech\''),
    "base_url": ({"base_url": "not an address"}, "^base_url must be an address like"),
    "api_key is empty": ({"api_key": ""}, "api_key is empty"),
    "api_key has two lines": ({"api_key": "a\nb"}, "api_key contains characters that no key has"),
    "profile": ({"profile": "x", "settings": True}, "no profile 'x'"),
    "profile without file": ({"profile": "x"}, "profile needs a settings file"),
    "settings": ({"settings": "/no/such.toml"}, "no file /no/such.toml. Pass settings=False"),
    "reports_played": ({"reports_played": True, "audio": Card()}, "needs audio=None"),
    "barge_in": (
        {"audio": voicechat.Devices(barge_in="hgih")},  # type: ignore[arg-type]
        "^barge_in must be one of off, low, normal, high. Did you mean high?",
    ),
}


@pytest.mark.parametrize(("given", "words"), WRONG_TYPES.values(), ids=WRONG_TYPES)
def test_wrong_type_is_a_type_error(given: dict[str, Any], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        voicechat.connect(**{"settings": False, **given})


@pytest.mark.parametrize(("given", "words"), WRONG_VALUES.values(), ids=WRONG_VALUES)
def test_wrong_value_is_a_usage_error(given: dict[str, Any], words: str) -> None:
    with pytest.raises(voicechat.UsageError, match=words):
        voicechat.connect(**{"settings": False, **given})


def test_errors_do_not_show_a_key() -> None:
    for key in (b"sk-secret", "sk-secret \n x"):
        with pytest.raises((TypeError, voicechat.UsageError)) as caught:
            voicechat.connect("openai", api_key=key, settings=False)  # type: ignore[arg-type]
        assert "secret" not in str(caught.value)


def test_missing_key_names_the_parameter() -> None:
    with pytest.raises(voicechat.KeyMissing) as caught:
        voicechat.connect("openai", settings=False)
    hint = (
        "Pass api_key, set OPENAI_API_KEY, type voicechat login openai,"
        ' or use model="local", which needs none.'
    )
    assert caught.value.hint == hint
    assert str(caught.value).endswith(hint)


def test_a_device_may_be_given_by_its_number() -> None:
    voicechat.connect("local", audio=voicechat.Devices(input=3), settings=False)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Check --base-url and --model.", "Check base_url and model."),
        ("Write it as --model azure/NAME.", 'Write it as model="azure/NAME".'),
        ("name a --model to use another one.", "name a model to use another one."),
        ("headphones and --no-echo-cancel.", "headphones and echo_cancel=False."),
        ("llama-server needs --jinja; vLLM", "llama-server needs --jinja; vLLM"),
        ("Type /let notes to allow it", "Run voicechat and type /let notes to allow it"),
    ],
)
def test_options_become_parameters(text: str, words: str) -> None:
    assert api_words(text) == words


# --------------------------------------------------------------------------- an open session


def on(url: str, **more: Any) -> voicechat.ClientSession:
    """A session with this server."""
    given: dict[str, Any] = {"tools": [], "settings": False, "output": "text", **more}
    return voicechat.connect("openai", base_url=url, api_key=TOKEN, **given)


Call = Callable[[voicechat.ClientSession], Any]

CALLS: dict[str, tuple[Call, type[Exception], str]] = {
    "send None": (lambda s: s.send(None), TypeError, "content must be str, bytes, .* not None"),
    "send a number": (lambda s: s.send(3), TypeError, "content must be .* not 3"),
    "send a path": (lambda s: s.send(Path("x.png")), TypeError, r"content must be .*Picture"),
    "send floats": (lambda s: s.send(np.zeros(4)), TypeError, "content must be"),
    "send no words": (lambda s: s.send(" \n"), voicechat.UsageError, "content is an empty text"),
    "send half a sample": (lambda s: s.send(b"xyz"), voicechat.UsageError, r"odd number .*\(3\)"),
    "send two texts": (lambda s: s.send("a", "b"), voicechat.UsageError, "text belongs to a pic"),
    "caption": (lambda s: s.send(voicechat.read_picture(PNG), 3), TypeError, "text must be str"),
    "played name": (lambda s: s.played(3, 3), TypeError, "item_id must be str, not 3"),
    "played text": (lambda s: s.played("x", "3"), TypeError, "ms must be float or int, not '3'"),
    "played nan": (lambda s: s.played("x", float("nan")), voicechat.UsageError, "ms must be 0 or"),
    "played -1": (lambda s: s.played("x", -1), voicechat.UsageError, "ms must be 0 .* not -1"),
    "start_turn": (lambda s: s.start_turn(), voicechat.UsageError, "push_to_talk=True"),
    "end_turn": (lambda s: s.end_turn(), voicechat.UsageError, "push_to_talk=True"),
    "open again": (lambda s: s.__aenter__(), voicechat.UsageError, "opens only once"),
}


async def result_of(call: Call, session: voicechat.ClientSession) -> Any:
    """Call a method, and wait for it if it is asynchronous."""
    made = call(session)
    return await made if asyncio.iscoroutine(made) else made


async def test_wrong_calls_of_an_open_session() -> None:
    async with (
        asyncio.timeout(20),
        scripted_server() as backend,
        on(backend.app.url, reports_played=True) as session,
    ):
        for call, kind, words in CALLS.values():
            with pytest.raises(kind, match=words):
                await result_of(call, session)


async def test_use_before_opening_and_after_closing() -> None:
    calls: list[Call] = [
        lambda s: s.send("hello"),
        lambda s: s.interrupt(),
        lambda s: s.end_turn(),
        lambda s: s.start_turn(),
    ]
    async with asyncio.timeout(20), scripted_server() as backend:
        session = on(backend.app.url)
        for call in [*calls, lambda s: anext(s)]:
            with pytest.raises(voicechat.UsageError, match=r"not open\. Use it"):
                await result_of(call, session)
        async with session:
            pass
        for call in calls:
            with pytest.raises(voicechat.SessionLost, match="closed"):
                await result_of(call, session)
        with pytest.raises(voicechat.UsageError, match="opens only once"):
            await session.__aenter__()
        assert [event async for event in session][-1:]  # events that were left; then the loop ends


async def test_session_closed_before_it_was_opened_does_not_open() -> None:
    session = on("http://127.0.0.1:9")
    await session.close()
    with pytest.raises(voicechat.UsageError, match="opens only once"):
        await session.__aenter__()


async def test_another_event_loop_is_refused() -> None:
    async with asyncio.timeout(20), scripted_server() as backend, on(backend.app.url) as session:

        async def elsewhere() -> None:
            for call in (session.send("hello"), anext(session), session.close()):
                with pytest.raises(voicechat.UsageError, match="another event loop"):
                    await call

        await asyncio.to_thread(asyncio.run, elsewhere())
        with pytest.raises(voicechat.UsageError, match="call_soon_threadsafe"):
            await asyncio.to_thread(session.interrupt)


async def test_two_loops_over_one_session_are_refused() -> None:
    async with asyncio.timeout(20), scripted_server() as backend, on(backend.app.url) as session:
        while session._events._waiting:
            await anext(session)
        waiting = asyncio.ensure_future(anext(session))
        await asyncio.sleep(0)
        with pytest.raises(voicechat.UsageError, match="Iterate in one loop at a time"):
            await anext(session)
        waiting.cancel()
        await asyncio.wait({waiting})
        await session.send("hello")
        assert await anext(session)


async def test_unknown_tool_is_a_usage_error() -> None:
    async with asyncio.timeout(20), scripted_server() as backend:
        with pytest.raises(voicechat.UsageError, match="tools: there is no tool 'clok'"):
            async with on(backend.app.url, tools=[lights, "clok"]):
                raise AssertionError("it opened")


async def test_cancellation_while_connecting_ends_the_session() -> None:
    async with asyncio.timeout(20), SilentServer() as server:
        session = on(server.url)
        opening = asyncio.create_task(session.__aenter__())
        await server.dialed.wait()
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        assert session._task is not None
        assert session._task.done()


async def test_closing_while_connecting_ends_the_opening() -> None:
    async with asyncio.timeout(20), SilentServer() as server:
        session = on(server.url)
        opening = asyncio.create_task(session.__aenter__())
        await server.dialed.wait()
        await session.close()
        with pytest.raises(voicechat.SessionLost, match="closed before it was open"):
            await opening


# --------------------------------------------------------------------------- callbacks


REQUEST = voicechat.Approval("call_1", "lights", "{}", "this program", False, "")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda request: None, "lights is denied because approve returned None."),
        (lambda request: "yes", "lights is denied because approve returned 'yes'."),
        (lambda request: 1 / 0, "approve failed: ZeroDivisionError: division by zero."),
        (lambda request: asyncio.Event().wait(), "approve did not answer within 0 seconds."),
    ],
)
async def test_wrong_answer_of_approve_is_a_problem(
    answer: Any, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_approvals, "APPROVE_S", 0.0)
    decision, problem = await client_approvals.decision_on(REQUEST, answer)
    assert decision is voicechat.Decision.DENY
    assert problem is not None
    assert problem.text.endswith(words)
    assert "voicechat.Decision" in problem.hint


async def talk_with(url: str, card: Card) -> None:
    """Take one turn, and interrupt a second one."""
    async with on(url, audio=card, output="audio") as session:
        await session.send("hello there")
        async for event in session:
            if isinstance(event, voicechat.TurnEnded):
                break
        card.play = lambda item_id, pcm: card.playing.set()  # type: ignore[method-assign]
        await session.send("hello there")
        await card.playing.wait()
        session.interrupt()


@pytest.mark.parametrize("method", ["open", "play", "end_item", "stop"])
async def test_failing_method_of_a_card_is_a_sound_error(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = Card()
    monkeypatch.setattr(card, method, fail)
    words = rf"Card\.{method} failed: ValueError: out of paper"
    async with asyncio.timeout(20), scripted_server() as backend:
        with pytest.raises(voicechat.SoundError, match=words):
            await talk_with(backend.app.url, card)


async def test_failing_close_of_a_card_goes_to_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    card, found = Card(), []
    monkeypatch.setattr(card, "close", fail)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: found.append(context["message"]))
    async with asyncio.timeout(20), scripted_server() as backend, on(backend.app.url, audio=card):
        pass
    loop.set_exception_handler(None)
    assert found == ["Card.close failed: ValueError: out of paper."]


def fail(*_: object) -> None:
    """A method that does not work."""
    raise ValueError("out of paper")


async def test_card_reports_are_checked() -> None:
    card = Card()
    async with asyncio.timeout(20), scripted_server() as backend, on(backend.app.url, audio=card):
        with pytest.raises(voicechat.UsageError, match="pcm has an odd number of bytes"):
            card.line.captured(b"xyz")
        with pytest.raises(TypeError, match="ms must be float or int"):
            card.line.played("x", "3")  # type: ignore[arg-type]
        with pytest.raises(voicechat.UsageError, match="another event loop"):
            await asyncio.to_thread(card.line.captured, bytes(2))


# --------------------------------------------------------------------------- pictures and tools


def test_pictures(tmp_path: Path) -> None:
    text = tmp_path / "page.txt"
    text.write_text("hello")
    for source, words in [
        (tmp_path / "gone.png", "no file gone.png"),
        (tmp_path, "is not a file"),
        (text, "page.txt is not a PNG"),
        (b"", r"source \(0 bytes\) is not a PNG"),
        ("~no-such-user/x.png", "no file x.png"),
    ]:
        with pytest.raises(voicechat.UsageError, match=words):
            voicechat.read_picture(source)
    with pytest.raises(TypeError, match="source must be str, PathLike or bytes, not 3"):
        voicechat.read_picture(3)  # type: ignore[arg-type]


async def test_too_large_picture_is_refused() -> None:
    large = voicechat.read_picture(PNG + bytes(30_000_000), "large.png")
    async with asyncio.timeout(20), scripted_server() as backend, on(backend.app.url) as session:
        with pytest.raises(voicechat.UsageError, match=r"large.png has 30.0 MB; .* accepts up to"):
            await session.send(large)


def test_tools() -> None:
    def no_schema(it: NoStop) -> None:
        del it

    for make, kind, words in [
        (lambda: voicechat.tool(3), TypeError, "not of 3"),  # type: ignore[call-overload]
        (lambda: voicechat.tool(permission="maybe"), ValueError, "one of auto, ask, never, not 'm"),  # type: ignore[call-overload]
        (lambda: voicechat.tool(deadline=0), ValueError, "above 0, not 0"),
        (lambda: voicechat.tool(lambda: 1), ValueError, "'<lambda>' cannot be the name"),
        (lambda: voicechat.tool(name="a b")(lights.call), ValueError, "'a b' cannot be the name"),
        (lambda: voicechat.tool(no_schema), TypeError, "no_schema has no JSON schema"),
    ]:
        with pytest.raises(kind, match=words):
            make()
