"""Recordings transcribed by strict scripted providers over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from beeps import beeps, encoded, word
from scripted import Loud
from transcription_servers import KEY, Refused, TranscriptionServer, refused, transcription_server

from voicechat.config.budget_settings import BudgetSettings
from voicechat.config.options import Options
from voicechat.core.items import Usage
from voicechat.core.price import Price
from voicechat.core.recorded_speech import RecordedSpeech
from voicechat.errors import BudgetSpent, ConnectError, KeyMissing, Secret, UsageError
from voicechat.providers import catalog
from voicechat.providers.openai.openai_transcription import TRANSCRIPTION
from voicechat.providers.transcription_service import TranscriptionWishes
from voicechat.transcription import hosted_recognizer, known_speakers, recording_transcriber
from voicechat.transcription.recording_session import recording_session
from voicechat.transcription.recording_transcriber import Advance
from voicechat.transcription.recordings import named_file

STARTS = [1.0 + 2.5 * number for number in range(22)]
"""Beeps of a minute, with 2.2 s of silence between them."""


@pytest.fixture(autouse=True)
def fast_detection(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("voicechat.speech.vad.detector", lambda _: Loud())
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def short(tmp_path: Path) -> Path:
    path = tmp_path / "short.mp3"
    path.write_bytes(encoded(beeps([0.5, 1.5, 2.5], 3.5), "MP3"))
    return path


@pytest.fixture
def minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recording that is long: pieces have 20 s here."""
    monkeypatch.setattr(recording_transcriber, "PIECE_S", 20.0)
    monkeypatch.setattr(recording_transcriber, "CERTAINLY_SHORT", 1_000)
    path = tmp_path / "minute.flac"
    path.write_bytes(encoded(beeps(STARTS, 60.0), "FLAC"))
    return path


async def transcribed(
    server: TranscriptionServer, path: Path, model: str = "openai", **more: Any
) -> RecordedSpeech:
    notify: Callable[[str], object] = more.pop("notify", lambda sentence: None)
    advance = more.pop("advance", lambda reached: None)
    key = Secret(more.pop("key", KEY))
    root = server.url.removesuffix("/v1") if model.startswith("gateway") else server.url
    options = Options(
        model=model,
        base_url=root,
        keys=dict.fromkeys(("OPENAI_API_KEY", "XAI_API_KEY", "AI_GATEWAY_API_KEY"), key),
        spending=more.pop("spending", None),
        prices=more.pop("prices", {}),
        gateway=more.pop("gateway", {}),
        variables=more.pop("variables", {}),
    )
    wishes = TranscriptionWishes(**more)
    async with asyncio.timeout(30):
        session = recording_session(options, wishes, notify, resumes=True)  # type: ignore[arg-type]
        async with session as found:
            recording = named_file(path)
            speech = await found.transcriber.transcribe(recording, advance)
            found.transcriber.saved(recording)
            return speech


def sent_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the provider take 30 s at a time."""
    provider = catalog.PROVIDERS["openai"]
    brief = replace(TRANSCRIPTION, most_seconds=30.0)
    monkeypatch.setitem(catalog.PROVIDERS, "openai", replace(provider, transcription=brief))  # type: ignore[arg-type]
    monkeypatch.setattr(catalog, "COMPATIBLE", catalog.PROVIDERS["openai"])


# ----------------------------------------------------------------- each provider's wire


@pytest.mark.parametrize(
    ("model", "wishes", "fields"),
    [
        (
            "openai/gpt-transcribe",
            {"language": "en", "keywords": ("Ada", "Turing"), "prompt": "Names."},
            {"model": "gpt-transcribe", "response_format": "json", "languages": ["en"],
             "keywords": ["Ada", "Turing"], "prompt": "Names."},
        ),
        (
            "openai/whisper-1",
            {"language": "en", "keywords": ("Ada",), "prompt": "Names.", "times": "word"},
            {"model": "whisper-1", "response_format": "verbose_json", "language": "en",
             "timestamp_granularities": ["segment", "word"], "prompt": "Names. Ada"},
        ),
        (
            "openai/gpt-4o-transcribe",
            {"logprobs": True},
            {"model": "gpt-4o-transcribe", "response_format": "json", "include": ["logprobs"]},
        ),
        (
            "openai",
            {"diarize": True},
            {"model": "gpt-4o-transcribe-diarize", "response_format": "diarized_json",
             "chunking_strategy": "auto"},
        ),
        (
            "xai",
            {"language": "en", "diarize": True, "keywords": ("Ada", "Turing")},
            {"language": "en", "format": "true", "diarize": "true", "keyterm": ["Ada", "Turing"]},
        ),
        (
            "gateway/openai/whisper-1",
            {"language": "en", "times": "segment"},
            {"mediaType": "audio/mpeg",
             "options": {"openai": {"language": "en", "timestampGranularities": ["segment"]}}},
        ),
    ],
)  # fmt: skip
async def test_a_short_file_is_sent_as_it_is(
    short: Path, model: str, wishes: dict[str, Any], fields: dict[str, Any]
) -> None:
    async with transcription_server() as server:
        speech = await transcribed(server, short, model, **wishes)
    (seen,) = server.seen
    assert seen.fields == fields
    assert speech.text == "w00 w01 w02"
    if "word" in wishes.values():
        assert [each.text for each in speech.words] == ["w00", "w01", "w02"]
    if wishes.get("diarize"):
        assert len(speech.speakers) == 2
    if wishes.get("times") or wishes.get("diarize"):
        assert abs(speech.segments[1].start_s - 1.5) < 0.2
    if wishes.get("logprobs"):
        assert [token.text for token in speech.tokens] == ["w00", "w01", "w02"]
    assert speech.usage != Usage()


async def test_warnings_of_the_gateway_are_kept(short: Path) -> None:
    async with transcription_server() as server:
        speech = await transcribed(server, short, "gateway")
    assert speech.warnings == ("The gateway warns: x: x is gone.",)
    assert server.seen[0].headers["ai-model-id"] == "openai/gpt-4o-transcribe"
    assert server.seen[0].fields["options"] == {}


async def test_the_gateway_gets_its_settings_and_the_options_of_the_model(short: Path) -> None:
    own = {"openai": [{"apiKey": Secret("sk-own")}]}
    options = {"tags": ["docs"], "user": "alice", "byok": own}
    variables = {"AI_GATEWAY_TEAM": "team_7"}
    async with transcription_server() as server:
        await transcribed(
            server, short, "gateway", gateway=options, variables=variables, language="en"
        )
    sent = {**options, "byok": {"openai": [{"apiKey": "sk-own"}]}}
    assert server.seen[0].fields["options"] == {"openai": {"language": "en"}, "gateway": sent}
    headers = server.seen[0].headers
    assert headers["ai-gateway-auth-method"] == "api-key"
    assert headers["x-vercel-ai-gateway-team"] == "team_7"


# ----------------------------------------------------------------- long recordings


async def test_a_long_recording_is_cut_in_silences_and_joined(
    minute: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent_in_pieces(monkeypatch)
    reached: list[Advance] = []
    second = asyncio.Event()

    async def before(number: int) -> None:
        if number >= 2:
            second.set()
        await second.wait()  # the first one is not answered before the second one arrives

    async with transcription_server(before) as server:
        speech = await transcribed(server, minute, times="word", advance=reached.append)
    assert [each.text for each in speech.words] == [word(n) for n in range(len(STARTS))]
    late = [abs(each.start_s - start) for each, start in zip(speech.words, STARTS, strict=True)]
    assert max(late) < 0.2
    assert speech.duration_s == 60.0
    assert len(server.seen) >= 3
    assert 1 < server.most_active <= hosted_recognizer.LANES
    assert reached[-1].total_s == 60.0
    assert reached[-1].done_s == pytest.approx(60.0)


async def test_a_model_without_times_gets_each_utterance(
    minute: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with transcription_server() as server:
        speech = await transcribed(server, minute, "openai/gpt-transcribe", times="segment")
    assert [each.text for each in speech.segments] == [word(n) for n in range(len(STARTS))]
    late = [abs(each.start_s - start) for each, start in zip(speech.segments, STARTS, strict=True)]
    assert max(late) < 0.2
    assert len(server.seen) == len(STARTS)


async def test_a_run_that_failed_continues_with_what_is_missing(
    minute: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent_in_pieces(monkeypatch)

    def fail(number: int) -> None:
        if number == 3:
            raise refused("No more.", 400)

    monkeypatch.setattr(hosted_recognizer.HostedRecognizer, "lanes", 1)
    async with transcription_server(fail) as server:
        with pytest.raises(ConnectError, match="refused the recording"):
            await transcribed(server, minute, times="word")
        speech = await transcribed(server, minute, times="word")
        pieces = len(server.seen)
        assert server.requests == pieces + 1
        assert [each.text for each in speech.words] == [word(n) for n in range(len(STARTS))]
        # The finished transcript leaves nothing behind: all of it is requested again.
        await transcribed(server, minute, times="word")
        assert len(server.seen) == 2 * pieces


@pytest.mark.parametrize(
    ("voice_of", "labels"),
    [
        (lambda number: number % 2, "AB" * 11),
        (lambda number: number // 6, "AAAAAABBBBBBCCCCCCDDDD"),
        (lambda number: number // 4, "AAAABBBBCCCCDDDD" + "5555" + "66"),
    ],
    ids=["two", "new ones", "too many"],
)  # fmt: skip
async def test_speakers_keep_their_labels_in_all_parts(
    minute: Path, monkeypatch: pytest.MonkeyPatch, voice_of: Callable[[int], int], labels: str
) -> None:
    monkeypatch.setattr(recording_transcriber, "DIARIZED_S", 20.0)
    monkeypatch.setattr(known_speakers, "LEAST_S", 0.2)
    sent_in_pieces(monkeypatch)
    async with transcription_server() as server:
        server.voice_of = voice_of
        speech = await transcribed(server, minute, diarize=True)
    assert server.most_active == 1
    assert len(server.seen) == 4  # the last one is short
    assert "known_speaker_names" not in server.seen[0].fields
    assert server.seen[1].fields["known_speaker_names"] == ["Speaker A", "Speaker B"]
    apart = {"5": "3-A", "6": "3-B"}
    assert [each.speaker for each in speech.segments] == [apart.get(n, n) for n in labels]
    warnings = [each for each in speech.warnings if "3-A may be a speaker of another" in each]
    assert len(warnings) == ("5" in labels) == len(speech.warnings)


async def test_speakers_keep_their_labels_after_an_interruption(
    minute: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_transcriber, "DIARIZED_S", 20.0)
    monkeypatch.setattr(known_speakers, "LEAST_S", 0.2)
    sent_in_pieces(monkeypatch)

    def fail(number: int) -> None:
        if number == 2:
            raise refused("No.", 403)

    async with transcription_server(fail) as server:
        with pytest.raises(KeyMissing):
            await transcribed(server, minute, diarize=True)
        speech = await transcribed(server, minute, diarize=True)
        assert len(server.seen) == 4
    assert [each.speaker for each in speech.segments] == ["A", "B"] * 11


async def test_a_budget_ends_a_long_recording(
    minute: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent_in_pieces(monkeypatch)
    monkeypatch.setattr(hosted_recognizer.HostedRecognizer, "lanes", 1)
    async with transcription_server() as server:
        with pytest.raises(BudgetSpent, match=r"budget of \$0.20 for this session is used up"):
            await transcribed(
                server, minute, "openai/whisper-1", times="segment",
                spending=BudgetSettings(session=0.2), prices={"openai/whisper-1": Price(minute=1)},
            )  # fmt: skip
    assert len(server.seen) == 1


# ----------------------------------------------------------------- failures


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between attempts, which take no time."""
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    given = hosted_recognizer.HostedRecognizer.__init__
    monkeypatch.setattr(given, "__defaults__", (pause,))
    return pauses


async def test_a_busy_provider_is_asked_again(short: Path, impatient: list[float]) -> None:
    def busy(number: int) -> None:
        if number == 1:
            raise Refused(429, {"error": {"message": "Slow down."}}, "Retry-After: 7\r\n")
        if number == 2:
            raise refused("Overloaded.", 503)

    async with transcription_server(busy) as server:
        speech = await transcribed(server, short)
    assert speech.text == "w00 w01 w02"
    assert impatient == [7.0, 2.0]


@pytest.mark.parametrize(
    ("refusal", "error", "said"),
    [
        (refused("You exceeded your current quota.", 429, "insufficient_quota"), ConnectError,
         "at 127.0.0.1 has no credit left (HTTP 429: You exceeded your current quota)."),
        (refused("Broken.", 500), ConnectError, "127.0.0.1 has a failure (HTTP 500: Broken)."),
        (refused("Too large.", 413), ConnectError, "refused the recording (HTTP 413: Too large)."),
        (Refused(403, {"error": "No access."}), KeyMissing, "the key (HTTP 403: No access)."),
        (Refused(200, b"<html>"), ConnectError, "something that is not a transcript."),
        (Refused(429, {"error": "Tomorrow."}, "Retry-After: 86400\r\n"), ConnectError,
         "limits the rate of requests (HTTP 429: Tomorrow)."),
    ],
    ids=["quota", "failure", "large", "access", "page", "day"],
)  # fmt: skip
async def test_each_failure_is_one_sentence(
    short: Path, impatient: list[float], refusal: Refused, error: type[Exception], said: str
) -> None:
    def refuse(number: int) -> None:
        raise refusal

    async with transcription_server(refuse) as server:
        with pytest.raises(error) as failure:
            await transcribed(server, short)
    assert said in str(failure.value)
    assert len(impatient) == (3 if "500" in said else 0)


async def test_a_wrong_key_is_not_repeated_in_the_error(short: Path) -> None:
    async with transcription_server() as server:
        with pytest.raises(KeyMissing) as failure:
            await transcribed(server, short, key="sk-wrong-0123456789")
    assert "sk-wrong" not in str(failure.value)
    assert "Incorrect API key provided: ***" in str(failure.value)


async def test_silence_is_an_empty_transcript(tmp_path: Path) -> None:
    path = tmp_path / "silence.wav"
    path.write_bytes(encoded(np.zeros(16_000, np.float32), "WAV"))
    async with transcription_server() as server:
        assert (await transcribed(server, path)).text == ""
        empty = tmp_path / "empty.wav"
        empty.write_bytes(encoded(np.zeros(0, np.float32), "WAV"))
        with pytest.raises(UsageError, match="contains no sound"):
            await transcribed(server, empty, "openai/gpt-transcribe", times="segment")


async def test_sound_before_speech_is_not_part_of_its_time(tmp_path: Path) -> None:
    """Also at the start of a recording, and without the pauses between utterances."""
    path = tmp_path / "early.wav"
    path.write_bytes(encoded(beeps([0.15, 2.0], 3.0), "WAV"))
    async with transcription_server() as server:
        speech = await transcribed(server, path, "openai/gpt-transcribe", times="segment")
    first, second = speech.segments
    assert abs(first.start_s - 0.15) < 0.1
    assert abs(second.start_s - 2.0) < 0.1
    assert first.end_s < 1.0
