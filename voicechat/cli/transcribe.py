"""`voicechat transcribe`: print the transcript of recordings, a pipe or the microphone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from voicechat.cli import _completion_values as values
from voicechat.cli.command import CommandEntry, Text, flag


def transcribe(
    context: typer.Context,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE|URL]...", help="Recordings: files, addresses, or - for standard input."
        ),
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Transcribe the microphone.")] = False,
    once: Annotated[
        bool, typer.Option("--once", help="Print one utterance of the microphone and end.")
    ] = False,
    model: Annotated[
        Text,
        typer.Option(
            metavar="PROVIDER/MODEL",
            help="Model that transcribes.",
            autocompletion=values.transcription_models,
        ),
    ] = None,
    language: Annotated[
        Text, typer.Option(metavar="CODE", help="Language of the speech, such as en.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per line.")
    ] = False,
    logprobs: Annotated[
        bool, typer.Option("--logprobs", help="With --json: add the log probability of each token.")
    ] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="FILE is PCM16 mono at 24 kHz without a WAV header.")
    ] = False,
    form: Annotated[
        Text, typer.Option("--format", metavar="FORMAT", help="txt, json, srt, vtt or md.")
    ] = None,
    prompt: Annotated[
        Text, typer.Option(metavar="TEXT", help="A text with names as they are written.")
    ] = None,
    keywords: Annotated[
        Text, typer.Option(metavar="WORDS", help="Words that may occur, with commas.")
    ] = None,
    diarize: Annotated[bool, typer.Option("--diarize", help="Tell the speakers apart.")] = False,
    timestamps: Annotated[
        Text, typer.Option(metavar="UNIT", help="Times of each word or of each segment.")
    ] = None,
    out_dir: Annotated[
        Path | None,
        typer.Option(
            "--out-dir", metavar="FOLDER", help="Write NAME.FORMAT there, if it is missing."
        ),
    ] = None,
    jobs: Annotated[
        int,
        typer.Option("--jobs", metavar="NUMBER", min=1, max=32, help="Recordings at a time."),
    ] = 1,
    is_base64: Annotated[
        bool, typer.Option("--base64", help="The recording is base64 text.")
    ] = False,
    input_device: Annotated[Text, flag("input_device")] = None,
    base_url: Annotated[Text, flag("base_url")] = None,
    profile: Annotated[Text, flag("profile")] = None,
    budget: Annotated[Text, flag("budget")] = None,
) -> int:
    """Transcribe recordings, or speech as it is spoken.

    Recordings are WAV, MP3, M4A, MP4, FLAC, Ogg, Opus and WebM, whatever their names; M4A, MP4 and
    WebM may need pip install 'voicechat[media]'. Long ones are cut in silences. A run that is
    interrupted continues where it stopped, and with --out-dir only what is missing is transcribed.

    Speech from the microphone, a pipe with PCM16 mono at 24 kHz, and a WAV file without other
    options are printed passage by passage as they are final. Ctrl-C stops after the last words.

    With --once, as for a hotkey, the first pause ends it; without speech for 30 s, the exit code is
    1.
    """
    from voicechat.cli._transcription_route import TranscriptionRoute
    from voicechat.config.options import typed

    route = TranscriptionRoute(
        sources=tuple(sources or ()),
        live=live or once,
        once=once,
        raw=raw,
        as_json=as_json,
        language=language,
        logprobs=logprobs,
        form=form,
        prompt=prompt,
        keywords=keywords,
        diarize=diarize,
        timestamps=timestamps,
        out_dir=out_dir,
        jobs=jobs,
        is_base64=is_base64,
    )
    route.check()
    return route.run(typed(context.params))


COMMAND = CommandEntry(60, "transcribe", "Transcribe recordings or live speech.", transcribe)
