"""Assistant items: text and audio, playout positions, and truncation.

This part receives only what belongs to a live response. Audio goes to the speaker at once and is
counted by `Playout`; text is shown as far as it was heard. After an interruption, the open
`SpokenItem`s move to `_cuts` until the audio process reports where playback stopped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

from voicechat.core import commands, effects, events, inputs
from voicechat.core.effect_buffer import EffectBuffer
from voicechat.core.items import Item, ItemStatus, Role, ToolCall, ToolState
from voicechat.core.playout import Playout, SpokenItem
from voicechat.core.settings import AudioFormat, Capabilities
from voicechat.core.turns import RecentIds

STOP_TIMEOUT_S = 0.5
"""Seconds that the audio process has to report where playback stopped."""

OUTCOMES = {
    events.ResponseStatus.COMPLETED: ItemStatus.COMPLETED,
    events.ResponseStatus.CANCELLED: ItemStatus.INTERRUPTED,
    events.ResponseStatus.INCOMPLETE: ItemStatus.FAILED,
    events.ResponseStatus.FAILED: ItemStatus.FAILED,
}
"""Status of a response -> status of its items."""


class AssistantItems:
    """Items of the assistant.

    `on_answered` is called with the id of a response when its first audio is heard or, without a
    speaker, its first text is shown.
    """

    def __init__(
        self,
        buffer: EffectBuffer,
        capabilities: Capabilities,
        sound: AudioFormat,
        *,
        speaker: bool,
        on_answered: Callable[[str], None],
    ) -> None:
        self.speaker = speaker
        self.stop_due: float | None = None
        """Deadline (s) for the audio process to report where playback stopped."""
        self.ended_responses = RecentIds()
        """Ids of the responses that ended."""
        self._buffer = buffer
        self._capabilities = capabilities
        self.ms_per_byte = sound.ms(1)
        """Milliseconds of one byte of sound."""
        self._on_answered = on_answered
        self._playout = Playout()
        self._cuts: deque[list[SpokenItem]] = deque()
        self._unplayed = ("", 0.0)
        self._unheard: dict[str, list[str]] = {}

    @property
    def sounding(self) -> bool:
        """True if audio is queued or playing."""
        return bool(self._playout.spoken) and self._playout.sounding

    @property
    def audible(self) -> bool:
        """True if audio is playing."""
        return bool(self._playout.spoken) and self._playout.audible

    @property
    def ends_with_text(self) -> bool:
        """True if the newest transcript entry is a text of the assistant."""
        entries = self._buffer.transcript.entries
        last = entries[-1] if entries else None
        return isinstance(last, Item) and last.role is Role.ASSISTANT and bool(last.text)

    # ----------------------------------------------------------------- what arrives

    def item(self, response_id: str, item_id: str) -> Item:
        """Return the item with this id; create it if it does not exist."""
        item = self._buffer.transcript.item(item_id)
        if item is None:
            item = Item(item_id, Role.ASSISTANT, response_id=response_id)
            self._buffer.transcript.add(item)
        return item

    def audio(self, event: events.AudioDelta) -> None:
        """Add audio to an item."""
        if not (self.speaker and event.pcm):
            self._unplayed = (
                event.response_id,
                self.unplayed_ms(event.response_id) + len(event.pcm) * self.ms_per_byte,
            )
            return
        spoken = self._open_playout(event.response_id, event.item_id)
        if spoken is not None:
            self._buffer.do(self._receive(spoken, event))

    def unplayed_ms(self, response_id: str | None) -> float:
        """Return the audio (ms) of the newest response that arrived without a speaker."""
        newest, ms = self._unplayed
        return ms if newest == response_id else 0.0

    def more_audio(self, event: events.AudioDelta) -> effects.Play | None:
        """Add audio to an item that already has some; return None for any other item."""
        spoken = self._playout.get(event.item_id)
        if spoken is None or not (spoken.item.received_ms and self.speaker and event.pcm):
            return None
        if spoken.item.status is not ItemStatus.IN_PROGRESS:
            return None
        return self._receive(spoken, event)

    def _receive(self, spoken: SpokenItem, event: events.AudioDelta) -> effects.Play:
        ms = len(event.pcm) * self.ms_per_byte
        spoken.item.received_ms += ms
        spoken.alignment.received_ms += ms
        return effects.Play(event.item_id, event.pcm)

    def audio_done(self, event: events.AudioDone) -> None:
        """End the audio of an item."""
        spoken = self._playout.get(event.item_id)
        if spoken is not None:
            self._end_audio(spoken)

    def text(self, event: events.TextDelta) -> None:
        """Add text to an item."""
        spoken = self._speaking(event)
        if spoken is not None:
            spoken.alignment.add_text(event.text)
        self._show(event, spoken, self.item(event.response_id, event.item_id).text + event.text)

    def text_done(self, event: events.TextDone) -> None:
        """Replace the text of an item with the whole text."""
        if event.text is None:
            return
        spoken = self._speaking(event)
        if spoken is not None:
            spoken.alignment.set_text(event.text)
        self._show(event, spoken, event.text)

    def _open_playout(self, response_id: str, item_id: str) -> SpokenItem | None:
        """Return the item's playout state; None if the item has already ended."""
        item = self.item(response_id, item_id)
        if item.status is not ItemStatus.IN_PROGRESS:
            return None
        item.spoken = True
        return self._playout.open(item)

    def _speaking(self, event: events.TextDelta | events.TextDone) -> SpokenItem | None:
        if not (event.spoken and self.speaker):
            return None
        return self._open_playout(event.response_id, event.item_id)

    def _show(
        self, event: events.TextDelta | events.TextDone, spoken: SpokenItem | None, text: str
    ) -> None:
        item = self.item(event.response_id, event.item_id)
        item.text = text
        if spoken is not None:
            spoken.advance(item.heard_ms)
        elif item.heard_chars is not None:
            item.heard_chars = len(text)
        else:
            self._on_answered(event.response_id)
        self._buffer.changed(item)

    # ----------------------------------------------------------------- what is heard

    def playback_started(self, event: inputs.PlaybackStarted) -> None:
        """Note that the first audio of an item is playing."""
        spoken = self._playout.get(event.item_id)
        if spoken is not None:
            spoken.audible = True
            self._on_answered(spoken.item.response_id or "")

    def heard(self, event: inputs.Heard) -> bool:
        """Update the playout position of an item; return True if it advanced."""
        spoken = self._playout.get(event.item_id)
        if spoken is None:
            return False
        before, before_ms = spoken.item.heard_chars, spoken.item.heard_ms
        spoken.advance(event.ms)
        if spoken.item.heard_chars != before:
            self._buffer.changed(spoken.item)
        return spoken.item.heard_ms > before_ms

    def playback_finished(self, event: inputs.PlaybackFinished) -> None:
        """Complete an item whose audio was played to the end."""
        spoken = self._playout.get(event.item_id)
        if spoken is None or not spoken.ended:
            return
        self._playout.close(event.item_id)
        item = spoken.item
        spoken.advance(item.received_ms)
        item.heard_chars = len(item.text)
        if item.status is ItemStatus.IN_PROGRESS:
            item.status = spoken.final_status
        self._buffer.changed(item)

    def set_speaker(self, present: bool) -> None:
        """Add or remove the speaker. Without one, unheard text is shown at once."""
        self.speaker = present
        if present:
            return
        unheard = [*self._playout, *(spoken for cut in self._cuts for spoken in cut)]
        self._cuts.clear()
        self.stop_due = None
        for spoken in unheard:
            self._playout.close(spoken.item.item_id)
            spoken.item.heard_chars = None
            self._buffer.changed(spoken.item)
            if (spoken.item.response_id or "") in self.ended_responses:
                self._close(spoken.item, spoken.final_status)

    # ----------------------------------------------------------------- cutting

    def stop_playback(self, now: float) -> list[str]:
        """Stop all playback; return the ids of the responses that were playing."""
        if not self._playout.spoken:
            return []
        spoken = list(self._playout)
        for spoken_item in spoken:
            self._playout.close(spoken_item.item.item_id)
        self._cuts.append(spoken)
        self.stop_due = self.stop_due or now + STOP_TIMEOUT_S
        self._buffer.do(effects.StopPlayback())
        return [spoken_item.item.response_id or "" for spoken_item in spoken]

    def stopped(self, heard: Mapping[str, float], now: float) -> None:
        """Apply the positions (ms by item id) where playback stopped, and truncate the items."""
        if not self._cuts:
            return
        for spoken in self._cuts.popleft():
            spoken.advance(heard.get(spoken.item.item_id, spoken.item.heard_ms))
            self._truncate(spoken)
        self.stop_due = now + STOP_TIMEOUT_S if self._cuts else None

    @property
    def truncation_due(self) -> bool:
        """True while items wait for the position at which playback stopped.

        A response that is requested before they are truncated takes all of them as heard.
        """
        return bool(self._cuts) and self._capabilities.truncate

    def _truncate(self, spoken: SpokenItem) -> None:
        item = spoken.item
        whole = spoken.ended and spoken.has_audio and item.heard_ms >= item.received_ms - 1
        item.status = ItemStatus.COMPLETED if whole else ItemStatus.INTERRUPTED
        self._buffer.changed(item)
        if whole or not self._capabilities.truncate:
            return
        response_id, audio_end_ms = item.response_id or "", int(item.heard_ms)
        if audio_end_ms > 0:
            self._buffer.send(commands.TruncateItem(item.item_id, audio_end_ms))
        else:
            self.delete_unheard(response_id, item.item_id)

    def delete_unheard(self, response_id: str, item_id: str) -> None:
        """Delete an item of which nothing was heard at the provider, once its response ended."""
        if response_id in self.ended_responses:
            self._buffer.send(commands.DeleteItem(item_id))
        else:
            self._unheard.setdefault(response_id, []).append(item_id)

    def truncated(self, event: events.ItemTruncated) -> None:
        """Mark a reply that the provider cut by itself: a call's sound plays there."""
        item = self._buffer.transcript.item(event.item_id)
        if item is not None and not self.speaker and item.status is ItemStatus.COMPLETED:
            item.status = ItemStatus.INTERRUPTED
            self._buffer.changed(item)

    # ----------------------------------------------------------------- ends

    def end_response(self, response_id: str, status: ItemStatus, error: str | None = None) -> None:
        """End a response. Its items that are still playing end after their last audio."""
        self.ended_responses.add(response_id)
        for item_id in self._unheard.pop(response_id, []):
            self._buffer.send(commands.DeleteItem(item_id))
        if self._playout.spoken:
            for spoken in self._playout.of_response(response_id):
                self._end_audio(spoken)
        self.close_items(response_id, status, error)

    def close_items(self, response_id: str, status: ItemStatus, error: str | None = None) -> None:
        """Close the items of a response: they receive nothing more."""
        for entry in self._buffer.transcript.of_response(response_id):
            if isinstance(entry, ToolCall):
                if entry.state is ToolState.STREAMING:
                    entry.state = ToolState.CANCELLED
                    self._buffer.changed(entry)
            elif entry.status is ItemStatus.IN_PROGRESS:
                entry.error = error
                spoken = self._playout.get(entry.item_id)
                if spoken is not None:
                    spoken.final_status = status
                else:
                    self._close(entry, status)

    def connection_lost(self) -> None:
        """Close all items. Audio that was received still plays to its end."""
        self._unheard.clear()
        for spoken in self._playout:
            spoken.final_status = ItemStatus.INTERRUPTED
            self._end_audio(spoken)
        for entry in list(self._buffer.transcript.entries):
            if (
                isinstance(entry, Item)
                and entry.status is ItemStatus.IN_PROGRESS
                and self._playout.get(entry.item_id) is None
            ):
                self._close(entry, ItemStatus.INTERRUPTED)

    def _end_audio(self, spoken: SpokenItem) -> None:
        if spoken.ended:
            return
        spoken.ended = spoken.alignment.complete = True
        if spoken.has_audio:
            self._buffer.do(effects.EndItem(spoken.item.item_id))
        else:
            self._playout.close(spoken.item.item_id)
            spoken.item.heard_chars = None

    def _close(self, item: Item, status: ItemStatus) -> None:
        if item.text.strip() or item.received_ms or item.error:
            item.status = status
            self._buffer.changed(item)
        else:
            self._buffer.remove(item)
