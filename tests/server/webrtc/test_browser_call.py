"""The page in examples/browser_call: a spoken conversation of headless Chromium with the server."""

from __future__ import annotations

import shutil
import subprocess
import threading
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from headless_page import chromium, headless_page
from scripted import TOKEN, scripted_server, silence, tone, until

from voicechat.server.engine_protocols import Call, Say

PAGE = Path(__file__).parents[3] / "examples" / "browser_call"
WORDS = " ".join(f"word{number}" for number in range(60))
"""Six seconds of speech."""
COLLECT = "addEventListener('realtime', e => (window.seen ??= []).push(e.detail), true)"
RATE = 48_000


@contextmanager
def page_server() -> Iterator[str]:
    """Serve the example; yield its origin."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(PAGE)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def write_wav(path: Path, pcm: bytes) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm)


async def test_a_browser_talks_calls_a_tool_and_interrupts(tmp_path: Path) -> None:
    chromium()

    def answer(request: Any) -> Any:
        last = request.messages[-1]
        if last.role == "tool_result":
            return [Say(WORDS)]
        if last.text == "weather":
            return [Call("call_1", request.tools[0].name, '{"city":"Oslo"}')]
        return [Say("Done.")]

    spoken = silence(1_500, RATE) + tone(800, RATE) + silence(3_500, RATE) + tone(800, RATE)
    write_wav(tmp_path / "microphone.wav", spoken + silence(20_000, RATE))
    with page_server() as origin:
        async with scripted_server(origins=frozenset({origin})) as backend:
            backend.stt.texts, backend.assistant.answer = ["weather", "stop"], answer
            line = msgspec.json.encode({"url": backend.app.url, "token": TOKEN}).decode()
            async with headless_page(origin, tmp_path / "microphone.wav", tmp_path / "p") as page:
                await page.value(COLLECT)
                await page.value(f"document.querySelector('#server').value = {line!r}")
                await page.value("document.querySelector('button').click()")
                seen = "(window.seen ?? []).filter(e => e.type == '{}').length"
                await page.until(seen.format("output_audio_buffer.cleared"))
                await page.until(seen.format("output_audio_buffer.stopped"))
                kinds = await page.value("seen.map(e => e.type)")
                rows = await page.value(
                    "[...document.querySelectorAll('li')].map(e => e.innerText)"
                )
                assert rows[0] == "You: weather"
                assert rows[1].startswith("Tool get_weather: ")
                assert rows[2].startswith("Assistant: word0 ")
                assert rows[2].endswith("(interrupted)")
                assert rows[-1] == "Assistant: Done."
                assert kinds[0] == "session.created"
                assert "error" not in kinds
                await page.value("document.querySelector('#hang-up').click()")
                await until(lambda: not backend.app.pipelines)
                status = "document.querySelector('#status').innerText"
                assert await page.value(status) == "Not connected."
                await page.value("document.querySelector('#server').value = 'http://127.0.0.1:9'")
                await page.value("document.querySelector('button').click()")
                await page.until(f"{status}.startsWith('The call failed: ')")


def test_a_replaced_call_gives_its_microphone_back_and_a_missing_path_is_shown() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is absent")
    stubs = Path(__file__).parents[2] / "support" / "browser_call_stubs.mjs"
    ran = subprocess.run([node, stubs, PAGE / "page.js"], capture_output=True, check=True)
    assert msgspec.json.decode(ran.stdout) == {
        "tracks": [[], [1]],
        "stopped": [0],
        "status": "The call failed: there is no network path to the server.",
    }
