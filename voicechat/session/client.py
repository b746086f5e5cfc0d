"""The Python API: one conversation with a model, as an asynchronous context manager.

`connect` makes a `ClientSession`. It runs the same `Session` as the command, so models, keys,
settings, tools, approvals and reconnecting behave alike. See docs/python-api.md.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from voicechat.core import effects, inputs
from voicechat.core.effects import Floor, Level
from voicechat.core.inputs import Decision
from voicechat.core.items import Item, ItemStatus, ToolCall, ToolState, Usage
from voicechat.core.pictures import Picture, picture
from voicechat.core.text import clean
from voicechat.errors import ConnectError, SessionLost, UsageError, VoicechatError
from voicechat.session.client_events import (
    ApprovalRequest,
    AudioChunk,
    ClientEvent,
    ConnectionEvent,
    InterruptedEvent,
    ProblemEvent,
    TranscriptEvent,
    TurnEndedEvent,
    approval_of,
    exported_as,
    tool_call_of,
    transcript_of,
)
from voicechat.session.client_options import Devices, Parameters, with_tools
from voicechat.session.event_queue import EventQueue
from voicechat.session.event_stream import Overflow
from voicechat.session.images import refusal
from voicechat.session.session import Session
from voicechat.session.sound_card import BLOCK_MS, CardLink, PcmCard, SoundCardProtocol
from voicechat.session.updates import UPDATES, Link, LinkChanged, Update

if TYPE_CHECKING:
    from voicechat.core.settings import Capabilities, SessionSettings
    from voicechat.tools.registry import Tool

CONNECT_S = 60.0
"""Seconds until the first connection must be open, with the start of the embedded voice."""

CLOSE_S = 10.0
"""Seconds that closing a session may take."""

APPROVE_S = 300.0
"""Seconds that an `approve` callback may take; then the call is denied."""

LEAD_S = 0.2
"""Seconds of sound that `send` may be ahead of real time."""

DENIED = "The program that runs this session does not allow the call."
"""The text for the model when a call is denied."""

Verdict = bool | Decision
Approve = Callable[[ApprovalRequest], Verdict | Awaitable[Verdict]]
"""Decides on a tool call: True allows this call, False denies it, a `Decision` says more."""

_RESTING = {Floor.IDLE, Floor.LISTENING}
_BUSY = {Floor.THINKING, Floor.SPEAKING, Floor.WORKING}


def connect(
    model: str | None = None,
    *,
    tools: Iterable[Tool | str] | None = None,
    audio: Devices | SoundCardProtocol | None = None,
    approve: Approve | None = None,
    voice: str | None = None,
    instructions: str | None = None,
    output: Literal["audio", "text"] = "audio",
    push_to_talk: bool | None = None,
    reports_played: bool = False,
    base_url: str | None = None,
    api_key: str | None = None,
    profile: str | None = None,
    settings: bool | str | Path = True,
) -> ClientSession:
    """Prepare a session; `async with` opens it and closes it.

    model          PROVIDER/MODEL; None chooses like the command
    tools          exactly these tools: `voicechat.tool` functions and names of the command's
                   tools; None offers the tools of the settings
    audio          None: give and take PCM. `Devices`: microphone and speaker. Else a `SoundCard`
    approve        decides on tool calls that need permission; without it they are denied
    voice          name of the voice
    instructions   how the assistant should behave
    output         "audio" for spoken replies, "text" for written ones
    push_to_talk   True: `end_turn` ends a spoken turn. Otherwise the provider detects its end
    reports_played with `audio=None`: playout positions come from `played`, not from the iteration
    base_url       another address of the provider's API
    api_key        the provider's key; by default it comes from the environment or the settings
    profile        a profile of the settings file
    settings       True: read the user's settings file. False: read none. A path: read that one

    Parameters override the environment, which overrides the settings file. Raises `UsageError`
    for a wrong parameter or setting, `KeyMissing` when the model needs a key and there is none.
    """
    given = Parameters(
        model=model,
        voice=voice,
        instructions=instructions,
        base_url=base_url,
        api_key=api_key,
        profile=profile,
        push_to_talk=push_to_talk,
        output=output,
        settings=settings,
    )
    devices = audio if isinstance(audio, Devices) else None
    options, own = with_tools(given.options(devices), tools)
    events = EventQueue()
    if devices is not None:
        return ClientSession(Session(options, tools=own), events, approve)
    pcm = PcmCard(events.put_audio, events.drop_audio) if audio is None else None
    card = cast("SoundCardProtocol", pcm or audio)
    session = Session(options, tools=own, open_audio=partial(CardLink, card))
    return ClientSession(session, events, approve, pcm, reports_played=reports_played)


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
        *,
        reports_played: bool = False,
    ) -> None:
        """For `connect` only."""
        self._session = session
        self._events = events
        self._approve = approve
        self._pcm = pcm
        self._reports_played = reports_played
        self._task: asyncio.Task[None] | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._online = asyncio.Event()
        self._floor = Floor.IDLE
        self._told: dict[str, TranscriptEvent] = {}
        self._called: dict[str, ToolState] = {}
        self._unplayed: AudioChunk | None = None
        self._sent_until = 0.0
        _follow(session, self._on_update)

    # ----------------------------------------------------------------- opening and closing

    async def __aenter__(self) -> ClientSession:
        """Connect. Raises `VoicechatError` when that fails."""
        if self._task is not None:
            raise UsageError("This session is already open.", "Call connect again.")
        self._task = asyncio.create_task(self._run(), name="voicechat session")
        online = asyncio.create_task(self._online.wait())
        try:
            await asyncio.wait(
                {self._task, online}, timeout=CONNECT_S, return_when=asyncio.FIRST_COMPLETED
            )
        except BaseException:
            await self.close()
            raise
        finally:
            online.cancel()
        if not self._online.is_set():
            await self.close()
            if not self._task.cancelled():
                self._task.result()
            raise self._events.failure or ConnectError("Could not connect in time.")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the session."""
        await self.close()
        if self._task is not None and not self._task.cancelled():
            self._task.result()

    async def close(self) -> None:
        """End the session. A loop over its events ends, too. Does nothing when it is closed."""
        self._session.close()
        if self._task is not None and not self._task.done():
            await asyncio.wait({self._task}, timeout=CLOSE_S)
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=CLOSE_S)

    async def _run(self) -> None:
        failure: VoicechatError | None = None
        try:
            async with asyncio.TaskGroup() as self._tasks:
                await self._session.run()
                raise _Closed
        except* _Closed:
            pass
        except* VoicechatError as group:
            failure = _first(group)
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

    @property
    def dropped(self) -> int:
        """Events that were dropped because no loop took them."""
        return self._events.dropped

    # ----------------------------------------------------------------- what the caller says

    async def send(self, content: str | bytes | Picture, text: str = "") -> None:
        """Send a line of text, microphone sound or a picture.

        str      a turn of the user. It interrupts a reply that is still playing
        bytes    PCM16 mono at `input_rate`. Returns when it would have been spoken, less 200 ms:
                 providers expect sound in real time. With `push_to_talk` it belongs to a turn
                 that `end_turn` ends
        Picture  shown with the words `text`; see `read_picture`

        Raises `UsageError` for what the model does not take, `SessionLost` after the end.
        """
        self._check_open()
        if isinstance(content, str):
            _take(self._session, inputs.Typed(content))
        elif isinstance(content, Picture):
            self._show(content, text)
        else:
            await self._send_sound(bytes(content))

    def _show(self, shown: Picture, text: str) -> None:
        refused = refusal(shown, _capabilities(self._session), self._session.model)
        if refused is not None:
            raise refused
        _take(self._session, inputs.Typed(text, shown))

    async def _send_sound(self, pcm: bytes) -> None:
        if self._pcm is None:
            raise UsageError("This session has a microphone.", "Open it with audio=None.")
        if len(pcm) % 2:
            raise UsageError("PCM16 has two bytes per sample.", "Send whole samples.")
        if not self._session.hands_free and not self._session.talking:
            self._session.talk(True)
        step = self.input_rate * BLOCK_MS // 1000 * 2
        for start in range(0, len(pcm), step):
            block = pcm[start : start + step]
            now = time.monotonic()
            self._sent_until = max(self._sent_until, now) + len(block) / 2 / self.input_rate
            self._pcm.captured(block)
            await asyncio.sleep(max(0.0, self._sent_until - LEAD_S - now))
            self._check_open()

    def end_turn(self) -> None:
        """End a spoken turn and ask for the reply. Only with `push_to_talk=True`."""
        self._check_open()
        if self._session.hands_free:
            raise UsageError("The provider ends turns.", "Connect with push_to_talk=True.")
        self._session.talk(False)

    def interrupt(self) -> None:
        """Stop the reply and running tools. Calls that wait for permission are denied."""
        self._check_open()
        self._session.interrupt()

    def played(self, item_id: str, ms: float) -> None:
        """Report that `ms` milliseconds of a message were played in all. Best every 100 ms.

        Only with `audio=None` and `reports_played=True`. A barge-in truncates the reply at the
        last reported position.
        """
        if self._pcm is None or not self._reports_played:
            raise UsageError(
                "This session counts by itself what was played.",
                "Connect with audio=None and reports_played=True.",
            )
        self._pcm.played(item_id, ms)

    def _check_open(self) -> None:
        if self._task is None:
            raise UsageError("The session is not open.", "Use it inside async with.")
        if self._events.ended:
            raise self._events.failure or SessionLost("The session is closed.")

    # ----------------------------------------------------------------- events

    def __aiter__(self) -> AsyncIterator[ClientEvent]:
        """Yield events until the session is closed. Raises `VoicechatError` when it is lost."""
        return self

    async def __anext__(self) -> ClientEvent:
        """The next event. Coming back for it means that the `Audio` before it was played."""
        chunk, self._unplayed = self._unplayed, None
        if chunk is not None and self._pcm is not None and not self._reports_played:
            self._pcm.consumed(chunk.item_id, chunk.ms)
        event = await self._events.get()
        if isinstance(event, AudioChunk):
            self._unplayed = event
        return event

    def _on_update(self, update: Update) -> None:
        match update:
            case effects.EntryChanged(entry_id):
                self._entry_changed(entry_id)
            case effects.AskApproval(call_id):
                self._ask(call_id)
            case effects.FloorChanged(floor):
                if self._floor in _BUSY and floor in _RESTING:
                    self._events.put(TurnEndedEvent(self._session.latency_ms))
                self._floor = floor
            case effects.UsageChanged(_, added) if added != Usage():
                self._events.put(added)
            case LinkChanged(link, text):
                self._events.put(ConnectionEvent(link, text))
                if link is Link.ONLINE:
                    self._online.set()
            case effects.Notice(text, level, hint) if level is not Level.INFO:
                self._events.put(ProblemEvent(text, hint, level))
            case _:
                pass

    def _entry_changed(self, entry_id: str) -> None:
        entry = self._session.transcript.get(entry_id)
        if isinstance(entry, ToolCall):
            if entry.state is not ToolState.STREAMING and self._called.get(entry_id) != entry.state:
                self._called[entry_id] = entry.state
                self._events.put(tool_call_of(entry))
        elif entry is not None and not entry.hidden:
            self._message_changed(entry)

    def _message_changed(self, item: Item) -> None:
        before = self._told.get(item.item_id)
        now = transcript_of(item, before.text if before else "")
        if before is not None and _same(before, now):
            return
        self._told[item.item_id] = now
        self._events.put(now)
        cut = item.status is ItemStatus.INTERRUPTED
        if cut and (before is None or before.status is not ItemStatus.INTERRUPTED):
            self._events.put(InterruptedEvent(item.item_id, item.heard_ms, item.shown))

    # ----------------------------------------------------------------- permission

    def _ask(self, call_id: str) -> None:
        call = self._session.transcript.get(call_id)
        if isinstance(call, ToolCall) and self._tasks is not None:
            request = approval_of(call)
            self._events.put(request)
            self._tasks.create_task(self._decide(request))

    async def _decide(self, request: ApprovalRequest) -> None:
        verdict: Verdict = False
        try:
            async with asyncio.timeout(APPROVE_S):
                if self._approve is not None:
                    answer = self._approve(request)
                    verdict = await answer if inspect.isawaitable(answer) else answer
        except Exception as error:  # the callback is the caller's: a fault of it denies the call
            text = f"approve failed, so {request.name} is denied: {type(error).__name__}: {error}"
            self._events.put(ProblemEvent(clean(text), "", Level.ERROR))
        if not isinstance(verdict, Decision):
            verdict = Decision.ONCE if verdict is True else Decision.DENY
        words = DENIED if verdict is Decision.DENY else ""
        self._session.decide(request.call_id, request.arguments, verdict, words)


class _Closed(Exception):
    """The session has ended; stops the tasks that still run for it."""


# --------------------------------------------------------------------------- the session's side


def _follow(session: Session, on_update: Callable[[Update], None]) -> None:
    """Receive every update of the session."""
    updates = session.subscribe(
        "python api", limit=100, overflow=Overflow.DROP_OLDEST, wants=UPDATES
    )

    def take() -> None:
        for update in updates.pop_all():
            on_update(cast("Update", update))

    updates.wake = take


def _take(session: Session, given: inputs.Typed) -> None:
    """Give the session a turn of the user."""
    session._take(given)


def _settings(session: Session) -> SessionSettings:
    """The settings in force."""
    return session._conversation.settings


def _capabilities(session: Session) -> Capabilities:
    """The capabilities of the model."""
    return session.capabilities


# --------------------------------------------------------------------------- small steps


def _same(one: TranscriptEvent, other: TranscriptEvent) -> bool:
    return (one.text, one.heard, one.status) == (other.text, other.heard, other.status)


def _first(group: BaseExceptionGroup[VoicechatError]) -> VoicechatError:
    for each in group.exceptions:
        return _first(each) if isinstance(each, BaseExceptionGroup) else each
    raise AssertionError("an exception group is never empty")


def read_picture(source: str | Path | bytes, name: str = "") -> Picture:
    """A picture from a file or from the bytes of one: PNG, JPEG, GIF or WebP.

    Raises `UsageError` for anything else.
    """
    if isinstance(source, bytes):
        data = source
    else:
        path = Path(source).expanduser()
        name = name or path.name
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UsageError(f"{clean(str(path))} cannot be read: {error.strerror}.") from None
    found = picture(data, clean(name))
    if found is None:
        raise UsageError(f"{clean(name) or 'This'} is not a PNG, JPEG, GIF or WebP picture.")
    return found
