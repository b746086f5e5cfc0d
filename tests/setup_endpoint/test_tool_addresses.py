"""Tools with an address of their own: hostile arguments, permissions, limits, failures."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from setup_rig import BEARER, KEY, PAGE, Weather, setup_rig

from voicechat.core.settings import Permission, PermissionRule
from voicechat.errors import UsageError
from voicechat.setup_endpoint import exposed_tools

CITY = {"city": "Oslo"}
WEATHER = "/tools/get_weather"


async def test_a_tool_is_offered_and_runs() -> None:
    async with setup_rig(weather=Weather()) as rig:
        asked = {"tools": [{"type": "function", "name": "wave", "parameters": {"type": "object"}}]}
        found = (await rig.post(content={"sessionConfig": asked})).json()
        # The page's own tools stay, and the model has the same ones in the session of the token.
        assert [tool["name"] for tool in found["tools"]] == ["get_weather", "wave"]
        assert found["tools"][0]["type"] == "function"
        assert found["tools"][0]["description"] == "Tell the weather."
        assert found["tools"][0]["parameters"]["required"] == ["city"]
        session = json.loads(rig.provider.posts[0].body)["session"]
        assert [tool["name"] for tool in session["tools"]] == ["get_weather", "wave"]

        rig.provider.models = b'{"sky": "blue"}'
        answer = await rig.post(WEATHER, CITY, {**BEARER, "Origin": PAGE})
        assert (answer.status_code, answer.json()) == (200, {"sky": "blue"})
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert rig.provider.seen[-1].line == "GET /v1/weather?city=Oslo HTTP/1.1"
        rig.provider.models = b"Rain \x1b[31m today."
        assert (await rig.post(WEATHER, CITY)).json() == "Rain \ufffd[31m today."


async def test_a_built_in_tool_runs() -> None:
    async with setup_rig(tools=("calculate",)) as rig:
        assert rig.endpoint.tool_urls["calculate"].endswith("/tools/calculate")
        answer = await rig.post("/tools/calculate", {"expression": "17*23"})
        assert "391" in answer.json()
        assert await rig.refused("/tools/calculate", {"expression": "17*"}) == (502, "tool_failed")


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        ({}, 400, "invalid_arguments"),
        ({"city": 3}, 400, "invalid_arguments"),
        ({"city": None}, 400, "invalid_arguments"),
        ({"city": "x" * 41}, 400, "invalid_arguments"),
        ({"city": ["Oslo"]}, 400, "invalid_arguments"),
        ({"city": "Oslo", "days": True}, 400, "invalid_arguments"),
        ({"city": "Oslo", "days": 1e400}, 400, "invalid_arguments"),
        ({"city": "Oslo", "__proto__": {}}, 400, "invalid_arguments"),
        ([CITY], 400, "invalid_arguments"),
        (b"[" * 60_000, 400, "invalid_arguments"),
        (b'{"city":' * 5_000, 400, "invalid_arguments"),
        (b'{"city":' + b"[" * 950 + b"]" * 950 + b"}", 400, "invalid_arguments"),
        (b"\xff\xfe", 400, "invalid_arguments"),
        (b'{"city": "\\ud800"}', 400, "invalid_arguments"),
        (b"city=Oslo", 400, "invalid_arguments"),
        (b" " * 70_000, 413, "body_too_large"),
    ],
    ids=str,
)
async def test_hostile_arguments_reach_no_tool(arguments: Any, status: int, code: str) -> None:
    async with setup_rig(weather=Weather()) as rig:
        assert await rig.refused(WEATHER, arguments) == (status, code)
        assert rig.provider.seen == []


async def test_no_other_tool_has_an_address() -> None:
    async with setup_rig(weather=Weather()) as rig:
        for path in ("/tools/calculate", "/tools/read_notes", "/tools/", "/tools/get_weather/x"):
            assert await rig.refused(path, CITY) == (404, "unknown_url")
        named = {"name": "calculate", "arguments": {"expression": "1+1"}}
        assert await rig.refused(WEATHER, named) == (400, "invalid_arguments")
        assert await rig.refused(WEATHER, CITY, {}) == (401, "invalid_api_key")
        evil = {**BEARER, "Origin": "https://evil.example"}
        assert await rig.refused(WEATHER, CITY, evil) == (403, "origin_not_allowed")


async def test_each_tool_has_a_limit_of_its_own() -> None:
    both = ("get_weather", "calculate")
    async with setup_rig(weather=Weather(), tools=both, calls_per_minute=1) as rig:
        assert (await rig.post(WEATHER, CITY)).status_code == 200
        late = await rig.post(WEATHER, CITY)
        assert (late.status_code, late.headers["retry-after"]) == (429, "60")
        assert (await rig.post("/tools/calculate", {"expression": "1+1"})).status_code == 200
        assert (await rig.post()).status_code == 200
        rig.clock[0] += 60
        assert (await rig.post(WEATHER, CITY)).status_code == 200


# ----------------------------------------------------------------------- permissions


async def test_a_tool_that_would_ask_runs_because_it_is_named() -> None:
    async with setup_rig(weather=Weather(Permission.ASK)) as rig:
        assert "get_weather runs here without asking, because --tool names it." in rig.warnings
        assert (await rig.post(WEATHER, CITY)).status_code == 200


async def test_a_forbidden_tool_has_no_address() -> None:
    with pytest.raises(UsageError, match="its permission is “never”"):
        async with setup_rig(weather=Weather(Permission.NEVER)):
            pass


async def test_a_rule_forbids_single_calls() -> None:
    rule = PermissionRule(Permission.NEVER, (("city", "Area *"),))
    settings = {"permission_rules": {"get_weather": (rule,)}}
    async with setup_rig(settings, weather=Weather()) as rig:
        assert await rig.refused(WEATHER, {"city": "Area 51"}) == (403, "not_permitted")
        assert (await rig.post(WEATHER, CITY)).status_code == 200


# ----------------------------------------------------------------------- failures


async def test_a_tool_that_fails_does_not_show_its_key() -> None:
    async with setup_rig(weather=Weather()) as rig:
        rig.provider.listed, rig.provider.models = 500, f"bad key {KEY}".encode()
        answer = await rig.post(WEATHER, CITY)
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "tool_failed")
        assert "bad key [key]" in answer.json()["error"]["message"]
        assert "planted" not in answer.text + "".join(rig.warnings)


async def test_a_tool_that_changed_does_not_run() -> None:
    async with setup_rig(weather=Weather()) as rig:
        registry = rig.endpoint.tools._toolbox.registry
        tool = registry.get("get_weather")
        assert tool is not None
        registry.remove(tool.source)
        assert await rig.refused(WEATHER, CITY) == (502, "tool_unavailable")
        registry.add([replace(tool, spec=replace(tool.spec, description="Now I send mail."))])
        assert await rig.refused(WEATHER, CITY) == (502, "tool_unavailable")


@pytest.mark.parametrize(
    "schema",
    [{"type": 7}, {"properties": {"city": {"pattern": "("}}},
     {"properties": {"city": {"$ref": "http://127.0.0.1:9/schema"}}}],
    ids=str,
)  # fmt: skip
async def test_a_schema_that_is_wrong_is_no_way_around_the_check(schema: dict[str, Any]) -> None:
    async with setup_rig(weather=Weather(parameters=schema)) as rig:
        assert await rig.refused(WEATHER, CITY) == (502, "tool_unavailable")
        assert rig.provider.seen == []
        assert "The schema of get_weather is wrong" in rig.warnings[0]


async def test_calls_of_a_tool_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposed_tools, "_AT_ONCE", 1)
    began, over = asyncio.Event(), asyncio.Event()

    async def waits(arguments: str) -> str:
        began.set()
        await over.wait()
        return arguments

    async with setup_rig(weather=Weather()) as rig:
        registry = rig.endpoint.tools._toolbox.registry
        tool = registry.get("get_weather")
        assert tool is not None
        registry.remove(tool.source)
        registry.add([replace(tool, call=waits)])
        first = asyncio.create_task(rig.post(WEATHER, CITY))
        await began.wait()
        assert await rig.refused(WEATHER, CITY) == (503, "server_overloaded")
        over.set()
        assert (await first).json() == CITY
