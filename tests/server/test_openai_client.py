"""The client of the openai package in conversation with a real `voicechat serve` process."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from openai import AsyncOpenAI
from openai.types.realtime import RealtimeErrorEvent
from scripted import CLASSES
from socket_events import REPLY, append, events_until, kinds
from user_speech import spoken

from voicechat.speech.formats import Format


class Process:
    """A running `voicechat serve`."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        secrets = re.compile("KEY|TOKEN|SECRET")
        inherited = {name: text for name, text in os.environ.items() if not secrets.search(name)}
        folders = {f"XDG_{kind}_HOME": str(folder / kind) for kind in ("CACHE", "DATA", "CONFIG")}
        self.child = subprocess.Popen(
            [sys.executable, "-m", "voicechat", "serve", "--port", "0", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**inherited, **folders, **environment},
            text=True,
        )
        assert self.child.stdout is not None
        ready = json.loads(self.child.stdout.readline())
        self.url, self.token = ready["url"], ready["token"]
        self.family = psutil.Process(self.child.pid).children(recursive=True)

    def client(self) -> AsyncOpenAI:
        """Return a client of the openai package for this server."""
        root = self.url.replace("ws://", "http://").removesuffix("/realtime")
        return AsyncOpenAI(api_key=self.token, base_url=root)

    def ended(self) -> tuple[int, str]:
        """Return the exit code and standard error after the process and its workers have ended."""
        _, complaints = self.child.communicate(timeout=3)
        _, alive = psutil.wait_procs(self.family, timeout=3)
        assert alive == []
        return self.child.returncode, complaints


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of one user, shared by the servers of these tests."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def process(home: Path) -> Iterator[Process]:
    """One server for all conversations."""
    running = Process(home)
    try:
        yield running
    finally:
        running.child.terminate()
        assert running.ended()[0] == 0


def microphone_sound(words: str) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Return a user's words with faint noise at 24 kHz, with silence before and after."""
    speech = spoken(words, "user")
    noise = np.random.default_rng(7).normal(0, 30, len(speech) + 48_000).astype(np.int16)
    noise[12_000 : 12_000 + len(speech)] += speech
    return noise


async def hear(connection: Any, sound: np.ndarray[Any, np.dtype[np.int16]]) -> None:
    """Send audio in blocks, in real time, like a microphone."""
    begin = time.monotonic()
    for start in range(0, len(sound), 2_400):
        await append(connection, sound[start : start + 2_400].tobytes())
        await asyncio.sleep(max(0.0, begin + start / 24_000 - time.monotonic()))


async def test_typed_conversation(process: Process) -> None:
    async with process.client().realtime.connect(model="voicechat-local") as connection:
        seen = []
        await connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        content: Any = [{"type": "input_text", "text": "what is 17 times 23"}]
        await connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": content}
        )
        await connection.response.create()
        async with asyncio.timeout(10):
            async for event in connection:
                assert type(event) is CLASSES[event.type]
                seen.append(event)
                if event.type == "response.done":
                    break
        assert [event.type for event in seen[:2]] == ["session.created", "session.updated"]
        part: Any = seen[-1].response.output[0].content[0]
        assert "391" in part.text


async def test_spoken_conversation(process: Process) -> None:
    sound = await asyncio.to_thread(microphone_sound, "set a timer for ten minutes")
    async with process.client().realtime.connect(model="voicechat-local") as connection:
        microphone = asyncio.create_task(hear(connection, sound))
        events = await events_until(connection, "response.done")
        await microphone
    found = kinds(events)
    turn = [kind for kind in found if "transcription.delta" not in kind]
    assert turn == [
        "session.created",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
        "conversation.item.input_audio_transcription.completed",
        *REPLY,
    ]
    completed = next(e for e in events if e["type"].endswith("transcription.completed"))
    # The bench measures recognition quality; here it is enough that the words arrived.
    words = set(completed["transcript"].split())
    assert len(words & {"set", "a", "timer", "for", "ten", "minutes"}) >= 3
    assert events[-1]["response"]["output"][0]["content"][0]["transcript"]
    reply = b"".join(
        base64.b64decode(e["delta"]) for e in events if e["type"] == "response.output_audio.delta"
    )
    assert len(reply) / 48_000 > 0.5
    assert np.abs(np.frombuffer(reply, "<i2").astype(int)).max() > 1_000


@pytest.mark.parametrize("kind", ["audio/pcmu", "audio/pcma"])
async def test_telephone_speech_is_understood(process: Process, kind: str) -> None:
    form = Format(kind)
    speech = spoken("set a timer for ten minutes", "user", 8_000)
    noise = np.random.default_rng(7).normal(0, 30, len(speech) + 16_000).astype(np.int16)
    noise[4_000 : 4_000 + len(speech)] += speech
    sound = form.encode(noise)
    async with process.client().realtime.connect(model="voicechat-local") as connection:
        audio: Any = {"input": {"format": {"type": kind}}}
        session: Any = {"type": "realtime", "output_modalities": ["text"], "audio": audio}
        await connection.session.update(session=session)
        for start in range(0, len(sound), 160):
            block = base64.b64encode(sound[start : start + 160]).decode()
            await connection.input_audio_buffer.append(audio=block)
        events = await events_until(connection, "response.done")
    completed = next(e for e in events if e["type"].endswith("transcription.completed"))
    heard = completed["transcript"].lower().strip(".").replace("10", "ten")
    assert heard == "set a timer for ten minutes"
    assert "10 minutes" in events[-1]["response"]["output"][-1]["content"][0]["text"]


async def test_tool_conversation(process: Process) -> None:
    tool: Any = {
        "type": "function",
        "name": "get_weather",
        "description": "Look up the current weather for one city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    }
    async with process.client().realtime.connect(model="voicechat-local") as connection:
        await connection.session.update(
            session={"type": "realtime", "output_modalities": ["text"], "tools": [tool]}
        )
        content: Any = [{"type": "input_text", "text": "what is the weather in Oslo"}]
        await connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": content}
        )
        await connection.response.create()
        events = await events_until(connection, "response.done")
        (call,) = events[-1]["response"]["output"]
        assert call["name"] == "get_weather"
        assert json.loads(call["arguments"])["city"].lower() == "oslo"
        result: Any = {
            "type": "function_call_output",
            "call_id": call["call_id"],
            "output": '{"temperature": 4, "sky": "overcast"}',
        }
        await connection.conversation.item.create(item=result)
        await connection.response.create()
        events = await events_until(connection, "response.done")
        text = events[-1]["response"]["output"][0]["content"][0]["text"]
        assert "4" in text
        assert "overcast" in text


LOOK_UPS: Any = [
    {
        "type": "function",
        "name": f"get_{subject}",
        "description": f"Get the {subject}.",
        "parameters": {"type": "object", "properties": {of: {"type": "string"}}, "required": [of]},
    }
    for subject, of in (("weather", "city"), ("capital", "country"))
]


async def _instructed(connection: Any, instructions: str) -> dict[str, Any]:
    """Ask with instructions only, as LiveKit does; return the first item of the response."""
    await connection.response.create(
        response={"instructions": instructions, "metadata": {"client_event_id": "1"}}
    )
    done = (await events_until(connection, "response.done"))[-1]["response"]
    assert done["metadata"] == {"client_event_id": "1"}
    found: dict[str, Any] = done["output"][0]
    return found


async def test_requests_that_live_only_in_instructions(process: Process) -> None:
    async with process.client().realtime.connect(model="m") as connection:
        await connection.session.update(
            session={"type": "realtime", "output_modalities": ["text"], "tools": LOOK_UPS}
        )
        for instructions, words in (
            ("Say the number 1", "1"),
            ("Greet the user and offer your help.", "Hello"),
            ("What is two plus two? Answer in one sentence.", "4"),
            ("Tell the user what time it is.", ":"),
        ):
            item = await _instructed(connection, instructions)
            assert words in item["content"][0]["text"]
        call = await _instructed(connection, "What's the weather in Paris? Use the tool.")
        assert (call["name"], json.loads(call["arguments"])) == ("get_weather", {"city": "Paris"})
        call = await _instructed(connection, "What is the capital of France? Use the tool.")
        assert call["name"] == "get_capital"


async def test_a_program_replaces_the_conversation_and_asks_about_it(process: Process) -> None:
    question = "What color did the user mention?"
    async with process.client().realtime.connect(model="m") as connection:
        await connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        for number, words in enumerate(("My color is red", "My color is blue")):
            content: Any = [{"type": "input_text", "text": words}]
            item: Any = {"type": "message", "role": "user", "content": content, "id": f"i{number}"}
            await connection.conversation.item.create(previous_item_id="root", item=item)
            if number:
                await connection.conversation.item.delete(item_id="i0")
        item = await _instructed(connection, question)
        assert item["content"][0]["text"] == 'You said: "My color is blue"'


async def test_client_error_is_reported_and_the_session_continues(process: Process) -> None:
    async with process.client().realtime.connect(model="voicechat-local") as connection:
        await connection.send({"type": "tea.make"})  # type: ignore[arg-type]
        async with asyncio.timeout(10):
            while not isinstance(event := await connection.recv(), RealtimeErrorEvent):
                continue
        assert "tea.make" in event.error.message
        await connection.response.create(response={"output_modalities": ["text"]})
        await events_until(connection, "response.done")


async def test_speaking_over_a_long_reply(process: Process) -> None:
    sound = await asyncio.to_thread(microphone_sound, "please stop talking now")
    async with process.client().realtime.connect(model="voicechat-local") as connection:
        instructions = f"Say exactly: {'This is a very long story. ' * 2_000}"
        await connection.response.create(response={"instructions": instructions})
        await events_until(connection, "response.output_audio.delta")
        await append(connection, sound.tobytes())
        events = await events_until(connection, "response.done")
        done = events[-1]["response"]
        assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        # The next answer is a new, complete response.
        events = await events_until(connection, "response.done")
        assert events[-1]["response"]["id"] != done["id"]
        assert events[-1]["response"]["status"] == "completed"


async def _answer(client: AsyncOpenAI, *questions: str) -> str:
    """Ask the questions in one session; return the last answer."""
    async with client.realtime.connect(model="m") as connection:
        await events_until(connection, "session.created")
        for question in questions:
            text: Any = {"type": "input_text", "text": question}
            item: Any = {"type": "message", "role": "user", "content": [text]}
            await connection.conversation.item.create(item=item)
            await connection.response.create()
            done = (await events_until(connection, "response.done"))[-1]["response"]
    return str(done["output"][0]["content"][0]["transcript"])


async def test_clients_share_no_notebook(process: Process, home: Path) -> None:
    name = "what is my name"
    assert await _answer(process.client(), "my name is Eve", name) == "Your name is Eve."
    assert await _answer(process.client(), name) == "You haven't told me your name yet."
    assert not await asyncio.to_thread(lambda: list(home.rglob("notebook.json")))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_server_and_its_workers(home: Path, number: signal.Signals) -> None:
    running = await asyncio.to_thread(Process, home)
    async with running.client().realtime.connect(model="m") as connection:
        await connection.recv()
        running.child.send_signal(number)
        code, complaints = await asyncio.to_thread(running.ended)
    assert code == 0
    # Standard error holds only progress.
    assert complaints
    assert all(line.startswith('{"progress"') for line in complaints.splitlines())


async def test_the_server_ends_with_its_parent(home: Path) -> None:
    token = "a-token-from-the-parent"
    watched = {"VOICECHAT_PARENT_WATCH": "1", "VOICECHAT_SERVE_TOKEN": token}
    running = await asyncio.to_thread(lambda: Process(home, **watched))
    assert running.token == token
    assert running.child.stdin is not None
    running.child.stdin.close()
    running.child.stdin = None
    assert (await asyncio.to_thread(running.ended))[0] == 0


async def test_a_killed_server_leaves_no_worker(home: Path) -> None:
    running = await asyncio.to_thread(Process, home)
    assert running.family
    running.child.kill()
    assert (await asyncio.to_thread(running.ended))[0] == -signal.SIGKILL


async def test_port_in_use_is_reported_in_one_sentence(process: Process, home: Path) -> None:
    port = process.url.split(":")[2].split("/")[0]
    command = [sys.executable, "-m", "voicechat", "serve", "--port", port]
    folders = {f"XDG_{kind}_HOME": str(home / kind) for kind in ("CACHE", "DATA", "CONFIG")}
    ended = await asyncio.to_thread(
        subprocess.run,
        command,
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, **folders},
        check=False,
    )
    assert ended.returncode == 7
    assert f"port {port}" in ended.stderr
    assert "Traceback" not in ended.stderr
