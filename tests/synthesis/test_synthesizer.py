"""Speech of long texts: pieces that are joined, usage, budgets and settings that do not fit."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

import pytest
from http_stub import running
from speech_servers import KEY, OpenAISpeech, encoded_of, sound_of, wav_of

from voicechat.config.budget_settings import BudgetSettings
from voicechat.config.options import Options
from voicechat.core.price import Price
from voicechat.errors import BudgetSpent, KeyMissing, Secret, UsageError, VoicechatError
from voicechat.history.usage_ledger import UsageLedger
from voicechat.providers.speech_catalog import speech_choice
from voicechat.synthesis.speech_settings import SpeechSettings
from voicechat.synthesis.synthesizer import Synthesizer
from voicechat.synthesis.text_source import LiveText, WholeText

LONG = "This is a sentence of a long text. " * 300


def options(server: OpenAISpeech | None = None, **more: Any) -> Options:
    return Options(
        keys={"OPENAI_API_KEY": Secret(KEY)}, base_url=server.url if server else None, **more
    )


async def sound(speech: Synthesizer, text: Any, audio_format: Any = None) -> bytes:
    made = speech.native(text, audio_format) if audio_format else speech.sound(text)
    try:
        async with aclosing(made) as pieces:
            return b"".join([piece async for piece in pieces])
    finally:
        await speech.close()


@pytest.mark.parametrize("model", ["openai/gpt-4o-mini-tts", "openai/tts-1", None])
async def test_the_pieces_of_a_long_text_are_joined_sample_by_sample(model: str | None) -> None:
    async with running(OpenAISpeech()) as server:
        speech = Synthesizer(options(server, model=model), SpeechSettings(), pytest.fail)
        spoken = await sound(speech, WholeText(LONG))
    assert len(server.texts) == 3
    assert server.wrong == []
    assert " ".join(server.texts) == LONG.strip()
    assert spoken == b"".join(map(sound_of, server.texts))
    assert speech.spoken == sum(map(len, server.texts))


async def test_pieces_of_aac_follow_each_other() -> None:
    async with running(OpenAISpeech()) as server:
        speech = Synthesizer(options(server), SpeechSettings(), pytest.fail)
        assert speech.is_native("aac", WholeText(LONG))
        spoken = await sound(speech, WholeText(LONG), "aac")
    assert spoken == b"".join(encoded_of(each, "aac") for each in server.texts)


@pytest.mark.parametrize("audio_format", ["mp3", "opus", "flac"])
async def test_one_piece_is_passed_through(audio_format: Any) -> None:
    async with running(OpenAISpeech()) as server:
        speech = Synthesizer(options(server), SpeechSettings(), pytest.fail)
        text = WholeText("Hello.")
        assert speech.is_native(audio_format, text)
        assert not speech.is_native(audio_format, WholeText(LONG))
        spoken = await sound(speech, text, audio_format)
    assert spoken == encoded_of("Hello.", audio_format)


class OtherAnswer(OpenAISpeech):
    """A server at an address of the user's own that answers everything with the same."""

    def __init__(self, body: bytes, media_type: str) -> None:
        super().__init__()
        self._content = (body, media_type)

    def _speak(self, body: dict[str, Any]) -> None:
        content, media_type = self._content
        self.headers = {"Content-Type": media_type}
        self.chunks = [content]


@pytest.mark.parametrize(
    ("audio_format", "content", "media_type", "said"),
    [
        (None, b"", "audio/wav", "openai/tts-1 sent no sound."),
        (None, wav_of(b""), "audio/wav", "openai/tts-1 sent no sound."),
        (None, wav_of(b"")[:20], "audio/wav", "openai/tts-1 sent no sound."),
        ("mp3", b"", "audio/mpeg", "openai/tts-1 sent no sound."),
        (None, b'{"error": "no such voice"}', "", "openai sent something that is not PCM."),
        ("mp3", b'{"error": "no such voice"}', "", "openai/tts-1 sent text instead of mp3."),
        ("mp3", wav_of(bytes(99)), "audio/wav", "openai/tts-1 sent WAV instead of mp3."),
        (None, wav_of(bytes(48_000), size=96_000), "audio/wav", "openai ended the sound early."),
    ],
    ids=range(8),
)
async def test_an_answer_without_the_sound_is_an_error(
    audio_format: Any, content: bytes, media_type: str, said: str
) -> None:
    async with running(OtherAnswer(content, media_type)) as server:
        speech = Synthesizer(options(server, model="openai/tts-1"), SpeechSettings(), pytest.fail)
        with pytest.raises(VoicechatError) as caught:
            await sound(speech, WholeText("Hello."), audio_format)
    assert said in str(caught.value)


async def test_a_header_that_counts_itself_is_no_mistake() -> None:
    answer = wav_of(bytes(48_000), size=48_000 + 44)
    async with running(OtherAnswer(answer, "audio/wav")) as server:
        speech = Synthesizer(options(server, model="openai/tts-1"), SpeechSettings(), pytest.fail)
        assert await sound(speech, WholeText("Hello.")) == bytes(48_000)


async def test_a_text_that_the_embedded_voice_cannot_speak_is_an_error() -> None:
    speech = Synthesizer(options(model="local"), SpeechSettings(), pytest.fail)
    with pytest.raises(UsageError, match="local/built-in has no sound for this text"):
        await sound(speech, WholeText("\u05e9\u05dc\u05d5\u05dd"))


async def test_a_live_text_is_spoken_sentence_by_sentence() -> None:
    async def parts() -> Any:
        yield "One. Tw"
        await server.arrived.acquire()
        yield "o is **bold**. And"
        await server.arrived.acquire()
        yield " three"

    async with running(OpenAISpeech()) as server:
        speech = Synthesizer(options(server), SpeechSettings(), pytest.fail)
        spoken = await sound(speech, LiveText(parts()))
    assert server.texts == ["One.", "Two is bold.", "And three"]
    assert spoken == b"".join(map(sound_of, server.texts))


async def test_a_live_text_without_words_is_an_error() -> None:
    async def nothing() -> Any:
        yield " \n"

    async with running(OpenAISpeech()) as server:
        speech = Synthesizer(options(server), SpeechSettings(), pytest.fail)
        with pytest.raises(UsageError, match="no text to speak"):
            await sound(speech, LiveText(nothing()))


# ----------------------------------------------------------------------------- what it costs


def rows() -> list[tuple[Any, ...]]:
    """Return model, kind, tokens and cost of all rows in the ledger."""
    ledger = UsageLedger()
    ledger.settle((), {"all": 0.0}, Price())
    assert ledger._connection is not None
    found = ledger._connection.execute(
        "SELECT model, kind, input_tokens, output_tokens, cost FROM responses ORDER BY rowid"
    ).fetchall()
    ledger.close()
    return [tuple(row) for row in found]


async def test_usage_goes_into_the_ledger() -> None:
    before = len(rows())
    async with running(OpenAISpeech()) as server:
        for model in ("openai/gpt-4o-mini-tts", "openai/tts-1"):
            speech = Synthesizer(options(server, model=model), SpeechSettings(), pytest.fail)
            await sound(speech, WholeText("Hello."))
    (events,) = rows()[before:]  # a server on this machine bills no characters
    assert events[:4] == ("openai/gpt-4o-mini-tts", "other", 10, 100)
    assert events[4] == pytest.approx((10 * 0.6 + 100 * 12) / 1e6)


async def test_characters_are_billed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicechat.synthesis.synthesizer.is_loopback", lambda _: False)
    async with running(OpenAISpeech()) as server:
        chosen = options(server, model="openai/tts-1")
        speech = Synthesizer(chosen, SpeechSettings(), pytest.fail, keeps_usage=False)
        await sound(speech, WholeText("Hello."))
    assert speech.spending.usage.input_tokens == 6
    assert speech.spending.cost == pytest.approx(6 * 15 / 1e6)


async def test_a_budget_ends_the_speech() -> None:
    async with running(OpenAISpeech()) as server:
        chosen = options(
            server, model="openai/gpt-4o-mini-tts", spending=BudgetSettings(session_tokens=130)
        )
        said: list[str] = []
        speech = Synthesizer(chosen, SpeechSettings(), said.append)
        with pytest.raises(BudgetSpent, match="budget of 130 tokens"):
            await sound(speech, WholeText(LONG))
    assert len(server.texts) == 2
    assert len(said) == 1
    assert "of the budget of 130 tokens for this session is used" in said[0]


# ----------------------------------------------------------------------------- the model


@pytest.mark.parametrize(
    ("model", "base_url", "keys", "name"),
    [
        (None, None, (), "local/built-in"),
        ("local", None, ("OPENAI_API_KEY",), "local/built-in"),
        (None, None, ("OPENAI_API_KEY",), "openai/gpt-4o-mini-tts"),
        ("openai/gpt-realtime-2.1", None, ("OPENAI_API_KEY",), "openai/gpt-4o-mini-tts"),
        ("openai/tts-1-hd", None, ("OPENAI_API_KEY",), "openai/tts-1-hd"),
        (None, "http://127.0.0.1:1/v1", (), "openai/tts-1"),
        ("kokoro", "http://127.0.0.1:1/v1", (), "openai/kokoro"),
    ],
    ids=range(7),
)
def test_the_model_is_chosen(
    model: str | None, base_url: str | None, keys: tuple[str, ...], name: str
) -> None:
    environ = {key: Secret(KEY) for key in keys}
    assert speech_choice(model, base_url=base_url, environ=environ).name == name


@pytest.mark.parametrize(
    ("model", "error", "said"),
    [
        ("openai", KeyMissing, "openai/gpt-4o-mini-tts needs a key. Set OPENAI_API_KEY"),
        ("azure/x", UsageError, "azure has no text to speech. Choose one of openai/gpt-4o"),
        ("nonsense", UsageError, "There is no model 'nonsense'."),
        ("openai/a b", UsageError, "not a valid model name"),
    ],
)
def test_a_model_that_does_not_speak(model: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        speech_choice(model, environ={})


@pytest.mark.parametrize(
    ("model", "settings", "said"),
    [
        ("openai", {"voice": "corall"}, "has no voice 'corall'. Did you mean coral?"),
        ("openai", {"speed": 9.0}, "speaks at a speed of 0.25 to 4, not 9. 1 is normal."),
        ("local", {"speed": 9.0}, "speaks at a speed of 0.5 to 2, not 9."),
    ],
    ids=range(3),
)
def test_a_wrong_setting_is_refused(model: str, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        Synthesizer(options(model=model), SpeechSettings(**settings), pytest.fail)
    assert said in str(caught.value)


def test_a_setting_without_effect_is_a_warning() -> None:
    said: list[str] = []
    settings = SpeechSettings(instructions="Calm.", language="en")
    Synthesizer(options(model="openai/tts-1"), settings, said.append)
    assert said == [
        "openai/tts-1 follows no instructions.",
        "openai/tts-1 takes no language.",
    ]


def test_the_voice_of_the_settings_is_used_where_it_exists() -> None:
    for voice, used in (("coral", "coral"), ("Kore", None)):
        speech = Synthesizer(options(model="openai", voice=voice), SpeechSettings(), pytest.fail)
        assert speech._request.voice == used


def test_a_format_that_cannot_be_made() -> None:
    speech = Synthesizer(options(model="local"), SpeechSettings(), pytest.fail)
    with pytest.raises(
        UsageError, match=r"local makes no aac\. It makes wav, pcm, mp3, opus, flac"
    ):
        speech.is_native("aac", WholeText(LONG))
    assert not speech.is_native("mp3", WholeText(LONG))
