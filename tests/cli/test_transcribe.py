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
from usage_rows import usage_rows
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from voicechat.cli import _transcription_run as transcription_run
from voicechat.cli import app
from voicechat.cli._transcription_run import PassagePrinter, TranscribeRequest
from voicechat.config.budget_settings import BudgetSettings
from voicechat.config.options import Options
from voicechat.errors import BudgetSpent, Secret, SessionLost, UsageError
from voicechat.providers import catalog
from voicechat.providers.codec import Codec
from voicechat.session.model_spending import ModelSpending
from voicechat.transcription import transcriber

CLIENT = TypeAdapter(RealtimeClientEvent)
TRANSCRIPTION = "conversation.item.input_audio_transcription"
KEY = "sk-planted-0123456789abcdef"


@dataclass
class Provider:
    """A scripted provider; it calls `script` after each commit."""

    script: Callable[[Provider], Any]
    commits: int = 0
    error_message: str = ""
    connections: int = 0
    sessions: list[dict[str, Any]] = field(default_factory=list)
    utterances_ms: list[float] = field(default_factory=list)
    """Length of each committed utterance on the newest connection, in ms."""
    socket: ServerConnection | None = None
    received_ms: float = 0.0
    configured: asyncio.Event = field(default_factory=asyncio.Event)
    half_second_received: asyncio.Event = field(default_factory=asyncio.Event)
    """Set after half a second of audio without a commit."""

    async def serve_socket(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        assert socket.request.path == "/v1/realtime?intent=transcription"
        self.socket, self.connections, self.received_ms = socket, self.connections + 1, 0.0
        self.utterances_ms.clear()
        session = {"type": "transcription", "id": "sess_1", "object": "realtime.session"}
        await self.send("session.created", session=session)
        with suppress(ConnectionClosed):
            async for frame in socket:
                message = json.loads(frame)
                CLIENT.validate_python(message)
                await getattr(self, message["type"].replace(".", "_"))(message)

    async def session_update(self, message: dict[str, Any]) -> None:
        self.sessions.append(message["session"])
        self.configured.set()
        if self.error_message:
            error = {"type": "invalid_request_error", "message": self.error_message}
            await self.send("error", error={**error, "event_id": message["event_id"]})

    async def input_audio_buffer_append(self, message: dict[str, Any]) -> None:
        self.received_ms += len(b64decode(message["audio"])) / 48
        if self.received_ms >= 500:
            self.half_second_received.set()

    async def input_audio_buffer_commit(self, message: dict[str, Any]) -> None:
        assert self.received_ms >= 100
        self.utterances_ms.append(self.received_ms)
        self.received_ms = 0.0
        self.commits += 1
        number = len(self.utterances_ms)
        before = self.item(number - 1) if number > 1 else None
        await self.send(
            "input_audio_buffer.committed", item_id=self.item(number), previous_item_id=before
        )
        await self.script(self)

    def item(self, number: int) -> str:
        return f"item_{number}" if self.connections == 1 else f"item_{self.connections}_{number}"

    async def send(self, kind: str, **fields: Any) -> None:
        frame = json.dumps({"type": kind, "event_id": "event_1", **fields})
        check(frame)
        assert self.socket is not None
        await self.socket.send(frame)

    async def complete(self, number: int, text: str, **more: Any) -> None:
        usage = {"type": "duration", "seconds": 1.0}
        await self.send(
            f"{TRANSCRIPTION}.completed",
            item_id=self.item(number), content_index=0, transcript=text, usage=usage, **more,
        )  # fmt: skip

    async def fail(self, number: int) -> None:
        error = {"type": "server_error", "code": "audio_unintelligible", "message": "Too noisy."}
        await self.send(
            f"{TRANSCRIPTION}.failed", item_id=self.item(number), content_index=0, error=error
        )


@asynccontextmanager
async def scripted_provider(
    script: Callable[[Provider], Any],
) -> AsyncIterator[tuple[Provider, int]]:
    provider = Provider(script)
    async with serve(provider.serve_socket, "127.0.0.1", 0) as server:
        yield provider, server.sockets[0].getsockname()[1]


def options(port: int, **more: Any) -> Options:
    url = f"http://127.0.0.1:{port}/v1"
    return Options(base_url=url, keys={"OPENAI_API_KEY": Secret(KEY)}, **more)


@pytest.fixture(autouse=True)
def fast_detection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicechat.speech.vad.detector", lambda _: Loud())
    monkeypatch.setattr(transcriber, "MAX_SEND_SPEED", 100.0)


@pytest.fixture
def three_sounds(tmp_path: Path) -> str:
    """A WAV file with sounds of 0.5, 1 and 1.5 s, a second apart; stereo at 48 kHz."""
    tones = ((8_000 * np.sin(np.arange(n * 24_000) / 20)).astype(np.int16) for n in (1, 2, 3))
    mono = np.concatenate([np.pad(tone, (24_000, 24_000)) for tone in tones])
    path = tmp_path / "three.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, 48_000, 0, "NONE", ""))
        file.writeframes(np.repeat(mono, 2).tobytes())
    return str(path)


async def transcribed(port: int, request: TranscribeRequest, **more: Any) -> list[str]:
    """Transcribe once; return the lines of standard output."""
    out = io.StringIO()
    printer = PassagePrinter(out, request)
    async with asyncio.timeout(20):
        assert await transcription_run._run(options(port, **more), request, printer) == 0
    return out.getvalue().splitlines()


def newest_sound(provider: Provider) -> int:
    """Return which of the three sounds the newest utterance holds, from 1."""
    return round((provider.utterances_ms[-1] - 1_050) / 500)


async def complete_each(provider: Provider) -> None:
    number = len(provider.utterances_ms)
    await provider.complete(number, f"passage {number}")


async def test_passages_are_lines_in_spoken_order(three_sounds, capsys):
    async def complete_in_reverse(provider: Provider) -> None:
        if len(provider.utterances_ms) == 3:
            await provider.complete(3, "three")
            await provider.fail(2)
            await provider.complete(1, "one\nand a half")

    async with scripted_provider(complete_in_reverse) as (provider, port):
        assert await transcribed(port, TranscribeRequest(three_sounds)) == [
            "one and a half",
            "three",
        ]
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
    sounds = enumerate(provider.utterances_ms, 1)
    assert all(800 <= ms - 500 * number <= 1_300 for number, ms in sounds)


async def test_json_has_every_field(three_sounds):
    async def complete_with_details(provider: Provider) -> None:
        number = len(provider.utterances_ms)
        if number == 1:
            await provider.send(
                f"{TRANSCRIPTION}.segment", item_id="item_1", content_index=0, id="s1",
                text="Hello.", speaker="A", start=0.25, end=0.5,
            )  # fmt: skip
            tokens = [{"token": "Hello", "logprob": -0.25, "bytes": [72]}]
            await provider.complete(1, "Hello.", logprobs=tokens, languages=[{"code": "en"}])
        elif number == 2:
            await provider.fail(2)
        else:
            await provider.complete(3, "")

    request = TranscribeRequest(three_sounds, language="en", as_json=True, logprobs=True)
    async with scripted_provider(complete_with_details) as (provider, port):
        first, second = map(
            json.loads, await transcribed(port, request, model="openai/gpt-transcribe")
        )
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


@pytest.fixture
def own_history(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@pytest.mark.usefixtures("own_history")
async def test_each_passage_counts_at_the_price_of_its_model(three_sounds):
    async with scripted_provider(complete_each) as (_, port):
        await transcribed(port, TranscribeRequest(three_sounds))
    rows = usage_rows()
    counted = [("openai/gpt-live-transcribe", 1.0)] * 3
    assert [(row["model"], row["seconds"]) for row in rows] == counted
    assert [row["cost"] for row in rows] == pytest.approx([0.017 / 60] * 3)


@pytest.mark.usefixtures("own_history")
async def test_the_utterance_over_the_budget_is_not_sent(three_sounds, monkeypatch, capsys):
    monkeypatch.setattr(transcriber, "MAX_UNTRANSCRIBED", 1)
    request, out = TranscribeRequest(three_sounds), io.StringIO()
    async with scripted_provider(complete_each) as (provider, port):
        limited = options(port, spending=BudgetSettings(day=0.0003))
        with pytest.raises(
            BudgetSpent, match=r"^Nothing more is requested: the budget of \$0\.0003"
        ):
            await transcription_run._run(limited, request, PassagePrinter(out, request))
        assert provider.commits == 2
        assert out.getvalue() == "passage 1\npassage 2\n"
        assert "94 % of the budget of $0.0003 for today is used" in capsys.readouterr().err
        with pytest.raises(BudgetSpent):
            await transcription_run._run(limited, request, PassagePrinter(out, request))
        assert provider.connections == 1


@pytest.mark.usefixtures("own_history")
async def test_a_model_without_a_price_counts_as_the_settings_say(three_sounds, capsys):
    async with scripted_provider(complete_each) as (_, port):
        spending = BudgetSettings(session=1.0, unknown_minute=9.0)
        await transcribed(
            port, TranscribeRequest(three_sounds), model="openai/whisper-x", spending=spending
        )
    assert [row["cost"] for row in usage_rows()] == [None] * 3
    assert "The price of openai/whisper-x is unknown." in capsys.readouterr().err


async def test_a_lost_connection_loses_and_repeats_no_passage(three_sounds):
    async def lose_connection(provider: Provider) -> None:
        number = len(provider.utterances_ms)
        if provider.connections == 1 and number == 2:
            await provider.send(f"{TRANSCRIPTION}.delta", item_id="item_2", delta="tw")
            proxy.reset()
        else:
            await provider.complete(number, ["one", "two", "three"][newest_sound(provider) - 1])

    async with scripted_provider(lose_connection) as (provider, port), FaultProxy(port) as proxy:
        assert await transcribed(proxy.port, TranscribeRequest(three_sounds)) == [
            "one",
            "two",
            "three",
        ]
    assert provider.connections == 2
    assert len(provider.sessions) == 2


async def test_a_provider_without_events_is_dialed_again(three_sounds, monkeypatch):
    monkeypatch.setattr(transcriber, "TRANSCRIPT_TIMEOUT_S", 0.2)

    async def complete_after_first_connection(provider: Provider) -> None:
        if provider.connections >= 2:
            number = len(provider.utterances_ms)
            await provider.complete(number, f"passage {newest_sound(provider)}")

    async with scripted_provider(complete_after_first_connection) as (provider, port):
        assert await transcribed(port, TranscribeRequest(three_sounds)) == [
            "passage 1",
            "passage 2",
            "passage 3",
        ]
    assert provider.connections >= 2


async def test_a_provider_without_transcripts_ends_the_run(three_sounds, monkeypatch):
    monkeypatch.setattr(transcriber, "TRANSCRIPT_TIMEOUT_S", 0.1)
    async with scripted_provider(lambda provider: asyncio.sleep(0)) as (provider, port):
        with pytest.raises(SessionLost, match="no longer transcribes"):
            await transcribed(port, TranscribeRequest(three_sounds))
    assert provider.connections == transcriber.MAX_CONNECTIONS


async def test_a_refused_model_ends_the_run(three_sounds):
    async with scripted_provider(complete_each) as (provider, port):
        provider.error_message = "The model nonsense does not exist."
        with pytest.raises(SessionLost, match="nonsense does not exist"):
            await transcribed(port, TranscribeRequest(three_sounds), model="openai/nonsense")


async def test_an_empty_passage_gives_no_line(three_sounds):
    async def complete_empty(provider: Provider) -> None:
        await provider.complete(len(provider.utterances_ms), " ")

    async with scripted_provider(complete_empty) as (provider, port):
        assert await transcribed(port, TranscribeRequest(three_sounds)) == []
    assert provider.commits == 3


# ------------------------------------------------------------------------------ the command


@pytest.mark.parametrize("as_json", [False, True])
async def test_once_ends_after_the_first_words(three_sounds, as_json):
    """A sound without words does not end it."""

    async def complete_second(provider: Provider) -> None:
        number = len(provider.utterances_ms)
        await provider.complete(number, "" if number == 1 else f"passage {number}")

    request = TranscribeRequest(three_sounds, once=True, as_json=as_json)
    async with scripted_provider(complete_second) as (_, port):
        (line,) = await transcribed(port, request)
    assert (json.loads(line)["text"] if as_json else line) == "passage 2"


async def test_once_gives_up_without_speech(monkeypatch, capsys):
    monkeypatch.setattr(transcription_run, "SPEECH_S", 0.05)
    monkeypatch.setattr(transcription_run, "_source", lambda *_: SilentSource())
    request, out = TranscribeRequest(once=True), io.StringIO()
    async with scripted_provider(complete_each) as (_, port), asyncio.timeout(10):
        printer = PassagePrinter(out, request)
        assert await transcription_run._run(options(port), request, printer) == 1
    assert out.getvalue() == ""
    assert "No speech was heard within 0.05 s." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--once", "x.wav"), "Use either --once or a file, not both."),
        ((), "There is nothing to transcribe. Name a recording, or use --live."),
        (("--live", "x.wav"), "not both"),
        (("--live", "--model", "xai"), "xai has no transcription sessions."),
        (("--live", "--model", "google"), "google has no transcription sessions"),
        (("--live", "--model", "gateway"), "gateway has no transcription sessions"),
        (("/nowhere/x.wav", "--model", "local"), "/nowhere/x.wav cannot be read: No such file"),
    ],
)
def test_an_invalid_request_gives_one_sentence(arguments, message, capsys):
    assert app.main(["transcribe", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1


async def test_a_file_that_is_not_wav_is_refused(tmp_path):
    path = tmp_path / "noise.wav"
    path.write_bytes(b"no sound at all")
    async with scripted_provider(complete_each) as (_, port):
        with pytest.raises(UsageError, match="contains no readable audio"):
            await transcribed(port, TranscribeRequest(str(path)))


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
async def test_ctrl_c_transcribes_the_last_words():
    """Ctrl-C during speech, in the real program on a pipe that stays open."""
    program = (
        "import sys; from scripted import Loud; from voicechat.speech import vad as detector;"
        "detector.detector = lambda _: Loud(); from voicechat.cli import app as cli; "
        "sys.exit(cli.main(sys.argv[1:]))"
    )
    committed = asyncio.Event()

    async def complete_last(provider: Provider) -> None:
        committed.set()
        await provider.complete(1, "the last words")

    async with scripted_provider(complete_last) as (provider, port):
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
            await provider.half_second_received.wait()
            assert not committed.is_set()
            child.send_signal(signal.SIGINT)
            await committed.wait()
            out, err = await child.communicate()
    assert (child.returncode, out, err) == (0, b"the last words\n", b"")


class SilentSource:
    """A source of silence until `stop`."""

    is_live = True

    def __init__(self) -> None:
        self.stopped = asyncio.Event()

    async def blocks(self) -> AsyncIterator[bytes]:
        while not self.stopped.is_set():
            yield bytes(960)
            with suppress(TimeoutError):
                await asyncio.wait_for(self.stopped.wait(), 0.02)

    def stop(self) -> None:
        self.stopped.set()

    async def close(self) -> None:
        """Do nothing: no device is open."""


async def test_stopping_without_speech_does_not_wait_for_a_connection(monkeypatch):
    """Stop while there is no connection."""
    monkeypatch.setattr("voicechat.session.reconnect.backoff", lambda attempt, random: 30.0)
    source, messages = SilentSource(), list[str]()

    def notify(sentence: str) -> None:
        messages.append(sentence)
        if "Trying again" in sentence:
            source.stop()

    async with scripted_provider(complete_each) as (provider, port), FaultProxy(port) as proxy:
        choice, model = catalog.transcription_choice(
            None, base_url=options(proxy.port).base_url, environ={"OPENAI_API_KEY": KEY}
        )

        async def make_codec() -> Codec:
            if provider.connections:
                await proxy.refuse()
            return choice.codec()

        writer = transcriber.Transcriber(
            make_codec,
            transcription_run._settings(options(port), TranscribeRequest(), model),
            source,
            on_passage=lambda _: None, on_partial=lambda _: None, notify=notify,
            budget=ModelSpending(options(port), choice.name, notify),
        )  # fmt: skip
        running = asyncio.create_task(writer.run())
        async with asyncio.timeout(10):
            await provider.configured.wait()
            proxy.reset()
            await running
    assert any("Trying again in 30.0 s." in sentence for sentence in messages)
