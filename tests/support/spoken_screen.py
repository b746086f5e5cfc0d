"""The whole program on a terminal and a virtual card, with a server that speaks for a set time."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

_HERE = Path(__file__).parent
sys.path.append(str(_HERE))

import numpy as np  # noqa: E402
from on_terminal import OnTerminal  # noqa: E402
from scripted import TOKEN, scripted_server  # noqa: E402
from virtual_audio import VirtualCard  # noqa: E402

from voicechat.server.app import App  # noqa: E402
from voicechat.server.engine_protocols import AssistantOutput, AssistantRequest, Call, Say  # noqa: E402
from voicechat.speech.pcm import Samples  # noqa: E402

WORD_S = 0.4
"""Seconds per word, as in natural speech."""
PITCH = 440.0
READY_S = 0.6
"""Seconds after which the program's start cue has ended."""


class Speaker:
    """A server on a thread of its own; it answers every request for `seconds`."""

    def __init__(
        self, seconds: float, tools: tuple[str, ...] = (), voice: Samples | None = None
    ) -> None:
        self.words = round(seconds / WORD_S)
        """Of 0.4 s each; `seconds` should be a multiple of that."""
        self.tools = tools
        """Called without arguments, after the first word."""
        self.voice = voice
        """Speech at the rate of `ScriptedTts`, repeated, instead of the tone."""
        self.url = ""
        self.connected_at = 0.0
        """Monotonic time of the first connection."""
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()), daemon=True)
        self._thread.start()
        assert self._ready.wait(20), "the server did not start"

    async def _live(self) -> None:
        async with scripted_server() as backend:
            axis = np.arange(int(WORD_S * backend.tts.rate)) / backend.tts.rate
            wave = 9_800 * np.sin(axis * 2 * np.pi * PITCH)
            backend.tts.tone = wave.astype("<i2").tobytes()
            if self.voice is not None:
                backend.tts.pieces = _pieces(self.voice, len(axis))
            backend.assistant.answer = self._answer
            self.url = backend.app.url.removesuffix("/realtime")
            self._loop = asyncio.get_running_loop()
            self._ready.set()
            noting = asyncio.create_task(self._note_connection(backend.app))
            await self._over.wait()
            noting.cancel()

    async def _note_connection(self, app: App) -> None:
        while not app.pipelines:  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.001)
        self.connected_at = time.monotonic()

    def _answer(self, request: AssistantRequest) -> list[AssistantOutput]:
        if request.messages[-1].role == "tool_result":
            return []
        said = Say(" ".join(["word"] * self.words) + ".")
        return [said, *(Call(f"call_{name}", name, "{}") for name in self.tools)]

    def close(self) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)


def _pieces(voice: Samples, size: int) -> Iterator[bytes]:
    """Yield the voice for ever in pieces of `size` samples."""
    whole = voice[: len(voice) // size * size].reshape(-1, size)
    return cycle([piece.astype("<i2").tobytes() for piece in whole])


def open_screen(
    card: VirtualCard, server: Speaker, folder: Path, *words: str, busy: bool = False
) -> OnTerminal:
    """Start the program for this server; its files are in `folder`."""
    words = ("--base-url", server.url, "--model", "openai/scripted", *words)
    environ = {**card.environment, "OPENAI_API_KEY": TOKEN}
    program = [str(_HERE / "busy_screen.py")] if busy else ["-m", "voicechat"]
    return OnTerminal(folder, *words, columns=100, rows=30, environ=environ, program=program)


@contextmanager
def spoken_screen(
    card: VirtualCard,
    seconds: float,
    *words: str,
    busy: bool = False,
    plugin: str = "",
    tools: tuple[str, ...] = (),
    voice: Samples | None = None,
) -> Iterator[OnTerminal]:
    """Run the program, connected and listening; any typed line makes it speak and call the tools.

    plugin: the source of a user's plugin. voice: see `Speaker`.
    """
    server = Speaker(seconds, tools, voice)
    with tempfile.TemporaryDirectory() as folder:
        if plugin:
            place = Path(folder) / "CONFIG" / "voicechat" / "tools"
            place.mkdir(parents=True, mode=0o700)
            (place / "rude.py").write_text(plugin, "utf-8")
            (place / "rude.py").chmod(0o600)
        terminal = open_screen(card, server, Path(folder), *words, busy=busy)
        try:
            terminal.see("● listening", 30)
            time.sleep(READY_S)
            yield terminal
        finally:
            terminal.close()
            server.close()
