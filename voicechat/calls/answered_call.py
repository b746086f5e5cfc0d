"""One answered call: its session on the control socket, from the answer to the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from voicechat.calls.call_control import (
    ANSWERED_BEFORE,
    CallControl,
    CallRefused,
    call_options,
)
from voicechat.calls.call_keypad import CallKeypad
from voicechat.calls.call_lines import CallLines
from voicechat.calls.call_tools import call_tools
from voicechat.config.call_settings import CallSettings
from voicechat.core import effects, events
from voicechat.core.inputs import Decision
from voicechat.core.items import ToolCall
from voicechat.errors import CallEnded, ConnectError, VoicechatError, first_error
from voicechat.providers.phone_call import WrongKind
from voicechat.session.budget_watch import kept_ledger
from voicechat.session.event_stream import Overflow, Subscription
from voicechat.session.session import Session
from voicechat.session.updates import UPDATES, Link, LinkChanged
from voicechat.system.task_group import TaskGroup

if TYPE_CHECKING:
    from voicechat.config.joined_call import JoinedCall
    from voicechat.config.options import Options

MAX_UPDATES = 5_000
"""Updates that wait to be printed; then the oldest are dropped."""

HANG_UP_S = 3.0
"""Seconds in which a call ends after the request for it."""

ACCEPT_S = 1.0
"""Seconds until a request that answers the call counts as lost when the program stops."""

PAUSES_S = (0.5, 1.5)
"""Seconds before the request that answers the call is repeated; the phone rings meanwhile."""

PRESSED = "The caller pressed these keys on the phone: {}"

UNATTENDED = "No one can approve tools in a phone call."
UNAVAILABLE = 480
"""Code of SIP for a call that fails here or may not cost more (RFC 3261, 21.4.18)."""


class AnsweredCall:
    """The session of one call. `say` receives lines about it, `warn` what went wrong."""

    def __init__(
        self,
        call: JoinedCall,
        options: Options,
        settings: CallSettings,
        say: Callable[[str], None],
        warn: Callable[[str], None],
        *,
        rejects: bool = True,
    ) -> None:
        """rejects: reject a call that cannot be answered, instead of letting it ring.

        Raises `UsageError` and `KeyMissing` if the options name no model that takes calls."""
        self.call = call
        self._settings = settings
        self._say = say
        self._warn = warn
        self._rejects = rejects
        self._control = CallControl(options, call)
        offered = settings.tools if settings.tools is not None else options.tools or ()
        own = tuple(call_tools(self._control, settings, self._quiet))
        names = (*offered, *(tool.spec.name for tool in own))
        self._session = Session(
            replace(call_options(options, call), tools=names, record=None),
            tools=own,
            open_ledger=kept_ledger(),
            keeps_history=options.history,
        )
        self._session.hang_up_call = self._control.hang_up
        self._was_online = False
        self._keypad = CallKeypad(self._pressed)
        self._stopping = asyncio.Event()
        self._settled = asyncio.Event()
        """The request that answers the call has its answer, or is not sent."""

    async def run(self) -> None:
        """Answer the call and run its session until it is over.

        Raises `VoicechatError` if it cannot be answered.
        """
        try:
            await self._answer()
        finally:
            self._settled.set()
        self._say("Answered")
        failure: VoicechatError | None = None
        try:
            async with asyncio.timeout(self._settings.minutes * 60):
                await self._talk()
        except TimeoutError:
            self._warn(f"The call was ended after {self._settings.minutes:g} minutes.")
            await self._end()
        except CallEnded as ended:
            failure = None if self._was_online else ended
        except VoicechatError as error:
            failure = error
            await self._end()
        if failure is not None:
            raise failure
        self._say("Ended")

    async def _answer(self) -> None:
        """Answer the call; try again if the provider is busy. Raises `VoicechatError`."""
        try:
            await self._session.require_budget()
            await self._accept()
        except (CallEnded, WrongKind):
            raise
        except VoicechatError as error:
            if self._rejects and getattr(error, "status", 0) != ANSWERED_BEFORE:
                await self._give_up()
            raise

    async def _accept(self) -> None:
        """Send the request, again if it may succeed then. One that got no answer may have had
        an effect: then another answer of the call is this one.
        """
        is_unanswered = False
        for pause_s in (*PAUSES_S, None):
            if self._stopping.is_set():
                raise VoicechatError("The program stops, so the call is not answered.")
            try:
                await self._control.accept()
                return
            except CallRefused as refusal:
                if refusal.status == ANSWERED_BEFORE and is_unanswered:
                    return
                if pause_s is None or not refusal.passes:
                    raise
            except CallEnded:
                raise
            except ConnectError:
                is_unanswered = True
                if pause_s is None:
                    raise
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._stopping.wait()

    async def _give_up(self) -> None:
        """Reject the call, or end it if an answer that counts as lost has reached it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(HANG_UP_S):
                try:
                    await self._control.reject(UNAVAILABLE)
                except VoicechatError:
                    with suppress(VoicechatError):
                        await self._control.hang_up()

    async def end(self) -> None:
        """End the call: the program stops. One that is being answered is ended afterwards."""
        self._stopping.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(ACCEPT_S):
                await self._settled.wait()
        await self._end()

    async def _end(self) -> None:
        """Hang up; a call that is over already is as good."""
        try:
            async with asyncio.timeout(HANG_UP_S):
                await self._control.hang_up()
        except CallEnded:
            return
        except (VoicechatError, TimeoutError) as error:
            self._warn(f"The call could not be ended: {error}")

    async def _talk(self) -> None:
        """Run the session and print its lines."""
        lines = CallLines(self._session, self._say, self._warn)
        failure: VoicechatError | None = None
        wants = UPDATES | {events.KeypadPressed}
        with closing(self._keypad), self._subscribed("calls", wants) as updates:
            try:
                async with TaskGroup() as tasks:
                    tasks.create_task(self._read(updates, lines))
                    await self._session.run()
            except* VoicechatError as group:
                failure = first_error(group)
            for update in updates.pop_all():
                self._take(update, lines)
            lines.finish()
        if failure is not None:
            raise failure

    async def _read(self, updates: Subscription, lines: CallLines) -> None:
        while await updates.wait():
            for update in updates.pop_all():
                self._take(update, lines)

    def _take(self, update: object, lines: CallLines) -> None:
        match update:
            case effects.AskApproval(call_id):
                self._decide(call_id)
            case events.KeypadPressed(key):
                self._keypad.press(key)
            case LinkChanged(Link.ONLINE) if not self._was_online:
                self._was_online = True
                if self._settings.greeting:
                    self._session.instruct(self._settings.greeting)
        lines.take(update)

    def _decide(self, call_id: str) -> None:
        """Decide on a tool that asks: no one can approve it, so only the named ones run."""
        call = self._session.transcript.get(call_id)
        if not isinstance(call, ToolCall):
            return
        runs = call.name in self._settings.auto and not call.asks_always
        decision = Decision.ONCE if runs else Decision.DENY
        self._session.decide(call_id, call.arguments, decision, "" if runs else UNATTENDED)

    def _pressed(self, keys: str) -> None:
        """Tell the model, which does not hear the keys of the phone."""
        self._say(f"Caller pressed {keys}")
        self._session.instruct(PRESSED.format(" ".join(keys)))

    async def _quiet(self) -> None:
        """Wait until the phone plays nothing of the assistant."""
        with self._subscribed("call sound") as news:
            while self._session.call_sounds and await news.wait():
                news.pop_all()

    @contextmanager
    def _subscribed(
        self, name: str, wants: frozenset[type] | None = None
    ) -> Iterator[Subscription]:
        found = self._session.subscribe(
            name, limit=MAX_UPDATES, overflow=Overflow.DROP_OLDEST, wants=wants
        )
        try:
            yield found
        finally:
            found.close()
