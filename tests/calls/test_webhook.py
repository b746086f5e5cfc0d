"""Webhooks: which are taken, what refuses the others, and other libraries that sign and verify."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import random
import shutil
import subprocess
import time
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from call_provider import SECRET, event_body, signed
from hypothesis import given
from hypothesis import strategies as st

from voicechat.calls import app as receiver_app
from voicechat.calls.app import MAX_BYTES, WEBHOOK, WebhookReceiver
from voicechat.calls.incoming_call import IncomingCall, NoCall, incoming_call
from voicechat.calls.webhook_signature import (
    MAX_IDS,
    TOLERANCE_S,
    TakenWebhooks,
    WebhookRefused,
    WebhookSignature,
    secret_keys,
)
from voicechat.config.call_settings import CallRule
from voicechat.errors import Secret, UsageError
from voicechat.server.asgi import http_server, request_body
from voicechat.server.asgi.http_server import HttpServer
from voicechat.system.task_group import TaskGroup

BODY = event_body("rtc_1")
NODE = Path(__file__).parents[2] / ".venv" / "mcp-servers" / "node_modules" / "openai"


class Desk:
    """A receiver on a real socket, and a client."""

    def __init__(self, client: httpx.AsyncClient, port: int, calls: list[IncomingCall]) -> None:
        self.client, self.port, self.calls = client, port, calls
        self.warnings: list[str] = []

    async def post(self, body: bytes, headers: dict[str, str]) -> httpx.Response:
        return await self.client.post(WEBHOOK, content=body, headers=headers)


@asynccontextmanager
async def receiver() -> AsyncIterator[Desk]:
    calls: list[IncomingCall] = []
    warnings: list[str] = []
    taken = WebhookReceiver(Secret(SECRET), calls.append, warnings.append, lambda: 1_000.0)
    server = HttpServer(taken.app(), "127.0.0.1", 0)
    async with TaskGroup() as tasks:
        await server.start(tasks)
        try:
            at = f"http://127.0.0.1:{server.port}"
            async with httpx.AsyncClient(
                base_url=at, trust_env=False, timeout=20, verify=False
            ) as client:
                desk = Desk(client, server.port, calls)
                desk.warnings = warnings
                yield desk
        finally:
            await server.stop()


async def test_a_signed_webhook_announces_a_call_once() -> None:
    async with receiver() as desk:
        for status in ("taken", "repeated"):
            answer = await desk.post(BODY, signed(BODY, "wh_7"))
            assert (answer.status_code, answer.json()) == (200, {"status": status})
        # The same id with another time and body is the same webhook.
        again = event_body("rtc_2")
        answer = await desk.post(again, signed(again, "wh_7", time.time() - 5))
        assert answer.json() == {"status": "repeated"}
        (call,) = desk.calls
        assert (call.call_id, call.caller, call.called) == ("rtc_1", "+15551230000", "+15550009999")
        assert call.header("FROM").startswith('"Ann"')
        assert (await desk.client.get("/healthz")).status_code == 200


async def test_the_answer_comes_before_the_call_is_taken() -> None:
    """The call is taken on the thread of the loop, when the answer is on its way."""
    sent: list[str] = []

    def take(call: IncomingCall) -> None:
        asyncio.get_running_loop()
        sent.append("call")

    scope = {
        "type": "http", "method": "POST", "path": WEBHOOK, "query_string": b"", "client": ("a", 1),
        "headers": [(name.encode(), value.encode()) for name, value in signed(BODY).items()],
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": BODY, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await WebhookReceiver(Secret(SECRET), take, print).app()(scope, receive, send)
    assert sent == ["http.response.start", "http.response.body", "call"]


async def test_other_events_are_ignored() -> None:
    async with receiver() as desk:
        body = b'{"type":"response.completed","data":{"id":"resp_1"}}'
        assert (await desk.post(body, signed(body))).json() == {"status": "ignored"}
        assert desk.calls == []


CHANGES: dict[str, Callable[[dict[str, str]], object]] = {
    "no id": lambda h: h.pop("webhook-id"),
    "no time": lambda h: h.pop("webhook-timestamp"),
    "no signature": lambda h: h.pop("webhook-signature"),
    "another id": lambda h: h.update({"webhook-id": "wh_2"}),
    "another time": lambda h: h.update({"webhook-timestamp": str(int(time.time()) - 1)}),
    "a float": lambda h: h.update({"webhook-timestamp": "1e9"}),
    "a negative time": lambda h: h.update({"webhook-timestamp": "-5"}),
    "an empty signature": lambda h: h.update({"webhook-signature": "v1,"}),
    "another version": lambda h: h.update({"webhook-signature": f"v2{h['webhook-signature'][2:]}"}),
    "no base64": lambda h: h.update({"webhook-signature": "v1,%%%"}),
}


@pytest.mark.parametrize("name", CHANGES)
async def test_an_unsigned_webhook_is_refused(name: str) -> None:
    async with receiver() as desk:
        headers = signed(BODY)
        CHANGES[name](headers)
        answer = await desk.post(BODY, headers)
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "invalid_signature"
        assert desk.calls == []
        assert len(desk.warnings) == 1
        assert (await desk.post(BODY, signed(BODY))).json() == {"status": "taken"}


async def test_what_is_too_much_or_no_event_is_refused() -> None:
    async with receiver() as desk:
        large = b" " * (MAX_BYTES + 1)
        assert (await desk.post(large, signed(large))).status_code == 413
        plain = {**signed(BODY), "content-type": "text/plain"}
        assert (await desk.post(BODY, plain)).status_code == 415
        assert (await desk.client.get(WEBHOOK)).status_code == 405
        assert (await desk.client.post("/other", content=BODY)).status_code == 404
        for body in (b"", b"{", b"[]", b'{"type": "realtime.call.incoming"}', b"\xff", b"[" * 9999):
            answer = await desk.post(body, signed(body))
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
        wrong_kind = event_body("live_1", kind="realtime.call.incoming")
        assert (await desk.post(wrong_kind, signed(wrong_kind))).status_code == 400
        assert desk.calls == []


async def test_a_client_that_guesses_is_slowed_down_but_the_provider_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(receiver_app, "REFUSALS_PER_MINUTE", 22)
    async with receiver() as desk:
        bad = {**signed(BODY), "webhook-signature": "v1,AAAA"}
        found = [(await desk.post(BODY, bad)).status_code for _ in range(25)]
        assert found == [401] * 22 + [429] * 3
        # Behind a tunnel, both have the same address.
        assert (await desk.post(BODY, signed(BODY))).json() == {"status": "taken"}
        assert len(desk.warnings) == 20


async def test_a_body_that_does_not_come_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_body, "BODY_S", 0.2)
    monkeypatch.setattr(http_server, "HEAD_S", 0.2)
    async with receiver() as desk:
        reader, writer = await asyncio.open_connection("127.0.0.1", desk.port)
        writer.write(f"POST {WEBHOOK} HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n{{".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 408")
        writer.close()


# ----------------------------------------------------------------------- other libraries


def test_the_python_library_of_the_provider_accepts_what_is_signed_here() -> None:
    client = openai.OpenAI(api_key="x", webhook_secret=SECRET)
    for body in (BODY, event_body("live_1")):
        event = client.webhooks.unwrap(body, signed(body))
        assert event.type in {"realtime.call.incoming", "live.transport.incoming"}


def standard_webhook(body: str, key: bytes, at: int) -> dict[str, str]:
    """Sign as the reference implementation of Standard Webhooks does, for two secrets."""
    signatures = []
    for each in (b"an older secret", key):
        digest = hmac.new(each, f"msg_1.{at}.{body}".encode(), hashlib.sha256).digest()
        signatures.append("v1," + b64encode(digest).decode("utf-8"))
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(["v1a,c2lnbmF0dXJl", *signatures]),
    }


def test_what_others_sign_is_accepted_here() -> None:
    now = 1_800_000_000
    check = WebhookSignature(Secret(SECRET), lambda: now + 0.9)
    key = b64decode(SECRET.removeprefix("whsec_"))
    for body, at in (("{}", now), ("\u00fc\U0001f600", now - TOLERANCE_S), ("", now + TOLERANCE_S)):
        headers = {name: [value] for name, value in standard_webhook(body, key, at).items()}
        assert check.verify(headers, body.encode()) == "msg_1"
    for at in (now - TOLERANCE_S - 1, now + TOLERANCE_S + 1):
        headers = {name: [value] for name, value in standard_webhook("{}", key, at).items()}
        with pytest.raises(WebhookRefused, match="too far"):
            check.verify(headers, b"{}")


def test_while_a_secret_is_replaced_both_count() -> None:
    other = "whsec_" + b64encode(b"the next secret").decode()
    for secrets in (f"{SECRET} {other}", f"{other}\n{SECRET}\n"):
        check = WebhookSignature(Secret(secrets))
        headers = {name: [value] for name, value in signed(BODY).items()}
        assert check.verify(headers, BODY) == "wh_1"
    with pytest.raises(WebhookRefused):
        WebhookSignature(Secret(other)).verify(headers, BODY)
    with pytest.raises(UsageError, match="more than 4"):
        secret_keys(Secret(f"{SECRET} " * 5))


_SCRIPT = """
import { createHmac } from "node:crypto";
import OpenAI from "openai";
const { body, headers, secret } = JSON.parse(process.argv[2]);
const client = new OpenAI({ apiKey: "x", webhookSecret: secret });
const event = await client.webhooks.unwrap(body, headers);
console.log(event.type);
"""


@pytest.mark.skipif(
    not (shutil.which("node") and NODE.exists()), reason="node or its package is not available"
)
def test_the_node_library_of_the_provider_accepts_what_is_signed_here(tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(NODE.parent)
    script = tmp_path / "check.mjs"
    script.write_text(_SCRIPT, encoding="utf-8")
    given = json.dumps({"body": BODY.decode(), "headers": signed(BODY), "secret": SECRET})
    run = subprocess.run(
        ["node", str(script), given], capture_output=True, text=True, timeout=50, check=False
    )
    assert run.stdout.strip() == "realtime.call.incoming", run.stderr[-500:]


# ----------------------------------------------------------------------- secrets and ids


@pytest.mark.parametrize("text", ["", "sk-1234", "whsec_", "whsec_%%%", "whsec_ab cd"])
def test_a_wrong_secret_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        secret_keys(Secret(text))
    assert not text or text not in str(refused.value)
    assert secret_keys(Secret(" whsec_YWI\nwhsec_Yw== ")) == [b"ab", b"c"]


def test_the_memory_for_ids_is_bounded() -> None:
    clock = [0.0]
    taken = TakenWebhooks(lambda: clock[0])
    assert all(taken.take(str(number)) for number in range(MAX_IDS + 5))
    assert len(taken) == MAX_IDS
    assert not taken.take(str(MAX_IDS))
    clock[0] = 2 * TOLERANCE_S + 1
    assert taken.take("new")
    assert len(taken) == 1


def test_headers_of_the_caller_are_cleaned_and_bounded() -> None:
    event = json.loads(BODY)
    event["data"]["sip_headers"] = [
        {"name": "From", "value": "\x1b]0;x\x07" + "a" * 9_000 + " <sip:x@y>"},
        *({"name": f"X-{number}", "value": "1"} for number in range(500)),
    ]
    call = incoming_call(json.dumps(event).encode())
    assert len(call.headers) == 64
    assert all(value.isprintable() and len(value) <= 300 for _, value in call.headers)


def party(value: str, *more: tuple[str, str], name: str = "From") -> str:
    """Return the caller in an event with this header after others."""
    event = json.loads(BODY)
    headers = [*more, (name, value)]
    event["data"]["sip_headers"] = [{"name": each, "value": text} for each, text in headers]
    return incoming_call(json.dumps(event).encode()).caller


def test_the_number_of_a_caller_is_found_in_all_its_forms() -> None:
    for value in (
        "<sip:+15551234567@host>;tag=1",
        "sip:+15551234567@host;tag=1",
        "<tel:+1-555-123-4567>",
        "<sip:%2B1(555)123.4567;phone-context=x@host>",
        # The caller chose the name; only the address counts.
        '"<sip:+16660000000@evil>" <sip:+15551234567@host>',
        '"a \\" <tel:+1666>" <sip:+15551234567@host>',
    ):
        assert party(value) == "+15551234567", value
    many = [(f"X-{number}", "1") for number in range(100)]
    assert party("<sip:+15551234567@host>", *many, name="f") == "+15551234567"
    assert party("<sip:ann%1b%5b31m@host>") == "ann\ufffd[31m"


@pytest.mark.parametrize(
    "value", ["", "Ann", '"Anonymous" <sip:anonymous@anonymous.invalid>', "sip:Restricted@h", "<"]
)
def test_a_hidden_number_is_empty_and_has_a_rule(value: str) -> None:
    caller = party(value)
    assert caller == ""
    assert CallRule("reject", caller="hidden").covers(caller, datetime(2026, 1, 1))
    assert not CallRule("reject", caller="+1*").covers(caller, datetime(2026, 1, 1))


# ----------------------------------------------------------------------- mutations


def mutated(seed: int) -> tuple[bytes, dict[str, list[str]]]:
    """Return a webhook whose body or headers were changed, from a signed one."""
    chance = random.Random(seed)
    body, plain = bytearray(BODY), signed(BODY, at=1_800_000_000)
    headers = {name: [value] for name, value in plain.items()}
    name = chance.choice(["webhook-id", "webhook-timestamp", "webhook-signature"])
    value = headers[name][0]
    at = chance.randrange(len(value))
    match chance.randrange(8):
        case 0:
            body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
        case 1:
            del body[chance.randrange(len(body)) :]
        case 2:
            body += bytes(chance.randrange(256) for _ in range(chance.randrange(1, 9)))
        case 3:
            other = chance.choice([c for c in map(chr, range(1, 300)) if c != value[at]])
            headers[name] = [value[:at] + other + value[at + 1 :]]
        case 4:
            headers[name] = [value[:at]]
        case 5:
            headers[name] = [value, value]
        case 6:
            headers[name] = [value + chance.choice("0a=,. \t\u0661\ud800")]
        case 7:
            del headers[name]
    return bytes(body), headers


def refused(body: bytes, headers: dict[str, list[str]]) -> bool:
    """Return True if the webhook is refused; anything but a refusal raises."""
    check = WebhookSignature(Secret(SECRET), lambda: 1_800_000_000)
    try:
        check.verify(headers, body)
    except WebhookRefused as problem:
        return str(problem).isprintable()
    return False


def _same(headers: dict[str, list[str]]) -> bool:
    """Return True for the only harmless change: white space after the signatures."""
    text = headers.get("webhook-signature", [""])[0]
    return text.rstrip(" ") == signed(BODY, at=1_800_000_000)["webhook-signature"]


def test_two_thousand_mutated_webhooks_are_refused() -> None:
    for seed in range(2_000):
        body, headers = mutated(seed)
        assert refused(body, headers) or (body == BODY and _same(headers)), seed


@given(st.integers(min_value=2_000), st.binary(max_size=300))
def test_any_mutated_webhook_is_refused(seed: int, junk: bytes) -> None:
    # 5,000 examples of 20 mutations each in `make fuzz`.
    for number in range(20):
        body, headers = mutated(seed * 20 + number)
        assert refused(body, headers) or (body == BODY and _same(headers)), seed
    assert refused(junk, {"webhook-signature": [junk.decode("latin-1")]})
    try:
        incoming_call(junk)
    except NoCall:
        return
    raise AssertionError("a call in random bytes")


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.just("rtc_1"),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(["type", "data", "call_id", "session_id", "sip_headers",
                                       "name", "value"]), inner, max_size=5),
    max_leaves=20,
))  # fmt: skip
def test_any_signed_event_is_a_call_or_none(event: object) -> None:
    kinds = {"type": "realtime.call.incoming", "data": event}
    for body in (event, kinds):
        try:
            call = incoming_call(json.dumps(body).encode())
        except NoCall:
            continue
        assert call.joined.call_id == call.call_id
