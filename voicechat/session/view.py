"""What can be read of a conversation that is going on, live or from a recording."""

from __future__ import annotations

from collections.abc import Collection

from voicechat.core import effects, events
from voicechat.core.conversation import Conversation
from voicechat.core.items import ToolCall, Transcript, Usage
from voicechat.core.usage_meter import is_near
from voicechat.session.event_stream import EventStream, Overflow, Subscription
from voicechat.session.updates import LevelsChanged


class Outlook:
    """The readable side of whoever owns a conversation.

    The owner sets `_conversation` and `_stream`.
    """

    _conversation: Conversation
    _stream: EventStream
    loudness = LevelsChanged(-100.0, -100.0)
    """How loud both sides were just now."""

    def subscribe(
        self,
        name: str,
        *,
        limit: int,
        overflow: Overflow,
        wants: Collection[type] | None = None,
    ) -> Subscription:
        """Subscribe to everything that happens from now on; see `EventStream.subscribe`.

        Events are provider events, inputs, effects, audio events, session updates and, for
        subscriptions that name it, `RawFrame`.
        """
        return self._stream.subscribe(name, limit=limit, overflow=overflow, wants=wants)

    @property
    def recording(self) -> bool:
        """Whether all of this is written down in a folder just now."""
        return False

    @property
    def transcript(self) -> Transcript:
        """The conversation so far; read only."""
        return self._conversation.transcript

    @property
    def floor(self) -> effects.Floor:
        """Who has the floor."""
        return self._conversation.floor

    @property
    def hands_free(self) -> bool:
        """Whether turns end by themselves; otherwise by push-to-talk."""
        return self._conversation.hands_free

    @property
    def talking(self) -> bool:
        """Whether push-to-talk is down."""
        return self._conversation.talking

    @property
    def latency_ms(self) -> float | None:
        """The last turn's wait, from its end to the first sound or text."""
        return self._conversation.latency_ms

    @property
    def pending(self) -> bool:
        """Whether something the person asked for is still on its way, and nobody has the floor."""
        return False

    @property
    def asking(self) -> tuple[ToolCall, ...]:
        """The tool calls that wait for the person's decision, the one to decide on first."""
        return self._conversation.asking

    @property
    def limits(self) -> tuple[events.RateLimit, ...]:
        """What is left of the account's limits, as the provider told it last."""
        return self._conversation.meter.limits

    @property
    def near_limit(self) -> events.RateLimit | None:
        """The limit of the account of which the least is left, if that is little."""
        near = filter(is_near, self._conversation.meter.limits)
        return min(near, key=lambda limit: limit.remaining / limit.limit, default=None)

    @property
    def shown_cost(self) -> str:
        """About what this costs so far, like "$0.04"; empty when that is nothing or not known."""
        return ""

    @property
    def usage(self) -> Usage:
        """Tokens used so far."""
        return self._conversation.meter.total
