"""`voicechat roundtrip`: speak texts, transcribe the sound, and count the words that differ."""

from __future__ import annotations

from typing import Annotated

import typer

from voicechat.cli import _completion_values as values
from voicechat.cli.command import CommandEntry, Text, flag, load_options


def roundtrip(
    context: typer.Context,
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TEXT]...",
            help="Texts; - reads one from each line of standard input. Default: ten sentences.",
        ),
    ] = None,
    speak: Annotated[
        Text,
        typer.Option(
            "--speak",
            metavar="PROVIDER/MODEL",
            help="Model that speaks.",
            autocompletion=values.speech_models,
        ),
    ] = None,
    transcribe: Annotated[
        Text,
        typer.Option(
            "--transcribe",
            metavar="PROVIDER/MODEL",
            help="Model that transcribes.",
            autocompletion=values.transcription_models,
        ),
    ] = None,
    speak_url: Annotated[
        Text, typer.Option("--speak-url", metavar="URL", help="Its address, if it has another one.")
    ] = None,
    transcribe_url: Annotated[
        Text,
        typer.Option("--transcribe-url", metavar="URL", help="Its address, if it has another one."),
    ] = None,
    voice: Annotated[
        Text,
        typer.Option("--voice", metavar="NAME", help="Voice.", autocompletion=values.speech_voices),
    ] = None,
    language: Annotated[
        Text, typer.Option("--language", metavar="CODE", help="Language, such as en.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    profile: Annotated[Text, flag("profile")] = None,
    budget: Annotated[Text, flag("budget")] = None,
) -> int:
    """Speak texts with one model, transcribe the sound with another, and compare.

    Prints the word error rate, the time and the estimated cost of both models, for each text and
    in sum. Case and punctuation do not count; numbers must be written as the model writes them.

    Needs pip install 'voicechat[roundtrip]'.
    """
    from voicechat.cli import _roundtrip_run as roundtrip_run
    from voicechat.config.options import typed
    from voicechat.synthesis.speech_settings import SpeechSettings

    shared = {name: context.params[name] for name in ("profile", "budget")}
    ends = [
        load_options(typed({**shared, "model": model, "base_url": url}))
        for model, url in ((speak, speak_url), (transcribe, transcribe_url))
    ]
    request = roundtrip_run.RoundTripRequest(
        tuple(texts or ()), SpeechSettings(voice, language=language), as_json
    )
    return roundtrip_run.run(ends[0], ends[1], request)


COMMAND = CommandEntry(
    62, "roundtrip", "Measure speech and transcription by word error rate.", roundtrip
)
