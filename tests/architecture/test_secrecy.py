"""A server that repeats the key everywhere: it is never shown, logged or stored."""

from __future__ import annotations

import json
import logging
import traceback
from http import HTTPStatus
from pathlib import Path

import pytest
from session_driver import SessionDriver
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from voicechat.config.options import Options
from voicechat.errors import Secret, VoicechatError
from voicechat.recording.recorded_session import open_session

KEY = "planted-0123456789-abcdefghij"
WIRES = {
    "openai/gpt-realtime-2.1": "OPENAI_API_KEY",
    "azure/my-deployment": "AZURE_OPENAI_API_KEY",
    "xai/grok-voice-latest": "XAI_API_KEY",
    "google/gemini-3.8-live": "GEMINI_API_KEY",
    "gateway/openai/gpt-realtime-2.1": "AI_GATEWAY_API_KEY",
}
SAYING = f"Incorrect key: {KEY}"
_OF_OPENAI = [
    {"type": "session.created", "session": {"id": KEY}},
    {"type": "error", "error": {"type": "invalid", "code": KEY, "message": SAYING}},
    {"type": "response.created", "response": {"id": "r"}},
    {"type": "response.output_text.delta", "response_id": "r", "item_id": "i", "delta": SAYING},
    {"type": KEY},
]
FRAMES = {
    "google": [
        {"setupComplete": {}}, {"error": {"code": 16, "message": SAYING}},
        {"serverContent": {"outputTranscription": {"text": SAYING}}}, {KEY: {}},
    ],
    "gateway": [
        {"type": "session-created"}, {"type": "error", "code": KEY, "message": SAYING},
        {"type": "response-created", "responseId": "r"},
        {"type": "text-delta", "responseId": "r", "itemId": "i", "delta": SAYING}, {"type": KEY},
    ],
}  # fmt: skip


def recorded(folder: Path) -> str:
    """Return the contents of all files in a folder."""
    return "".join(path.read_text("latin-1") for path in folder.rglob("*") if path.is_file())


async def chatter(socket: ServerConnection, frames: list[dict[str, object]]) -> None:
    """Send the key in every frame and in the close reason, as text and as bytes."""
    if frames is not _OF_OPENAI:
        await socket.recv()
    for frame in frames:
        await socket.send(json.dumps(frame))
        await socket.send(json.dumps(frame).encode())
    await socket.close(4001, SAYING)


@pytest.mark.parametrize("status", [None, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN,
                                    HTTPStatus.SERVICE_UNAVAILABLE])  # fmt: skip
@pytest.mark.parametrize("model", WIRES)
async def test_a_key_is_never_shown_logged_or_stored(
    model: str,
    status: HTTPStatus | None,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    caplog.set_level(logging.DEBUG)

    async def refuse(connection: ServerConnection, request: Request) -> Response | None:
        seen.append(KEY in str(request.headers) and KEY not in request.path)
        return None if status is None else connection.respond(status, SAYING)

    async def accept(socket: ServerConnection) -> None:
        await chatter(socket, FRAMES.get(model.partition("/")[0], _OF_OPENAI))

    seen: list[bool] = []
    quiet = logging.Logger("the other side", logging.CRITICAL)
    async with serve(accept, "127.0.0.1", 0, process_request=refuse, logger=quiet) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        driver = SessionDriver(open_session(Options(
            model=model, with_sound=False, base_url=f"http://127.0.0.1:{port}", record=tmp_path,
            keys={WIRES[model]: Secret(KEY)},
        )))  # fmt: skip
        with pytest.raises(VoicechatError) as caught:
            await driver.session.run()
    shown = {
        "the error": "".join(traceback.format_exception(caught.value)) + repr(caught.value.args),
        "what is told": repr(driver.updates),
        "the transcript": repr(driver.session.transcript.entries),
        "the session": repr(vars(driver.session)),
        "the log": repr([vars(record) for record in caplog.records]),
        "the terminal": "".join(capfd.readouterr()),
        "the recording": recorded(tmp_path),
    }
    assert set(seen) == {True}
    assert status is not None or "Incorrect key: ***" in shown["what is told"]
    assert [where for where, text in shown.items() if KEY in text] == []
