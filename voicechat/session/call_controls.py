"""Actions of a session that controls a phone call: its sound goes from phone to provider."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from voicechat.core import effects, inputs
from voicechat.errors import UsageError, VoicechatError
from voicechat.providers.phone_call import call_controls
from voicechat.session.controls import SessionControls

if TYPE_CHECKING:
    from voicechat.history.stored_conversation import StoredConversation


class CallControls(SessionControls):
    """Actions of a session, some of which differ for a phone call."""

    hang_up_call: Callable[[], Awaitable[None]] | None = None
    """Ends the phone call; None without one. Set by the command that joins it."""

    @property
    def with_sound(self) -> bool:
        """True if the session opens microphone and speaker."""
        return self._chosen.options.with_sound

    @property
    def joins_call(self) -> bool:
        """True for a phone call: typed lines are instructions, and there is no sound here."""
        return self._chosen.options.call is not None

    @property
    def was_joined(self) -> bool:
        """True if there was a connection."""
        return self._connections.sessions_created > 0

    @property
    def speaker_label(self) -> str:
        """The word for the person who speaks with the assistant."""
        return "Caller" if self.joins_call else "You"

    @property
    def call_sounds(self) -> bool:
        """True while the phone plays sound of the assistant, as far as the provider tells."""
        codec = self._codec()
        call = call_controls(codec) if codec is not None else None
        return (call is not None and call.sound_plays) or self.floor is effects.Floor.SPEAKING

    @property
    def _has_turn_detection(self) -> bool:
        return self._wants_hands_free and (self.with_sound or self.joins_call)

    def instruct(self, text: str) -> None:
        """Give the model an instruction that it carries out at once, between two turns."""
        self._handle(inputs.Announce(text))

    def interrupt(self) -> None:
        """Stop responses and tools; deny calls that wait. The phone falls silent, too."""
        super().interrupt()
        if self.joins_call and self.capabilities.clear_output:
            self.clear_output()

    def new_conversation(self) -> None:
        """Clear the transcript and start again on a new connection; a call goes on instead."""
        if not self._keeps_call():
            super().new_conversation()

    def continue_conversation(self, stored: StoredConversation) -> None:
        """Continue a conversation of the history, or fork it; a call goes on instead."""
        if not self._keeps_call():
            super().continue_conversation(stored)

    def change_model(self, name: str) -> None:
        """Continue with another model, PROVIDER/MODEL; a call keeps its own."""
        if not self._keeps_call():
            super().change_model(name)

    def _keeps_call(self) -> bool:
        """Return True for a phone call, with a notice."""
        if self.joins_call:
            text = "A phone call has one model and one conversation."
            self._publish_update(effects.Notice(text, effects.Level.WARNING))
        return self.joins_call

    async def require_budget(self) -> None:
        """Raise `BudgetSpent` if the budget allows no response."""
        await self._budget.require()

    def hang_up(self) -> None:
        """End the phone call in the background; a notice reports a failure.

        Raises `UsageError` without a call.
        """
        if self.hang_up_call is None:
            raise UsageError("There is no phone call.", "voicechat calls watch ID joins one.")
        self._run(self._hang_up(self.hang_up_call))

    async def _hang_up(self, end: Callable[[], Awaitable[None]]) -> None:
        try:
            await end()
        except VoicechatError as error:
            self._warn_of(error)
