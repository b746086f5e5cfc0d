"""`voicechat translate`: speak and show what is said in another language."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from voicechat.cli import _completion_values as values
from voicechat.cli.command import CommandEntry, Text, flag, load_options
from voicechat.cli.talk import device_name
from voicechat.errors import UsageError


def translate(
    context: typer.Context,
    to: Annotated[str, typer.Option("--to", metavar="CODE", help="Target language, such as fr.")],
    source: Annotated[
        Text,
        typer.Argument(metavar="FILE", help="WAV file, or - for standard input; else live."),
    ] = None,
    save: Annotated[
        Text, typer.Option(metavar="FILE", help="With FILE: write the spoken translation as WAV.")
    ] = None,
    model: Annotated[
        Text,
        typer.Option(
            metavar="PROVIDER/MODEL",
            help="Model that translates.",
            autocompletion=values.translation_models,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per line.")
    ] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="FILE is PCM16 mono at 24 kHz without a WAV header.")
    ] = False,
    input_device: Annotated[Text, flag("input_device")] = None,
    output_device: Annotated[Text, flag("output_device")] = None,
    base_url: Annotated[Text, flag("base_url")] = None,
    profile: Annotated[Text, flag("profile")] = None,
    budget: Annotated[Text, flag("budget")] = None,
) -> int:
    """Translate speech live, from a WAV file or from a pipe.

    Prints each sentence as it was said, and its translation. Live, it also speaks the translation:
    wear headphones, or it translates itself. Ctrl-C stops.
    """
    if source is None and (raw or save):
        raise UsageError("--raw and --save need a file.", "Name a WAV file, or - for a pipe.")
    if not to.replace("-", "").isalnum() or not to.isascii():
        raise UsageError("--to takes the code of a language.", "Write it like --to fr.")
    from voicechat.cli import _translation_run as translation_run
    from voicechat.config import remembered_devices
    from voicechat.config.options import typed

    flags = typed(context.params)
    options = load_options(flags)
    if source is None:
        options = remembered_devices.with_devices(options, flags, device_name)
    request = translation_run.TranslateRequest(
        to, source, Path(save) if save else None, model, as_json, raw
    )
    return translation_run.translate(options, request)


COMMAND = CommandEntry(65, "translate", "Translate speech live or from a file.", translate)
