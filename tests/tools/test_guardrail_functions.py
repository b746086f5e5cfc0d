"""Guardrail functions: what they may return, and how a plugin offers them."""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path

import pytest

from voicechat.core.guardrail import GuardrailPolicy, GuardrailTrip
from voicechat.tools.guardrails import GuardrailFailed, guardrail, trip_from
from voicechat.tools.plugins import plugin_loader


@pytest.mark.parametrize(
    ("found", "trip"),
    [
        (None, None),
        (False, None),
        ("", None),
        (True, GuardrailTrip()),
        ("too loud", GuardrailTrip("too loud")),
        (GuardrailTrip("a", "b", "c"), GuardrailTrip("a", "b", "c")),
    ],
    ids=str,
)
async def test_what_a_function_returns(found: object, trip: GuardrailTrip | None) -> None:
    @guardrail
    def plain(text: str) -> object:
        return found

    @guardrail(policy="closed", deadline=1, watches="both", name="other")
    async def coroutine(text: str) -> object:
        return found

    assert await plain.check("x") == trip
    assert await coroutine.check("x") == trip
    assert coroutine.spec.name == "other"
    assert coroutine.spec.policy is GuardrailPolicy.CLOSED


async def test_a_function_that_returns_something_else_has_failed() -> None:
    with pytest.raises(GuardrailFailed, match="returned int"):
        await guardrail(name="odd")(lambda text: 7).check("x")


async def test_a_function_cannot_end_the_program() -> None:
    with pytest.raises(GuardrailFailed, match="tried to end the program"):
        await guardrail(name="exiting")(lambda text: sys.exit(3)).check("x")


async def test_a_function_that_hangs_has_one_thread() -> None:
    release = threading.Event()
    hanging = guardrail(name="hanging", deadline=0.05)(lambda text: release.wait(20))
    with pytest.raises(TimeoutError):
        await hanging.check("x")
    with pytest.raises(GuardrailFailed, match="still busy"):
        await hanging.check("x")
    release.set()
    async with asyncio.timeout(10):
        while True:
            try:
                assert await hanging.check("x") == GuardrailTrip()
            except GuardrailFailed:
                await asyncio.sleep(0)
            else:
                break


@pytest.mark.parametrize(
    "wrong",
    [
        {"policy": "ajar"},
        {"deadline": 0},
        {"deadline": 11},
        {"deadline": True},
        {"watches": "nobody"},
        {"access": "everything"},
        {"name": "\x1b[2J"},
    ],
    ids=str,
)
def test_wrong_options_raise(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must be|cannot be"):
        guardrail(**wrong)(print)  # type: ignore[call-overload]


def test_a_trip_from_outside_is_clean_and_bounded() -> None:
    assert trip_from({"reason": "\x1b[2J", "say": "x" * 9_999}) == GuardrailTrip(
        "\ufffd[2J", "x" * 4_000
    )
    assert trip_from("no") is None


PLUGIN = """
import voicechat

@voicechat.guardrail(policy="closed", deadline=9)
def no_prices(text):
    if "broken" in text:
        raise ValueError("no")
    if "$" in text:
        return voicechat.GuardrailTrip("it names a price", say="Not that.")

@voicechat.tool
def lights(on: bool) -> str:
    "Switch the lights."
    return "switched"
"""


async def test_a_plugin_has_guardrails_beside_tools(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN, encoding="utf-8")
    path.chmod(0o600)
    plugins = await plugin_loader.load(tmp_path, installed=False)
    try:
        assert plugins.problems == ()
        assert [each.spec.name for each in plugins.tools] == ["lights"]
        (found,) = plugins.guardrails
        assert (found.spec.name, found.spec.policy, found.spec.deadline_s) == (
            "no_prices",
            GuardrailPolicy.CLOSED,
            9.0,
        )
        assert await found.check("free") is None
        assert await found.check("$5") == GuardrailTrip("it names a price", "Not that.")
        with pytest.raises(GuardrailFailed, match="ValueError: no"):
            await found.check("broken")
    finally:
        await plugins.close()
