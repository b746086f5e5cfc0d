"""`voicechat serve`: the embedded voice as a server for other programs."""

from __future__ import annotations

from typing import Annotated

import typer

from voicechat.cli.command import CommandEntry, Text, flag


def serve(
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="NUMBER", min=0, max=65535, help="Port; 0 picks a free one.")
    ] = 8750,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Accept other machines; they need the token.")
    ] = False,
    voice: Annotated[Text, typer.Option(metavar="NAME", help="Voice of new sessions.")] = None,
    chat_url: Annotated[Text, flag("chat_url")] = None,
    chat_model: Annotated[Text, flag("chat_model")] = None,
) -> int:
    """Serve the embedded voice to any client of the OpenAI Realtime API.

    Prints one JSON line when ready, with the URL and the token that clients must send. The token
    is new for each run, unless VOICECHAT_SERVE_TOKEN sets it. Each session has its own notebook,
    in memory; your notebook is not used.
    """
    from voicechat.cli._local_models import speech_models
    from voicechat.config import loader
    from voicechat.server.app import serve as run
    from voicechat.server.serve_options import ServeOptions

    options = loader.load({"chat_url": chat_url, "chat_model": chat_model})
    return run(
        ServeOptions(
            host=host,
            port=port,
            allow_remote=allow_remote,
            chat_url=options.chat_url,
            chat_model=options.chat_model,
            chat_key=options.chat_key,
            voice=voice,
            forbidden_tools=options.forbidden_tools,
            **speech_models(),
        )
    )


COMMAND = CommandEntry(80, "serve", "Serve the embedded voice to other programs.", serve)
