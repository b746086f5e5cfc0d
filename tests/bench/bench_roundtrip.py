"""Word error rate of the embedded stack: its voice speaks sentences, its recognizer hears them."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "support"))

from figures import Figure, Table

from voicechat.cli._roundtrip_run import RoundTrip, round_trip_models
from voicechat.config.options import Options
from voicechat.synthesis.speech_settings import SpeechSettings
from voicechat.synthesis.text_source import WholeText

CORPUS = Path(__file__).parents[1] / "support/corpus"
SENTENCES = 40
MOST_WRONG = 3.0
"""Wrong words in %."""


async def _measured(sentences: list[str]) -> list[RoundTrip]:
    options = Options(model="local")
    models = round_trip_models(options, options, SpeechSettings(), print)
    async with models as pair:
        await pair.measure(WholeText("Load both models."))
        return [await pair.measure(WholeText(each)) for each in sentences]


def rows(effort: float) -> Iterator[Figure]:
    every = json.loads((CORPUS / "open_talk.json").read_text(encoding="utf-8"))
    trips = asyncio.run(_measured(every[: round(SENTENCES * effort)]))
    words, sound = sum(each.words for each in trips), sum(each.sound_s for each in trips)
    rate = 100 * sum(each.errors for each in trips) / words
    ours = f"{rate:.1f}, n {words}"
    yield Figure("word error rate, %", ours, f"at most {MOST_WRONG:g}", rate <= MOST_WRONG)
    for what, seconds in (
        ("speaking", sum(each.speak_s for each in trips)),
        ("transcribing", sum(each.transcribe_s for each in trips)),
    ):
        yield Figure(f"{what}, s for each s of sound", f"{seconds / sound:.3f}")


TABLE = Table("Round trip", {"speak → transcribe on the embedded stack": rows})
