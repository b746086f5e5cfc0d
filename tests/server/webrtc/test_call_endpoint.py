"""Calls over HTTP: both bodies, the tokens, refusals, pages, hanging up and watching."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import httpx
import msgspec
import pytest
from rtc_caller import RtcCaller, calls_url, post_offer, rtc_call
from scripted import TOKEN, ScriptedServer, check, scripted_server, until
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from voicechat.server.webrtc import call_endpoint

BEARER = {"Authorization": f"Bearer {TOKEN}"}
SESSION = {"type": "realtime", "instructions": "Be brief.", "audio": {"output": {"voice": "deep"}}}
HEAD = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
NO_ICE = f"{HEAD}m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=rtpmap:111 opus/48000/2\r\n"


async def post(url: str, **more: Any) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        return await client.post(url, **more)


async def unused_offer() -> str:
    caller = RtcCaller()
    offer = await caller.offer()
    await caller.close()
    return offer


async def one_time_token(backend: ScriptedServer, session: dict[str, Any]) -> str:
    url = calls_url(backend.app.url).replace("calls", "client_secrets")
    made = await post(url, headers=BEARER, json={"session": session})
    return str(made.json()["value"])


async def test_the_openai_package_makes_a_call_and_hangs_up() -> None:
    async with scripted_server() as backend:
        caller, client = RtcCaller(), backend.client()
        made = await client.realtime.calls.with_raw_response.create(
            sdp=await caller.offer(), session={**SESSION, "model": "any"}
        )
        assert made.http_response.status_code == 201
        assert made.headers["Content-Type"] == "application/sdp"
        path, _, call_id = made.headers["Location"].rpartition("/")
        assert (path, call_id[:4]) == ("/v1/realtime/calls", "rtc_")
        await caller.accept(made.text)
        session = (await caller.event("session.created"))["session"]
        assert (session["model"], session["instructions"]) == ("any", "Be brief.")
        assert session["audio"]["output"]["voice"] == "deep"
        await client.realtime.calls.hangup(call_id)
        assert not backend.app.pipelines
        await until(lambda: caller.channel.readyState == "closed")
        await caller.close()
        again = await post(calls_url(backend.app.url, f"/{call_id}/hangup"), headers=BEARER)
        assert (again.status_code, again.json()["error"]["code"]) == (404, "call_not_found")
        await client.close()


async def test_a_token_makes_one_call_with_its_session() -> None:
    async with scripted_server() as backend:
        token = await one_time_token(backend, SESSION)
        assert (await post_offer(backend.app.url, "hello", token)).status_code == 400
        async with rtc_call(backend.app.url, token) as caller:
            session = caller.events[0]["session"]
            assert session["instructions"] == "Be brief."
            assert session["audio"]["output"]["voice"] == "deep"
            again = await post_offer(backend.app.url, await unused_offer(), token)
            assert again.status_code == 401


async def test_a_form_overrides_the_session_of_a_token() -> None:
    async with scripted_server() as backend:
        token = await one_time_token(backend, SESSION)
        caller = RtcCaller()
        session = msgspec.json.encode({"type": "realtime", "instructions": "Be kind."})
        files = {"sdp": (None, await caller.offer()), "session": (None, session)}
        headers = {"Authorization": f"Bearer {token}"}
        answer = await post(calls_url(backend.app.url), headers=headers, files=files)
        assert answer.status_code == 201
        await caller.accept(answer.text)
        found = (await caller.event("session.created"))["session"]
        assert found["instructions"] == "Be kind."
        assert found["audio"]["output"]["voice"] == "deep"
        await caller.close()


@pytest.mark.parametrize(
    ("request_fields", "status", "code"),
    [
        ({"headers": {"Authorization": "Bearer ek_x"}, "content": HEAD}, 401, "invalid_api_key"),
        ({"content": HEAD}, 415, "unsupported_media_type"),
        ({"json": {"sdp": HEAD}}, 415, "unsupported_media_type"),
        ({"files": {"session": (None, "{}")}}, 400, "missing_required_parameter"),
        ({"files": {"sdp": (None, NO_ICE), "session": (None, "[]")}}, 400, "invalid_event"),
        (
            {"files": {"sdp": (None, NO_ICE), "session": (None, '{"type":"realtime","x":1}')}},
            400,
            "unknown_parameter",
        ),
        ({"files": {"sdp": (None, "v=1")}}, 400, "invalid_sdp"),
        ({"files": {"sdp": (None, NO_ICE)}}, 400, "invalid_sdp"),
        ({"content": "x" * 300_000}, 413, "invalid_request"),
    ],
    ids=range(9),
)
async def test_a_wrong_request_is_refused(
    request_fields: dict[str, Any], status: int, code: str
) -> None:
    async with scripted_server() as backend:
        answer = await post(calls_url(backend.app.url), **{"headers": BEARER, **request_fields})
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (status, code)
        assert error["message"].endswith(".")
        assert not backend.app.pipelines


async def test_too_many_calls_are_refused() -> None:
    async with scripted_server(max_connections=1) as backend, rtc_call(backend.app.url):
        refused = await post_offer(backend.app.url, await unused_offer())
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
        with pytest.raises(InvalidStatus):
            await connect(backend.app.url, additional_headers=BEARER, proxy=None)


async def test_without_the_extra_one_sentence_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    offer = await unused_offer()
    monkeypatch.setitem(sys.modules, "aiortc", None)
    monkeypatch.delitem(sys.modules, call_endpoint._PEER, raising=False)
    async with scripted_server() as backend:
        for _ in "12":
            answer = await post_offer(backend.app.url, offer)
            assert answer.status_code == 501
            assert answer.json()["error"]["message"] == (
                "WebRTC needs a part that is not installed. Type: pip install 'voicechat[webrtc]'"
            )


async def test_only_a_listed_page_may_call() -> None:
    page, other = "https://app.example", "https://evil.example"
    asks = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    async with scripted_server(origins=frozenset({page})) as backend:
        url = calls_url(backend.app.url)
        async with httpx.AsyncClient(trust_env=False, verify=False) as client:
            allowed = await client.options(url, headers={"Origin": page, **asks})
            assert (allowed.status_code, allowed.content) == (204, b"")
            assert allowed.headers["Access-Control-Allow-Origin"] == page
            assert "Authorization" in allowed.headers["Access-Control-Allow-Headers"]
            for method in ("OPTIONS", "POST"):
                refused = await client.request(method, url, headers={"Origin": other, **asks})
                assert refused.status_code == 403
                assert "Access-Control-Allow-Origin" not in refused.headers
            assert (await client.options(url)).status_code == 405
            failed = await client.post(url, headers={"Origin": page})
            assert failed.status_code == 401
            assert failed.headers["Access-Control-Allow-Origin"] == page
            assert "Location" in failed.headers["Access-Control-Expose-Headers"]


async def test_a_socket_watches_a_call_and_steers_it() -> None:
    async with scripted_server() as backend, rtc_call(backend.app.url) as caller:
        (call_id,) = backend.app._calls._calls
        token = await one_time_token(backend, SESSION)
        for wrong, bearer in (("rtc_none", TOKEN), (call_id, token)):
            with pytest.raises(InvalidStatus):
                await connect(
                    f"{backend.app.url}?call_id={wrong}",
                    additional_headers={"Authorization": f"Bearer {bearer}"},
                    proxy=None,
                )
        url = f"{backend.app.url}?call_id={call_id}"
        async with connect(url, additional_headers=BEARER, proxy=None) as socket:
            first = check(await socket.recv())
            assert first["type"] == "session.created"
            assert first["session"]["id"] == caller.events[0]["session"]["id"]
            await socket.send(b'{"type":"response.create"}')
            kinds = [check(await socket.recv())["type"] for _ in range(3)]
            await caller.event("output_audio_buffer.started")
            assert kinds == caller.kinds[1:4]
            assert kinds[0] == "response.created"
            hung_up = await post(f"{calls_url(backend.app.url)}/{call_id}/hangup", headers=BEARER)
            assert hung_up.status_code == 200
            async with asyncio.timeout(10):
                async for _ in socket:
                    continue
            assert socket.close_code == 1000
