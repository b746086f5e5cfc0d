"""The model that transcribes a recording, by what is named, wished for and set."""

from __future__ import annotations

import pytest

from voicechat.errors import KeyMissing, UsageError
from voicechat.providers.transcription_catalog import RecordingChoice, recording_choice
from voicechat.providers.transcription_service import TranscriptionWishes

KEYS = {"OPENAI_API_KEY": "sk-1", "XAI_API_KEY": "xai-1", "AI_GATEWAY_API_KEY": "vck-1"}


def chosen(model: str | None, base_url: str | None = None, **wishes: object) -> RecordingChoice:
    return recording_choice(
        model,
        TranscriptionWishes(**wishes),  # type: ignore[arg-type]
        base_url=base_url,
        environ=KEYS,
    )


@pytest.mark.parametrize(
    ("model", "wishes", "name"),
    [
        (None, {}, "openai/gpt-transcribe"),
        ("openai/gpt-realtime-2.1", {"times": "segment"}, "openai/whisper-1"),
        ("openai", {"diarize": True}, "openai/gpt-4o-transcribe-diarize"),
        ("openai", {"logprobs": True}, "openai/gpt-4o-transcribe"),
        ("xai", {"diarize": True}, "xai/grok-stt"),
        ("gateway", {}, "gateway/openai/gpt-4o-transcribe"),
        ("local", {"times": "segment"}, "local/built-in"),
    ],
)
def test_the_wishes_choose_the_model(
    model: str | None, wishes: dict[str, object], name: str
) -> None:
    choice = chosen(model, **wishes)
    assert choice.name == name
    assert choice.unsupported == []


def test_a_server_of_ones_own_gets_the_model_that_such_servers_have() -> None:
    assert chosen(None, "http://127.0.0.1:8000").name == "openai/whisper-1"
    assert chosen("large-v3", "http://127.0.0.1:8000/v1").name == "openai/large-v3"


def test_wishes_that_a_model_does_not_take_are_named() -> None:
    choice = chosen("xai", prompt="Names.", logprobs=True)
    assert choice.unsupported == [
        "xai/grok-stt does not support a prompt.",
        "xai/grok-stt does not support log probabilities.",
    ]


@pytest.mark.parametrize(
    ("model", "base_url", "error", "said"),
    [
        (
            "google",
            None,
            UsageError,
            "google does not transcribe recordings. Choose one of",
        ),
        ("nonsense", None, UsageError, "There is no model 'nonsense'."),
        ("openai/gpt-live-transcribe", None, UsageError, "transcribes live speech only."),
        ("openai", "http://elsewhere.test/v1", UsageError, "would be sent unencrypted"),
        ("azure/x", None, UsageError, "azure does not transcribe recordings."),
    ],
)
def test_a_wrong_choice_is_one_sentence(
    model: str, base_url: str | None, error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as failure:
        chosen(model, base_url)
    assert said in str(failure.value)


def test_a_missing_key_is_named() -> None:
    with pytest.raises(KeyMissing, match=r"openai/gpt-transcribe needs a key\. Set OPENAI_API_KEY"):
        recording_choice("openai", TranscriptionWishes(), environ={})
    assert recording_choice(None, TranscriptionWishes(), environ={}).service is None
