"""The Python API: one conversation with a model, as an asynchronous context manager.

`connect_call.connect` makes a `ClientSession`. It runs the same `Session` as the command, so
models, keys, settings, tools, approvals and reconnecting behave alike. See docs/python-api.md.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING

from voicechat.core import inputs
from voicechat.core.effects import Floor
from voicechat.core.inputs import Decision
from voicechat.core.items import Item, ToolCall, Usage
from voicechat.core.microphone import MIN_TALK_MS
from voicechat.core.pictures import Picture
from voicechat.core.text import clean
from voicechat.errors import ConnectError, SessionLost, UsageError, VoicechatError, first_error
from voicechat.session.aside_queue import DEADLINE_S, AsideAnswer
from voicechat.session.client_approvals import DENIED, Approve, decision_on
from voicechat.session.client_checks import (
    api_words,
    check_aside,
    check_loop,
    check_pcm,
    check_position,
    check_type,
    in_api_words,
    shown,
)
from voicechat.session.client_events import (
    ApprovalRequest,
    AudioChunk,
    ClientEvent,
    TranscriptEvent,
    approval_of,
    exported_as,
    transcript_of,
)
from voicechat.session.client_updates import ClientUpdates
from voicechat.session.event_queue import EventQueue
from voicechat.session.images import refusal
from voicechat.session.session import Session
from voicechat.session.sound_card import BLOCK_MS, PcmCard
from voicechat.session.updates import Link
from voicechat.system.task_group import TaskGroup

if TYPE_CHECKING:
    from voicechat.core.settings import Capabilities, SessionSettings

CONNECT_S = 60.0
"""Seconds until the first connection must be open, with the start of the embedded voice."""

CLOSE_S = 10.0
"""Seconds that closing a session may take."""

LEAD_S = 0.2
"""Seconds of sound that `send` may be ahead of real time."""


@exported_as("ClientSession")
class ClientSession:
    """One conversation with a model. Make it with `connect`, use it with `async with`.

    Use it on the event loop that opened it. Iterate over it to receive events, in one loop at a
    time: several loops would share the events. Events that no loop takes are kept up to
    `event_queue.LIMIT`, then the oldest are dropped and counted in `dropped`.
    """

    def __init__(
        self,
        session: Session,
        events: EventQueue,
        approve: Approve | None,
        pcm: PcmCard | None = None,
        reports_played: bool = False,
        named_tools: tuple[str, ...] = (),
        *,
        in_api: bool = True,
    ) -> None:
        """For `connect` only. `named_tools` must exist; `in_api`: messages name parameters."""
        self._session = session
        self._events = events
        self._approve = approve
        self._pcm = pcm
        self._reports_played = reports_played
        self._named_tools, self._in_api = named_tools, in_api
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._online = asyncio.Event()
        self._unplayed: AudioChunk | None = None
        self._iterating = False
        self._sent_until = 0.0
        reword = api_words if in_api else str
        ClientUpdates(session, events, self._online.set, self._ask, reword).follow()

    # ----------------------------------------------------------------- opening and closing

    async def __aenter__(self) -> ClientSession:
        """Connect. Raises `VoicechatError` when that fails."""
        if self._task is not None or self._events.ended:
            raise UsageError("A session opens only once.", "Call voicechat.connect again.")
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._run(), name="voicechat session")
        opening = asyncio.create_task(self._opened())
        try:
            await asyncio.wait(
                {self._task, opening}, timeout=CONNECT_S, return_when=asyncio.FIRST_COMPLETED
            )
            if opening.done():
                opening.result()
                return self
            if not self._task.done():
                raise ConnectError(
                    f"{self.model} did not answer within {CONNECT_S:g} seconds.", "Try again later."
                )
        except BaseException:
            await self.close()
            raise
        finally:
            opening.cancel()
        self._raise_failure()
        raise self._events.failure or SessionLost("The session was closed before it was open.")

    async def _opened(self) -> None:
        """Wait for the connection and the tools. Raises `UsageError` for a tool that is unknown."""
        await self._online.wait()
        if _missing_tools(self._session, self._named_tools):
            await self._session.wait_for_tools()
        if missing := _missing_tools(self._session, self._named_tools):
            raise UsageError(
                f"tools: there is no tool {shown(missing[0])}.",
                "The command `voicechat tools` lists all names.",
            )

    async def __aexit__(self, *_: object) -> None:
        """Close the session."""
        await self.close()
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._task is not None and not self._task.cancelled():
            try:
                self._task.result()
            except BaseExceptionGroup as group:
                raise first_error(group) from None

    async def close(self) -> None:
        """End the session. A loop over its events ends, too. Does nothing when it is closed."""
        if self._task is None:
            self._events.end(None)
            return
        check_loop(self._loop)
        self._session.close()
        if not self._task.done():
            await asyncio.wait({self._task}, timeout=CLOSE_S)
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=CLOSE_S)

    async def _run(self) -> None:
        failure: VoicechatError | None = None
        try:
            async with TaskGroup() as self._tasks:
                await self._session.run()
                raise _Closed
        except* _Closed:
            pass
        except* VoicechatError as group:
            failure = first_error(group)
            failure = in_api_words(failure) if self._in_api else failure
        finally:
            self._tasks = None
            self._events.end(failure)

    # ----------------------------------------------------------------- state

    @property
    def model(self) -> str:
        """PROVIDER/MODEL."""
        return self._session.model

    @property
    def input_rate(self) -> int:
        """Sample rate in Hz of the PCM that `send` takes."""
        return _settings(self._session).input_format.rate

    @property
    def output_rate(self) -> int:
        """Sample rate in Hz of the PCM in `Audio` events."""
        return _settings(self._session).output_format.rate

    @property
    def transcript(self) -> tuple[TranscriptEvent, ...]:
        """All messages of the conversation so far, in order."""
        entries = self._session.transcript.entries
        return tuple(
            transcript_of(each) for each in entries if isinstance(each, Item) and not each.hidden
        )

    @property
    def usage(self) -> Usage:
        """Tokens and seconds used by the whole session."""
        return self._session.usage

    async def ask_aside(
        self, instructions: str, *, max_tokens: int | None = None, deadline: float = DEADLINE_S
    ) -> AsideAnswer:
        """Return the model's answer to instructions, outside the conversation: neither spoken
        nor kept. For titles, summaries and classification; the model knows the conversation.

        max_tokens   limit of the answer. deadline: seconds, with the wait for earlier requests
        Raises `UsageError` if the model has no such answers, `SessionLost` if none comes in time
        or too many requests wait. The budget and `usage` count it.
        """
        check_aside(instructions, max_tokens, deadline)
        self._check_open()
        return await self._session.ask_aside(instructions, max_tokens, deadline)

    @property
    def dropped(self) -> int:
        """Events that were dropped because no loop took them."""
        return self._events.dropped

    # ----------------------------------------------------------------- what the caller says

    async def send(
        self, content: str | bytes | bytearray | memoryview | Picture, text: str = ""
    ) -> None:
        """Send a line of text, microphone sound or a picture.

        str      a turn of the user. It interrupts a reply that is still playing
        bytes    PCM16 mono at `input_rate`. Returns when it would have been spoken, at most
                 200 ms before: providers expect sound in real time. With `push_to_talk` it
                 belongs to a turn that `end_turn` ends
        Picture  shown with the words `text`; see `read_picture`

        Raises `TypeError` for other content, `UsageError` for content that is empty or that the
        model does not take, `SessionLost` after the end.
        """
        self._check_open()
        check_type("text", text, str)
        if isinstance(content, Picture):
            self._show(content, text)
            return
        if text:
            raise UsageError("text belongs to a picture.", "Send everything as one content.")
        if isinstance(content, str):
            if not clean(content).strip():
                raise UsageError(f"content is an empty text: {shown(content)}.", "Send words.")
            _send_turn(self._session, inputs.Typed(content))
        else:
            check_type("content", content, str, bytes, bytearray, memoryview, Picture)
            check_pcm("content", content)
            await self._send_sound(bytes(content))

    def _show(self, picture: Picture, text: str) -> None:
        refused = refusal(picture, _capabilities(self._session), self._session.model)
        if refused is not None:
            raise refused
        _send_turn(self._session, inputs.Typed(text, picture))

    async def _send_sound(self, pcm: bytes) -> None:
        if self._pcm is None:
            raise UsageError(
                "This session has a microphone of its own.", "Connect with audio=None to send PCM."
            )
        if not self._session.hands_free:
            self.start_turn()
        # The length of a push-to-talk turn counts on the clock.
        lead = LEAD_S if self._session.hands_free else 0.0
        step = self.input_rate * BLOCK_MS // 1000 * 2
        for start in range(0, len(pcm), step):
            block = pcm[start : start + step]
            now = time.monotonic()
            self._sent_until = max(self._sent_until, now) + len(block) / 2 / self.input_rate
            self._pcm.captured(block)
            await asyncio.sleep(max(0.0, self._sent_until - lead - now))
            self._check_open()

    def start_turn(self) -> None:
        """Open the microphone for a spoken turn. Only with `push_to_talk=True`.

        `send` does this by itself for PCM. It interrupts a reply that is still playing.
        """
        self._check_push_to_talk()
        if not self._session.talking:
            self._session.talk(True)

    def end_turn(self) -> None:
        """End a spoken turn and request the reply. Only with `push_to_talk=True`.

        Raises `UsageError` when the turn is too short: it needs 150 ms of sound in real time.
        """
        self._check_push_to_talk()
        self._session.talk(False)
        if self._session.link is Link.ONLINE and self._session.floor is not Floor.THINKING:
            raise UsageError(
                "The turn is too short, so it was not sent.",
                f"Send {MIN_TALK_MS:g} ms of sound or more, in real time, before end_turn.",
            )

    def _check_push_to_talk(self) -> None:
        self._check_open()
        if self._session.hands_free:
            raise UsageError(
                "The provider detects spoken turns in this session.",
                "Connect with push_to_talk=True.",
            )

    def interrupt(self) -> None:
        """Stop the reply and running tools. Calls that wait for permission are denied."""
        self._check_open()
        self._session.interrupt()

    async def fetch(self, item_id: str) -> Mapping[str, object]:
        """Return a message as the provider stores it. Raises `SessionLost` if it returns none."""
        check_type("item_id", item_id, str)
        self._check_open()
        return await self._session.fetch(item_id)

    def clear_output(self) -> None:
        """Drop the sound that the provider has buffered for a call (WebRTC, SIP)."""
        self._check_open()
        self._session.clear_output()

    def played(self, item_id: str, ms: float) -> None:
        """Report that `ms` milliseconds of a message were played in all. Best every 100 ms.

        Only with `audio=None` and `reports_played=True`. A barge-in truncates the reply at the
        last reported position. Late reports, of a message that has ended, have no effect.
        """
        check_type("item_id", item_id, str)
        check_position(ms)
        if self._pcm is None or not self._reports_played:
            raise UsageError(
                "This session counts by itself what was played.",
                "Connect with audio=None and reports_played=True.",
            )
        self._check_opened()
        self._pcm.played(item_id, ms)

    def _check_opened(self) -> None:
        if self._task is None and not self._events.ended:
            raise UsageError("The session is not open.", "Use it inside async with.")
        if self._task is not None:
            check_loop(self._loop)

    def _check_open(self) -> None:
        self._check_opened()
        if self._events.ended:
            raise self._events.failure or SessionLost(
                "The session is closed.", "Call voicechat.connect for another one."
            )

    # ----------------------------------------------------------------- events

    def __aiter__(self) -> AsyncIterator[ClientEvent]:
        """Yield events until the session is closed. Raises `VoicechatError` when it is lost."""
        return self

    async def __anext__(self) -> ClientEvent:
        """The next event. Coming back for it means that the `Audio` before it was played."""
        self._check_opened()
        if self._iterating:
            raise UsageError(
                "Another loop takes the events of this session.", "Iterate in one loop at a time."
            )
        chunk, self._unplayed = self._unplayed, None
        if chunk is not None and self._pcm is not None and not self._reports_played:
            self._pcm.consumed(chunk.item_id, chunk.ms)
        self._iterating = True
        try:
            event = await self._events.get()
        finally:
            self._iterating = False
        if isinstance(event, AudioChunk):
            self._unplayed = event
        return event

    # ----------------------------------------------------------------- permission

    def _ask(self, call_id: str) -> None:
        call = self._session.transcript.get(call_id)
        if isinstance(call, ToolCall) and self._tasks is not None:
            request = approval_of(call)
            self._events.put(request)
            self._tasks.create_task(self._decide(request))

    async def _decide(self, request: ApprovalRequest) -> None:
        decision, problem = await decision_on(request, self._approve)
        if problem is not None:
            self._events.put(problem)
        reason = DENIED if decision is Decision.DENY else ""
        self._session.decide(request.call_id, request.arguments, decision, reason)


class _Closed(Exception):
    """The session has ended; stops the tasks that still run for it."""


# --------------------------------------------------------------------------- the session's side


def _send_turn(session: Session, turn: inputs.Typed) -> None:
    """Pass a turn of the user to the session."""
    session._handle(turn)


def _settings(session: Session) -> SessionSettings:
    """The settings in force."""
    return session._conversation.settings


def _capabilities(session: Session) -> Capabilities:
    """The capabilities of the model."""
    return session.capabilities


def _missing_tools(session: Session, names: Iterable[str]) -> list[str]:
    """Names that no tool has. Empty if an MCP server may still bring them."""
    if session._options.mcp_servers:
        return []
    return [name for name in names if session._tools.registry.get(name) is None]
