"""What the pipeline asks of ears, mind and voice. Each engine is replaceable behind these.

Every engine is warm when `open()` returns. Engines that hold the interpreter lock or a
restrictive licence live in a worker process of their own (`worker.py`); their objects here
are the handles. Cancelling an awaiting task, or closing an iterator, stops the work.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Partial:
    """What the ears understand so far; `complete` when it is a whole request as it stands."""

    text: str
    complete: bool


class Ears(Protocol):
    """Turns speech into text, one utterance at a time."""

    on_partial: Callable[[Partial], None]
    """Called on the event loop whenever the partial text of the running utterance changes."""

    async def open(self) -> None:
        """Load and warm up. Raises `VoicechatError` when that is impossible."""
        ...

    def begin(self) -> None:
        """Start an utterance, dropping an unfinished one."""
        ...

    def feed(self, pcm: bytes) -> None:
        """Sound of the running utterance, PCM16 mono 16 kHz. Never blocks."""
        ...

    def settle(self) -> None:
        """The speaker may be done: work the text out by now; it comes as a partial.

        `finish` or `resume` follows.
        """
        ...

    def resume(self) -> None:
        """The speaker was not done: take `settle` back."""
        ...

    async def finish(self) -> str:
        """End the utterance and give its text; empty when nothing was understood."""
        ...

    def drop(self) -> None:
        """Forget the running utterance."""
        ...

    async def close(self) -> None:
        """Stop the worker; what was learned about the room is kept for the next run."""
        ...


@dataclass(frozen=True, slots=True)
class ToolOffer:
    """A tool the session offers; `parameters` is a JSON schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the conversation as the mind sees it, oldest first.

    role: system, user, assistant, tool_call (text is the JSON arguments) or tool_result.
    """

    role: str
    text: str
    call_id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """Everything a mind needs for one reply."""

    messages: Sequence[Message]
    instructions: str = ""
    tools: Sequence[ToolOffer] = ()
    tool_choice: str = "auto"
    """auto, none, required, or the name of one tool."""


@dataclass(frozen=True, slots=True)
class Say:
    """A piece of the reply: text to be spoken or shown, clause by clause or shorter."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """The mind wants a tool run. `arguments` is JSON text."""

    call_id: str
    name: str
    arguments: str


Thought = Say | Call


class Mind(Protocol):
    """Turns a conversation into a reply."""

    on_nudge: Callable[[str], None]
    """Called on the event loop when the mind wants to speak unasked (a timer rings)."""

    async def open(self) -> None:
        """Load and warm up."""
        ...

    def reply(self, request: Request) -> AsyncIterator[Thought]:
        """Think; closing the iterator stops it. Raises `VoicechatError` when thinking failed."""
        ...

    async def close(self) -> None:
        """Stop everything; timers end."""
        ...


@dataclass(frozen=True, slots=True)
class Speech:
    """A piece of spoken text: its words, and their sound (PCM16 mono at `Voice.rate`)."""

    text: str
    pcm: bytes = field(repr=False, default=b"")


class Voice(Protocol):
    """Turns text into speech."""

    rate: int
    """Hz of the sound."""
    names: tuple[str, ...]
    """The voices one can choose."""

    async def open(self) -> None:
        """Load and warm up."""
        ...

    def speak(
        self, text: str, voice: str | None = None, speed: float = 1.0
    ) -> AsyncIterator[Speech]:
        """Say the text word by word: each piece holds a word (with its spaces) and its sound.

        The texts joined are the text given. Closing the iterator stops synthesis at once.
        """
        ...

    async def close(self) -> None:
        """Stop the worker."""
        ...
