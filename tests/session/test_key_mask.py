"""Keys by their shape: masked in text and bytes, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from voicechat.config.options import Options
from voicechat.core import events, inputs
from voicechat.core.settings import McpServer
from voicechat.core.text import has_key
from voicechat.errors import Secret
from voicechat.session import key_mask
from voicechat.session.event_stream import without_keys
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


STREAMED = "sk-planted-0123456789abcdef"


def streamed(*pieces: str, done: bool = True) -> list[object]:
    """Return what passes of the pieces of one reply, and of its end."""
    passed: list[object] = []
    take = without_keys([STREAMED], passed.append)
    for piece in pieces:
        take(events.TextDelta("r", "i", piece, spoken=False))
    if done:
        take(events.TextDone("r", "i", None, spoken=False))
    return passed


def joined(passed: list[object]) -> str:
    return "".join(event.text for event in passed if isinstance(event, events.TextDelta))


@pytest.mark.parametrize("size", [1, 2, 7, 26, 27, 60])
def test_a_key_that_is_streamed_in_pieces_is_masked(size: int) -> None:
    text = f"Incorrect key: {STREAMED}, s{STREAMED}sk. Is it? sk-"
    passed = streamed(*(text[at : at + size] for at in range(0, len(text), size)))
    assert joined(passed) == text.replace(STREAMED, "***")
    assert isinstance(passed[-1], events.TextDone), "nothing comes after the end"


def test_only_a_possible_start_of_a_key_is_held_back() -> None:
    assert joined(streamed("words and words", "ask", done=False)) == "words and wordsa"
    assert joined(streamed("risk: sk-pla", "net", done=False)) == "risk: sk-planet"


def test_pieces_of_several_texts_are_held_back_apart() -> None:
    passed: list[object] = []
    take = without_keys([STREAMED], passed.append)
    half = len(STREAMED) // 2
    take(events.TextDelta("r", "a", STREAMED[:half], spoken=True))
    take(events.ToolArgumentsDelta("r", "b", "c", STREAMED[:half]))
    take(events.TextDelta("r", "a", STREAMED[half:], spoken=True))
    take(events.ToolArgumentsDelta("r", "b", "c", "…"))
    take(events.UserTranscript("u", STREAMED[:half]))
    take(events.UserTranscript("u", "all of it", final=True))
    take(events.TextDelta("r", "d", STREAMED[:half], spoken=True))
    take(inputs.Disconnected("gone"))
    assert [getattr(event, "text", "") for event in passed] == [
        "***", f"{STREAMED[:half]}…", "all of it", STREAMED[:half], ""
    ]  # fmt: skip


def test_texts_that_never_end_are_held_back_in_bounds() -> None:
    passed: list[object] = []
    take = without_keys([STREAMED], passed.append)
    for number in range(1_000):
        take(events.TextDelta("r", f"i{number}", "sk", spoken=True))
    assert 900 < len(passed) < 1_000
