"""Round trips: each text is spoken by one model, and another one transcribes the sound.

The words that differ, by the package `jiwer` (Word Error Rate: substituted, missing and additional
words for each word of the text), measure both models and what lies between them.
"""

from __future__ import annotations

import importlib.util
import json
import re
import time
import unicodedata
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING

import typer

from voicechat.cli._speech_run import ProgressLine
from voicechat.config.options import Options
from voicechat.core.price import dollars
from voicechat.core.text import clean
from voicechat.core.wav_header import wav_header
from voicechat.errors import UsageError
from voicechat.providers.speech_service import SPEECH_RATE
from voicechat.providers.transcription_service import TranscriptionWishes
from voicechat.synthesis.speech_settings import SpeechSettings
from voicechat.synthesis.synthesizer import Synthesizer, seconds_of
from voicechat.synthesis.text_source import WholeText, read_pipe
from voicechat.system import exit_deadline
from voicechat.system.text_table import counted, shortened
from voicechat.transcription.recording_session import RecordingSession, recording_session
from voicechat.transcription.recordings import opened

if TYPE_CHECKING:
    from voicechat.session.model_spending import ModelSpending

SENTENCES = (
    "The train to the coast leaves at half past seven.",
    "Please turn the lights in the kitchen down a little.",
    "My sister bought two bottles of milk and a loaf of bread.",
    "It rained all morning, so we stayed at home and read.",
    "Could you remind me to call the doctor tomorrow afternoon?",
    "The old bridge across the river was closed for repairs.",
    "He wrote a short letter to thank them for their help.",
    "There is a small garden behind the house with three apple trees.",
    "What is the fastest way to get to the airport from here?",
    "She plays the piano every evening before dinner.",
)
"""The texts when none is typed."""

_JOINERS = re.compile(r"['\N{RIGHT SINGLE QUOTATION MARK}]")
_NO_WORDS = re.compile(r"[^\w\s]|_")
_ALONE = re.compile("([\u3040-\u30ff\u3400-\u9fff])")
"""Letters of scripts without spaces; each counts as a word."""


_WIDEST = 400
"""Cells of a text that is printed; JSON has the whole text."""


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """A text and what became of it."""

    text: str
    """Without markup."""
    heard: str
    words: int
    """Of the text."""
    substitutions: int
    deletions: int
    insertions: int
    sound_s: float
    """Length of the speech."""
    speak_s: float
    """Seconds until the speech was complete."""
    transcribe_s: float
    speak_cost: float | None
    """Estimated cost in US dollars; None if the price is unknown."""
    transcribe_cost: float | None

    @property
    def errors(self) -> int:
        """Words that differ."""
        return self.substitutions + self.deletions + self.insertions


class RoundTripModels:
    """A model that speaks and one that transcribes. `round_trip_models` opens them."""

    def __init__(self, speech: Synthesizer, session: RecordingSession) -> None:
        self._speech, self._session = speech, session

    @property
    def names(self) -> tuple[str, str]:
        """PROVIDER/MODEL of both."""
        return self._speech.name, self._session.choice.name

    async def measure(self, text: WholeText) -> RoundTrip:
        """Speak and transcribe a text. Raises `VoicechatError`."""
        costs = _Costs(self._speech.spending), _Costs(self._session.spending)
        began = time.monotonic()
        async with aclosing(self._speech.sound(text)) as sound:
            pcm = b"".join([each async for each in sound])
        spoken = time.monotonic()
        async with opened(wav_header(SPEECH_RATE, len(pcm)) + pcm) as recording:
            heard = await self._session.transcriber.transcribe(recording)
        ended = time.monotonic()
        said, understood = words_of(text.plain), words_of(heard.text)
        differences = word_differences(said, understood)
        return RoundTrip(
            text.plain,
            heard.text,
            len(said.split()),
            *differences,
            sound_s=round(seconds_of(len(pcm)), 3),
            speak_s=round(spoken - began, 3),
            transcribe_s=round(ended - spoken, 3),
            speak_cost=costs[0].more,
            transcribe_cost=costs[1].more,
        )


class _Costs:
    """What a model costs from now on."""

    def __init__(self, spending: ModelSpending) -> None:
        self._spending, self._before = spending, spending.cost or 0.0

    @property
    def more(self) -> float | None:
        """US dollars; None if the price is unknown."""
        cost = self._spending.cost
        return None if cost is None else cost - self._before


def words_of(text: str) -> str:
    """Return the words of a text without case and punctuation, with single spaces."""
    plain = _JOINERS.sub("", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(_ALONE.sub(r" \1 ", _NO_WORDS.sub(" ", plain)).split())


def word_differences(said: str, heard: str) -> tuple[int, int, int]:
    """Return the substituted, missing and additional words."""
    import jiwer

    found = jiwer.process_words(said, heard)
    return found.substitutions, found.deletions, found.insertions


def require_jiwer() -> None:
    """Raise `UsageError` if the package that compares the texts is not installed."""
    if importlib.util.find_spec("jiwer") is None:
        raise UsageError(
            "Word error rates need a part that is not installed.",
            "Type: pip install 'voicechat[roundtrip]'",
        )


@asynccontextmanager
async def round_trip_models(
    speech: Options,
    transcription: Options,
    settings: SpeechSettings,
    notify: Callable[[str], None],
) -> AsyncIterator[RoundTripModels]:
    """Open both models while the block runs; they share the budget of `speech`.

    notify: receives sentences for the user. Raises `VoicechatError`.
    """
    speaker = Synthesizer(speech, settings, notify)
    try:
        session = recording_session(
            transcription,
            TranscriptionWishes(language=settings.language),
            notify,
            resumes=False,
            shares=speaker.spending,
        )
        async with session as found:
            yield RoundTripModels(speaker, found)
    finally:
        await speaker.close()


@dataclass(frozen=True, slots=True)
class RoundTripRequest:
    """The options of one run."""

    texts: Sequence[str] = ()
    """The texts; none for `SENTENCES`; - for a text on each line of standard input."""
    settings: SpeechSettings = field(default_factory=SpeechSettings)
    as_json: bool = False


def run(speech: Options, transcription: Options, request: RoundTripRequest) -> int:
    """Measure the round trips and print them; the exit code."""
    require_jiwer()
    return exit_deadline.run(_run(speech, transcription, request))


async def _run(speech: Options, transcription: Options, request: RoundTripRequest) -> int:
    line = ProgressLine()
    texts = [WholeText(each) for each in await _texts(request.texts)]
    for sentence in dict.fromkeys((*speech.warnings, *transcription.warnings)):
        line.print_message(sentence)
    trips: list[RoundTrip] = []
    models = round_trip_models(speech, transcription, request.settings, line.print_message)
    try:
        async with models as pair:
            names = pair.names
            for number, text in enumerate(texts, 1):
                line.show(f"Text {number} of {len(texts)}")
                trips.append(await pair.measure(text))
                line.clear()
                if not request.as_json:
                    typer.echo("\n".join(_lines(number, trips[-1])))
    finally:
        line.clear()
    typer.echo(_json(names, trips) if request.as_json else "\n".join(_sum_lines(names, trips)))
    return 0


async def _texts(typed: Sequence[str]) -> Sequence[str]:
    if "-" not in typed:
        return typed or SENTENCES
    if len(typed) > 1:
        raise UsageError("Write - alone, without other texts.")
    lines = "".join([part async for part in read_pipe(0)]).splitlines()
    return [each for each in lines if each.strip()] or [""]


# --------------------------------------------------------------------- what is printed


def _lines(number: int, trip: RoundTrip) -> list[str]:
    """Return a round trip in lines."""
    spent = f"spoken in {trip.speak_s:.1f} s, transcribed in {trip.transcribe_s:.1f} s"
    costs = [each for each in (trip.speak_cost, trip.transcribe_cost) if each]
    price = f", {dollars(sum(costs))}" if costs else ""
    found = [
        f"{number}. {trip.errors} of {counted(trip.words, 'word')} wrong; {spent}{price}",
        f"   said:  {shortened(clean(trip.text), _WIDEST)}",
    ]
    heard = f"   heard: {shortened(clean(trip.heard), _WIDEST)}".rstrip()
    return [*found, heard] if trip.errors else found


def _sum_lines(names: tuple[str, str], trips: Sequence[RoundTrip]) -> list[str]:
    """Return the word error rate, the times and the costs of all round trips."""
    errors, words = sum(each.errors for each in trips), sum(each.words for each in trips)
    sound = sum(each.sound_s for each in trips)
    ends = (
        (f"{names[0]} spoke {sound:.0f} s of sound", "speak"),
        (f"{names[1]} transcribed it", "transcribe"),
    )
    found = [f"Word error rate: {errors / words:.1%} ({errors} of {counted(words, 'word')})."]
    for what, end in ends:
        seconds = sum(getattr(each, f"{end}_s") for each in trips)
        price = _price([getattr(each, f"{end}_cost") for each in trips])
        found.append(f"{what} in {seconds:.1f} s: {price}.")
    return found


def _price(costs: Sequence[float | None]) -> str:
    known = [each for each in costs if each is not None]
    if len(known) < len(costs):
        return "its price is unknown"
    return f"an estimated {dollars(sum(known))}" if sum(known) else "no cost"


def _json(names: tuple[str, str], trips: Sequence[RoundTrip]) -> str:
    """Return all numbers as a JSON object: the sums, then each text."""
    summed: dict[str, float | None] = {}
    for name in (each.name for each in fields(RoundTrip) if each.name not in {"text", "heard"}):
        values = [getattr(trip, name) for trip in trips]
        summed[name] = None if None in values else round(sum(values), 9)
    errors = sum(each.errors for each in trips)
    head = {"speak": names[0], "transcribe": names[1]}
    rate = {"word_error_rate": errors / sum(each.words for each in trips)}
    texts = {"texts": [asdict(each) for each in trips]}
    return json.dumps(head | rate | summed | texts, ensure_ascii=False, indent=2)
