"""The smoke test of real providers, run against fakes and without a key."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from fake_openai import OpenAI, openai
from fake_wires import Fake, running
from smoke import Smoke, main
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from voicechat.config.options import Options
from voicechat.errors import Secret


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["openai"], "OPENAI_API_KEY"), (["xai"], "XAI_API_KEY"), (["google"], "GEMINI_API_KEY"),
        (["gateway"], "AI_GATEWAY_API_KEY"), (["azure/d"], "AZURE_OPENAI_API_KEY"),
        (["nobody"], "nobody"), ([""], "make smoke PROVIDER=openai"),
    ],
)  # fmt: skip
def test_a_missing_key_is_named(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert not out
    assert named in err


class Remembering(OpenAI):
    """A fake that answers questions about fruit from the conversation."""

    async def speak(self) -> None:
        if self.last.endswith("fruit?"):
            reported = [text for _, text in self.fake.history if "favourite" in text]
            self.last = "; ".join(reported)
        await super().speak()


async def remembering(fake: Fake, socket: ServerConnection) -> None:
    await Remembering(fake, socket).hold()


@pytest.mark.parametrize("talk", [remembering, openai])
async def test_each_step_is_reported_in_one_line(
    talk: Callable[[Fake, ServerConnection], Any],
) -> None:
    lines: list[str] = []
    async with running(talk) as fake:
        options = Options(
            model="openai", with_sound=False, base_url=f"http://127.0.0.1:{fake.port}",
            keys={"OPENAI_API_KEY": Secret("planted-key")},
        )  # fmt: skip
        passed = await Smoke(options, lines.append).run()
        assert fake.wrong == []
    verdicts = [line.split("  ")[0] for line in lines]
    assert passed is (talk is remembering)
    assert verdicts == ["passed"] * 4 + ["passed" if passed else "FAILED"]
    assert "planted-key" not in "".join(lines)


async def test_a_refused_key_is_a_failure_to_connect() -> None:
    lines: list[str] = []

    async def refuse(connection: ServerConnection, request: Request) -> Response:
        return connection.respond(HTTPStatus.UNAUTHORIZED, request.headers["Authorization"])

    async with serve(lambda socket: socket.wait_closed(), "127.0.0.1", 0,
                     process_request=refuse) as server:  # fmt: skip
        port = next(iter(server.sockets)).getsockname()[1]
        options = Options(
            model="openai", with_sound=False, base_url=f"http://127.0.0.1:{port}",
            keys={"OPENAI_API_KEY": Secret("planted-key")},
        )  # fmt: skip
        assert not await Smoke(options, lines.append).run()
    assert len(lines) == 1
    assert lines[0].startswith("FAILED  connect: ")
    assert "planted-key" not in lines[0]
