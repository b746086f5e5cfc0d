"""The AI SDK, from its registry, against the scripted providers and the program: `make sdk`.

Needs node, npm and the network. Three scripts in `ai_sdk/` print what they find as JSON:

    calls.mjs    generateSpeech and transcribe against the scripted providers
    talk.mjs     the engine of useRealtime, with `voicechat setup-endpoint` and `voicechat serve`
    browser.mjs  useRealtime in a page in headless Chromium, with the microphone from a file
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from beeps import beeps, encoded
from http_stub import running
from speech_servers import (
    KEY,
    GatewaySpeech,
    GatewaySpeechSocket,
    GoogleSpeech,
    OpenAISpeech,
    XaiSpeech,
    socket_of,
)
from transcription_servers import transcription_server

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(__file__).with_name("ai_sdk")
PLACE = ROOT / ".venv" / "ai-sdk"
PROGRAM = (sys.executable, "-m", "voicechat")
TOKEN = "a-token-for-this-check-0123456789"
START_S, SCRIPT_S, INSTALL_S = 90.0, 300.0, 600.0
TYPED, SPOKEN = "what is 17 times 23", "How much is twelve times thirty one?"
LEAD_S, REST_S = 2, 30
"""Seconds of silence around the spoken question in the microphone."""


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def install() -> None:
    """Install the packages of the SDK in `PLACE`. Raises `RuntimeError`."""
    shutil.copytree(SCRIPTS, PLACE, dirs_exist_ok=True)
    command = ("npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts")
    child = await asyncio.create_subprocess_exec(*command, cwd=PLACE)
    async with asyncio.timeout(INSTALL_S):
        if await child.wait():
            raise RuntimeError("npm cannot install the AI SDK")


async def node(*arguments: str) -> list[Any]:
    """Run a script; return the objects that it printed. Raises `RuntimeError`."""
    child = await asyncio.create_subprocess_exec(
        "node", *arguments, cwd=PLACE, stdout=asyncio.subprocess.PIPE, limit=1 << 24
    )
    async with asyncio.timeout(SCRIPT_S):
        out, _ = await child.communicate()
    if child.returncode:
        raise RuntimeError(f"{arguments[0]} failed: {out.decode()[-2_000:]}")
    return [json.loads(line) for line in out.decode().splitlines() if line.startswith("{")]


@asynccontextmanager
async def program(*arguments: str) -> AsyncIterator[dict[str, Any]]:
    """Run a command that prints one JSON line with its address when it is ready."""
    child = await asyncio.create_subprocess_exec(
        *PROGRAM, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "VOICECHAT_SERVE_TOKEN": TOKEN},
    )  # fmt: skip
    assert child.stdout is not None
    try:
        async with asyncio.timeout(START_S):
            while "url" not in (found := json.loads(await child.stdout.readline() or "null")):
                pass
        yield found
    finally:
        child.terminate()
        await child.wait()


async def calls(folder: Path) -> str:
    """Check speech and transcription; return what is wrong."""
    recording = folder / "beeps.wav"
    recording.write_bytes(encoded(beeps([0.5, 1.5, 2.5], 3.5), "WAV"))
    speakers = (OpenAISpeech(), XaiSpeech(), GoogleSpeech(), GatewaySpeech())
    async with AsyncExitStack() as stack:
        for each in speakers:
            await stack.enter_async_context(running(each))
        socket = await stack.enter_async_context(socket_of(GatewaySpeechSocket()))
        transcription = await stack.enter_async_context(transcription_server())
        names = ("openai", "xai", "google", "gateway", "socket", "transcription")
        ports = (each.port for each in (*speakers, socket, transcription))
        places = {n: f"http://127.0.0.1:{port}" for n, port in zip(names, ports, strict=True)}
        found = await node(
            "calls.mjs", json.dumps({**places, "key": KEY, "recording": str(recording)})
        )
    for each in found:
        say(f"  {each}")
    wrong = [sentence for each in speakers for sentence in each.wrong]
    heard = {each["text"] for each in found if "text" in each}
    if len(found) < 9 or heard != {"w00 w01 w02"}:
        wrong.append(f"{len(found)} answers, heard {heard}")
    return "; ".join(wrong)


def is_right(tools: list[Any], messages: list[Any], result: str) -> bool:
    """Return True if the tool ran through its address and the answer names its result."""
    return [each[:2] for each in tools] == [["calculate", 200]] and result in str(messages[-1])


async def talk(serve: str) -> str:
    """Check the engine of useRealtime under node; return what is wrong."""
    options = ("--model", "local", "--base-url", serve, "--tool", "calculate", "--no-auth")
    async with program("setup-endpoint", *options, "--port", "0") as endpoint:
        tools = endpoint["tools"]["calculate"].rpartition("/")[0]
        (found,) = await node("talk.mjs", endpoint["url"], tools, TYPED)
    say(f"  {found['tools']} {found['messages'][-1]['parts']}")
    is_spoken = found["audio"] > 100_000
    good = is_right(found["tools"], found["messages"], "391") and is_spoken and not found["errors"]
    return "" if good else json.dumps(found)


async def microphone(path: Path) -> None:
    """Let the embedded voice ask the question into a file."""
    spoken = path.with_name("question.wav")
    command = (*PROGRAM, "speak", SPOKEN, "--model", "local", "--out", str(spoken))
    child = await asyncio.create_subprocess_exec(*command)
    if await child.wait():
        raise RuntimeError("the question cannot be spoken")
    with wave.open(str(spoken)) as reader, wave.open(str(path), "wb") as writer:
        writer.setparams(reader.getparams())
        second = bytes(2 * reader.getframerate())
        sound = reader.readframes(reader.getnframes())
        writer.writeframes(second * LEAD_S + sound + second * REST_S)


async def browse(serve: str, folder: Path, site: int) -> str:
    """Check a page in Chromium; return what is wrong."""
    sound = folder / "microphone.wav"
    await microphone(sound)
    page = f"http://localhost:{site}"
    options = (
        "--model", "local", "--base-url", serve, "--tool", "calculate", "--origin", page,
        "--login-url", f"{page}/auth", "--proxy", "127.0.0.1", "--proxy", "::1", "--port", "0",
    )  # fmt: skip
    async with program("setup-endpoint", *options) as endpoint:
        port = endpoint["url"].split(":")[2].partition("/")[0]
        (found,) = await node("browser.mjs", str(site), port, serve, str(sound))
    say(f"  {found}")
    expected = {
        "withoutLogin": "error", "withLogin": "connected", "protocols": ["realtime"], "errors": [],
        "crossOrigin": [200, 401], "otherPage": "blocked", "otherSocket": "refused",
    }  # fmt: skip
    wrong = [f"{n}: {found[n]}" for n, value in expected.items() if found[n] != value]
    for name, result in (("typed", "391"), ("spoken", "372")):
        if not is_right(found[name][0], found[name][1], result):
            wrong.append(f"{name}: {found[name]}")
    return "; ".join(wrong)


async def check() -> bool:
    """Run the three checks; return True if all of them pass."""
    await install()
    site = 3_016
    good = True

    async def report(name: str, run: Callable[[], Any]) -> None:
        nonlocal good
        say(name)
        try:
            wrong = await run()
        except (RuntimeError, TimeoutError) as error:
            wrong = f"{type(error).__name__}: {error}"
        say(f"  wrong: {wrong}" if wrong else "  right")
        good = good and not wrong

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        await report("speech and transcription", lambda: calls(folder))
        origin = ("--origin", f"http://localhost:{site}")
        async with program("serve", "--port", "0", *origin) as served:
            await report("useRealtime under node", lambda: talk(served["url"]))
            await report("useRealtime in Chromium", lambda: browse(served["url"], folder, site))
    return good


if __name__ == "__main__":
    raise SystemExit(0 if asyncio.run(check()) else 1)
