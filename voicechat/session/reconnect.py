"""Connection loop: one connection after another, each with a codec and four tasks.

    dial -> opening frames -> read, write, watch, renew -> end -> wait -> dial ...

A connection ends because the peer or the network closed it (dial again, with growing delays),
because its time is nearly up (renew between turns, before the provider closes it), because the
provider refused the seeded items (once more, with fewer), or on request (a new conversation, a
hanging provider). Each connection has an outbox of its own, so that no queued command reaches the
next one. The conversation seeds each new session itself.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from voicechat.core import commands, effects, events, inputs
from voicechat.core.settings import SessionSettings
from voicechat.core.text import clean, excerpt
from voicechat.errors import ConnectError, SessionLost, VoicechatError, first_error
from voicechat.providers.call_request import dial_target
from voicechat.providers.codec import Codec, closing, prompting, refused_part, unreported
from voicechat.session.event_stream import Direction
from voicechat.session.frame_limits import TEXT_AT_ONCE, FrameLimits
from voicechat.session.input_clock import fill_silence
from voicechat.session.session_expiry import SHORTEST_SESSION_S, SessionExpiry
from voicechat.session.updates import Link
from voicechat.system.frame_cost import CHEAP_CHARACTERS
from voicechat.system.task_group import TaskGroup
from voicechat.transports.connection_errors import TOO_LARGE, ConnectionLost, DialFailed
from voicechat.transports.dialing import Connection, dial
from voicechat.transports.refusal_reasons import refusal
from voicechat.transports.websocket import LIVENESS_SECONDS, backoff

GIVE_UP_S = 90.0
"""Seconds without a connection until a lost session is given up."""

MAX_FIRST_DIALS = 3
"""Dial attempts before the first connection, if the provider answers that it is busy or failed."""

OUTBOX = 8_192
"""Commands queued for the socket, enough to seed a long conversation. One more reconnects."""

LIVENESS_TIMEOUT_S = 5.0
"""Seconds without frame or pong, while a response is due, until a connection counts as dead."""

SHORT_S = 5.0
"""Shortest duration of a connection that counts as successful."""

FIRST_GIVE_UP_S = 15.0
"""The same as `GIVE_UP_S` before the first session."""

MAX_UNANSWERED_CONNECTIONS = 3
"""Connections in a row that end without an answer until the session is given up."""

WATCH_S = 1.0
"""Seconds between two checks of a connection."""

OPENING_TIMEOUT_S = 15.0
"""Seconds in which a connection must create its session."""

MAX_FIRST_OPENINGS = 2
"""Connections in a row that may create no session until the first one is given up."""

MAX_OPENINGS = 6
"""Connections in a row that may create no session until a session that had one is given up."""

PROMPT_AFTER_S = 3.0
"""Seconds of silence on a new connection after which the server is prompted, once."""

SECOND_REFUSAL_S = 60.0
"""Seconds after a shortened seeding in which another refusal ends the session."""

INVALID = 1007
"""Close code for invalid frames."""

_UNACCEPTABLE = frozenset({INVALID, TOO_LARGE})
"""Close codes of a peer that would refuse the same frames again."""

_POLICY = 1008
"""Close code for a violated policy. Gemini uses it for passing failures of a session, too."""

MAX_CLOSED_RESUMABLE = 2
"""Times in a row that a resumable session is continued after this code."""

MAX_REFUSED_PARTS = 16
"""Parts of the settings that are dropped because a server opens no session with them."""

_OF_A_HANDLE = frozenset({INVALID, _POLICY})
"""Close codes that may refuse a resumption handle."""

_BETWEEN_TURNS = frozenset({effects.Floor.IDLE, effects.Floor.LISTENING})
_RESPONSE_PENDING = frozenset({effects.Floor.THINKING, effects.Floor.SPEAKING})
_ANSWERS = (
    events.OutputItemAdded,
    events.AudioDelta,
    events.TextDelta,
    events.ToolArgumentsDelta,
    events.ToolCallReady,
    events.ResponseDone,
)
"""Events that show that the provider answers."""


class _Ended(Exception):
    """End this connection; the next one starts at once."""


class ConnectionLoop:
    """The connections of one session. `run` ends when it is cancelled or no connection is possible.

    make_codec  makes the codec of the next connection, after any preparation
    settings    returns the settings to request
    on_event    receives every event, and `Disconnected` at the end of a connection
    floor       returns the current floor
    on_link     receives the state of the connection, with one sentence
    trace       receives the frames that are sent and received
    warn        receives a sentence about an odd provider
    seeds       True if a new session is seeded, and can be seeded with less
    """

    def __init__(
        self,
        make_codec: Callable[[], Awaitable[Codec]],
        settings: Callable[[], SessionSettings],
        on_event: Callable[[events.Event | inputs.Disconnected], None],
        floor: Callable[[], effects.Floor],
        on_link: Callable[[Link, str], None],
        *,
        trace: Callable[[Direction, Sequence[str | bytes]], None] = lambda *_: None,
        warn: Callable[[str], None] = lambda _: None,
        seeds: bool = True,
    ) -> None:
        self._make_codec = make_codec
        self._settings = settings
        self._on_event = on_event
        self._floor = floor
        self._on_link = on_link
        self._warn = warn
        self.trace = trace
        self.codec: Codec | None = None
        self.connection: Connection | None = None
        """The open connection, and above its codec; None without one."""
        self.outbox: asyncio.Queue[commands.Command | str] = asyncio.Queue(OUTBOX)
        """Commands queued to be encoded and written, and frames of the user to be written."""
        self._renewal = asyncio.Event()
        self._stopped_by: VoicechatError | None = None
        self._expiry = SessionExpiry(0.0)
        self._warned_of_expiry = False
        self._refused_part: str | None = None
        """Part of the settings because of which this connection got no session."""
        self._parts_refused = 0
        self._limits = FrameLimits()
        self._received = 0
        self._closed_resumable = 0
        """Times in a row that the provider closed a session that can be resumed."""
        self._openings = 0
        """Connections in a row that created no session in time."""
        self._handle = ""
        self._instructions: str | None = None
        """Instructions with which the session began that the handle resumes."""
        self._is_new_peer = False
        self.sessions_created = 0
        """Sessions created so far."""
        self._seeds = seeds
        self._resumes = False
        """The provider of the open connection can resume sessions."""
        self._shortened_at: float | None = None
        self._unanswered = 0
        self._is_answering = False
        self._is_created = False
        """This connection has its session."""
        self._refusal = ""
        """The server's reason for not creating a session on this connection."""

    def renew(self, *, new_session: bool = False, is_new_peer: bool = False) -> None:
        """End this connection and start the next one; with `new_session`, without resumption.

        With `is_new_peer` the next peer is another one, which is given up if it is not available.
        """
        if new_session:
            self._handle = ""
            self._unanswered = 0
        self._is_new_peer = is_new_peer
        self._renewal.set()

    def stop(self, error: VoicechatError) -> None:
        """End this connection and let `run` raise this error; nothing without a connection."""
        if self.connection is not None:
            self._stopped_by = error
            self._renewal.set()

    def send(self, command: commands.Command | str) -> None:
        """Queue a command, or a frame that the user wrote; without a connection it is dropped."""
        if self.connection is None:
            return
        try:
            self.outbox.put_nowait(command)
        except asyncio.QueueFull:
            self._renewal.set()

    async def send_now(self, command: commands.Command) -> None:
        """Send a command immediately, including audio, and wait until it is written.

        Raises `ConnectionLost` if that is not possible.
        """
        if self.connection is None or self.codec is None:
            raise ConnectionLost("There is no connection.")
        await self._write_frames(self.connection, self.codec.encode(command))

    async def wait_for_renewal(self, seconds: float | None) -> bool:
        """Wait for `renew`; return False if it is not called within this time."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._renewal.wait(), seconds)
        is_wanted = self._renewal.is_set()
        self._renewal.clear()
        return is_wanted

    async def run(self) -> None:
        """Dial and connect repeatedly. Raises `VoicechatError` if no connection is possible.

        May be called again after an error.
        """
        failures, lost_at = 0, time.monotonic()
        unusable: list[float] = []  # when connections in a row began that ended early
        self._unanswered, self._openings, self._stopped_by = 0, 0, None
        while True:
            self._renewal.clear()
            try:
                codec = await self._make_codec()
                target = dial_target(codec, self._settings())
                connection = await dial(target, liveness_timeout_s=codec.capabilities.patience_s)
            except DialFailed as failed:
                failures = await self._after_failure(failed, failures, time.monotonic() - lost_at)
                continue
            if self._renewal.is_set():
                # Requested while dialing: this connection may be to the previous model.
                await connection.close()
                continue
            failures, opened_at = 0, time.monotonic()
            lost = await self._live(codec, connection)
            lost_at = time.monotonic()
            self._count_unanswered(codec)
            reason = lost.message if lost else ""
            less = lost is not None and lost.close_code in _UNACCEPTABLE and self._is_created
            too_large = lost is not None and lost.too_large
            if less:
                self._handle = ""
            self._on_event(inputs.Disconnected(reason, less, self._refused_part, too_large))
            if self._stopped_by is not None:
                self._renewal.clear()
                raise self._stopped_by
            if not reason:
                continue
            self._on_link(Link.RECONNECTING, reason)
            least_s = SHORTEST_SESSION_S if self._expiry.is_implausible else SHORT_S
            is_short = lost_at - opened_at < least_s and not self._refused_part
            unusable = [*unusable, opened_at] if is_short and not self._is_answering else []
            if len(unusable) > 1:
                await self._wait_after_unusable(reason, len(unusable), lost_at - unusable[0])

    async def _wait_after_unusable(self, reason: str, count: int, seconds: float) -> None:
        """Wait after connections in a row that ended early; raise after too many seconds."""
        if seconds > (GIVE_UP_S if self.sessions_created else FIRST_GIVE_UP_S):
            lost = f"{reason} No connection lasted, {count} times in a row."
            raise SessionLost(lost, "Check the address, or try again later.")
        await asyncio.sleep(backoff(count - 1, random.random))

    def _count_unanswered(self, codec: Codec) -> None:
        """Count a connection that ended without the answer that was due; raise after too many."""
        is_due = self._floor() is effects.Floor.THINKING and not self._renewal.is_set()
        if is_due and not self._is_answering:
            self._unanswered += 1
        if self._unanswered >= MAX_UNANSWERED_CONNECTIONS:
            raise SessionLost(
                f"{_host(codec)} sent no answer on {self._unanswered} connections in a row.",
                "Check --base-url and --model, or try again later.",
            )

    async def _after_failure(self, failed: DialFailed, failures: int, offline_s: float) -> int:
        """Wait after a failed dial; return the number of failures in a row, 0 after a renewal."""
        if not self._renewal.is_set():
            failures += 1
            await self._wait(failed, failures, offline_s)
        return 0 if self._renewal.is_set() else failures

    async def _wait(self, failed: DialFailed, failures: int, offline_s: float) -> None:
        """Wait before the next dial, or raise to give up."""
        if self.sessions_created and not self._is_new_peer:
            may_retry = failed.retry and offline_s < GIVE_UP_S
        else:
            may_retry = failed.answered and failures < MAX_FIRST_DIALS
        if not may_retry:
            raise failed
        wait = failed.retry_after or backoff(failures - 1, random.random)
        self._on_link(Link.RECONNECTING, f"{failed.message} Trying again in {wait:.1f} s.")
        with suppress(TimeoutError):
            await asyncio.wait_for(self._renewal.wait(), wait)

    async def _live(self, codec: Codec, connection: Connection) -> ConnectionLost | None:
        """Use one connection until it ends; return the reason, None if it was ended on request."""
        self.codec, self.connection = codec, connection
        self._resumes = codec.capabilities.resumes
        self.outbox = asyncio.Queue(OUTBOX)
        self._expiry = SessionExpiry(time.monotonic())
        self._is_answering = False
        self._refusal, self._is_created, self._refused_part = "", False, None
        why: ConnectionLost | None = None
        failure: VoicechatError | None = None
        try:
            await self._write_frames(connection, self._opening(codec))
            async with TaskGroup() as tasks:
                tasks.create_task(self._read(codec, connection))
                tasks.create_task(self._write(codec, connection))
                tasks.create_task(self._watch(connection, codec))
                tasks.create_task(self._await_renewal())
                tasks.create_task(fill_silence(codec, connection))
        except* (ConnectionLost, ConnectError) as group:
            lost = first_error(group)
            failure = self._final(codec, lost)
            why = lost if isinstance(lost, ConnectionLost) else None
        except* _Ended:
            why = None
        finally:
            self.codec = self.connection = None
            for event in unreported(codec, time.monotonic() - self._expiry.began_at):
                self._on_event(event)
            if not self._is_created:
                # The provider refused to resume the session: request a new one.
                self._handle = ""
            try:
                with suppress(ConnectionLost):
                    await connection.send(closing(codec))
            finally:
                await connection.close()
        if failure is not None:
            raise failure
        return why

    def _final(self, codec: Codec, lost: ConnectionLost | ConnectError) -> VoicechatError | None:
        """Return the error that ends the session; None if another connection may replace it."""
        if isinstance(lost, ConnectionLost) and not self._is_created:
            self._refused_part = refused_part(codec, lost.message)
        if isinstance(lost, ConnectionLost) and lost.refusal is not None:
            return lost.refusal
        if self._refusal and (self._is_new_peer or not self.sessions_created):
            return self._refused(codec)
        return None if isinstance(lost, ConnectionLost) and self._may_retry(lost) else lost

    def _opening(self, codec: Codec) -> list[str | bytes]:
        """Return the first frames; they resume the last session if it has these instructions."""
        settings = self._settings()
        if settings.instructions != self._instructions:
            # A resumed session keeps the instructions that it began with.
            self._handle = ""
        self._instructions = settings.instructions
        return codec.opening(settings, self._handle)

    def _may_retry(self, lost: ConnectionLost) -> bool:
        """Return True if another attempt makes sense; refused items are not sent again."""
        if not self._is_created:
            if self._refused_part and self._parts_refused < MAX_REFUSED_PARTS:
                self._parts_refused += 1
                return True
            return lost.retry or bool(self._handle and lost.close_code in _OF_A_HANDLE)
        if lost.close_code == _POLICY and self._resumes:
            return self._may_resume()
        if lost.retry or lost.close_code not in _UNACCEPTABLE or not self._seeds:
            return lost.retry
        before, self._shortened_at = self._shortened_at, time.monotonic()
        return before is None or self._shortened_at - before > SECOND_REFUSAL_S

    def _may_resume(self) -> bool:
        """Count a resumable session that the provider closed; return False after too many.

        The first time it is resumed, then a new one is started.
        """
        self._closed_resumable += 1
        if self._closed_resumable > 1:
            self._handle = ""
        return self._closed_resumable <= MAX_CLOSED_RESUMABLE

    async def _read(self, codec: Codec, connection: Connection) -> None:
        self._limits.connected(_host(codec))
        async for frame in connection:
            self.trace(Direction.RECEIVED, (frame,))
            if len(frame) > CHEAP_CHARACTERS:
                await asyncio.sleep(0)  # masking the frame and reading it each take a while
            self._received += len(frame)
            for event in codec.decode(frame):
                if isinstance(event, events.Unmapped) or self._received > TEXT_AT_ONCE:
                    self._limits.check(event, had_session=bool(self.sessions_created))
                self._note_event(event)
                self._on_event(event)

    async def _write(self, codec: Codec, connection: Connection) -> None:
        while True:
            command = await self.outbox.get()
            frames = [command] if isinstance(command, str) else codec.encode(command)
            await self._write_frames(connection, frames)

    async def _write_frames(self, connection: Connection, frames: Sequence[str | bytes]) -> None:
        self.trace(Direction.SENT, frames)
        await connection.send(frames)

    def _note_event(self, event: events.Event) -> None:
        match event:
            case events.ProviderError(message, code, fatal=fatal):
                if not self._is_created:
                    self._refusal = message
                if fatal:
                    message = excerpt(message)
                    raise ConnectionLost(message, refusal=self._permanent(f"{code} {message}"))
            case events.SessionCreated(_, expires_at):
                self.sessions_created += 1
                self._is_created, self._is_new_peer, self._openings = True, False, 0
                self._on_link(Link.ONLINE, "" if self.sessions_created == 1 else "Reconnected.")
                if expires_at:
                    self._note_expiry(expires_at)
            case _ if isinstance(event, _ANSWERS):
                self._unanswered, self._is_answering = 0, True
                if isinstance(event, events.ResponseDone):
                    self._closed_resumable = 0
            case events.ResumptionHandle(handle):
                self._handle = handle
            case events.SessionEnding(seconds):
                self._expiry.ends_in(seconds, time.monotonic())

    def _permanent(self, reason: str) -> VoicechatError | None:
        """Return the error for a reason of the provider that no other attempt changes."""
        host = _host(self.codec) if self.codec is not None else "The server"
        return refusal(host, reason, f": {reason.removeprefix('None ').rstrip('.')}")

    def _note_expiry(self, expires_at: float) -> None:
        """Note the Unix time (s) at which the session expires; warn once if it already has."""
        ahead_s = self.connection.clock_ahead_s if self.connection is not None else 0.0
        self._expiry.ends_in(expires_at - (time.time() - ahead_s), time.monotonic())
        if self._expiry.is_implausible and not self._warned_of_expiry:
            self._warned_of_expiry = True
            self._warn(
                "The provider says that this new session has ended already. The session continues."
                " Check the clock of this computer."
            )

    async def _watch(self, connection: Connection, codec: Codec) -> None:
        """Check liveness and remaining time every `WATCH_S` seconds."""
        # If pongs are slow, only the kernel detects a dead connection within seconds.
        prompt, opened_at = prompting(codec), time.monotonic()
        slow = codec.capabilities.patience_s > LIVENESS_SECONDS
        silence_limit_s = codec.capabilities.patience_s if slow else LIVENESS_TIMEOUT_S
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._renewal.wait(), WATCH_S)
                return
            if not self._is_created:
                self._check_opening(codec, waited_s := time.monotonic() - opened_at)
                if prompt and waited_s >= PROMPT_AFTER_S:
                    if not self._openings:  # else a sentence says more
                        waits = f"Waiting for {_host(codec)} to open a session."
                        self._on_link(Link.CONNECTING, waits)
                    await self._write_frames(connection, prompt)
                    prompt = []
            if self._floor() in _RESPONSE_PENDING and connection.quiet_for() > silence_limit_s:
                raise ConnectionLost("The connection was lost during the answer.")
            between_turns = self._floor() in _BETWEEN_TURNS
            is_due = self._expiry.is_due(time.monotonic(), between_turns=between_turns)
            if is_due or (codec.stale and between_turns):
                raise _Ended

    def _check_opening(self, codec: Codec, waited_s: float) -> None:
        """Raise if the provider did not create a session in time."""
        if waited_s < OPENING_TIMEOUT_S:
            return
        message = f"{_host(codec)} accepts the connection, but opens no session."
        self._openings += 1
        most = MAX_OPENINGS if self.sessions_created else MAX_FIRST_OPENINGS
        if self._is_new_peer or self._openings >= most:
            raise ConnectError(message, "Check --base-url and --model, or try again later.")
        raise ConnectionLost(f"{message} Trying again.")

    def _refused(self, codec: Codec) -> VoicechatError:
        """Return the error for a server that gave a reason and created no session."""
        reason = self._refusal.rstrip(".")
        return refusal(_host(codec), reason, f": {reason}") or ConnectError(
            f"{_host(codec)} opened no session: {reason}.", "Check --base-url and --model."
        )

    async def _await_renewal(self) -> None:
        await self._renewal.wait()
        raise _Ended


def _host(codec: Codec) -> str:
    return clean(urlsplit(codec.endpoint().url).hostname or "") or "The server"
