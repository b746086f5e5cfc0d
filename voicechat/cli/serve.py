"""`voicechat serve`: the embedded voice as a server for other programs."""

from __future__ import annotations

from typing import Annotated

import typer

from voicechat.cli import _completion_values as values
from voicechat.cli._listening_options import Host, Port, TlsCert, TlsKey
from voicechat.cli.command import CommandEntry, Text, flag


def serve(
    context: typer.Context,
    host: Host = "127.0.0.1",
    port: Port = 8750,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Accept other machines; they need the token.")
    ] = False,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ORIGIN", help="Web page that may connect, like https://app.example (repeat)."
        ),
    ] = None,
    ice_servers: Annotated[Text, flag("ice_servers")] = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    max_connections: Annotated[
        int,
        typer.Option(
            "--max-connections", metavar="NUMBER", min=1, help="Most clients at the same time."
        ),
    ] = 32,
    voice: Annotated[
        Text,
        typer.Option(
            metavar="NAME", help="Voice of new sessions.", autocompletion=values.embedded_voices
        ),
    ] = None,
    stt: Annotated[Text, flag("stt")] = None,
    stt_model: Annotated[Text, flag("stt_model")] = None,
    stt_language: Annotated[Text, flag("stt_language")] = None,
    tts: Annotated[Text, flag("tts")] = None,
    tts_model: Annotated[Text, flag("tts_model")] = None,
    tts_voice: Annotated[Text, flag("tts_voice")] = None,
    chat_url: Annotated[Text, flag("chat_url")] = None,
    chat_model: Annotated[Text, flag("chat_model")] = None,
) -> int:
    """Serve the embedded voice to any client of the OpenAI Realtime API.

    Prints one JSON line when ready, with the URL and the token that clients must send. The token
    is new for each run, unless VOICECHAT_SERVE_TOKEN sets it. With --allow-remote, add --tls-cert:
    without TLS, others on the network can read the token and the speech.

    A web page talks over WebRTC, too: see --origin, and pip install 'voicechat[webrtc]'.

    Each session has its own notebook, in memory; your notebook is not used. When a server at
    --stt, --tts or --chat-url fails, the built-in engine takes over.
    """
    from voicechat.cli._local_models import speech_models
    from voicechat.config import loader
    from voicechat.config.options import SETTINGS
    from voicechat.server.app import serve as run
    from voicechat.server.serve_options import RemoteEngine, ServeOptions
    from voicechat.server.web_origin import web_origins
    from voicechat.system import memory_limit, process_secrecy
    from voicechat.system.ice_servers import ice_servers as servers

    process_secrecy.read_piped()
    memory_limit.require()
    named = [name for name, setting in SETTINGS.items() if setting.is_engine] + ["ice_servers"]
    options = loader.load({name: context.params[name] for name in named})
    recognizer = speaker = None
    if options.stt:
        recognizer = RemoteEngine(
            options.stt, options.stt_model, language=options.stt_language, key=options.stt_key
        )
    if options.tts:
        speaker = RemoteEngine(
            options.tts, options.tts_model, voice=options.tts_voice, key=options.tts_key
        )
    return run(
        ServeOptions(
            host=host,
            port=port,
            allow_remote=allow_remote,
            origins=web_origins(origin or ()),
            ice_servers=servers(options.ice_servers or "", options.turn_password),
            tls_cert=tls_cert,
            tls_key=tls_key,
            max_connections=max_connections,
            stt=recognizer,
            tts=speaker,
            chat_url=options.chat_url,
            chat_model=options.chat_model,
            chat_key=options.chat_key,
            voice=voice,
            forbidden_tools=options.forbidden_tools,
            guardrails=options.guardrails,
            **speech_models(),
        )
    )


COMMAND = CommandEntry(80, "serve", "Serve the embedded voice to other programs.", serve)
