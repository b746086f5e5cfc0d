"""`voicechat speak`: speak a text, or write it into a sound file."""

from __future__ import annotations

from typing import Annotated

import typer

from voicechat.cli import _completion_values as values
from voicechat.cli.command import SHOW_CODE, CommandEntry, Text, flag, load_options
from voicechat.cli.talk import device_name
from voicechat.errors import UsageError


def speak(
    context: typer.Context,
    text: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT", help="The text; - or nothing reads standard input."),
    ] = None,
    file: Annotated[
        Text, typer.Option("--file", metavar="FILE", help="Read the text from a file.")
    ] = None,
    out: Annotated[
        Text,
        typer.Option(
            "--out", metavar="FILE", help="Write the sound; - is standard output. Default: play it."
        ),
    ] = None,
    format: Annotated[  # noqa: A002
        Text,
        typer.Option(
            "--format",
            metavar="KIND",
            help="mp3, opus, aac, flac, wav or pcm; default as FILE is named, else wav.",
        ),
    ] = None,
    model: Annotated[
        Text,
        typer.Option(
            metavar="PROVIDER/MODEL",
            help="Model that speaks.",
            autocompletion=values.speech_models,
        ),
    ] = None,
    voice: Annotated[
        Text,
        typer.Option("--voice", metavar="NAME", help="Voice.", autocompletion=values.speech_voices),
    ] = None,
    speed: Annotated[
        Text, typer.Option("--speed", metavar="NUMBER", help="Speed; 1 is normal.")
    ] = None,
    instructions: Annotated[
        Text,
        typer.Option("--instructions", metavar="TEXT", help="How to speak, such as cheerful."),
    ] = None,
    language: Annotated[
        Text, typer.Option("--language", metavar="CODE", help="Language, such as en.")
    ] = None,
    output_device: Annotated[Text, flag("output_device")] = None,
    base_url: Annotated[Text, flag("base_url")] = None,
    profile: Annotated[Text, flag("profile")] = None,
    budget: Annotated[Text, flag("budget")] = None,
    show_code: Annotated[bool, SHOW_CODE] = False,
) -> int:
    """Speak a text, also one in Markdown or longer than the model's limit.

    Speaks while the sound arrives, and with a pipe while the text arrives. Ctrl-C or Esc stops it
    and leaves no half file. Without a key, the embedded voice speaks.
    """
    if text and file is not None:
        raise UsageError("Use either a text or --file, not both.")
    from voicechat.cli import _speech_run as speech_run
    from voicechat.config import remembered_devices
    from voicechat.config.options import typed

    names = ("model", "output_device", "base_url", "profile", "budget")
    flags = typed({name: context.params[name] for name in names})
    request = speech_run.SpeakRequest(
        words=tuple(text or ()),
        file=file,
        out=out,
        audio_format=format,
        voice=voice,
        speed=speed,
        instructions=instructions,
        language=language,
    )
    request.check()
    if show_code:
        typer.echo(speech_run.program(request, flags), nl=False)
        return 0
    options = load_options(flags)
    if out is None:
        options = remembered_devices.with_devices(options, flags, device_name)
    return speech_run.speak(options, request)


COMMAND = CommandEntry(55, "speak", "Speak a text, or write it into a sound file.", speak)
