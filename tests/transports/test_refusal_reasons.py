"""Reasons of a provider that end a session: the error, its exit code and its sentence."""

from __future__ import annotations

from http import HTTPStatus

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.frames import Close
from websockets.http11 import Response

from voicechat.errors import ConnectError, KeyMissing, VoicechatError
from voicechat.system.dial_target import DialTarget
from voicechat.transports.connection_errors import ConnectionLost, Peer

FINAL = [
    (1007, "API key not valid. Please pass a valid API key.", KeyMissing, "refused the key"),
    (1008, "Your API key was reported as leaked. Please use another API key.", KeyMissing,
     "blocked the key"),
    (1011, "You exceeded your current quota, please check your plan and billing details. For mo",
     ConnectError, "no quota left"),
    (1011, "Your prepayment credits are depleted. Please go to AI Studio at https://ai.studio/pro",
     ConnectError, "no quota left"),
    (1007, "API key expired. Please renew the API key.", KeyMissing, "refused the key"),
    (1011, "insufficient_quota", ConnectError, "no quota left"),
    (1008, "This API method requires billing to be enabled.", ConnectError, "no quota left"),
    (1007, "User location is not supported for the API use.", ConnectError, "your region"),
    (1008, "models/gemini-9 is not found for API version v1beta, or is not supported for bidiGe",
     ConnectError, "this model"),
    (4000, "The model `gpt-9` does not exist or you do not have access to it.", ConnectError,
     "this model"),
    (3000, "invalid_api_key", KeyMissing, "refused the key"),
]  # fmt: skip

PASSING = [
    (1011, "Internal error encountered."),
    (1011, "Resource has been exhausted (e.g. check quota)."),
    (1011, "The service is currently unavailable."),
    (1008, "Operation is not implemented, or supported, or enabled."),
    (1007, "Request contains an invalid argument."),
    (1001, "Your session hit the maximum duration; the API key stays valid."),
    (1013, "The model is overloaded. Please try again later."),
]


def peer() -> Peer:
    return Peer(DialTarget("wss://voice.example/v1/realtime", {}))


def closed(code: int, reason: str) -> ConnectionLost:
    return peer().closed(ConnectionClosedError(Close(code, reason), None, None))


@pytest.mark.parametrize(("code", "reason", "kind", "words"), FINAL)
def test_a_close_frame_that_ends_the_session(
    code: int, reason: str, kind: type[VoicechatError], words: str
) -> None:
    lost = closed(code, reason)
    assert type(lost.refusal) is kind
    assert not lost.retry
    assert words in lost.refusal.message
    assert reason[:40] in lost.refusal.message
    assert lost.refusal.hint


@pytest.mark.parametrize(("code", "reason"), PASSING)
def test_a_close_frame_that_does_not_speak_of_the_account(code: int, reason: str) -> None:
    assert closed(code, reason).refusal is None


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "API key not valid. Please pass a valid API key.", KeyMissing),
        (403, "Country, region, or territory not supported", ConnectError),
        (403, "Your API key was reported as leaked.", KeyMissing),
        (429, "You exceeded your current quota, please check your plan.", ConnectError),
        (404, "The model `gpt-9` does not exist.", ConnectError),
    ],
)
def test_an_http_answer_that_ends_the_session(
    status: int, message: str, kind: type[VoicechatError]
) -> None:
    body = f'{{"error": {{"message": "{message}"}}}}'.encode()
    answer = Response(status, HTTPStatus(status).phrase, Headers(), body)
    error = peer().unreachable(InvalidStatus(answer), 10.0)
    assert type(error) is kind
    assert not getattr(error, "retry", False)
    assert f"(HTTP {status}: {message.rstrip('.')})." in error.message
