"""Usage of a conversation: responses, and transcription separately."""

from __future__ import annotations

from voicechat.core import effects
from voicechat.core.effect_buffer import EffectBuffer
from voicechat.core.items import Usage
from voicechat.core.usage_meter import UsageMeter

ANSWER = Usage(total_tokens=15, input_tokens=10, output_tokens=5)
WORDS = Usage(total_tokens=7, input_tokens=4, output_tokens=3)
SECONDS = Usage(seconds=2.5)


def test_transcription_is_metered_separately() -> None:
    outbox = EffectBuffer()
    meter = UsageMeter(outbox)
    meter.responded(ANSWER)
    meter.transcribed(WORDS)
    meter.transcribed(SECONDS)
    meter.other(ANSWER)
    assert meter.total == ANSWER + ANSWER
    assert meter.response == ANSWER
    assert meter.written == WORDS + SECONDS
    assert outbox.take() == [
        effects.UsageChanged(ANSWER, ANSWER, "response"),
        effects.UsageChanged(ANSWER, WORDS, "transcription"),
        effects.UsageChanged(ANSWER, SECONDS, "transcription"),
        effects.UsageChanged(ANSWER + ANSWER, ANSWER, "other"),
    ]
