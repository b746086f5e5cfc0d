"""A session whose settings the provider refuses keeps the others, and tells the user."""

from __future__ import annotations

from typing import Any

from fake_openai import OpenAI
from fake_wires import Fake, running
from session_driver import SessionDriver, online
from websockets.asyncio.server import ServerConnection

from voicechat.config.options import Options
from voicechat.core import effects
from voicechat.core.items import Role
from voicechat.errors import Secret
from voicechat.session.session import Session


class Choosy(OpenAI):
    """The fake of OpenAI, which refuses one tool without naming it."""

    async def on_session_update(self, said: dict[str, Any]) -> None:
        names = [tool.get("name") for tool in said["session"].get("tools", ())]
        if "calculate" not in names:
            await super().on_session_update(said)
            return
        error = {
            "type": "invalid_request_error", "code": "invalid_function_parameters",
            "message": "Invalid schema for a function.", "event_id": said["event_id"],
        }  # fmt: skip
        await self.send("error", error=error)

    def detection(self, session: dict[str, Any]) -> object:
        # What an update leaves out stays as it is.
        return super().detection(session) if "audio" in session else not self.manual or None


async def choosy(fake: Fake, socket: ServerConnection) -> None:
    await Choosy(fake, socket).hold()


async def test_one_refused_tool_costs_neither_instructions_nor_the_other_tools() -> None:
    async with running(choosy) as fake:
        url, keys = f"http://127.0.0.1:{fake.port}", {"OPENAI_API_KEY": Secret("planted-key")}
        options = Options(
            model="openai/gpt-realtime-2.1", with_sound=False, base_url=url, keys=keys
        )
        driver = SessionDriver(Session(options))
        driver.session.type("hello")
        async with online(driver):
            await driver.until(lambda: driver.texts(Role.ASSISTANT) == ["You said hello."])
        asked = {name: tool for setup in fake.setups for name, tool in setup.items()}
        assert asked["instructions"]
        names = {tool["name"] for tool in asked["tools"]}
        assert names == {spec.name for spec in driver.session._conversation.settings.tools}
        assert len(names) > 5
        notices = [update for update in driver.updates if isinstance(update, effects.Notice)]
        assert [notice.text for notice in notices if notice.level is effects.Level.WARNING] == [
            "The provider refused the tool calculate: Invalid schema for a function."
        ]
        assert fake.wrong == []
