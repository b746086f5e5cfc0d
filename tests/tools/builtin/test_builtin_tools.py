"""The time, arithmetic, units, notes and lists."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

import voicechat.tools.builtin as builtin_tools
from voicechat.core.settings import Permission
from voicechat.skills.notebook import Notebook
from voicechat.tools.builtin import builtin
from voicechat.tools.registry import Registry
from voicechat.tools.tool_context import ToolContext


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(*builtin(ToolContext(kept=tmp_path / "kept")))


async def run(registry: Registry, name: str, **arguments: object) -> str:
    return (await registry.run(name, json.dumps(arguments))).output


async def test_the_time_is_given_in_spoken_form(registry: Registry) -> None:
    reported = json.loads(await run(registry, "current_time", zone="Asia/Tokyo"))
    assert reported["spoken"].startswith("In Tokyo it's ")
    assert reported["iso"].endswith("+09:00")
    assert "no time zone" in await run(registry, "current_time", zone="../../etc/passwd")


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("17 * 23", "17 times 23 is 391."),
        ("2^10", "2 to the power of 10 is 1024."),
        ("1/3", "1 divided by 3 is about 0.3333."),
        ("1,250 + 3", "1250 plus 3 is 1253."),
        ("3 × 4 =", "3 times 4 is 12."),
        ("√16", "error"),
        ("sqrt(16)", "the square root of 16 is 4."),
        ("1/0", "divide by zero"),
        ("9**9**9**9", "too large"),
        ("10**100000000", "too large"),
        ("'a'*10**9", "error"),
        ("[0]*10**9", "error"),
        ("1<<10**9", "error"),
        ("fact(100000)", "up to 170"),
        ("().__class__.__bases__", "error"),
        ("__import__('os').system('true')", "error"),
        ("open('/etc/passwd')", "error"),
        ("(" * 190, "error"),
        ("9" * 10_000, "error"),
        ("", "error"),
    ],
)
async def test_sums_are_exact_and_bounded(registry: Registry, expression: str, said: str) -> None:
    assert said.lower() in (await run(registry, "calculate", expression=expression)).lower()


@pytest.mark.parametrize(
    ("value", "source", "target", "said"),
    [
        (5, "km", "miles", "5 kilometers is about 3.11 miles."),
        (100, "°F", "celsius", "100 degrees Fahrenheit is about 37.78 degrees Celsius."),
        (1, "degree_Celsius", "kelvin", "1 degree Celsius is 274.15 kelvin."),
        (90, "km/h", "mph", "90 kilometers per hour is about 55.92 miles per hour."),
        (2, "hours", "miles", "can't convert hours to miles"),
        (2, "9**9**9", "miles", "no unit called"),
    ],
)
async def test_units(registry: Registry, value: float, source: str, target: str, said: str) -> None:
    found = await run(registry, "convert_units", value=value, from_unit=source, to_unit=target)
    assert said in found


async def test_lists_and_notes_are_stored_privately(registry: Registry, tmp_path: Path) -> None:
    file = tmp_path / "kept" / "notebook.json"
    assert await run(registry, "add_to_list", items="milk, some eggs and bread") == (
        "I added milk, eggs and bread to your shopping list."
    )
    assert await run(registry, "add_to_list", items="Milk") == (
        "Milk is already on your shopping list."
    )
    assert await run(registry, "add_to_list", items="sweep", list_name="to-do list") == (
        "I added sweep to your to do list."
    )
    assert await run(registry, "remove_from_list", items="egg") == (
        "I took eggs off your shopping list."
    )
    assert await run(registry, "read_list") == ("Your shopping list has 2 items: milk and bread.")
    assert await run(registry, "clear_list", list_name="to do") == "Your to do list is now empty."
    assert await run(registry, "add_note", text="the key is under the mat") == (
        "Noted: the key is under the mat."
    )
    await run(registry, "add_note", text="water the plants")
    assert await run(registry, "delete_note", text="key") == (
        "I deleted the note: The key is under the mat."
    )
    assert await run(registry, "read_notes") == "You have one note. Water the plants."
    if os.name == "posix":
        assert file.stat().st_mode & 0o077 == 0
    names = {path.name for path in file.parent.iterdir()}
    assert names == {"notebook.json", ".notebook.json.lock"}
    assert Notebook(file).read().lists["shopping"] == ["milk", "bread"]


async def test_limits_of_lists_and_notes_are_enforced(registry: Registry, tmp_path: Path) -> None:
    assert "too long" in await run(registry, "add_note", text="x" * 3_000)
    assert "text is empty" in await run(registry, "add_note", text="  ")
    for start in (0, 250):
        many = ", ".join(f"thing {number}" for number in range(start, start + 150))
        await run(registry, "add_to_list", items=many)
    assert "error" in await run(registry, "add_to_list", items=", ".join(map(str, range(700))))


async def test_without_a_folder_the_notebook_lasts_for_the_session() -> None:
    registry = Registry(*builtin(ToolContext()))
    await run(registry, "add_to_list", items="milk")
    assert "milk" in await run(registry, "read_list")


def test_only_harmless_tools_run_without_asking() -> None:
    bare = {tool.spec.name: tool.spec.permission for tool in builtin(ToolContext())}
    auto = {name for name, permission in bare.items() if permission is Permission.AUTO}
    assert auto == {
        "current_time", "set_timer", "set_alarm", "set_reminder", "change_timer", "list_timers",
        "cancel_timer",
        "calculate", "convert_units", "add_note", "read_notes", "delete_note", "add_to_list",
        "read_list", "remove_from_list", "clear_list", "undo_last_change",
    }  # fmt: skip
    never = {name for name, permission in bare.items() if permission is Permission.NEVER}
    assert never == {"read_file", "list_folder"}
    named = builtin(ToolContext(folders=(Path("/"),)))
    asked = {one.spec.name for one in named if one.spec.permission is Permission.ASK}
    assert asked == set(bare) - auto
    assert [tool.spec.name for tool in named if tool.asks_always] == ["run_command"]


def test_a_module_in_the_built_in_folder_adds_its_tools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dice.py").write_text(
        "from voicechat.tools import tool\n"
        "POSITION = 15\n"
        "def roll() -> int:\n"
        "    'Roll a die.'\n"
        "    return 4\n"
        "def tools(context):\n"
        "    return (tool(permission='auto')(roll),)\n",
        "utf-8",
    )
    before = [tool.spec.name for tool in builtin(ToolContext())]
    monkeypatch.setattr(builtin_tools, "__path__", [*builtin_tools.__path__, str(tmp_path)])
    after = [tool.spec.name for tool in builtin(ToolContext())]
    sys.modules.pop("voicechat.tools.builtin.dice")
    assert after == [*before[:1], "roll", *before[1:]]
