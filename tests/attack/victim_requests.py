"""Every HTTP request of the program, to a server that attacks."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

from scripted import ScriptedStt, ScriptedTts

from voicechat.config.endpoint import Endpoint
from voicechat.config.mcp_server import ServerConfig
from voicechat.config.options import Options
from voicechat.core.settings import Permission, SessionSettings
from voicechat.errors import Secret
from voicechat.server.assistant.chat_assistant import ChatAssistant
from voicechat.server.engine_protocols import AssistantRequest, Message
from voicechat.server.stt.remote_stt import RemoteStt
from voicechat.server.stt.transcription_endpoint import TranscriptionEndpoint
from voicechat.server.tts.remote_tts import RemoteTts
from voicechat.server.tts.speech_endpoint import SpeechEndpoint
from voicechat.system.dial_target import DialTarget
from voicechat.tools.registry import Registry
from voicechat.tools.tool_context import ToolContext

KEY = Secret("sk-planted-attack-0123456789abcdef")


async def _page(port: int) -> object:
    from voicechat.tools.builtin import web

    async def names(host: str, at: int) -> list[str]:
        return ["127.0.0.1"]

    registry = Registry(*web.tools(ToolContext(), names, lambda address: True))
    url = f"http://public.test:{port}/page"
    return (await registry.run("fetch_page", json.dumps({"url": url}))).output


async def _endpoint(port: int) -> object:
    from voicechat.tools.endpoints import endpoint_tool

    where = f"http://127.0.0.1:{port}/lamp"
    lamp = Endpoint("lamp", where, headers={"x-key": KEY}, permission=Permission.AUTO, deadline_s=5)
    return (await Registry(endpoint_tool(lamp)).run("lamp", "{}")).output


async def _token_command(port: int) -> object:
    from voicechat.session.token_mint import mint

    at = f"http://127.0.0.1:{port}/v1"
    options = Options(model="openai/m", base_url=at, keys={"OPENAI_API_KEY": KEY})
    return await mint(options)


async def _token_url(port: int) -> object:
    from voicechat.session import token_auth

    return await token_auth._fetch(f"http://127.0.0.1:{port}/token", SessionSettings())


async def _chat(port: int) -> object:
    chat = ChatAssistant(f"http://127.0.0.1:{port}/v1", "m", KEY)
    try:
        request = AssistantRequest((Message("user", "hi"),))
        await asyncio.gather(chat.open(), return_exceptions=True)
        async with aclosing(chat.reply(request)) as parts:
            return [part async for part in parts]
    finally:
        await chat.close()


async def _mcp(port: int) -> object:
    from voicechat.tools.mcp.mcp_connection import McpConnection

    where = f"http://127.0.0.1:{port}/mcp"
    config = ServerConfig("there", url=where, headers={"x-key": KEY}, start_timeout_s=5)
    return await McpConnection(config, lambda tools: None).live()


def _target(port: int) -> DialTarget:
    return DialTarget(f"ws://127.0.0.1:{port}/v1/realtime", {"Authorization": KEY})


async def _models(port: int) -> object:
    from voicechat.session.served_models import served_model

    return await served_model(_target(port), "m")


async def _voices(port: int) -> object:
    from voicechat.session.served_voices import served_voices

    return await served_voices(_target(port), ("tts/voices", "custom-voices"))


async def _local_servers(port: int) -> object:
    from voicechat.session.server_discovery import find_servers

    return await find_servers((port,))


async def _sample(port: int) -> object:
    from voicechat.session.model import ChosenModel
    from voicechat.session.voice_sample import voice_sample

    at = f"http://127.0.0.1:{port}/v1"
    options = Options(model="xai/grok-voice-latest", base_url=at, keys={"XAI_API_KEY": KEY})
    return len(await voice_sample(ChosenModel(options, tuple, str), "ara", 24_000))


async def _recognizer(port: int) -> object:
    stt = RemoteStt(
        TranscriptionEndpoint(f"http://127.0.0.1:{port}/v1", key=KEY),
        ScriptedStt(["built in"]),
        lambda text: None,
        2.0,
    )
    try:
        utterance = stt.utterance(lambda partial: None)
        utterance.feed(bytes(32_000))
        return await utterance.finish()
    finally:
        await stt.close()


async def _voice(port: int) -> object:
    builtin = ScriptedTts()
    builtin.rate = 24_000
    voice = SpeechEndpoint(f"http://127.0.0.1:{port}/v1", 24_000, key=KEY)
    tts = RemoteTts(voice, builtin, lambda text: None, 2.0)
    try:
        return [len(part.pcm) async for part in tts.speak("It is half past nine.")]
    finally:
        await tts.close()


async def _download(port: int) -> object:
    from voicechat.local_models.file_download import FileDownload, make_client
    from voicechat.local_models.model_catalog import RemoteFile

    async def at_once(_seconds: float) -> None:
        await asyncio.sleep(0)

    with tempfile.TemporaryDirectory() as folder:
        async with make_client() as client:
            file = RemoteFile(f"http://127.0.0.1:{port}/m", 1_000_000, "0" * 64)
            return await FileDownload(client, file, Path(folder) / "m.onnx", pause=at_once).run()


REQUESTS: dict[str, Callable[[int], Awaitable[object]]] = {
    "page tool": _page,
    "endpoint tool": _endpoint,
    "token command": _token_command,
    "token URL": _token_url,
    "chat server": _chat,
    "MCP server": _mcp,
    "list of models": _models,
    "list of voices": _voices,
    "servers of this machine": _local_servers,
    "sample of a voice": _sample,
    "speech recognizer": _recognizer,
    "voice server": _voice,
    "model download": _download,
}
"""Each takes the port of the server."""
