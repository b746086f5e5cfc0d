"""Intervention: a guardrail stops the reply, and the assistant says something else instead."""

from __future__ import annotations

from voicechat.core import commands, effects, inputs
from voicechat.core.effect_buffer import EffectBuffer
from voicechat.core.items import Item, ItemStatus, Role
from voicechat.core.responses import Responses
from voicechat.core.settings import Capabilities
from voicechat.core.text import clean

MAX_ROUNDS = 3
"""Interventions since the user's last turn that request another reply; later ones only stop."""

NOTE_ID = "guardrail_"
"""Start of the ids of the notes about interventions."""

_REASON_CHARS = 300
_PROMPT_CHARS = 4_000


def is_told(item_id: str) -> bool:
    """Return True for a note whose sentence is a notice, too."""
    return item_id.startswith(NOTE_ID)


class Interventions:
    """Notes about interventions, and the replies that they request."""

    def __init__(
        self, buffer: EffectBuffer, capabilities: Capabilities, responses: Responses
    ) -> None:
        self._buffer = buffer
        self._capabilities = capabilities
        self._responses = responses

    def add(self, event: inputs.Intervene) -> None:
        """Tell the user, note it in the transcript, and request the reply that it wants.

        With `stops` false, an earlier reply is the reason, and the present one continues.
        """
        trip = event.trip
        reason = " ".join(clean(trip.reason).split())[:_REASON_CHARS].rstrip(".")
        what = f"The guardrail {event.guardrail} stopped the reply"
        if not event.stops:
            what = f"The guardrail {event.guardrail} objects to an earlier reply"
        sentence = f"{what}: {reason}." if reason else f"{what}."
        self._buffer.do(effects.Notice(sentence, effects.Level.WARNING))
        rounds = self._rounds()
        number = 1
        while self._buffer.transcript.get(f"{NOTE_ID}{number}"):
            number += 1
        item = Item(f"{NOTE_ID}{number}", Role.SYSTEM, f"⊘ {sentence}", ItemStatus.COMPLETED)
        self._buffer.transcript.add(item)
        self._buffer.changed(item)
        if event.stops and self._capabilities.outlives_connection:
            self._silence_phone()
        if event.stops and rounds < MAX_ROUNDS:
            self._request(item.item_id, trip.say.strip(), trip.instructions.strip())

    def _silence_phone(self) -> None:
        """Drop the sound of a call, which plays at the provider after its response has ended."""
        if self._capabilities.clear_output:
            self._buffer.send(commands.ClearOutput())

    def _rounds(self) -> int:
        """Count the interventions since the user's last turn."""
        count = 0
        for entry in reversed(self._buffer.transcript.entries):
            if isinstance(entry, Item):
                if entry.role is Role.USER:
                    break
                count += is_told(entry.item_id)
        return count

    def _request(self, item_id: str, say: str, instructions: str) -> None:
        if say and self._capabilities.verbatim:
            self._responses.say(say[:_PROMPT_CHARS])
            return
        prompt = instructions
        if say:
            prompt = f'Say exactly: "{say.replace(chr(34), chr(39))}"'
        prompt = prompt[:_PROMPT_CHARS]
        if not prompt:
            return
        if self._capabilities.response_instructions:
            self._responses.instruct(prompt)
        else:
            self._buffer.send(commands.CreateMessage(item_id, Role.SYSTEM.value, prompt))
            self._responses.request()
