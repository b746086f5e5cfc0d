"""A running call on the screen and line by line: what is shown, and how it is steered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from io import StringIO
from typing import Any

import pytest
from call_provider import Call, CallProvider, call_provider
from calls_rig import provider_options

from voicechat.calls.call_control import CallControl, call_options
from voicechat.config.joined_call import JoinedCall
from voicechat.errors import CallEnded, UsageError
from voicechat.line_mode.app import ReplayPrinter
from voicechat.line_mode.line_client import run_client
from voicechat.session.session import Session
from voicechat.tui.app import VoicechatApp
from voicechat.tui.screens.conversation_screen import ConversationScreen


def watching(provider: CallProvider, call_id: str = "rtc_1", **more: Any) -> Session:
    """Return the session of a watcher, as the command makes it."""
    call = JoinedCall(call_id, watches=True)
    options = provider_options(provider, **more)
    session = Session(replace(call_options(options, call), tools=()))
    session.hang_up_call = CallControl(options, call).hang_up
    return session


@dataclass
class WatchRig:
    """A watched call on a screen of 80 columns."""

    provider: CallProvider
    call: Call
    session: Session
    app: VoicechatApp
    pilot: Any

    async def until(self, reached: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not reached():
                await self.pilot.pause(0.02)

    @property
    def texts(self) -> list[str]:
        return [getattr(each, "text", "") for each in self.session.transcript.entries]

    def sent(self, kind: str) -> list[dict[str, Any]]:
        return [frame for frame in self.call.received if frame["type"] == kind]


@asynccontextmanager
async def watch_rig(call_id: str = "rtc_1", **more: Any) -> AsyncIterator[WatchRig]:
    async with call_provider() as provider:
        call = provider.calls[call_id] = Call(call_id, "talking")
        session = watching(provider, call_id, **more)
        app = VoicechatApp(session)
        async with app.run_test(size=(80, 24)) as pilot:
            rig = WatchRig(provider, call, session, app, pilot)
            await rig.until(lambda: call.sockets and len(call.received) >= 1)
            yield rig
            session.close()
        assert provider.wrong == []


async def test_the_screen_shows_both_sides_and_the_tools_that_run_elsewhere() -> None:
    async with watch_rig() as rig:
        await rig.until(lambda: len(rig.sent("session.update")) == 2)
        await rig.call.hear("two loaves please")
        call_id = await rig.call.speak("One moment.", "find_order", '{"id": 1}')
        await rig.until(lambda: "One moment." in rig.texts)
        item = {"id": "i", "type": "function_call_output", "call_id": call_id, "output": "found"}
        await rig.call.send("conversation.item.added", item=item)
        await rig.until(
            lambda: getattr(rig.session.transcript.entries[-1], "output", "") == "found"
        )
        assert rig.texts[0] == "two loaves please"
        screen = rig.app.screen_stack[0]
        assert isinstance(screen, ConversationScreen)
        parts = ("caller", "find_order", "phone call", "✓ done", "found")
        await rig.until(lambda: all(part in shown(rig.app) for part in parts))
        # It changes nothing of the call, and runs and answers nothing.
        assert {str(frame["session"]) for frame in rig.sent("session.update")} == {
            "{'type': 'realtime'}"
        }
        assert {frame["type"] for frame in rig.call.received} == {"session.update"}


async def test_a_typed_line_instructs_and_escape_silences() -> None:
    async with watch_rig() as rig:
        await rig.pilot.press(*"Be brief", "enter")
        await rig.until(lambda: rig.sent("response.create"))
        (made,) = rig.sent("conversation.item.create")
        assert made["item"]["role"] == "system"
        assert made["item"]["content"] == [{"type": "input_text", "text": "Be brief"}]
        assert made["item"]["id"] != "announcement_1", "the other program has that id"
        await rig.until(lambda: "Yes?" in rig.texts)
        await rig.pilot.press("escape")
        await rig.until(lambda: rig.sent("output_audio_buffer.clear"))
        await rig.pilot.press(*"/new", "enter")
        await rig.until(lambda: "one conversation" in shown(rig.app))
        assert rig.texts[-1] == "Yes?"


async def test_a_command_hangs_up_and_the_screen_stays_to_read() -> None:
    async with watch_rig() as rig:
        await rig.call.hear("bye")
        await rig.until(lambda: "bye" in rig.texts)
        rig.provider.refuse["hangup"] = 500
        await rig.pilot.press(*"/hangup", "enter")
        await rig.until(lambda: "did not end the call" in shown(rig.app))
        del rig.provider.refuse["hangup"]
        await rig.pilot.press(*"/hangup", "enter")
        await rig.until(lambda: "The call is over." in shown(rig.app))
        assert isinstance(rig.app.failure, CallEnded)
        assert rig.session.was_joined


async def test_leaving_does_not_end_the_call() -> None:
    async with watch_rig() as rig:
        await rig.pilot.press("ctrl+q")
        await rig.provider.until(lambda: not rig.call.sockets)
        assert rig.call.state == "talking"
        assert rig.provider.requests == []


async def test_a_reply_that_the_caller_cuts_short_is_marked() -> None:
    async with watch_rig() as rig:
        await rig.call.speak("A very long story.")
        await rig.until(lambda: "A very long story." in rig.texts)
        (item,) = rig.session.transcript.entries
        await rig.call.send(
            "conversation.item.truncated",
            item_id=item.item_id, content_index=0, audio_end_ms=300,
        )  # fmt: skip
        await rig.until(lambda: "interrupted" in shown(rig.app))


async def test_a_call_of_a_live_model_is_watched_alike() -> None:
    async with call_provider() as provider:
        call = provider.calls["live_1"] = Call("live_1", "talking")
        session = watching(provider, "live_1")
        out = StringIO()
        running = asyncio.create_task(run_client(ReplayPrinter(session, out)))
        await provider.until(lambda: bool(call.sockets))
        at = {"start_ms": 0, "end_ms": 100}
        await call.send("session.input_transcript.delta", delta="hello", **at)
        await call.send("session.closed", reason="expired", usage={"seconds": 1}, session={})
        await provider.until(lambda: "Caller: hello" in out.getvalue())
        session.instruct("Be brief.")
        await provider.until(
            lambda: any(f["type"] == "session.instructions.append" for f in call.received)
        )
        await call.end()
        with pytest.raises(CallEnded, match="over"):
            await running


async def test_there_is_no_such_call() -> None:
    async with call_provider() as provider:
        session = watching(provider, "rtc_404")
        with pytest.raises(CallEnded, match="has no call rtc_404"):
            await session.run()
        assert not session.was_joined
        for wrong in ("", "../x", "a b", "x" * 300):
            with pytest.raises(UsageError, match="not the id of a call"):
                JoinedCall(wrong)
        with pytest.raises(UsageError, match="takes no phone calls"):
            watching(provider, model="local")


def shown(app: VoicechatApp) -> str:
    """Return the text on the screen."""
    return "\n".join(
        "".join(s.text for s in strip) for strip in app.screen._compositor.render_strips()
    )
