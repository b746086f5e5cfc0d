"""The subscriber that keeps a session in the history, as it happens.

The stream reports which entries changed. `FLUSH_S` after the first change, the log copies the
changed entries into rows for the writer, so a text that streams costs a few rows a second, and
the loop a copy. Nothing is written before the conversation has an entry.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from msgspec import structs

from voicechat.core import effects
from voicechat.core.items import Entry, Item, Role, ToolCall, Transcript, entry_id
from voicechat.history import open_conversations
from voicechat.history.history_rows import (
    TOOL,
    ConversationRow,
    ItemRow,
    new_conversation_id,
)
from voicechat.history.history_writer import HistoryWriter, RemovedItem, Row
from voicechat.history.stored_conversation import StoredConversation, picture_json
from voicechat.session.event_stream import EventStream, Overflow

if TYPE_CHECKING:
    from voicechat.config.options import Options
    from voicechat.session.view import SessionView

FLUSH_S: Final = 0.3
"""Seconds from a change to the rows for the writer."""

CHANGES_AT_ONCE: Final = 300
"""Most events that are copied in one turn of the event loop, which takes about 10 ms."""

SAVE_S: Final = 2.0

MAX_CHANGES: Final = 10_000
"""Changes that wait for the next flush; equal ones count once."""

TITLE_CHARACTERS: Final = 60

_WANTS: Final = (
    effects.EntryChanged,
    effects.EntryRemoved,
)


class ConversationLog:
    """Keeps the conversations of one session, from now on. Use it on the event loop."""

    def __init__(
        self,
        session: SessionView,
        stream: EventStream,
        writer: HistoryWriter,
        stored: StoredConversation | None = None,
    ) -> None:
        """Begin a new conversation, or continue a stored one."""
        self._session = session
        self._stream = stream
        self._loop: asyncio.AbstractEventLoop | None = None
        self._writer = writer
        self._timer: asyncio.TimerHandle | None = None
        self._changes = stream.subscribe(
            "history", limit=MAX_CHANGES, overflow=Overflow.COALESCE, wants=_WANTS
        )
        self._changes.wake = self._wake
        self._begin(stored)

    @property
    def conversation_id(self) -> str:
        """Id of the current conversation; it is in the history once it has an entry."""
        return self._row.id

    def begin(self, stored: StoredConversation | None = None) -> None:
        """File the conversation away; the transcript of the session now belongs to another one."""
        self.flush()
        open_conversations.release(self._row.id)
        self._begin(stored)

    def _begin(self, stored: StoredConversation | None) -> None:
        self._transcript: Transcript = self._session.transcript
        self._tag = secrets.token_hex(3)
        self._known: dict[str, ItemRow] = {}
        """The last rows by the id of their entry; without text, only place and key."""
        self._users: set[str] = set()
        self._unsaved: set[str] = set()
        """Entries of a fork, which are saved with the first change."""
        now = time.time()
        self._row = ConversationRow(new_conversation_id(), started_at=now, changed_at=now)
        self.has_own_title = stored is not None and bool(stored.row.title)
        """The title is more than the first words of this conversation, and stays."""
        self.forks_open_one = False
        """True if the stored conversation is open in another program, which makes this a fork."""
        if stored is not None:
            wanted = open_conversations.claimed(stored)
            self.forks_open_one = wanted.is_fork and not stored.is_fork
            self._continue(wanted)

    def _continue(self, stored: StoredConversation) -> None:
        old = stored.row
        if stored.is_fork:
            self._row = replace(self._row, title=old.title, parent_id=old.id)
            self._row = replace(self._row, is_renamed=old.is_renamed)
        else:
            self._row = old
        for key, row, entry in stored.keyed_entries():
            place = structs.replace(row, conversation_id=self._row.id)
            self._known[key] = structs.replace(place, text="", arguments="", output=None)
            if isinstance(entry, Item) and entry.role is Role.USER:
                self._users.add(key)
            if stored.is_fork:
                self._unsaved.add(key)

    def set_title(self, title: str) -> None:
        """Give the conversation a title that its later words do not change."""
        self._row = replace(self._row, title=first_words(title))
        self.has_own_title = True
        self._writer.put(self._conversation(time.time()))

    @property
    def is_recording(self) -> bool:
        """True until the history cannot be written."""
        return not self._writer.is_over

    def wait_saved(self) -> bool:
        """Wait, for `SAVE_S` at most, until all flushed changes are on disk. Blocks."""
        return self._writer.wait_saved(SAVE_S)

    def close(self) -> None:
        """Save the rest; blocks on the disk for a second at most."""
        self._writer.close()
        open_conversations.release(self._row.id)

    def publish_soon(self, notice: effects.Notice) -> None:
        """Publish a notice from another thread."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._stream.publish, notice, time.monotonic())

    # ----------------------------------------------------------------- changes

    def _wake(self) -> None:
        """Called by the stream when a first change waits, and when the stream closes."""
        if self._changes.closed:
            self.flush()
        elif self._timer is None:
            with suppress(RuntimeError):  # there is no loop before the session runs
                self._loop = asyncio.get_running_loop()
                self._timer = self._loop.call_later(FLUSH_S, self._flush_some)

    def _flush_some(self) -> None:
        self.flush(CHANGES_AT_ONCE)
        if len(self._changes) and self._loop is not None:
            self._timer = self._loop.call_later(0, self._flush_some)

    def flush(self, most: int | None = None) -> None:
        """Hand all changes to the writer, or at most so many events."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._writer.is_over:
            self._changes.pop_all()
            return
        changed: dict[str, float] = {}
        now, clock = time.time(), time.monotonic()
        for event, published_at in self._changes.pop_timed(most):
            at = now - clock + published_at
            if isinstance(event, effects.EntryChanged | effects.EntryRemoved):
                changed.setdefault(event.entry_id, at)
        rows = list(self._items(changed))
        if rows:
            open_conversations.claim(self._row.id)
            self._writer.put(self._conversation(now), *rows)

    def _items(self, changed: dict[str, float]) -> Iterator[Row]:
        if changed:
            changed = dict.fromkeys(self._unsaved, time.time()) | changed
            self._unsaved.clear()
        self._place({key: at for key, at in changed.items() if key not in self._known})
        for key in changed:
            entry = self._transcript.get(key)
            known = self._known.get(key)
            if entry is not None and known is not None:
                yield _filled(known, entry)
            elif known is not None:
                del self._known[key]
                self._users.discard(key)
                yield RemovedItem(self._row.id, known.entry_id)

    def _place(self, new: dict[str, float]) -> None:
        """Give new entries a position between their neighbors, usually at the end."""
        waiting = {key for key in new if self._transcript.get(key) is not None}
        gap: list[Entry] = []
        """Entries without a position, the last one first."""
        end: float | None = None
        for entry in reversed(self._transcript.entries):
            if not waiting:
                return
            known = self._known.get(entry_id(entry))
            if known is None:
                gap.append(entry)
                continue
            self._place_between(known.position, gap, end, new)
            waiting.difference_update(map(entry_id, gap))
            gap, end = [], known.position
        self._place_between(0.0, gap, end, new)

    def _place_between(
        self, start: float, gap: list[Entry], end: float | None, new: dict[str, float]
    ) -> None:
        step = 1.0 if end is None else (end - start) / (len(gap) + 1)
        for number, entry in enumerate(reversed(gap), 1):
            key = entry_id(entry)
            role = TOOL if isinstance(entry, ToolCall) else entry.role.value
            position, at = start + number * step, new.get(key, time.time())
            self._known[key] = ItemRow(self._row.id, f"{self._tag}_{key}", position, at, role)
            if role == Role.USER:
                self._users.add(key)

    # ----------------------------------------------------------------- the conversation

    def _conversation(self, now: float) -> ConversationRow:
        session, row = self._session, self._row
        settings = {"instructions": session.instructions, "speed": session.speaking_rate}
        settings["mode"] = "voice" if session.with_sound else "text"
        self._row = replace(
            row,
            title=row.title if self.has_own_title or self._has_title else self._title(),
            changed_at=now,
            model=session.model,
            voice=session.voice,
            settings=json.dumps(settings),
            turns=len(self._users),
        )
        return self._row

    @property
    def _has_title(self) -> bool:
        """True if the title is made of the user's first words and stays."""
        return bool(self._row.title) and len(self._users) > 1

    def _title(self) -> str:
        """Return the first words of the user, or else of the assistant."""
        shown = [e for e in self._transcript.entries if isinstance(e, Item) and not e.hidden]
        for role in (Role.USER, Role.ASSISTANT):
            for item in shown:
                text = item.text.strip() or (item.picture.caption if item.picture else "")
                if item.role is role and text:
                    return first_words(text)
        return self._row.title


def keep_history(
    session: SessionView,
    stream: EventStream,
    options: Options,
    mask: Callable[[str], str],
    stored: StoredConversation | None,
) -> ConversationLog:
    """Keep the session in the user's history from now on, with all keys masked."""
    log: ConversationLog

    def report(reason: str) -> None:
        text = f"This conversation is not kept in the history: {reason}."
        notice = effects.Notice(text, effects.Level.WARNING, "It continues without that.")
        log.publish_soon(notice)

    days = options.history_days
    writer = HistoryWriter(keep_days=days, mask=mask, on_failure=report)
    log = ConversationLog(session, stream, writer, stored)
    return log


def first_words(text: str) -> str:
    """Return the beginning of a text as a title: whole words on one line."""
    line = " ".join(text[: 4 * TITLE_CHARACTERS].split())
    if len(line) <= TITLE_CHARACTERS:
        return line
    cut = line[: TITLE_CHARACTERS - 1]
    return f"{cut.rpartition(' ')[0] or cut}…"


def _filled(place: ItemRow, entry: Entry) -> ItemRow:
    """Return the row of an entry at its place."""
    if isinstance(entry, ToolCall):
        return structs.replace(
            place,
            status=entry.state.value,
            response_id=entry.response_id or place.response_id,
            item_id=entry.item_id,
            name=entry.name,
            arguments=entry.arguments,
            output=entry.output,
            source=entry.server or entry.source,
            elapsed_ms=entry.elapsed_ms,
        )
    return structs.replace(
        place,
        text=entry.text,
        status=entry.status.value,
        spoken=entry.spoken,
        heard_chars=entry.heard_chars,
        heard_ms=entry.heard_ms,
        received_ms=entry.received_ms,
        error=entry.error,
        hidden=entry.hidden,
        picture=picture_json(entry.picture),
        response_id=entry.response_id or place.response_id,
    )
