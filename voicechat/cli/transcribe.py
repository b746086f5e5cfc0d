"""`voicechat transcribe`: print the transcript of a file, a pipe or the microphone."""

from __future__ import annotations

from typing import Annotated

import typer

from voicechat.cli import _completion_values as values
from voicechat.cli.command import CommandEntry, Text, flag, load_options
from voicechat.cli.talk import device_name
from voicechat.errors import UsageError


def transcribe(
    context: typer.Context,
    source: Annotated[
        Text, typer.Argument(metavar="FILE", help="WAV file, or - for standard input.")
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
    input_device: Annotated[Text, flag("input_device")] = None,
    base_url: Annotated[Text, flag("base_url")] = None,
    profile: Annotated[Text, flag("profile")] = None,
    budget: Annotated[Text, flag("budget")] = None,
) -> int:
    """Transcribe speech live, from a WAV file or from a pipe.

    Prints each passage as a line when it is final; a terminal also shows the words as they are
    spoken. Ctrl-C stops after the last words. A pipe carries a WAV file or PCM16 mono at 24 kHz.

    With --once, as for a hotkey, the first pause ends it; without speech for 30 s, the exit code is
    1.
    """
    if once and source is not None:
        raise UsageError("Use either --once or a file, not both.")
    live = live or once
    if live and source is not None:
        raise UsageError("Use either --live or a file, not both.")
    if live and raw:
        raise UsageError("Use either --live or --raw, not both.")
    if not live and source is None:
        raise UsageError("There is nothing to transcribe.", "Name a WAV file, or use --live.")
    from voicechat.cli import _transcription_run as transcription_run
    from voicechat.config import remembered_devices
    from voicechat.config.options import typed

    flags = typed(context.params)
    options = load_options(flags)
    if live:
        options = remembered_devices.with_devices(options, flags, device_name)
    request = transcription_run.TranscribeRequest(source, language, as_json, logprobs, raw, once)
    return transcription_run.transcribe(options, request)


COMMAND = CommandEntry(60, "transcribe", "Transcribe speech live or from a file.", transcribe)
