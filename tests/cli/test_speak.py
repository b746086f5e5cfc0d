"""`voicechat speak` over a real socket: files, pipes, errors and how it stops."""

from __future__ import annotations

import asyncio
import os
import sys
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from http_stub import HANG, SeenRequest, running
from speech_servers import KEY, OpenAISpeech, encoded_of, sound_of

from voicechat.cli import app
from voicechat.synthesis.text_source import read_pipe

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX terminal")


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OpenAISpeech]:
    async with running(OpenAISpeech()) as found:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", found.url)
        yield found
    assert found.wrong == []


async def speak(*words: str) -> int:
    return await asyncio.to_thread(app.main, ["speak", *words])


def samples_in(path: Path) -> bytes:
    with wave.open(str(path)) as file:
        assert file.getparams()[:3] == (1, 2, 24_000)
        return file.readframes(file.getnframes())


async def test_a_text_becomes_a_file(server: OpenAISpeech, tmp_path: Path, capsys) -> None:
    out = tmp_path / "speech.wav"
    assert await speak("Hello", "**you**.", "--out", str(out)) == 0
    assert samples_in(out) == sound_of("Hello you.")
    assert out.stat().st_size == 44 + len(sound_of("Hello you."))
    assert os.listdir(tmp_path) == ["speech.wav"]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("audio_format", ["mp3", "opus", "aac", "flac"])
async def test_the_name_of_the_file_means_its_format(
    server: OpenAISpeech, tmp_path: Path, audio_format: str
) -> None:
    out = tmp_path / f"speech.{audio_format}"
    assert await speak("Hello.", "--out", str(out), "--model", "openai/gpt-4o-mini-tts") == 0
    assert out.read_bytes() == encoded_of("Hello.", audio_format)


async def test_a_text_file_is_spoken(server: OpenAISpeech, tmp_path: Path) -> None:
    source, out = tmp_path / "read me.md", tmp_path / "speech.pcm"
    source.write_text("# Title\n\n* one\n* two\n", encoding="utf-8")
    assert await speak("--file", str(source), "--out", str(out)) == 0
    assert out.read_bytes() == sound_of("Title\n\none\ntwo")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((" ",), 2, 'There is no text to speak. Type: voicechat speak "Hello"'),
        (("-", "x"), 2, "Write - alone, without other words."),
        (("x", "--file", "y"), 2, "Use either a text or --file, not both."),
        (("x", "--format", "wma", "--out", "y"), 2, "--format must be one of mp3, opus, aac"),
        (("x", "--format", "wav"), 2, "--format needs a file. Name one with --out."),
        (("x", "--speed", "fast"), 2, "--speed must be a number, not 'fast'."),
        (("x", "--speed", "9", "--out", "y"), 2, "a speed of 0.25 to 4, not 9. 1 is normal."),
        (("--file", "absent", "--out", "y"), 2, "absent cannot be read: no such file"),
        (("--file", sys.executable, "--out", "y"), 2, "is not a UTF-8 text. Check --file."),
        (("x", "--out", "absent/y.wav"), 2, "absent/y.wav cannot be written: no such file"),
        (("x", "--out", "."), 2, "cannot be written: is a directory. Check --out."),
        (("x", "--voice", "nobody", "--out", "y"), 2, "(HTTP 400: Input should be 'alloy')."),
        (("x", "--model", "local", "--out", "y.aac"), 2, "local makes no aac. It makes wav, pcm"),
        (("x", "--out", "y.m4a"), 2, ".m4a files are not made. Choose one of mp3, opus, aac"),
        (("x", "--out", ""), 2, "--out is empty. Name a file, or - for standard output."),
    ],
    ids=range(15),
)
async def test_a_mistake_is_one_sentence(
    server: OpenAISpeech, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys,
    words: tuple[str, ...], code: int, said: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert await speak(*words) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("status", "message", "code", "said"),
    [
        (401, f"Incorrect API key provided: {KEY}", 3, "refused the key"),
        (429, "You exceeded your current quota", 4, "has no quota left"),
        (400, "Unsupported format.", 2, "(HTTP 400: Unsupported format)."),
    ],
    ids=range(3),
)
async def test_a_refusal_leaves_the_old_file(
    server: OpenAISpeech, tmp_path: Path, capsys, status: int, message: str, code: int, said: str
) -> None:
    out = tmp_path / "speech.wav"
    out.write_bytes(b"old")
    server.fails = [(status, {"message": message})]
    assert await speak("Hello.", "--out", str(out)) == code
    error = capsys.readouterr().err
    assert said in error
    assert KEY not in error
    assert os.listdir(tmp_path) == ["speech.wav"]
    assert out.read_bytes() == b"old"


async def test_sound_that_is_cut_off_leaves_no_file(
    server: OpenAISpeech, tmp_path: Path, capsys
) -> None:
    server.cuts_at = 1
    long = "This is a sentence of a long text. " * 200
    assert await speak(long, "--out", str(tmp_path / "speech.mp3")) == 5
    assert "127.0.0.1 ended the sound early." in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("audio_format", ["wav", "mp3", "opus"])
async def test_a_full_disk_is_one_sentence(server: OpenAISpeech, capsys, audio_format: str) -> None:
    long = "This is a sentence of a long text. " * 200
    assert await speak(long, "--out", "/dev/full", "--format", audio_format) == 1
    assert "/dev/full cannot be written: no space left on device." in capsys.readouterr().err


async def test_a_link_and_its_permissions_stay(server: OpenAISpeech, tmp_path: Path) -> None:
    real, link = tmp_path / "real.pcm", tmp_path / "link.pcm"
    real.touch(0o640)
    link.symlink_to(real)
    assert await speak("Hello.", "--out", str(link)) == 0
    assert link.is_symlink()
    assert real.read_bytes() == sound_of("Hello.")
    assert real.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("audio_format", ["wav", "mp3", "opus", "flac"])
async def test_a_long_text_becomes_one_file(
    server: OpenAISpeech, tmp_path: Path, audio_format: str
) -> None:
    import soundfile

    out = tmp_path / f"speech.{audio_format}"
    long = "This is a sentence of a long text. " * 200
    assert await speak(long, "--out", str(out)) == 0
    assert len(server.texts) == 2
    samples, rate = soundfile.read(out, dtype="int16")
    whole = b"".join(map(sound_of, server.texts))
    assert (len(samples), rate) == (len(whole) // 2, 24_000)
    if audio_format in {"wav", "flac"}:
        assert samples.tobytes() == whole


async def test_the_program_that_it_shows_writes_the_same_file(
    server: OpenAISpeech, tmp_path: Path, capsys
) -> None:
    out = tmp_path / "speech.mp3"
    words = ('It\'s "you".', "--out", str(out), "--voice", "coral", "--speed", "2")
    assert await speak(*words, "--show-code") == 0
    code = capsys.readouterr().out
    await asyncio.to_thread(exec, compile(code, "shown.py", "exec"), {})
    assert out.read_bytes() == encoded_of('It\'s "you".', "mp3")
    assert await speak("x", "--show-code") == 2


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
async def test_a_disk_that_fills_up_leaves_no_file(tmp_path: Path) -> None:
    """The encoder of mp3 writes through a library that cannot raise."""
    async with running(OpenAISpeech()) as server:
        environ = {**os.environ, "OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.url}
        command = 'ulimit -f 40; exec "$0" -m voicechat speak - --out speech.mp3'
        process = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", command, sys.executable, cwd=tmp_path, env=environ,
            stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _, error = await process.communicate(b"This is a sentence of a long text. " * 1_000)
    assert error == b"voicechat: " + os.fsencode(tmp_path / "speech.mp3") + (
        b" cannot be written: file too large. Write it to another place.\n"
    )
    assert process.returncode == 1
    assert os.listdir(tmp_path) == []


# ------------------------------------------------------------------------------ processes


async def started(*words: str, **more: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "voicechat", "speak", *words,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def test_a_pipe_is_spoken_while_it_is_written(server: OpenAISpeech) -> None:
    async with asyncio.timeout(30):
        process = await started("--out", "-", "--format", "pcm")
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"The first sentence. And")
        await server.arrived.acquire()
        first = sound_of("The first sentence.")
        assert await process.stdout.readexactly(len(first)) == first
        process.stdin.write(b" the second")
        process.stdin.close()
        assert await process.stdout.read() == sound_of("And the second")
        assert await process.wait() == 0


async def test_a_pipe_becomes_the_file_that_the_provider_makes(
    server: OpenAISpeech, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readable, writable = os.pipe()
    os.write(writable, b"Hello. And more.")
    os.close(writable)
    monkeypatch.setattr("voicechat.cli._speech_run.read_pipe", lambda _: read_pipe(readable))
    out = tmp_path / "speech.mp3"
    assert await speak("-", "--out", str(out)) == 0
    os.close(readable)
    assert out.read_bytes() == encoded_of("Hello. And more.", "mp3")


async def test_a_reader_that_ends_ends_the_program(server: OpenAISpeech) -> None:
    async with asyncio.timeout(30):
        process = await started("-", "--out", "-")
        assert process.stdin is not None
        assert process.stdout is not None
        await process.stdout.readexactly(44)
        process.stdout._transport.close()  # type: ignore[attr-defined]
        process.stdin.write(b"Hello. " * 2_000)
        process.stdin.close()
        assert process.stderr is not None
        assert await process.stderr.read() == b""
        assert await process.wait() == 141


class Hanging(OpenAISpeech):
    """Begins to speak and never ends."""

    def answer_post(self, request: SeenRequest) -> None:
        super().answer_post(request)
        self.chunks = [*self.chunks, HANG]


@pytest.mark.end_to_end
async def test_ctrl_c_stops_it_and_leaves_no_file(tmp_path: Path) -> None:
    from on_terminal import OnTerminal, ended

    out = tmp_path / "out" / "speech.wav"
    out.parent.mkdir()
    async with running(Hanging()) as server:
        environ = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.url}
        terminal = OnTerminal(tmp_path, "speak", "Hello.", "--out", str(out), environ=environ)
        try:
            await asyncio.to_thread(terminal.see, r"openai/tts-1: 0 s of speech, \d+% of the text")
            assert len(os.listdir(out.parent)) == 1  # the part
            family = terminal.family()
            terminal.type("\x03")
            assert await asyncio.to_thread(terminal.code) == 130
            assert os.listdir(out.parent) == []
            assert not ended(family)
            assert terminal.is_sane()
            assert terminal.text.strip() in {"", "^C"}
        finally:
            terminal.close()
