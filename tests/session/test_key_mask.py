"""Keys by their shape: masked in text and bytes, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from voicechat.config.options import Options
from voicechat.core.settings import McpServer
from voicechat.core.text import has_key
from voicechat.errors import Secret
from voicechat.session import key_mask
from voicechat.session.key_mask import KeyMask
from voicechat.system.frame_cost import CHEAP_CHARACTERS

PART = "Ab3dEfGh1jKlMnOpQrSt"


@pytest.mark.parametrize(
    "key",
    [
        f"sk-{PART}",
        f"sk-ant-api03-{PART}_x-y",
        f"xai-{PART}",
        f"gsk_{PART}",
        f"hf_{PART}",
        f"ghp_{PART}{PART}",
        f"AIza{PART}{PART[:15]}",
        "AKIAABCDEFGHIJKLMNOP",
        f"eyJ{PART}.eyJ{PART}.{PART}",
    ],
)
def test_a_key_is_masked_by_its_shape(key: str) -> None:
    mask = KeyMask(Options())
    assert mask.text(f"my key: “{key}”, ok\ud800") == "my key: “***”, ok\ud800"
    assert mask.data(f"[{key}]".encode()) == b"[***]"
    assert has_key(f"use {key}.")


@pytest.mark.parametrize(
    "text",
    ["sk-learn", "risk-a1b2c3d4e5f6a1b2c3d4e5", "item_Ab3dEfGh1jKlMnOpQrSt", "hf_2", "eyJx.eyJy.z",
     "a sk- b", "task_Ab3dEfGh1jKlMnOpQrSt", ""],
)  # fmt: skip
def test_other_words_stay(text: str) -> None:
    assert KeyMask(Options()).text(text) == text
    assert not has_key(text)


def test_keys_that_the_provider_passes_on_are_masked() -> None:
    token, header = "t0ken-of-a-server-8d1f-4711", 'quoted"and\\escaped-22-characters'
    server = McpServer("mail", url="https://x.example", authorization=f"Bearer {token}",
                       headers={"X-Key": header})  # fmt: skip
    mask = KeyMask(Options(session_settings={"mcp_servers": (server,)}))
    sent = json.dumps({"authorization": f"Bearer {token}", "headers": {"X-Key": header}})
    assert json.loads(mask.text(sent)) == {
        "authorization": "Bearer ***", "headers": {"X-Key": "***"},
    }  # fmt: skip


def test_long_sound_is_not_searched_for_shapes_and_known_keys_are_masked_everywhere() -> None:
    key, other = "Known-key_0123456789abcdef", f"sk-{PART}"
    mask = KeyMask(Options(keys={"OPENAI_API_KEY": Secret(key)}))
    sound = "A" * CHEAP_CHARACTERS
    frame = json.dumps({"delta": f"{sound}{key}", "text": f"it is {other}"})
    shown, size = mask.frame(frame)
    assert json.loads(shown) == {"delta": f"{sound}***", "text": "it is ***"}
    assert size == 0
    with pytest.MonkeyPatch.context() as patch:
        searched: list[int] = []
        patch.setattr(key_mask, "_without_shapes", lambda data: searched.append(len(data)) or data)
        mask.frame(frame)
    assert sum(searched) < 100


@pytest.mark.parametrize("form", [str, str.encode], ids=["text", "bytes"])
def test_of_a_frame_that_is_too_large_only_the_start_is_kept(form: Callable[[str], Any]) -> None:
    frame = form(f'{{"key": "sk-{PART}", "a": "' + "word " * 500_000)
    shown, size = KeyMask(Options()).frame(frame)
    assert size == len(frame)
    assert len(shown) <= CHEAP_CHARACTERS
    assert form(PART) not in shown
