"""Seeding: a new session receives the conversation of an old one, as far as it was heard."""

from __future__ import annotations

from dataclasses import replace

from voicechat.core import commands, effects
from voicechat.core.effect_buffer import EffectBuffer
from voicechat.core.items import Entry, Item, Role, ToolCall, ToolState, Transcript
from voicechat.core.settings import Capabilities

SHORTENED = "The provider would not have all of the conversation: the model knows its end only."
UNKNOWN_OUTCOME = '{"error": "The connection was lost; whether this was done is not known."}'


class Seeding:
    """The part of the conversation that the next session receives."""

    def __init__(self, buffer: EffectBuffer, can: Capabilities) -> None:
        self._buffer = buffer
        self._can = can
        self._known = 0
        self._start = 0
        self._shortened = False

    @property
    def forgot_all(self) -> bool:
        """True if nothing is left of what one session would not have."""
        return 0 < len(self._buffer.transcript.entries) <= self._start

    def connection_lost(self, *, unacceptable: bool) -> None:
        """The session is gone; `unacceptable` when it would not have what it was told."""
        transcript = self._buffer.transcript
        self._known = received(transcript)
        if unacceptable:
            length = len(transcript.entries)
            half = length - max(0, length - self._start) // 2
            # A call that is still open still needs an answer.
            first = next((at for at, e in enumerate(transcript.entries) if _open(e)), half)
            self._start = min(first, half)
            self._can = replace(self._can, pictures=())
            self._shortened = True

    def tell(self, *, resumed: bool) -> list[commands.Command]:
        """Tell a new session; one that is `resumed` knows most of it."""
        start = max(self._start, self._known if resumed else 0)
        told, lost = retell(self._buffer.transcript, self._can, start)
        for command in told:
            self._buffer.send(command)
        if self._shortened:
            self._shortened = False
            self._buffer.do(effects.Notice(SHORTENED, effects.Level.WARNING))
        elif lost:
            what = "A picture" if lost == 1 else f"{lost} pictures"
            self._buffer.do(effects.Notice(f"{what} could not be shown to the model again."))
        return told


def _open(entry: Entry) -> bool:
    return isinstance(entry, ToolCall) and not entry.state.final


def unanswered(transcript: Transcript) -> bool:
    """True if the last word is the user's, or a tool's: an answer to it is still to come."""
    last = transcript.entries[-1] if transcript.entries else None
    if isinstance(last, Item):
        return last.role is Role.USER and bool(last.text.strip() or last.picture)
    return last is not None


def received(transcript: Transcript) -> int:
    """Count the entries that a provider has received: all before the unanswered ones."""
    entries = transcript.entries
    known = len(entries)
    while known and isinstance(last := entries[known - 1], Item) and last.role is Role.USER:
        known -= 1
    return known


def retell(
    transcript: Transcript, can: Capabilities, start: int = 0
) -> tuple[list[commands.Command], int]:
    """The conversation from entry `start` on: both sides, the assistant's only as far as heard.

    With it comes how many pictures could only be told of: they are not kept any more, or this
    provider does not take them.
    """
    told: list[commands.Command] = []
    lost = 0
    for entry in transcript.entries[start:]:
        if isinstance(entry, ToolCall):
            told += _called(entry)
        elif entry.picture is not None:
            message = _shown(entry, can)
            lost += message.picture is None
            told.append(message)
        elif entry.shown.strip() and not entry.hidden:
            told.append(commands.CreateMessage(entry.item_id, entry.role.value, entry.shown))
    return told, lost


def _called(call: ToolCall) -> list[commands.Command]:
    """A call, and what it came to; of one that still runs or waits, that follows later.

    Nothing of one that the model never finished, or took back before it ran.
    """
    half = call.state is ToolState.CANCELLED and call.output is None and call.started_at is None
    if half or call.state is ToolState.STREAMING or not call.arguments:
        return []
    told: list[commands.Command] = [commands.SeedCall(call.call_id, call.name, call.arguments)]
    if call.state.final:
        told.append(commands.SeedResult(call.call_id, call.output or UNKNOWN_OUTCOME))
    return told


def _shown(item: Item, can: Capabilities) -> commands.CreateMessage:
    """A message with its picture, or with a note in its place."""
    picture = item.picture
    if picture is not None and (not picture.data or picture.kind not in can.pictures):
        note = f"(I showed a picture here, {picture.caption}. It cannot be shown again.)"
        return commands.CreateMessage(item.item_id, item.role.value, f"{note} {item.shown}".strip())
    return commands.CreateMessage(item.item_id, item.role.value, item.shown, picture=picture)
