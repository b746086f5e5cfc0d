"""STUN and TURN servers as they are written in the settings."""

from __future__ import annotations

import pytest

from voicechat.errors import Secret, UsageError
from voicechat.system.ice_servers import IceServer, ice_servers


def test_servers_are_read_with_the_user_of_turn() -> None:
    password = Secret("words")
    assert ice_servers("", None) == ()
    assert ice_servers("stun:stun.example turn:me@turn.example:3478?transport=tcp", password) == (
        IceServer("stun:stun.example"),
        IceServer("turn:turn.example:3478?transport=tcp", "me", password),
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("stun.example", "no STUN or TURN server"),
        ("http://stun.example", "no STUN or TURN server"),
        ("turn:turn.example", "no STUN or TURN server"),
        ("stun:me@stun.example", "no STUN or TURN server"),
        ("stun:a stun:b", "several servers of one kind"),
        ("turn:me@a turns:me@b", "several servers of one kind"),
    ],
)
def test_another_text_is_refused(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        ice_servers(text, Secret("words"))


def test_turn_needs_a_password() -> None:
    with pytest.raises(UsageError, match="VOICECHAT_TURN_PASSWORD"):
        ice_servers("turn:me@turn.example", None)
