"""The addresses of a server for media."""

from __future__ import annotations

import pytest

from voicechat.server.webrtc.ice_settings import IceSettings


@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("127.0.0.1", ["127.0.0.1", "192.0.2.2"]),
        ("::1", ["::1", "192.0.2.2"]),
        ("0.0.0.0", ["192.0.2.2"]),
        ("192.0.2.9", ["192.0.2.9"]),
    ],
)
def test_media_uses_the_addresses_that_clients_reach(host: str, addresses: list[str]) -> None:
    assert IceSettings(host).addresses(["192.0.2.2"]) == addresses
    assert IceSettings(host).addresses([])
