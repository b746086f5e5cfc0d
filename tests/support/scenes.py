"""Conversations for the snapshots of the screen and for the pictures."""

from __future__ import annotations

import base64
import json
import os

from corpus import ESCAPES
from scripted_session import ScriptedSession
from textual.app import App

from voicechat.core.effects import Floor, FloorChanged, Notice
from voicechat.core.events import RateLimit
from voicechat.core.items import ItemStatus, Role, ToolState, Usage
from voicechat.core.pictures import Kind, Picture
from voicechat.session.event_stream import Direction, RawFrame
from voicechat.session.updates import Report
from voicechat.tui.screens.conversation_screen import ConversationScreen

STORY = (
    "Once, a lighthouse keeper counted the waves and wrote each number in a book, until the"
    " sea asked her what she meant to do with them all."
)


def talk(session: ScriptedSession) -> None:
    """A spoken conversation with a tool, an interruption and an answer being heard."""
    session.you("What time is it?")
    session.voiced("It is twenty past two in the afternoon.")
    session.you("Set a timer for ten minutes, for the tea.")
    session.call(
        "set_timer",
        '{"minutes": 10, "label": "tea"}',
        ToolState.DONE,
        output='{"ends_at": "14:31", "label": "tea"}',
        elapsed_ms=38.0,
    )
    session.voiced("The tea timer is set. It rings at 14:31.")
    session.you("Tell me a story about the sea.")
    session.voiced(STORY, status=ItemStatus.INTERRUPTED, heard_chars=STORY.index(" and wrote"))
    session.you("Stop, stop. What is 17 times 23?")
    answer = "Seventeen times twenty-three is three hundred and ninety-one."
    session.voiced(answer, status=ItemStatus.IN_PROGRESS, heard_chars=answer.index(" and n"))
    session.latency_ms = 312.0
    session.usage = Usage(total_tokens=1834)
    session.turn_to(Floor.SPEAKING)
    session.levels(-48.0, -17.0)


def asking(session: ScriptedSession) -> None:
    """Two tools wait for a decision; the first hides something."""
    session.you("Tidy up my documents, and tell Anna.", spoken=False)
    arguments = '{"command": "rm -r ~/documents/\\u0441opies/*\\necho done", "why": "to make room"}'
    session.call("run_command", arguments, ToolState.ASKING, source="built in", number=1)
    session.call("mail__send", "{}", ToolState.ASKING, source="MCP server mail", number=2)
    session.turn_to(Floor.WORKING)


def shown(session: ScriptedSession) -> None:
    """A picture with words, a model with a long name, costs, and a limit that is near."""
    session.model = "google/gemini-3.8-live-extended-thinking"
    cat = Picture(Kind.JPEG, 4032, 3024, "IMG_20260814_our cat on the windowsill.jpg")
    session.you("What is this?", picture=cat, spoken=False)
    session.voiced("That is a gray cat on a windowsill, watching something outside.")
    session.you("", picture=Picture(Kind.PNG, 640, 480, "plot.png"), spoken=False)
    session.voiced("A line that rises until noon and falls after it.")
    session.latency_ms = 812.0
    session.usage = Usage(total_tokens=18_340)
    session.shown_cost = "$0.14"
    session.turn_to(Floor.LISTENING)


def limited(session: ScriptedSession) -> None:
    """The same with little left of a limit."""
    shown(session)
    session.model = "openai/gpt-realtime-2.1"
    session.near_limit = RateLimit("tokens", 40_000, 4_800, 34.0)


def summed_up(session: ScriptedSession) -> None:
    """A summary in front of the conversation."""
    talk(session)
    session.tell(
        Report("Summary", f"You asked for the time, a timer and a story.\nThe story began: {STORY}")
    )


def framed(session: ScriptedSession, at: float = 100.0) -> None:
    """The frames of a spoken turn with a tool; the console must be open."""
    sent, received = Direction.SENT, Direction.RECEIVED
    sound = base64.b64encode(bytes(4_800)).decode()
    item = {"item_id": "item_3", "response_id": "resp_2"}

    def frame(after: float, direction: Direction, kind: str, **fields: object) -> None:
        data = json.dumps({"type": kind, **fields}, separators=(",", ":"))
        session.tell(RawFrame(direction, data, at + after))

    frame(0.0, received, "session.created", session={"model": "gpt-realtime-2.1"})
    frame(0.008, sent, "session.update", session={"voice": "marin"}, event_id="UpdateSession-1")
    frame(0.121, received, "session.updated", session={"voice": "marin"})
    for block in range(90):
        frame(1.0 + block * 0.02, sent, "input_audio_buffer.append", audio=sound)
    frame(1.302, received, "input_audio_buffer.speech_started", item_id="item_0")
    frame(2.804, received, "input_audio_buffer.speech_stopped", item_id="item_0")
    session.stream.publish(FloorChanged(Floor.THINKING), at + 2.81)
    frame(2.815, received, "input_audio_buffer.committed", item_id="item_0")
    frame(2.84, received, "response.created", response={"id": "resp_1", "status": "in_progress"})
    call = {"item_id": "item_1", "call_id": "call_1"}
    frame(
        3.02,
        received,
        "response.function_call_arguments.done",
        **call,
        name="set_timer",
        arguments='{"minutes": 10}',
    )
    result = {"type": "function_call_output", "call_id": "call_1", "output": "Rings at 14:31."}
    frame(3.061, sent, "conversation.item.create", item=result, event_id="ToolResult-2")
    frame(3.062, sent, "response.create", event_id="CreateResponse-3")
    frame(3.099, received, "response.created", response={"id": "resp_2", "status": "in_progress"})
    for block, word in enumerate(["The", "tea", "timer", "is", "set."]):
        frame(3.301 + block * 0.06, received, "response.output_audio.delta", **item, delta=sound)
        frame(
            3.303 + block * 0.06,
            received,
            "response.output_audio_transcript.delta",
            **item,
            delta=f"{word} ",
        )
    frame(3.7, received, "response.output_audio.done", **item)
    frame(
        3.702,
        received,
        "response.done",
        response={"id": "resp_2", "status": "completed", "usage": {"total_tokens": 312}},
    )
    frame(
        4.2,
        received,
        "error",
        error={"code": "invalid_value", "message": "Item item_9 does not exist."},
    )


async def with_console(app: App[None], session: ScriptedSession) -> None:
    """Open the console, and show the talk scene with its frames."""
    screen = app.screen
    assert isinstance(screen, ConversationScreen)
    await screen.open_console(focus=True)
    talk(session)
    framed(session)
    await screen.flush()
    assert screen.console is not None
    screen.console.drain()


def tools(session: ScriptedSession) -> None:
    """Tool calls in every state."""
    session.you("Look everything up, please.")
    states = list(ToolState)
    for state in states:
        done = state in {ToolState.DONE, ToolState.FAILED}
        output = {"results": [f"line {n}" for n in range(40)]} if done else None
        session.call(
            f"look_{state.value}",
            '{"query": "tides at noon", "limit": 40}' if state is not states[0] else '{"que',
            state,
            output=str(output).replace("'", '"') if output else None,
            elapsed_ms=1432.0 if state.final else None,
        )
    session.turn_to(Floor.WORKING)


def noted(session: ScriptedSession) -> None:
    """A user who is still speaking, a failed answer, a note."""
    session.said(Role.SYSTEM, "Connected again; the conversation goes on.")
    session.you("Where were we?")
    session.voiced("We were", status=ItemStatus.FAILED, error="the model is overloaded")
    session.you("", error="no words were recognized")
    session.you("I would like", status=ItemStatus.IN_PROGRESS)
    session.turn_to(Floor.HEARING)
    session.levels(-12.0, -100.0)


def hostile(session: ScriptedSession) -> None:
    """Text with terminal escape sequences in every place for outside text."""
    session.model = session.voice = ESCAPES[0]
    for text in ESCAPES:
        session.you(text)
        session.call(text, text, ToolState.DONE, output=text)
        session.notice(Notice(text))
    session.voiced("the end of it")


def crashing(session: ScriptedSession) -> None:
    """An unexpected error, with a secret next to it."""
    secret = os.environ["SECRET_OF_TEST"]
    raise RuntimeError(f"{len(secret)} characters were wrong")
