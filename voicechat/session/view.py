"""The public interface of a session, used by screens, line mode and programs.

`Session` implements it for a live session; a replayed recording ignores every action.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from voicechat.core import effects, events, inputs
from voicechat.core.conversation import Conversation
from voicechat.core.items import Role, ToolCall, Transcript, Usage
from voicechat.core.settings import Capabilities, ToolSpec
from voicechat.core.usage_meter import is_near
from voicechat.errors import UsageError, VoicechatError
from voicechat.session.event_stream import EventStream, Overflow, Subscription
from voicechat.session.updates import LevelsChanged, Link

if TYPE_CHECKING:
    from voicechat.config.options import Options
    from voicechat.history.stored_conversation import StoredConversation
    from voicechat.providers.client_frames import ClientFrame
    from voicechat.session.aside_queue import AsideAnswer
    from voicechat.session.conversation_log import ConversationLog
    from voicechat.session.live_settings import LiveSettings
    from voicechat.session.toolbox import Toolbox
    from voicechat.tools.question import Question

MAX_VOLUME = 200
"""Highest playback volume in percent: +6 dB."""


class SessionView(ABC):
    """A read-only session. The subclass sets `_conversation` and `_stream`."""

    _conversation: Conversation
    _stream: EventStream
    link = Link.CONNECTING
    """State of the connection."""
    outlives_connections = False
    """True to wait for the server after an error, instead of ending. Set by a screen."""
    offline_error: VoicechatError | None = None
    """The error because of which the session is offline and waits."""
    muted = False
    half_duplex = False
    """True while playback is softer, and only clear speech over it stops it."""
    volume = 100
    """Playback volume in percent, 0 to `MAX_VOLUME`; 100 is the original loudness."""
    model = ""
    """PROVIDER/MODEL."""
    voice = ""
    """Voice of the model; empty for its default."""
    microphone: str | None = None
    """Name of the input device; None without one."""
    microphone_is_silent = False
    """True while the microphone delivers only zeros: it is switched off, or not allowed."""
    speaker: str | None = None
    """Name of the output device; None without one."""
    themes: tuple[str, ...] = ()
    """Names of the themes of the screen; empty without a screen. Set by the screen."""
    theme = ""
    """Name of the theme in use; empty without a screen. Set by the screen."""
    unmute_hint = "Type /unmute to unmute."
    """How to unmute, as one sentence; a screen sets its key."""
    loudness = LevelsChanged(-100.0, -100.0)
    """Latest levels of microphone and speaker."""

    # ----------------------------------------------------------------- life

    @abstractmethod
    async def run(self) -> None:
        """Run until `close`. Raises `VoicechatError` if the session cannot start or continue."""

    @abstractmethod
    def close(self) -> None:
        """End the session; `run` returns soon after."""

    def subscribe(
        self,
        name: str,
        *,
        limit: int,
        overflow: Overflow,
        wants: Collection[type] | None = None,
    ) -> Subscription:
        """Subscribe to all events from now on; see `EventStream.subscribe`.

        Events are provider events, inputs, effects, audio events, session updates and, for
        subscriptions that name it, `RawFrame`.
        """
        return self._stream.subscribe(name, limit=limit, overflow=overflow, wants=wants)

    # ----------------------------------------------------------------- state

    @property
    def with_sound(self) -> bool:
        """True if the session uses a microphone and a speaker."""
        return False

    @property
    def joins_call(self) -> bool:
        """True if the session controls a phone call."""
        return False

    @property
    def was_joined(self) -> bool:
        """True if there was a connection."""
        return False

    @property
    def call_sounds(self) -> bool:
        """True while the phone plays sound of the assistant."""
        return False

    @property
    def speaker_label(self) -> str:
        """The word for the person who speaks with the assistant."""
        return "You"

    @property
    def recording(self) -> bool:
        """True while the session is recorded."""
        return False

    @property
    def transcript(self) -> Transcript:
        """The conversation so far; read only."""
        return self._conversation.transcript

    @property
    def floor(self) -> effects.Floor:
        """The current phase of the turn."""
        return self._conversation.floor

    @property
    def hands_free(self) -> bool:
        """True if turns end automatically, False with push-to-talk."""
        return self._conversation.hands_free

    @property
    def talking(self) -> bool:
        """True while a push-to-talk turn is open."""
        return self._conversation.talking

    @property
    def latency_ms(self) -> float | None:
        """Milliseconds from the end of the last turn to the first audio or text."""
        return self._conversation.latency_ms

    @property
    def latency_parts(self) -> str:
        """The parts of the latency of the last spoken turn; empty if it is unknown."""
        return ""

    @property
    def pending(self) -> bool:
        """True while the floor is free, and a request is not sent or the reply not checked yet."""
        return False

    @property
    def losses(self) -> str:
        """What the end of the session loses, in sentences; empty if that is nothing."""
        return ""

    @property
    def asking(self) -> tuple[ToolCall, ...]:
        """Tool calls that wait for the user's decision, the next one first."""
        return self._conversation.asking

    @property
    def limits(self) -> tuple[events.RateLimit, ...]:
        """Latest rate limits of the account."""
        return self._conversation.meter.limits

    @property
    def near_limit(self) -> events.RateLimit | None:
        """The rate limit with the smallest remaining part, if little remains."""
        near = filter(is_near, self._conversation.meter.limits)
        return min(near, key=lambda limit: limit.remaining / limit.limit, default=None)

    @property
    def shown_cost(self) -> str:
        """Estimated cost so far, like "$0.04"; empty when it is zero or unknown."""
        return ""

    @property
    def usage(self) -> Usage:
        """Usage so far."""
        return self._conversation.meter.total

    @property
    def usage_report(self) -> list[str]:
        """Usage, cost and rate limits, one sentence per line."""
        return []

    @property
    def budget_used_up(self) -> bool:
        """True if a budget is used up, so that no response is requested."""
        return False

    @property
    def capabilities(self) -> Capabilities:
        """Capabilities of the current model."""
        return Capabilities()

    @property
    def instructions(self) -> str:
        """Instructions for the model."""
        return ""

    @property
    def speaking_rate(self) -> float:
        """Speaking rate; 1 is normal."""
        return 1.0

    @property
    def voices(self) -> tuple[str, ...]:
        """Voices of this model; empty when they are unknown."""
        return ()

    def may_have_voice(self, name: str) -> bool:
        """Return False if this model is known not to have this voice."""
        return True

    @property
    def tools(self) -> tuple[ToolSpec, ...]:
        """The tools that the model can call."""
        return ()

    @property
    def waiting_servers(self) -> tuple[str, ...]:
        """Names of the MCP servers that wait for permission to start."""
        return ()

    @property
    def questions(self) -> tuple[Question, ...]:
        """Questions of MCP servers that wait for the user."""
        return ()

    def past_frames(self) -> Sequence[tuple[object, float]]:
        """Return frames and events until now with their times; a recording knows them.

        The session publishes the frames after them.
        """
        return ()

    @property
    def client_events(self) -> tuple[ClientFrame, ...]:
        """Client event types of the connection; empty if they are unknown."""
        return ()

    @property
    def settings(self) -> LiveSettings:
        """The settings and their values."""
        raise _read_only_error()

    @property
    def options(self) -> Options:
        """The options with everything that was changed."""
        raise _read_only_error()

    @property
    def toolbox(self) -> Toolbox:
        """The tools of the session with their permissions, and the MCP servers."""
        raise _read_only_error()

    @property
    def can_sample(self) -> bool:
        """True if a voice of this model can speak a sample."""
        return False

    # ----------------------------------------------------------------- actions

    def send_event(self, text: str) -> None:
        """Send an event that the user wrote."""
        raise _read_only_error()

    def request_console(self, text: str) -> None:
        """Show or hide the frames of the connection."""

    def type(self, text: str) -> None:
        """Send a typed line."""

    def say(self, text: str) -> None:
        """Speak a text word for word."""
        raise _read_only_error()

    def show(self, argument: str) -> None:
        """Show an image."""

    def interrupt(self) -> None:
        """Stop playback, responses and tools."""

    def decide(
        self, call_id: str, arguments: str, decision: inputs.Decision, reason: str = ""
    ) -> None:
        """Decide on a tool call that asks."""

    def talk(self, on: bool) -> None:
        """Start or end a spoken turn."""

    def set_hands_free(self, on: bool) -> None:
        """Select whether turns end automatically or by `talk`."""

    def set_muted(self, on: bool) -> None:
        """Mute or unmute the microphone."""

    def set_volume(self, percent: int) -> None:
        """Set the playback volume in percent, 0 to `MAX_VOLUME`."""

    def use_device(self, kind: Literal["input", "output"], name: str) -> None:
        """Open another microphone or speaker."""

    def request_copy(self, text: str) -> None:
        """Copy a text to the clipboard."""

    def allow_server(self, server: str) -> None:
        """Allow the program of an MCP server to run."""

    def answer_question(self, number: int, text: str) -> None:
        """Answer a question of an MCP server."""

    def decline_question(self, number: int) -> None:
        """Decline to answer a question of an MCP server."""

    def dismiss_questions(self) -> None:
        """Dismiss all questions of MCP servers, because no user is present."""

    async def wait_for_tools(self) -> None:
        """Wait until all tools are offered."""

    @property
    def history(self) -> ConversationLog | None:
        """Keeps the conversation in the history; None if it is not kept."""
        return None

    @property
    def conversation_id(self) -> str:
        """Id of the conversation in the history; empty if it is not kept."""
        return ""

    def request_history(self, argument: str) -> None:
        """Show the history, or continue the conversation with this id."""

    def new_conversation(self) -> None:
        """Clear the transcript and start again."""

    def continue_conversation(self, stored: StoredConversation) -> None:
        """Continue a conversation of the history."""

    def insert(self, role: Role, text: str, after: str | None = None) -> str:
        """Insert a message."""
        raise _read_only_error()

    def edit_message(self, item_id: str, text: str) -> None:
        """Send this text in place of a message, on a new session seeded with what precedes it."""

    def forget(self, entry_id: str) -> None:
        """Delete an item or a tool call."""

    def forget_last(self) -> None:
        """Delete the user's last turn."""

    async def fetch(self, item_id: str) -> Mapping[str, object]:
        """Return an item as the provider stores it."""
        raise _read_only_error()

    def clear_output(self) -> None:
        """Drop the sound that the provider has buffered."""

    def hang_up(self) -> None:
        """End the phone call."""

    def instruct(self, text: str) -> None:
        """Give the model an instruction."""

    async def require_budget(self) -> None:
        """Raise `BudgetSpent` if the budget allows no response."""

    async def ask_aside(
        self, instructions: str, most_tokens: int | None = None, deadline_s: float = 45.0
    ) -> AsideAnswer:
        """Return the model's answer outside the conversation."""
        raise _read_only_error()

    def report_aside(self, words: str) -> None:
        """Ask the model outside the conversation, and show the answer."""

    async def summary(self) -> str:
        """Return a summary of the conversation."""
        raise _read_only_error()

    @property
    def may_write(self) -> bool:
        """True if a language model answers out of band."""
        return False

    def request_text(self, prompt: str, most_tokens: int, take: Callable[[str], None]) -> None:
        """Ask for a text out of band, and pass it to `take`."""

    def summarize(self) -> None:
        """Summarize the conversation."""

    def allow_more(self) -> str:
        """Allow a bit more of a budget that is used up."""
        raise _read_only_error()

    def report_latency(self) -> None:
        """Show the latencies."""

    async def latency_report(self) -> str:
        """Return the latencies as text."""
        raise _read_only_error()

    def request_help(self) -> None:
        """Show the help."""

    def request_theme(self, name: str) -> None:
        """Show the screen in another theme."""

    def request_picker(self, name: str, selected: str = "") -> None:
        """Show a list to choose from."""

    def report(self, title: str, collect: Callable[[], str]) -> None:
        """Publish a text that takes a while to collect."""

    def replace_options(self, **changes: object) -> None:
        """Replace options that the session reads later."""

    def save_settings(self) -> None:
        """Write the changed settings into the settings file."""

    def play_sample(self, voice: str) -> None:
        """Play a sentence in a voice."""

    def revoke_approval(self, name: str) -> None:
        """Ask again before a tool runs."""

    def change(self, **changes: object) -> list[str]:
        """Change voice, instructions or speed."""
        raise _read_only_error()

    def change_model(self, name: str) -> None:
        """Continue with another model."""
        raise _read_only_error()


def _read_only_error() -> UsageError:
    return UsageError("A recording can only be watched.")
