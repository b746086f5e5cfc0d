"""`voicechat transcribe` over a real socket, against a scripted provider."""

from __future__ import annotations

import asyncio
import io
import json
import signal
import sys
import wave
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faults import FaultProxy
from openai.types.realtime import RealtimeClientEvent
from pydantic import TypeAdapter
from scripted import Loud, check
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from voicechat.cli import _transcription_run as transcription_run
from voicechat.cli import app
from voicechat.cli._transcription_run import PassagePrinter, TranscribeRequest
from voicechat.config.options import Options
from voicechat.errors import Secret, SessionLost, UsageError
from voicechat.providers import catalog
from voicechat.providers.codec import Codec
from voicechat.transcription import transcriber

CLIENT = TypeAdapter(RealtimeClientEvent)
HEARD = "conversation.item.input_audio_transcription"
KEY = "sk-planted-0123456789abcdef"


@dataclass
class Provider:
    """A scripted provider; it calls `script` after each commit."""

    script: Callable[[Provider], Any]
    commits: int = 0
    refuses: str = ""
    connections: int = 0
    sessions: list[dict[str, Any]] = field(default_factory=list)
    heard_ms: list[float] = field(default_factory=list)
    """Length of each committed utterance on the newest connection, in ms."""
    socket: ServerConnection | None = None
    pending: float = 0.0
    joined: asyncio.Event = field(default_factory=asyncio.Event)
    much: asyncio.Event = field(default_factory=asyncio.Event)
    """Set after half a second of audio without a commit."""

    async def hold(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        assert socket.request.path == "/v1/realtime?intent=transcription"
        self.socket, self.connections, self.pending = socket, self.connections + 1, 0.0
        self.heard_ms.clear()
        session = {"type": "transcription", "id": "sess_1", "object": "realtime.session"}
        await self.say("session.created", session=session)
        with suppress(ConnectionClosed):
            async for frame in socket:
                said = json.loads(frame)
                CLIENT.validate_python(said)
                await getattr(self, said["type"].replace(".", "_"))(said)

    async def session_update(self, said: dict[str, Any]) -> None:
        self.sessions.append(said["session"])
        self.joined.set()
        if self.refuses:
            error = {"type": "invalid_request_error", "message": self.refuses}
            await self.say("error", error={**error, "event_id": said["event_id"]})

    async def input_audio_buffer_append(self, said: dict[str, Any]) -> None:
        self.pending += len(b64decode(said["audio"])) / 48
        if self.pending >= 500:
            self.much.set()

    async def input_audio_buffer_commit(self, said: dict[str, Any]) -> None:
        assert self.pending >= 100
        self.heard_ms.append(self.pending)
        self.pending = 0.0
        self.commits += 1
        number = len(self.heard_ms)
        before = self.item(number - 1) if number > 1 else None
        await self.say(
            "input_audio_buffer.committed", item_id=self.item(number), previous_item_id=before
        )
        await self.script(self)

    def item(self, number: int) -> str:
        return f"item_{number}" if self.connections == 1 else f"item_{self.connections}_{number}"

    async def say(self, kind: str, **fields: Any) -> None:
        frame = json.dumps({"type": kind, "event_id": "event_1", **fields})
        check(frame)
        assert self.socket is not None
        await self.socket.send(frame)

    async def complete(self, number: int, text: str, **more: Any) -> None:
        usage = {"type": "duration", "seconds": 1.0}
        await self.say(
            f"{HEARD}.completed",
            item_id=self.item(number), content_index=0, transcript=text, usage=usage, **more,
        )  # fmt: skip

    async def fail(self, number: int) -> None:
        error = {"type": "server_error", "code": "audio_unintelligible", "message": "Too noisy."}
        await self.say(f"{HEARD}.failed", item_id=self.item(number), content_index=0, error=error)


@asynccontextmanager
async def provided(script: Callable[[Provider], Any]) -> AsyncIterator[tuple[Provider, int]]:
    provider = Provider(script)
    async with serve(provider.hold, "127.0.0.1", 0) as server:
        yield provider, server.sockets[0].getsockname()[1]


def options(port: int, **more: Any) -> Options:
    url = f"http://127.0.0.1:{port}/v1"
    return Options(base_url=url, keys={"OPENAI_API_KEY": Secret(KEY)}, **more)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicechat.speech.vad.detector", Loud)
    monkeypatch.setattr(transcriber, "PACE", 100.0)


@pytest.fixture
def three(tmp_path: Path) -> str:
    """A WAV file with sounds of 0.5, 1 and 1.5 s, a second apart; stereo at 48 kHz."""
    tones = ((8_000 * np.sin(np.arange(n * 24_000) / 20)).astype(np.int16) for n in (1, 2, 3))
    mono = np.concatenate([np.pad(tone, (24_000, 24_000)) for tone in tones])
    path = tmp_path / "three.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, 48_000, 0, "NONE", ""))
        file.writeframes(np.repeat(mono, 2).tobytes())
    return str(path)


async def written(port: int, request: TranscribeRequest, **more: Any) -> list[str]:
    """The lines on standard output of one run."""
    out = io.StringIO()
    printer = PassagePrinter(out, request)
    async with asyncio.timeout(20):
        assert await transcription_run._run(options(port, **more), request, printer) == 0
    return out.getvalue().splitlines()


async def each_at_once(provider: Provider) -> None:
    number = len(provider.heard_ms)
    await provider.complete(number, f"passage {number}")


async def test_passages_are_lines_in_spoken_order(three, capsys):
    async def backwards(provider: Provider) -> None:
        if len(provider.heard_ms) == 3:
            await provider.complete(3, "three")
            await provider.fail(2)
            await provider.complete(1, "one\nand a half")

    async with provided(backwards) as (provider, port):
        assert await written(port, TranscribeRequest(three)) == ["one and a half", "three"]
    assert "A passage could not be transcribed: Too noisy." in capsys.readouterr().err
    (session,) = provider.sessions
    assert session == {
        "type": "transcription",
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24_000},
                "transcription": {"model": "gpt-live-transcribe"},
                "turn_detection": None,
            }
        },
    }
    # 0.5 s of sound, 0.4 s of padding before it, 0.6 s of silence, and a tolerance.
    sounds = enumerate(provider.heard_ms, 1)
    assert all(800 <= ms - 500 * number <= 1_300 for number, ms in sounds)


async def test_json_has_every_field(three):
    async def fully(provider: Provider) -> None:
        number = len(provider.heard_ms)
        if number == 1:
            await provider.say(
                f"{HEARD}.segment", item_id="item_1", content_index=0, id="s1", text="Hello.",
                speaker="A", start=0.25, end=0.5,
            )  # fmt: skip
            tokens = [{"token": "Hello", "logprob": -0.25, "bytes": [72]}]
            await provider.complete(1, "Hello.", logprobs=tokens, languages=[{"code": "en"}])
        elif number == 2:
            await provider.fail(2)
        else:
            await provider.complete(3, "")

    request = TranscribeRequest(three, language="en", as_json=True, logprobs=True)
    async with provided(fully) as (provider, port):
        first, second = map(json.loads, await written(port, request, model="openai/gpt-transcribe"))
    assert first == {
        "item_id": "item_1",
        "previous_item_id": None,
        "text": "Hello.",
        "languages": ["en"],
        "segments": [{"speaker": "A", "text": "Hello.", "start": 0.25, "end": 0.5}],
        "logprobs": [{"token": "Hello", "logprob": -0.25}],
        "usage": {"seconds": 1.0},
    }
    assert second == {
        "item_id": "item_2", "previous_item_id": "item_1", "text": "", "error": "Too noisy.",
        "logprobs": [],
    }  # fmt: skip
    (session,) = provider.sessions
    assert session["include"] == ["item.input_audio_transcription.logprobs"]
    transcription = session["audio"]["input"]["transcription"]
    assert transcription == {"model": "gpt-transcribe", "languages": ["en"]}


async def test_a_lost_connection_loses_no_word_and_repeats_none(three):
    async def broken(provider: Provider) -> None:
        number = len(provider.heard_ms)
        sound = round((provider.heard_ms[-1] - 1_050) / 500)
        if provider.connections == 1 and number == 2:
            await provider.say(f"{HEARD}.delta", item_id="item_2", delta="tw")
            proxy.reset()
        else:
            await provider.complete(number, ["one", "two", "three"][sound - 1])

    async with provided(broken) as (provider, port), FaultProxy(port) as proxy:
        assert await written(proxy.port, TranscribeRequest(three)) == ["one", "two", "three"]
    assert provider.connections == 2
    assert len(provider.sessions) == 2


async def test_a_silent_provider_is_dialed_again(three, monkeypatch):
    monkeypatch.setattr(transcriber, "PATIENCE_S", 0.2)

    async def at_last(provider: Provider) -> None:
        if provider.connections == 2:
            await each_at_once(provider)

    async with provided(at_last) as (provider, port):
        assert await written(port, TranscribeRequest(three)) == [
            "passage 1",
            "passage 2",
            "passage 3",
        ]
    assert provider.connections == 2


async def test_a_provider_without_transcripts_ends_the_run(three, monkeypatch):
    monkeypatch.setattr(transcriber, "PATIENCE_S", 0.1)
    async with provided(lambda provider: asyncio.sleep(0)) as (provider, port):
        with pytest.raises(SessionLost, match="no longer transcribes"):
            await written(port, TranscribeRequest(three))
    assert provider.connections == transcriber.TRIES


async def test_a_refused_model_ends_the_run(three):
    async with provided(each_at_once) as (provider, port):
        provider.refuses = "The model nonsense does not exist."
        with pytest.raises(SessionLost, match="nonsense does not exist"):
            await written(port, TranscribeRequest(three), model="openai/nonsense")


async def test_an_empty_passage_gives_no_line(three):
    async def nothing(provider: Provider) -> None:
        await provider.complete(len(provider.heard_ms), " ")

    async with provided(nothing) as (_, port):
        assert await written(port, TranscribeRequest(three)) == []


# ------------------------------------------------------------------------------ the command


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "There is nothing to transcribe. Name a WAV file, or use --live."),
        (("--live", "x.wav"), "not both"),
        (("--live", "--model", "xai"), "xai has no transcription sessions."),
        (("--live", "--model", "google"), "google has no transcription sessions"),
        (("--live", "--model", "gateway"), "gateway has no transcription sessions"),
        (("/nowhere/x.wav", "--model", "local"), "/nowhere/x.wav cannot be read: No such file"),
    ],
)
def test_an_impossible_request_is_one_sentence(words, said, capsys):
    assert app.main(["transcribe", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1


async def test_a_file_without_sound_is_refused(tmp_path):
    path = tmp_path / "noise.wav"
    path.write_bytes(b"no sound at all")
    async with provided(each_at_once) as (_, port):
        with pytest.raises(UsageError, match="contains no readable audio"):
            await written(port, TranscribeRequest(str(path)))


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
async def test_ctrl_c_transcribes_the_last_words(three):
    """Ctrl-C during speech, in the real program on a pipe that stays open."""
    program = (
        "import sys; from scripted import Loud; from voicechat.speech import vad as detector;"
        "detector.detector = Loud; from voicechat.cli import app as cli; "
        "sys.exit(cli.main(sys.argv[1:]))"
    )
    committed = asyncio.Event()

    async def last(provider: Provider) -> None:
        committed.set()
        await provider.complete(1, "the last words")

    async with provided(last) as (provider, port):
        import os

        environ = {
            **os.environ,
            "OPENAI_API_KEY": KEY,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, "transcribe", "-", "--model", "openai",
            "--base-url", f"http://127.0.0.1:{port}/v1",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE, env=environ,
        )  # fmt: skip
        assert child.stdin is not None
        tone = (8_000 * np.sin(np.arange(24_000) / 10)).astype(np.int16)
        child.stdin.write(tone.tobytes())
        await child.stdin.drain()
        async with asyncio.timeout(20):
            await provider.much.wait()
            assert not committed.is_set()
            child.send_signal(signal.SIGINT)
            await committed.wait()
            out, err = await child.communicate()
    assert (child.returncode, out, err) == (0, b"the last words\n", b"")


class Silence:
    """A source of silence until `stop`."""

    live = True

    def __init__(self) -> None:
        self.over = asyncio.Event()

    async def blocks(self) -> AsyncIterator[bytes]:
        while not self.over.is_set():
            yield bytes(960)
            with suppress(TimeoutError):
                await asyncio.wait_for(self.over.wait(), 0.02)

    def stop(self) -> None:
        self.over.set()

    async def close(self) -> None:
        """Nothing was opened."""


async def test_stopping_in_silence_does_not_wait_for_a_connection(monkeypatch):
    """The user stops while there is no connection."""
    monkeypatch.setattr("voicechat.session.reconnect.backoff", lambda attempt, random: 30.0)
    source, told = Silence(), list[str]()

    def tell(sentence: str) -> None:
        told.append(sentence)
        if "Trying again" in sentence:
            source.stop()

    async with provided(each_at_once) as (provider, port), FaultProxy(port) as proxy:
        choice, model = catalog.transcription_choice(
            None, base_url=options(proxy.port).base_url, environ={"OPENAI_API_KEY": KEY}
        )

        async def made() -> Codec:
            if provider.connections:
                await proxy.refuse()
            return choice.codec()

        writer = transcriber.Transcriber(
            made, transcription_run._settings(options(port), TranscribeRequest(), model), source,
            write=lambda _: None, show=lambda _: None, tell=tell,
        )  # fmt: skip
        running = asyncio.create_task(writer.run())
        async with asyncio.timeout(10):
            await provider.joined.wait()
            proxy.reset()
            await running
    assert any("Trying again in 30.0 s." in sentence for sentence in told)
