"""The tools that run commands of the app."""

from __future__ import annotations

import json

import pytest

from voicechat.core.settings import Permission
from voicechat.errors import UsageError
from voicechat.tools.builtin import control
from voicechat.tools.registry import Registry
from voicechat.tools.tool_context import AppCommand, ToolContext


class App:
    """An app with a volume and two commands."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, str]] = []
        self.registry = Registry(
            *control.tools(
                ToolContext(
                    commands=(
                        AppCommand("volume", "0-100", "set the volume", False, self.set_volume),
                        AppCommand("quit", "", "quit", True, self.quit),
                    )
                )
            )
        )

    async def set_volume(self, argument: str) -> str:
        if not argument.isdecimal():
            raise UsageError("/volume takes a number.", "Try 50.")
        self.ran.append(("volume", argument))
        return f"The volume is {argument} percent."

    async def quit(self, argument: str) -> str:
        self.ran.append(("quit", argument))
        return "Done."

    async def call(self, tool: str, **arguments: object) -> str:
        return (await self.registry.run(tool, json.dumps(arguments))).output


@pytest.fixture
def app() -> App:
    return App()


def test_an_app_without_commands_has_no_such_tool() -> None:
    assert control.tools(ToolContext()) == ()


def test_commands_that_ask_are_in_a_tool_that_asks_each_time(app: App) -> None:
    free, asking = app.registry
    assert (free.spec.name, free.spec.permission) == ("control_app", Permission.AUTO)
    assert asking.spec.name == "control_app_with_approval"
    assert (asking.spec.permission, asking.asks_always) == (Permission.ASK, True)
    assert not free.asks_always
    assert "volume (argument: 0-100): set the volume" in free.spec.description
    properties = {tool.spec.name: tool.spec.parameters["properties"] for tool in app.registry}
    assert properties["control_app"]["command"] == {"const": "volume", "type": "string"}
    assert free.spec.parameters["required"] == ["command"]


async def test_a_command_runs_and_its_text_is_the_result(app: App) -> None:
    said = await app.call("control_app", command="volume", argument="50")
    assert said == "The volume is 50 percent."
    assert await app.call("control_app_with_approval", command="quit") == "Done."
    assert app.ran == [("volume", "50"), ("quit", "")]


async def test_an_error_tells_the_model_what_to_correct(app: App) -> None:
    said = await app.call("control_app", command="volume", argument="loud")
    assert json.loads(said) == {"error": "/volume takes a number. Try 50."}


@pytest.mark.parametrize("command", ["quit", "allow", "shell", "/volume", "volume 5", ""])
async def test_no_other_command_can_be_reached(app: App, command: str) -> None:
    assert "error" in await app.call("control_app", command=command)
    assert app.ran == []
