"""`voicechat roundtrip` against scripted providers and on the embedded stack."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from http_stub import running
from speech_servers import KEY, OpenAISpeech
from transcription_servers import transcription_server

from voicechat.cli import _roundtrip_run, app


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STATE", "CONFIG", "DATA"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


async def roundtrip(*words: str) -> int:
    return await asyncio.to_thread(app.main, ["roundtrip", *words])


async def test_two_providers_are_measured(capsys: pytest.CaptureFixture[str]) -> None:
    async with running(OpenAISpeech()) as speech, transcription_server() as transcription:
        ends = (
            "--speak", "openai/gpt-4o-mini-tts", "--speak-url", speech.url,
            "--transcribe", "openai/whisper-1", "--transcribe-url", transcription.url,
        )  # fmt: skip
        # Each voice of the server is noise, in which the other one hears no word.
        texts = ("It's **half** past-seven.", "Good night." * 300)
        assert await roundtrip(*ends, *texts, "--json") == 0
        found = json.loads(capsys.readouterr().out)
        assert await roundtrip(*ends, *texts) == 0
        said = capsys.readouterr().out
        assert await roundtrip(*ends, *texts, "--budget", "0.0001") == 8
    assert speech.wrong == []
    assert (found["speak"], found["transcribe"]) == (
        "openai/gpt-4o-mini-tts", "openai/whisper-1",
    )  # fmt: skip
    assert found["word_error_rate"] == 1.0
    first, second = found["texts"]
    assert (first["text"], first["words"], first["deletions"]) == ("It's half past-seven.", 4, 4)
    for name in ("words", "deletions", "sound_s", "speak_cost", "transcribe_cost"):
        assert found[name] == pytest.approx(first[name] + second[name])
        assert first[name] > 0
    assert first["speak_cost"] == pytest.approx((10 * 0.6 + 100 * 12) / 1e6)
    assert said.startswith("1. 4 of 4 words wrong; spoken in ")
    assert "\n   said:  It's half past-seven.\n   heard:\n2. " in said
    assert f"Word error rate: 100.0% ({found['words']} of {found['words']} words).\n" in said
    assert "Nothing more is requested" in capsys.readouterr().err


async def test_the_embedded_stack_understands_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def lines(_: int) -> AsyncIterator[str]:
        yield "Please turn on the lights"
        yield " in the kitchen.\n\n"

    monkeypatch.setattr(_roundtrip_run, "read_pipe", lines)
    assert await roundtrip("--speak", "local", "--transcribe", "local", "-") == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("1. 0 of 8 words wrong; ")
    assert out[2] == "Word error rate: 0.0% (0 of 8 words)."
    assert [line.partition(" s: ")[2] for line in out[3:]] == ["no cost."] * 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-", "x"), "Write - alone, without other texts."),
        ((" ",), "There is no text to speak."),
        (("x", "--transcribe", "nonsense"), "There is no model 'nonsense'."),
    ],
    ids=range(3),
)
async def test_a_mistake_is_one_sentence(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    assert await roundtrip("--speak", "local", *words) == 2
    out, error = capsys.readouterr()
    assert (out, error.count("\n")) == ("", 1)
    assert said in error


async def test_without_jiwer_a_sentence_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert await roundtrip("x") == 2
    assert "Type: pip install 'voicechat[roundtrip]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("said", "heard", "errors"),
    [
        ("Hello, World!", "hello world", 0),
        ("It\u2019s well-known.", "its well known", 0),
        ("one two three", "one too three four", 2),
        ("\u4eca\u65e5\u306f\u3002", "\u4eca\u65e5\u304c", 1),
        ("one", "", 1),
    ],
    ids=range(5),
)
def test_case_and_punctuation_do_not_count(said: str, heard: str, errors: int) -> None:
    words = map(_roundtrip_run.words_of, (said, heard))
    assert sum(_roundtrip_run.word_differences(*words)) == errors
