"""Tools as the model sees them: schema, arguments, errors."""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
import sys
from collections.abc import Callable
from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, TypeAdapter

from voicechat.tools import functions, registry
from voicechat.tools.builtin import builtin
from voicechat.tools.functions import tool
from voicechat.tools.registry import Registry
from voicechat.tools.tool_context import ToolContext


def weigh(grams: int, name: str = "it") -> str:
    """Return a weight."""
    return f"{name} weighs {grams} g"


async def wait() -> None:
    """Never return."""
    await asyncio.Event().wait()


def fail() -> None:
    """Raise."""
    raise ValueError("broken \x1b]52;c;x\x07")


def test_the_schema_comes_from_the_signature() -> None:
    spec = tool(weigh).spec
    assert (spec.name, spec.description) == ("weigh", "Return a weight.")
    assert spec.parameters == {
        "type": "object",
        "properties": {"grams": {"type": "integer"}, "name": {"type": "string", "default": "it"}},
        "required": ["grams"],
        "additionalProperties": False,
    }


def every_kind(
    text: str,
    number: int,
    amount: float = 0,
    yes: bool = True,
    choice: Literal["a", "b"] = "a",
    fixed: Literal["a"] = "a",
) -> None:
    """Do nothing."""


@pytest.mark.parametrize("function", [weigh, every_kind, wait])
def test_the_schema_of_plain_parameters_is_that_of_pydantic(function: Callable[..., Any]) -> None:
    fields = functions._fields(function, "name")
    plain = functions._plain_schema(fields)
    assert plain == functions._schema(functions._model("name", fields))


@pytest.mark.parametrize("default", [math.inf, None, ()])
def test_other_parameters_take_pydantic(default: object) -> None:
    assert functions._plain_schema({"x": (float, default)}) is None
    assert functions._plain_schema({"x": (list[str], ...)}) is None
    assert functions._plain_schema({"x": (Annotated[str, AfterValidator(known)], ...)}) is None


def test_the_built_in_tools_do_not_load_pydantic() -> None:
    code = (
        "import sys; from voicechat.tools.builtin import builtin;"
        "from voicechat.tools.tool_context import ToolContext;"
        "assert builtin(ToolContext()); assert 'pydantic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


async def test_a_call_returns_its_result() -> None:
    outcome = await Registry(tool(weigh)).run("weigh", '{"grams": 3}')
    assert (outcome.output, outcome.failed) == ("it weighs 3 g", False)


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("weigh", '{"grams": "x"}', "do not fit"),
        ("weigh", '{"grams": 1, "more": 2}', "do not fit"),
        ("weigh", "[" * 100_000, "do not fit"),
        ("weigh", "not json", "do not fit"),
        ("other", "{}", "no tool called"),
        ("fail", "{}", "ValueError"),
    ],
)
async def test_every_failure_is_an_error_for_the_model(
    name: str, arguments: str, said: str
) -> None:
    outcome = await Registry(tool(weigh), tool(fail)).run(name, arguments)
    assert outcome.failed
    assert said in json.loads(outcome.output)["error"]
    assert "\x1b" not in outcome.output


async def test_a_hanging_tool_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "DEADLINE_S", 0.01)
    outcome = await Registry(tool(wait)).run("wait", "{}")
    assert outcome.failed
    assert "was stopped" in outcome.output


async def test_the_time_in_other_zones() -> None:
    tools = Registry(*builtin(ToolContext()))
    outcome = await tools.run("current_time", '{"zone": "Asia/Tokyo"}')
    assert "In Tokyo it's" in outcome.output
    assert "no time zone" in (await tools.run("current_time", '{"zone": "../x"}')).output


def known(plant: str) -> str:
    """The plant."""
    if plant != "fern":
        raise ValueError(f"there is no {plant}.")
    return plant


def water(plant: Annotated[str, AfterValidator(known)]) -> str:
    """Water a plant."""
    return plant


async def test_the_reason_of_a_validator_is_told_without_the_name_of_the_library() -> None:
    outcome = await Registry(tool(water)).run("water", '{"plant": "rose"}')
    assert "The arguments do not fit: plant: there is no rose." in outcome.output
    assert ".." not in outcome.output


def feed_plant(size: int) -> str:
    """Feed a plant."""
    TypeAdapter(Annotated[str, AfterValidator(known)]).validate_python("rose")
    return "done"


async def test_a_validation_error_inside_a_tool_has_no_names_of_the_library() -> None:
    outcome = await Registry(tool(feed_plant)).run("feed_plant", '{"size": 1}')
    assert json.loads(outcome.output)["error"] == (
        "feed_plant failed: ValidationError: value: there is no rose."
    )
