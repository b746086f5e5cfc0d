"""Seeding: a new session receives the old conversation, as far as it was heard."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from voicechat.core import commands, effects
from voicechat.core.effect_buffer import EffectBuffer
from voicechat.core.items import Entry, Item, Role, ToolCall, ToolState, Transcript, entry_id
from voicechat.core.settings import Capabilities

SHORTENED = "The provider did not accept the whole conversation. The model only knows its end."
MOST_SEEDED = 1_000
"""Most entries that a session receives: models forget earlier ones, and all are sent at once."""
LONG = f"The conversation is long. The model only knows its last {MOST_SEEDED:,} messages."
UNKNOWN_OUTCOME = '{"error": "The connection was lost. It is unknown whether this was done."}'


class Seeding:
    """The part of the conversation that the next session receives."""

    def __init__(self, buffer: EffectBuffer, capabilities: Capabilities) -> None:
        self._buffer = buffer
        self._capabilities = capabilities
        self._known = frozenset[str]()
        """Ids of the entries that a resumed session has."""
        self._refused = frozenset[str]()
        """Ids of the entries that are not seeded again; positions change with removed entries."""
        self._shortened = self._was_long = False
        self._open_calls = frozenset[str]()
        """Ids of the calls that were open when the connection was lost."""

    @property
    def nothing_left(self) -> bool:
        """True if no entry is left to seed after the provider refused them."""
        return 0 < len(self._buffer.transcript.entries) <= self._after(self._refused)

    def connection_lost(self, *, unacceptable: bool) -> None:
        """Prepare the next seeding; `unacceptable` if the provider refused the seeded items."""
        transcript = self._buffer.transcript
        self._open_calls = frozenset(entry_id(each) for each in transcript.entries if _open(each))
        self._known = _first_ids(transcript, received(transcript))
        if unacceptable:
            length = len(transcript.entries)
            sent = min(length - self._after(self._refused), MOST_SEEDED)
            self._refused = _first_ids(transcript, length - sent // 2)
            self._capabilities = replace(self._capabilities, pictures=())
            self._shortened = True

    def send(self, *, resumed: bool) -> list[commands.Command]:
        """Seed a new session; a `resumed` one already has most of the conversation."""
        if self._capabilities.outlives_connection:
            return self._send_missed_results()
        new = self._buffer.transcript.entries[self._after(self._known) if resumed else 0 :]
        refused = self._after(self._refused) - (len(self._buffer.transcript.entries) - len(new))
        left = new[max(0, refused) :]
        entries = left[-MOST_SEEDED:]
        # An open call still needs an answer.
        called = [each for each in new[: len(new) - len(entries)] if self._needs_answer(each)]
        seeded, lost = _seed_commands([*called, *entries], self._capabilities)
        for command in seeded:
            self._buffer.send(command)
        if self._shortened:
            self._shortened = False
            self._buffer.do(effects.Notice(SHORTENED, effects.Level.WARNING))
        elif len(entries) < len(left) and not self._was_long:
            self._was_long = True
            self._buffer.do(effects.Notice(LONG))
        elif lost:
            what = "An image" if lost == 1 else f"{lost} images"
            self._buffer.do(effects.Notice(f"{what} cannot be sent to the model again."))
        return seeded

    def _needs_answer(self, entry: Entry) -> bool:
        return _open(entry) or entry_id(entry) in self._open_calls

    def _send_missed_results(self) -> list[commands.Command]:
        """Send the results of calls that ended without a connection."""
        ended = (each for each in self._buffer.transcript.entries if not _open(each))
        missed: list[commands.Command] = [
            commands.ToolResult(
                call.wire_id,
                call.output or UNKNOWN_OUTCOME,
                call.name,
                failed=call.state is not ToolState.DONE,
            )
            for call in ended
            if isinstance(call, ToolCall) and call.call_id in self._open_calls
        ]
        self._open_calls = frozenset()
        for command in missed:
            self._buffer.send(command)
        return missed

    def _after(self, ids: frozenset[str]) -> int:
        """Return the position after the last of these entries."""
        entries = self._buffer.transcript.entries
        at = len(entries) if ids else 0
        while at and entry_id(entries[at - 1]) not in ids:
            at -= 1
        return at


def _first_ids(transcript: Transcript, count: int) -> frozenset[str]:
    return frozenset(map(entry_id, transcript.entries[:count]))


def _open(entry: Entry) -> bool:
    return isinstance(entry, ToolCall) and not entry.state.final


def unanswered(transcript: Transcript) -> bool:
    """Return True if the last entry is from the user or a tool: a response to it is still due."""
    last = transcript.last
    if isinstance(last, Item):
        return last.role is Role.USER and bool(last.text.strip() or last.picture)
    return last is not None


def received(transcript: Transcript) -> int:
    """Count the entries that the provider has received: all before the trailing user entries."""
    entries = transcript.entries
    known = len(entries)
    while known and isinstance(last := entries[known - 1], Item) and last.role is Role.USER:
        known -= 1
    return known


def _seed_commands(
    entries: Iterable[Entry], capabilities: Capabilities
) -> tuple[list[commands.Command], int]:
    """Return the commands that seed these entries, and the number of lost pictures.

    The assistant's items are included as far as they were heard. The second value counts pictures
    that are replaced by a note: their data is gone or the provider does not accept their kind.
    """
    seeded: list[commands.Command] = []
    lost = 0
    for entry in entries:
        if isinstance(entry, ToolCall):
            seeded += _call_commands(entry)
        elif entry.picture is not None:
            message = _picture_message(entry, capabilities)
            lost += message.picture is None
            seeded.append(message)
        elif entry.shown.strip() and not entry.hidden:
            seeded.append(commands.CreateMessage(entry.item_id, entry.role.value, entry.shown))
    return seeded, lost


def _call_commands(call: ToolCall) -> list[commands.Command]:
    """Return the commands for a call and its result; the result of an open call follows later.

    A call with incomplete arguments, or one cancelled before it ran, is left out.
    """
    incomplete = (
        call.state is ToolState.CANCELLED and call.output is None and call.started_at is None
    )
    if incomplete or call.state is ToolState.STREAMING or not call.arguments:
        return []
    seeded: list[commands.Command] = [commands.SeedCall(call.call_id, call.name, call.arguments)]
    if call.state.final:
        seeded.append(commands.SeedResult(call.call_id, call.output or UNKNOWN_OUTCOME))
    return seeded


def _picture_message(item: Item, capabilities: Capabilities) -> commands.CreateMessage:
    """Return a message with its picture, or with a note in place of the picture."""
    picture, role = item.picture, Role.USER.value  # the only role whose messages have pictures
    if picture is not None and (not picture.data or picture.kind not in capabilities.pictures):
        note = f"(I showed a picture here, {picture.caption}. It cannot be shown again.)"
        return commands.CreateMessage(item.item_id, role, f"{note} {item.shown}".strip())
    return commands.CreateMessage(item.item_id, role, item.shown, picture=picture)
