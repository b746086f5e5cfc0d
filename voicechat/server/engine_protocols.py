"""Protocols of the engines: speech to text, assistant and text to speech.

An engine is warm when `open()` returns; one that is not open yet opens on first use. An engine that
holds the interpreter lock runs in a worker process, and the object here is its handle. Cancel an
awaiting task, or close an iterator, to stop the work.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Partial:
    """The text recognized so far.

    committed: the start of the text that will not change; the final text begins with it. Empty
    for an engine that cannot promise it.
    end_chance: most chance from 0 to 1 that a turn ends with this text.
    """

    text: str
    committed: str = ""
    end_chance: float = 1.0


class SttUtterance(Protocol):
    """The speech of one turn. End it with `finish` or `drop`."""

    def feed(self, pcm: bytes) -> None:
        """Add sound, PCM16 mono 16 kHz. Never blocks."""
        ...

    def settle(self) -> None:
        """Compute the text now, because the user may have finished; deliver it as a partial.

        `finish` or `resume` follows.
        """
        ...

    def resume(self) -> None:
        """Undo `settle`: the user continues to speak."""
        ...

    async def finish(self) -> str:
        """End the utterance and return its text; empty when no words were recognized.

        Raises `ServerError`.
        """
        ...

    def drop(self) -> None:
        """Discard the utterance."""
        ...


class SpeechToText(Protocol):
    """Turns speech into text, any number of utterances at the same time."""

    async def open(self) -> None:
        """Load and warm up the engine. Raises `VoicechatError` on failure."""
        ...

    def utterance(
        self, on_partial: Callable[[Partial], None], *, dictation: bool = False
    ) -> SttUtterance:
        """Begin an utterance. `on_partial` is called on the event loop with each new text.

        dictation: the text is for reading; do not expect requests of the assistant in it.
        """
        ...

    async def close(self) -> None:
        """Stop the engine."""
        ...


@dataclass(frozen=True, slots=True)
class ToolOffer:
    """A tool that the session offers. `parameters` is the JSON schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the conversation, as the assistant gets it.

    role: system, user, assistant, tool_call (`text` is the JSON arguments) or tool_result.
    """

    role: str
    text: str
    call_id: str = ""
    name: str = ""
    spoken: bool = False
    """True for a transcript of speech."""


class _Session:
    """Identity of a session."""


_ONLY_SESSION = _Session()


@dataclass(frozen=True, slots=True)
class AssistantRequest:
    """The input for one reply. `messages` are in order, the oldest first."""

    messages: Sequence[Message]
    instructions: str = ""
    tools: Sequence[ToolOffer] = ()
    tool_choice: str = "auto"
    """One of auto, none, required, or the name of one tool."""
    session: object = _ONLY_SESSION
    """Identity of the session; the assistant keeps what it remembers in memory for each one."""
    spoken: bool = True
    """True if the reply is spoken, False if it is only read."""
    own_instructions: str = ""
    """Instructions of this response alone; empty if it has those of the session."""
    is_aside: bool = False
    """True for a response outside the conversation."""


@dataclass(frozen=True, slots=True)
class Say:
    """A piece of the reply to speak or to show: a clause, or less."""

    text: str
    silent: bool = False
    """True for text that is shown but not spoken."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request of the assistant to run a tool. `arguments` is JSON text."""

    call_id: str
    name: str
    arguments: str


AssistantOutput = Say | Call


class Assistant(Protocol):
    """Turns a conversation into a reply."""

    on_announcement: Callable[[str], None]
    """Called on the event loop with words to say outside a reply, such as a ringing timer."""

    async def open(self) -> None:
        """Load and warm up the engine. Raises `VoicechatError` on failure."""
        ...

    def reply(self, request: AssistantRequest) -> AsyncIterator[AssistantOutput]:
        """Yield the reply. Close the iterator to stop. Raises `VoicechatError`."""
        ...

    async def end_chance(self, text: str) -> float:
        """Return the chance from 0 to 1 that the spoken text is a whole request.

        The higher it is, the shorter is the silence that ends the turn; 0.0 for no request.
        """
        ...

    async def close(self) -> None:
        """Stop all work and end all timers."""
        ...


@dataclass(frozen=True, slots=True)
class SpokenWords:
    """A piece of spoken text: words, and their sound as PCM16 mono at `TextToSpeech.rate`."""

    text: str
    pcm: bytes = field(repr=False, default=b"")


class TextToSpeech(Protocol):
    """Turns text into speech."""

    rate: int
    """Sample rate of the sound, in Hz."""
    names: tuple[str, ...]
    """Names of the available voices."""

    async def open(self) -> None:
        """Load and warm up the engine. Raises `VoicechatError` on failure."""
        ...

    def speak(
        self, text: str, voice: str | None = None, speed: float = 1.0
    ) -> AsyncIterator[SpokenWords]:
        """Yield the speech word by word: each piece holds a word, with its spaces, and its sound.

        The joined texts are the given text. Close the iterator to stop the synthesis at once.
        """
        ...

    async def close(self) -> None:
        """Stop the engine."""
        ...
