"""Takes the calls that ring: decides about each, and runs those that are answered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from voicechat.calls.answered_call import HANG_UP_S, UNAVAILABLE, AnsweredCall
from voicechat.calls.call_control import CallControl
from voicechat.calls.call_rules import AnswerRules, CallDecision
from voicechat.calls.incoming_call import IncomingCall
from voicechat.calls.webhook_signature import TakenWebhooks
from voicechat.config.call_settings import CallSettings
from voicechat.core.text import clean
from voicechat.errors import CallEnded, VoicechatError, first_error
from voicechat.providers.phone_call import WrongKind
from voicechat.system.task_group import TaskGroup

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from voicechat.config.options import Options

BUSY = 486
"""Code of SIP for a call above the limit (RFC 3261, 21.4.24)."""

MAX_RINGING = 200
"""Calls that wait for a decision; the provider times out those above."""

LAST_S = 0.5
"""Seconds for the sessions of calls that were ended because the program stops."""

_log = logging.getLogger(__name__)


class CallDesk:
    """The calls of one endpoint, each in a task of its own."""

    def __init__(
        self,
        options: Mapping[str | None, Options],
        settings: CallSettings,
        say: Callable[[str], None],
        warn: Callable[[str], None],
        load: Callable[[str], Options] | None = None,
        now: Callable[[ZoneInfo | None], datetime] = datetime.now,
    ) -> None:
        """options: by profile; None for those without one. say, warn: receive lines.

        load: returns the options of another profile, which a function named; it may block, and
        raises `UsageError` if there is none. now: the time in a time zone, None for the local one.
        """
        self._options = dict(options)
        self._load = load
        self._settings = settings
        self._rules = AnswerRules(settings)
        self._say = say
        self._warn = warn
        self._now = now
        self._taken = TakenWebhooks()
        """Ids of calls: one call may be announced twice."""
        self._ringing: dict[str, IncomingCall] = {}
        self._answered: dict[str, AnsweredCall] = {}
        self._handling: set[asyncio.Task[None]] = set()
        self._tasks: asyncio.TaskGroup | None = None

    @property
    def running(self) -> int:
        """The number of calls that were answered and are not over."""
        return len(self._answered)

    async def load(self) -> None:
        """Load the functions that decide. Raises `UsageError` for a wrong one."""
        await self._rules.load()

    async def run(self, stopped: asyncio.Event) -> None:
        """Run the calls until `stopped`; then end those that are left."""
        try:
            async with TaskGroup() as tasks:
                self._tasks = tasks
                await stopped.wait()
                self._tasks = None
                ringing, self._ringing = self._ringing, {}
                await asyncio.gather(
                    *(self._reject(call, UNAVAILABLE) for call in ringing.values()),
                    *(call.end() for call in tuple(self._answered.values())),
                )
                if self._handling:
                    await asyncio.wait(self._handling, timeout=LAST_S)
                raise _Stopped
        except* _Stopped:
            pass
        finally:
            await self._rules.close()

    def take(self, call: IncomingCall) -> None:
        """Take a call that rings; returns at once. A call that was taken before is left alone."""
        if self._tasks is None:
            self._warn(f"{call.call_id} Not taken: the program stops.")
        elif len(self._ringing) >= MAX_RINGING:
            self._warn(f"{call.call_id} Not taken: too many calls ring.")
        elif self._taken.take(call.call_id):
            self._ringing[call.call_id] = call
            task = self._tasks.create_task(self._handle(call))
            self._handling.add(task)
            task.add_done_callback(self._handling.discard)

    async def _handle(self, call: IncomingCall) -> None:
        say, warn = (partial(_line, each, call.call_id) for each in (self._say, self._warn))
        try:
            answered = await self._decide(call, say, warn)
            if answered is not None:
                await self._run(call, answered)
        except WrongKind:
            say("Left for the other kind of models")
        except VoicechatError as error:
            warn(str(error))
        except Exception as error:  # a fault here must not end the other calls
            cause = first_error(error) if isinstance(error, BaseExceptionGroup) else error
            _log.error("a call failed with %s", type(cause).__name__)
            warn(f"A fault ended the session of this call: {type(cause).__name__}.")
            await self._hang_up(call, warn)

    async def _decide(
        self, call: IncomingCall, say: Callable[[str], None], warn: Callable[[str], None]
    ) -> AnsweredCall | None:
        """Return the call to answer; None after it was rejected."""
        try:
            say(f"Call from {call.caller or 'a hidden number'} to {call.called or 'unknown'}")
            decision = await self._rules.decide(call, self._now(self._settings.timezone))
            if decision.problem:
                warn(decision.problem)
            await self._find_profile(decision.profile, warn)
            if decision.action == "accept" and decision.profile in self._options:
                # One that is announced for the other kind must not count as a second call.
                await CallControl(self._options[decision.profile], call.joined).check()
            if call.call_id not in self._ringing:
                return None  # it was rejected because the program stops
            code, reason = self._refusal(decision)
            if not code:
                made = self._answer(call, decision, say, warn)
                self._answered[call.call_id] = made
                return made
        finally:
            self._ringing.pop(call.call_id, None)
        await self._reject(call, code, reason)
        return None

    async def _reject(self, call: IncomingCall, code: int, reason: str = "") -> None:
        """Reject a call, with a line about it. A failure is one, too."""
        try:
            async with asyncio.timeout(HANG_UP_S if self._tasks is None else None):
                await CallControl(self._options[self._settings.profile], call.joined).reject(code)
        except CallEnded:
            # The caller gave up, or it was announced for the other kind of models, too.
            _line(self._say, call.call_id, "Over before it was rejected")
        except (VoicechatError, TimeoutError) as error:
            _line(self._warn, call.call_id, str(error) or "The call was not rejected in time.")
        else:
            _line(self._say, call.call_id, f"Rejected with {code}{reason}")

    async def _find_profile(self, name: str | None, warn: Callable[[str], None]) -> None:
        """Load the options of a profile that only a function names."""
        if name is not None and name not in self._options and self._load is not None:
            try:
                self._options[name] = await asyncio.to_thread(self._load, name)
            except VoicechatError as error:
                warn(str(error))

    def _refusal(self, decision: CallDecision) -> tuple[int, str]:
        """Return the code for a call that is not answered, and the reason; 0 to answer it."""
        if decision.action == "reject":
            return decision.code, ""
        if self.running >= self._settings.at_once:
            return BUSY, f": {self._settings.at_once} calls are running"
        if decision.profile not in self._options:
            return UNAVAILABLE, f": there is no profile {clean(decision.profile or '')[:40]!r}"
        return 0, ""

    def _answer(
        self,
        call: IncomingCall,
        decision: CallDecision,
        say: Callable[[str], None],
        warn: Callable[[str], None],
    ) -> AnsweredCall:
        options = self._options[decision.profile]
        return AnsweredCall(call.joined, options, self._settings, say, warn)

    async def _run(self, call: IncomingCall, answered: AnsweredCall) -> None:
        try:
            await answered.run()
        finally:
            self._answered.pop(call.call_id, None)

    async def _hang_up(self, call: IncomingCall, warn: Callable[[str], None]) -> None:
        try:
            await CallControl(self._options[self._settings.profile], call.joined).hang_up()
        except VoicechatError as error:
            warn(str(error))


class _Stopped(Exception):
    """The calls are over; stops the tasks that are left."""


def _line(write: Callable[[str], None], call_id: str, text: str) -> None:
    write(f"{call_id} {text}")
