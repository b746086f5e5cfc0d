"""Endpoints in the settings file, and the errors about them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from voicechat.config.loader import load
from voicechat.core.settings import Permission
from voicechat.errors import UsageError

GOOD = """
[keys]
LIGHTS_KEY = "hush-hush"

[endpoints.set_lights]
url = "https://home.example/lights/{room}"
method = "post"
description = "Turn the lights of a room on or off."
headers = { Authorization = "Bearer $LIGHTS_KEY", Cost = "$$5 ${TARIFF}" }
permission = "auto"
deadline = 5
[endpoints.set_lights.parameters]
required = ["room", "on"]
properties = { room = { type = "string" }, on = { type = "boolean" } }

[endpoints.heating]
url = "http://127.0.0.1:8080/heating"
"""


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def test_every_key_of_an_endpoint_is_read(settings: Path) -> None:
    settings.write_text(GOOD, "utf-8")
    lights, heating = load({}, {"TARIFF": "a day"}, settings).endpoints
    assert (lights.name, lights.method, lights.deadline_s) == ("set_lights", "POST", 5.0)
    assert lights.permission is Permission.AUTO
    assert lights.parameters["type"] == "object"
    assert {name: value.reveal() for name, value in lights.headers.items()} == {
        "Authorization": "Bearer hush-hush", "Cost": "$5 a day",
    }  # fmt: skip
    assert "hush" not in repr(lights)
    assert (heating.method, heating.permission, heating.problem) == ("GET", Permission.ASK, "")


def test_an_unset_variable_is_a_problem_of_its_endpoint_only(settings: Path) -> None:
    settings.write_text(GOOD, "utf-8")
    lights, heating = load({}, {}, settings).endpoints
    assert lights.problem == "$TARIFF is not set"
    assert heating.problem == ""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("urll = 'x'", ":3: urll is not a setting of an endpoint. Did you mean url?"),
        ("method = 'GETT'", ":3: method must be one of GET, POST, PUT, PATCH, DELETE."),
        ("permission = 'yes'", ":3: permission must be one of auto, ask, never."),
        ("deadline = 0", ":3: deadline must be between 1 and 600 seconds."),
        ("headers = { 'a b' = 'x' }", "cannot be sent"),
        ("headers = 'x'", "must be a table"),
        ("description = 3", "must be text in quotes"),
        ("parameters = { properties = { a = { type = 'strong' } } }", "is not a JSON schema"),
        ("parameters = { a = { type = 'string' } }", "has no properties"),
        ("parameters = { type = 'array' }", "must be a table"),
    ],
)
def test_an_error_names_the_wrong_value(settings: Path, line: str, message: str) -> None:
    settings.write_text(f"[endpoints.a]\nurl = 'https://x.example/'\n{line}\n", "utf-8")
    with pytest.raises(UsageError) as raised:
        load({}, {}, settings)
    assert message in str(raised.value)
    assert str(settings) in str(raised.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://home.example/", "https:// unless it is on this machine"),
        ("http://127.0.0.1.evil.example/", "https:// unless it is on this machine"),
        ("ftp://x.example/", "must be an address"),
        ("https://me:secret@x.example/", "must not hold a key or a password"),
        ("https://x.example/?api_key=secret", "must not hold a key or a password"),
        ("https://{host}.example/", "in its path and query only"),
        ("https://x.example/{room}", "is not among the parameters"),
        ("https://x.example/{", "in its path and query only"),
        ("https://x.example/ y", "must be an address"),
        ("", "must be text in quotes"),
    ],
)
def test_wrong_addresses_are_refused(settings: Path, url: str, message: str) -> None:
    settings.write_text(f"[endpoints.a]\nurl = '{url}'\n", "utf-8")
    with pytest.raises(UsageError) as raised:
        load({}, {}, settings)
    assert f"{settings}:2: url" in str(raised.value)
    assert message in str(raised.value)
    assert "secret" not in str(raised.value)


def test_an_endpoint_needs_a_url_and_a_valid_name(settings: Path) -> None:
    for text, message in (
        ("[endpoints.a]\nmethod = 'GET'\n", "has no url"),
        ("[endpoints.'a b']\nurl = 'https://x.example/'\n", "is not a valid name of a tool"),
        ("endpoints = 3\n", "must hold tables"),
    ):
        settings.write_text(text, "utf-8")
        with pytest.raises(UsageError, match=message):
            load({}, {}, settings)


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
def test_a_file_with_a_literal_key_becomes_private(settings: Path) -> None:
    text = "[endpoints.a]\nurl = 'https://x.example/'\nheaders = { x = 'abc' }\n"
    settings.write_text(text, "utf-8")
    settings.chmod(0o644)
    load({}, {}, settings)
    assert settings.stat().st_mode & 0o077 == 0
