"""`voicechat transcribe` on recordings, against a strict scripted provider and the real engine."""

from __future__ import annotations

import asyncio
import base64
import errno
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from beeps import beeps, encoded
from scripted import Loud
from transcription_servers import KEY, TranscriptionServer, transcription_server

import voicechat
from voicechat.cli import _transcription_route, app
from voicechat.transcription import transcript_files

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def server() -> Iterator[TranscriptionServer]:
    """A provider on a loop of its own: the command has another one."""
    started, stop = threading.Event(), asyncio.Event()
    found: list[Any] = []

    async def serve() -> None:
        async with transcription_server() as running:
            found.extend([running, asyncio.get_running_loop()])
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert started.wait(10)
    yield found[0]
    found[1].call_soon_threadsafe(stop.set)
    thread.join(10)


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STATE", "CONFIG", "DATA"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    path = tmp_path / "talk.mp3"
    path.write_bytes(encoded(beeps([0.5, 1.5, 4.5], 6.0), "MP3"))
    return path


def run(server: TranscriptionServer, *arguments: object) -> int:
    return app.main(["transcribe", *map(str, arguments), "--base-url", server.url])


def test_each_format_of_a_transcript(
    server: TranscriptionServer, talk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = {}
    for form in ("txt", "srt", "vtt", "md", "json"):
        assert run(server, talk, "--format", form, "--timestamps", "segment") == 0
        said[form] = capsys.readouterr().out
    assert said["txt"] == "w00 w01\nw02\n"
    numbers, times, texts = zip(
        *(each.split("\n")[:3] for each in said["srt"].split("\n\n")), strict=True
    )
    assert (numbers, texts) == (("1", "2", "3"), ("w00", "w01", "w02"))
    assert times[0].startswith("00:00:00,")
    assert said["vtt"].startswith("WEBVTT\n\n00:00:00.")
    assert said["md"].startswith("# talk.mp3\n\n`00:00:00` w00 w01\n\n`00:00:04` w02\n")
    found = json.loads(said["json"])
    assert found["source"] == "talk.mp3"
    assert found["model"] == "openai/whisper-1"
    assert abs(found["segments"][2]["start"] - 4.5) < 0.2
    assert found["usage"]["seconds"] == found["duration"]


def test_json_is_one_line_on_standard_output_and_indented_in_a_file(
    server: TranscriptionServer, talk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(server, talk, "--json") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["source"] == "talk.mp3"
    assert run(server, talk, "--format", "json", "--out-dir", tmp_path / "out") == 0
    content = (tmp_path / "out/talk.json").read_text()
    assert content.startswith('{\n  "source": "talk.mp3",')
    assert json.loads(content)["text"] == json.loads(line)["text"]


def test_a_second_run_does_what_is_missing(
    server: TranscriptionServer, talk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wav, bad, out = tmp_path / "talk.wav", tmp_path / "bad.mp3", tmp_path / "out"
    wav.write_bytes(encoded(beeps([0.5], 1.5), "WAV"))
    bad.write_text("no sound")
    sources = (talk, wav, bad, "--out-dir", out, "--jobs", 2)
    assert run(server, *sources) == 2
    assert "bad.mp3 is text, not a recording." in capsys.readouterr().err
    # Two names that differ in their endings keep them.
    assert {each.name for each in out.iterdir()} == {"talk.mp3.txt", "talk.wav.txt"}
    assert (out / "talk.wav.txt").read_text() == "w00\n"
    bad.write_bytes(talk.read_bytes())
    assert run(server, *sources) == 0
    assert "2 of 3 transcripts exist already." in capsys.readouterr().err
    assert (out / "bad.txt").read_text() == (out / "talk.mp3.txt").read_text()
    assert len(server.seen) == 3


def test_a_file_that_is_named_twice_is_transcribed_once(
    server: TranscriptionServer, talk: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert run(server, talk, talk, talk.parent / "." / talk.name, "--out-dir", out) == 0
    assert [each.name for each in out.iterdir()] == ["talk.txt"]
    assert len(server.seen) == 1


def test_a_wav_file_with_floats_is_transcribed_without_options(
    server: TranscriptionServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "float.wav"
    path.write_bytes(encoded(beeps([0.5], 1.5), "WAV", subtype="FLOAT"))
    assert run(server, path) == 0
    assert capsys.readouterr().out == "w00\n"


def test_silence_is_named(
    server: TranscriptionServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "silence.flac"
    path.write_bytes(encoded(beeps([], 1.5), "FLAC"))
    assert run(server, path) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "silence.flac contains no speech that was recognized." in err


def test_a_terminal_is_no_recording(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_transcription_route.os, "isatty", lambda descriptor: True)
    assert app.main(["transcribe", "-", "--model", "local"]) == 2
    assert "Standard input is a terminal. Name a recording" in capsys.readouterr().err


def test_text_in_a_pipe_is_no_sound(tmp_path: Path) -> None:
    piped = b"Dear Sir,\nthis is no recording at all.\n" * 3
    command = [sys.executable, "-m", "voicechat", "transcribe", "-", "--model", "local"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, env=environ, input=piped, capture_output=True, timeout=60)
    assert ended.returncode == 2
    assert "Standard input is text, not a recording." in ended.stderr.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_ctrl_c_ends_the_wait_for_base64(tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "voicechat", "transcribe", "-", "--base64", "--model", "local",
    ]  # fmt: skip
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        # More than the pipe holds: it is being read.
        child.stdin.write(b"A" * 200_000)
        child.stdin.flush()
        child.send_signal(signal.SIGINT)
        assert child.wait(30) == 128 + signal.SIGINT


def test_a_full_disk_leaves_no_transcript(
    server: TranscriptionServer,
    talk: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(transcript_files.os, "fsync", full)
    assert run(server, talk, "--out-dir", tmp_path / "out") == 2
    assert "talk.txt cannot be written: No space left on device." in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


def test_base64_and_wrong_keys(
    server: TranscriptionServer,
    talk: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = tmp_path / "talk.b64"
    text.write_bytes(base64.encodebytes(talk.read_bytes()))
    assert run(server, text, "--base64") == 0
    assert capsys.readouterr().out == "w00 w01\nw02\n"
    monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong-0123456789abcdef")
    assert run(server, talk) == 3
    assert "refused the key (HTTP 401" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("a.mp3", "b.mp3"), "Several recordings need a folder for their transcripts."),
        (("a.mp3", "--format", "doc"), "There is no format 'doc'. Choose one of txt, json"),
        (("a.mp3", "--timestamps", "page"), "--timestamps is either word or segment."),
        (("--live", "--diarize"), "--diarize is for recordings. Leave --live out."),
        (("-", "-", "--out-dir", "x"), "Standard input can be transcribed once."),
        (("/nowhere/a.mp3",), "/nowhere/a.mp3 cannot be read: No such file or directory."),
        (("x.mp3", "--format", "srt", "--model", "google"), "google does not transcribe"),
        (("x.mp3", "--diarize", "--model", "openai/gpt-live-transcribe"), "live speech only"),
        (("/", "--format", "txt", "--model", "local"), "/ is a folder. Name the files in it."),
        (("ftp://a.example/b.mp3", "--model", "local"), "ftp: addresses are not supported."),
        (("https://a.example/b", "--base64", "--model", "local"), "--base64 is for files"),
        (("/dev/zero", "--base64", "--model", "local"), "/dev/zero is not a file. Use - to"),
        (("x.mp3", "--out-dir", __file__, "--model", "local"), "is not a folder. Check --out-dir."),
    ],
)
def test_a_wrong_request_is_one_sentence(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.main(["transcribe", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1


async def test_the_python_api(talk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicechat.speech.vad.detector", lambda _: Loud())
    content = await asyncio.to_thread(talk.read_bytes)
    async with transcription_server() as server:
        speech = await voicechat.transcribe_async(
            content, "openai/gpt-transcribe", timestamps="word", base_url=server.url,
            api_key=KEY, settings=False,
        )  # fmt: skip
        assert [each.text for each in speech.segments] == ["w00", "w01", "w02"]
        assert isinstance(speech, voicechat.RecordedSpeech)
        assert speech.warnings == ("openai/gpt-transcribe does not support times of words.",)
        assert speech.usage.input_audio_tokens == 3 * 14
        with pytest.raises(voicechat.UsageError, match="- cannot be read: No such file"):
            await voicechat.transcribe_async("-", "openai", base_url=server.url, settings=False)
        with pytest.raises(voicechat.UsageError, match=r"Await voicechat\.transcribe_async"):
            voicechat.transcribe(talk, "openai", settings=False)


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_ctrl_c_leaves_a_state_that_continues(tmp_path: Path) -> None:
    """The real program with the real engine, which is interrupted after a few utterances."""
    path = tmp_path / "long.wav"
    voice = ROOT / "assets" / "voice.wav"
    sound, rate = soundfile.read(voice, dtype="int16")
    soundfile.write(path, np.concatenate([sound, np.zeros(rate, np.int16)] * 5), rate)
    command = [
        sys.executable, "-m", "voicechat", "transcribe", str(path), "--model", "local",
        "--format", "json",
    ]  # fmt: skip
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    child = subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    kept = tmp_path / "STATE" / "voicechat" / "transcripts"
    while not any(each.read_text().count("\n") > 2 for each in kept.glob("*.jsonl")):
        assert child.poll() is None
        threading.Event().wait(0.05)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=20)
    assert (child.returncode, out) == (130, "")
    assert "The finished parts are kept: the same command continues." in err
    (state,) = kept.glob("*.jsonl")
    first = state.read_text()
    again = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=50)
    assert again.returncode == 0, again.stderr
    found = json.loads(again.stdout)
    assert len(found["segments"]) == 15
    assert found["segments"][0]["text"] == "Hello."
    starts = [each["start"] for each in found["segments"]]
    assert starts == sorted(starts)
    assert first
    assert list(kept.glob("*.jsonl")) == []
