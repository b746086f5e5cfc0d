"""`voicechat translate` over a real socket, against a scripted translator."""

from __future__ import annotations

import asyncio
import io
import json
import wave
from pathlib import Path
from typing import Any

import pytest
from fake_live import STEP, fast_input, translation
from fake_wires import Fake, running
from usage_rows import usage_rows

from voicechat.cli import _translation_run as translation_run
from voicechat.cli._translation_run import SentencePrinter, TranslateRequest
from voicechat.cli.app import main
from voicechat.config.budget_settings import BudgetSettings
from voicechat.config.options import Options
from voicechat.core.effects import Level, Notice
from voicechat.core.items import ItemStatus, Role
from voicechat.errors import BudgetSpent, KeyMissing, Secret, UsageError
from voicechat.session.client import ClientSession
from voicechat.session.client_events import TranscriptEvent
from voicechat.transcription.audio_sources import FileSource

VOICE = b"\x00\x10" * (STEP // 2)


@pytest.fixture
def speech(tmp_path: Path) -> str:
    """A WAV file with 0.2 s of voice."""
    path = tmp_path / "speech.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(24_000)
        file.writeframes(VOICE * 2)
    return str(path)


async def translated(request: TranslateRequest, **more: Any) -> tuple[int, str, Fake]:
    """Run the command in a thread, against the scripted translator."""
    out = io.StringIO()
    async with running(translation) as fake:
        options = Options(
            base_url=f"http://127.0.0.1:{fake.port}/v1",
            keys={"OPENAI_API_KEY": Secret("planted-key")},
            **more,
        )
        code = await asyncio.to_thread(translation_run.translate, options, request, out)
    return code, out.getvalue(), fake


async def test_a_file_is_shown_in_both_languages(
    speech: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(translation_run, "LAST_WORDS_S", 0.2)
    saved = tmp_path / "fr.wav"
    with fast_input(monkeypatch):
        code, out, fake = await translated(TranslateRequest("fr", speech, saved))
    assert (code, out) == (0, "spoken words\nfr: mots parlés\n")
    assert fake.wrong == []
    assert fake.setups[0]["audio"]["output"] == {"language": "fr"}
    assert fake.heard == 2 * STEP
    with wave.open(str(saved), "rb") as file:
        assert VOICE in file.readframes(file.getnframes())


async def test_its_time_counts_for_usage_and_budget(
    speech: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(translation_run, "LAST_WORDS_S", 0.2)
    with fast_input(monkeypatch):
        assert (await translated(TranslateRequest("fr", speech)))[0] == 0
    rows = usage_rows()
    assert {row["model"] for row in rows} == {"openai/gpt-realtime-translate"}
    assert sum(row["seconds"] for row in rows) >= 0.2
    assert sum(row["cost"] for row in rows) == pytest.approx(
        sum(row["seconds"] for row in rows) / 60 * 0.034
    )
    with fast_input(monkeypatch), pytest.raises(BudgetSpent) as spent:
        await translated(TranslateRequest("fr", speech), spending=BudgetSettings(day=0.00001))
    assert "--budget" in spent.value.hint


async def test_its_messages_name_its_options(
    speech: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    notice = Notice("The budget is nearly used up.", Level.WARNING, "Set a higher --budget.")
    send = translation_run._Run._send

    async def warned(run: Any, session: ClientSession, source: FileSource) -> None:
        session._session._publish_update(notice)
        await send(run, session, source)

    monkeypatch.setattr(translation_run, "LAST_WORDS_S", 0.2)

    monkeypatch.setattr(translation_run._Run, "_send", warned)
    with fast_input(monkeypatch):
        await translated(TranslateRequest("fr", speech))
    assert "nearly used up. Set a higher --budget." in capsys.readouterr().err


async def test_lines_of_json(speech: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translation_run, "LAST_WORDS_S", 0.2)
    with fast_input(monkeypatch):
        _, out, _ = await translated(TranslateRequest("fr", speech, as_json=True))
    assert [json.loads(line) for line in out.splitlines()] == [
        {"text": "spoken words", "language": None}, {"text": "mots parlés", "language": "fr"},
    ]  # fmt: skip


def message(text: str, status: ItemStatus = ItemStatus.IN_PROGRESS) -> TranscriptEvent:
    return TranscriptEvent("item_1", Role.ASSISTANT, text, "", text, True, status)


def test_long_speech_is_printed_sentence_by_sentence() -> None:
    out = io.StringIO()
    printer = SentencePrinter(out, TranslateRequest("fr"))
    printer.take(message("Un. Deux"))
    printer.take(message("Un. Deux? Trois"))
    printer.take(message("Un. Deux? Trois", ItemStatus.COMPLETED))
    assert out.getvalue() == "fr: Un.\nfr: Deux?\nfr: Trois\n"


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--to", "f r"], "--to takes the code of a language"),
        (["--to", "fr", "--raw"], "--raw and --save need a file"),
        (["--to", "fr", "--model", "xai", "x.wav"], "'xai' does not translate. Known: openai/"),
        (["--to", "fr", "--model", "openai/gpt-realtime", "x.wav"], "does not translate"),
        (["--to", "fr", "--model", "openai", "/nowhere.wav"], "OPENAI_API_KEY"),
        ([], "Missing option '--to'"),
    ],
)
def test_wrong_use_is_one_sentence(
    flags: list[str], sentence: str, monkeypatch: Any, tmp_path: Path, capsys: Any
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert main(["translate", *flags]) in {UsageError.exit_code, KeyMissing.exit_code}
    err = capsys.readouterr().err
    assert sentence in err
    assert err.count("\n") == 1


def test_a_missing_key_is_not_answered_with_a_model_that_does_not_translate(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["translate", "--to", "fr"]) == KeyMissing.exit_code
    said = capsys.readouterr().err
    assert "needs a key. Set OPENAI_API_KEY, or type voicechat login openai." in said
    assert "--model local" not in said
