"""Detectors to lend, and one pair of ears: one utterance hears live, the others wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from voicechat.errors import ServerError
from voicechat.server.engine_protocols import Ears, Partial
from voicechat.speech.vad import Detector

_FINISH_SECONDS = 15.0
_WAIT_SECONDS = 75.0


class Detectors:
    """Speech detectors that go from one connection to the next: making one takes 50 ms."""

    def __init__(self, make: Callable[[], Detector]) -> None:
        self._make = make
        self._spare: list[Detector] = []

    def warm(self) -> None:
        """Make one in advance. May be called on another thread."""
        self.give_back(self._make())

    def take(self) -> Detector:
        """A detector without a past, for one connection."""
        return self._spare.pop() if self._spare else self._make()

    def give_back(self, detector: Detector) -> None:
        """The connection is over."""
        detector.reset()
        self._spare.append(detector)


class SharedEars:
    """Lends the ears to one utterance at a time."""

    def __init__(self, ears: Ears) -> None:
        self.ears = ears
        self._holder: Utterance | None = None
        self._free = asyncio.Event()

    def take(self, utterance: Utterance) -> bool:
        """Whether the utterance holds the ears now."""
        if self._holder is None:
            self._holder = utterance
            self._free.clear()
            self.ears.on_partial = utterance.partial
            self.ears.begin()
        return self._holder is utterance

    async def wait(self, utterance: Utterance) -> None:
        """Return when the utterance holds the ears."""
        while not self.take(utterance):
            await self._free.wait()

    def release(self, utterance: Utterance) -> None:
        """Give the ears back; nothing happens if the utterance does not hold them."""
        if self._holder is utterance:
            self._holder = None
            self._free.set()


class Utterance:
    """The sound of one turn on its way to text. End it with `finish` or `drop`."""

    def __init__(self, shared: SharedEars, on_partial: Callable[[Partial], None]) -> None:
        self.growth = Growth()
        self._shared = shared
        self._on_partial = on_partial
        self._waiting = bytearray()
        self._over = False

    def partial(self, partial: Partial) -> None:
        """What the ears understand so far."""
        if not self._over:
            self._on_partial(partial)

    def feed(self, pcm: bytes) -> None:
        """More sound, PCM16 at 16 kHz."""
        self._waiting += pcm
        if self._shared.take(self):
            self._pass_on()

    def _pass_on(self) -> None:
        if self._waiting:
            self._shared.ears.feed(bytes(self._waiting))
            self._waiting.clear()

    def settle(self) -> None:
        """The speaker may be done: have the text ready when `finish` comes."""
        if self._shared.take(self):
            self._pass_on()
            self._shared.ears.settle()

    def resume(self) -> None:
        """The speaker was not done."""
        if self._shared.take(self):
            self._shared.ears.resume()

    async def finish(self) -> str:
        """The text of the utterance. Raises `ServerError` when there is none in time."""
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                await self._shared.wait(self)
            self._pass_on()
            self._over = True
            async with asyncio.timeout(_FINISH_SECONDS):
                return await self._shared.ears.finish()
        except TimeoutError as error:
            raise ServerError("The recogniser did not answer in time.") from error
        finally:
            self._over = True
            self._shared.release(self)

    def drop(self) -> None:
        """Forget it."""
        self._over = True
        if self._shared.take(self):
            self._shared.ears.drop()
        self._shared.release(self)


class Growth:
    """Tells which words of a changing text are certain: two texts agree, and more words follow."""

    def __init__(self) -> None:
        self._before: list[str] = []
        self._told: list[str] = []

    def grow(self, text: str, final: bool = False) -> str:
        """What may be told beyond what was told before; empty when the text took that back."""
        words = text.split()
        agreed = words
        if not final:
            pairs = zip(self._before, words, strict=False)
            agreed = words[: next((at for at, (a, b) in enumerate(pairs) if a != b), None)]
            agreed = agreed[: min(len(self._before), len(words) - 1)]
        self._before = words
        told = len(self._told)
        if agreed[:told] != self._told or len(agreed) == told:
            return ""
        more = " ".join(agreed[told:])
        self._told = agreed
        return f" {more}" if told else more
