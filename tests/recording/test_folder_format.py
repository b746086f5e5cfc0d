"""The format of a recording: events survive a round trip; invalid and hostile lines are refused."""

from __future__ import annotations

import dataclasses
import enum
import io
import json
import os
import random
import types
import typing
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import heading

from voicechat.cli.app import main
from voicechat.core import events, inputs
from voicechat.core.pictures import Kind, Picture
from voicechat.core.settings import CallRules
from voicechat.core.text import clean
from voicechat.errors import UsageError
from voicechat.line_mode.app import Chat
from voicechat.recording import folder_format
from voicechat.recording.folder_format import TimedEvent, event_line, heading_line, read
from voicechat.recording.replayed_session import Replay
from voicechat.session.updates import Link, LinkChanged, ModelChanged
from voicechat.tools.permission_rules import ArgumentRules

if TYPE_CHECKING:
    from voicechat.session.session import Session


def sample_value(kind: object) -> object:
    """Make a value of this type that differs from the default."""
    origin = typing.get_origin(kind)
    if origin in {typing.Union, types.UnionType}:
        return sample_value(typing.get_args(kind)[0])
    if origin is tuple:
        return (sample_value(typing.get_args(kind)[0]),) * 2
    if origin is Mapping:
        return {"name": sample_value(typing.get_args(kind)[1])}
    plain = {str: "wörd \U0001f600", int: 7, float: 2.5, bool: True, bytes: bytes(6), object: [1]}
    if kind in plain:
        return plain[kind]  # type: ignore[index]
    assert isinstance(kind, type)
    if kind is Picture:
        return Picture(Kind.WEBP, 7, 7, "cät.webp")
    if kind is CallRules:
        return sample_value(ArgumentRules)
    if kind is events.ResumptionHandle:
        return events.ResumptionHandle("")
    if issubclass(kind, enum.Enum):
        return list(kind)[-1]
    hints = typing.get_type_hints(kind)
    return kind(
        **{field.name: sample_value(hints[field.name]) for field in dataclasses.fields(kind)}
    )


def write(folder: Path, *lines: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / folder_format.EVENTS).write_bytes(heading_line(heading()) + b"".join(lines))
    return folder


def test_every_event_and_input_has_a_line_type() -> None:
    named = set(typing.get_args(events.Event)) | set(typing.get_args(inputs.Input))
    assert named - folder_format.NOT_RECORDED <= set(folder_format.EVENT_TYPES.values())
    assert len(folder_format.EVENT_TYPES) + len(folder_format.NOT_RECORDED) == len(
        typing.get_args(folder_format.RecordedEvent)
    )


@pytest.mark.parametrize("kind", folder_format.EVENT_TYPES.values(), ids=folder_format.EVENT_TYPES)
def test_an_event_is_read_as_it_was_written(kind: type, tmp_path: Path) -> None:
    complete = sample_value(kind)
    needed = {
        f.name: getattr(complete, f.name)
        for f in dataclasses.fields(kind)
        if f.default is f.default_factory is dataclasses.MISSING
    }
    for event in (complete, kind(**needed)):
        folder = write(tmp_path / "talk", event_line(event, 1.25))  # type: ignore[arg-type]
        found_heading, (timed,) = read(folder)
        assert found_heading == heading()
        assert (timed.at, timed.with_silence()) == (1.25, event)


def test_hidden_fields_and_picture_data_are_not_written() -> None:
    assert b"token-1" not in event_line(events.ResumptionHandle("token-1"), 1)
    with_picture = inputs.Typed("look", Picture(Kind.PNG, 2, 2, "cat.png", bytes(1_000)))
    assert len(event_line(with_picture, 1)) < len(event_line(inputs.Typed("look"), 1)) + 80
    result = inputs.ToolFinished("c", "x", pictures=(with_picture.picture,))
    assert b"AAAA" not in event_line(result, 1)


def test_times_do_not_decrease(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        event_line(inputs.Tick(), 2),
        event_line(inputs.Tick(), 1.5),
        event_line(inputs.Tick(), 3),
    )
    assert [timed.at for timed in read(folder)[1]] == [2, 2, 3]


def test_a_truncated_last_line_is_skipped(tmp_path: Path) -> None:
    folder = write(
        tmp_path, event_line(inputs.Typed("a"), 1), event_line(inputs.Typed("b"), 2)[:-5]
    )
    assert read(folder)[1] == [TimedEvent(1, inputs.Typed("a"))]


HOSTILE = "a\x1b]0;title\x07b\u202ec\u200bd"


def test_hostile_text_is_cleaned_in_every_field(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        event_line(events.TextDelta("r" + HOSTILE, "i", HOSTILE, spoken=False), 1),
        event_line(events.ItemRetrieved("i", {HOSTILE: [{"deep": HOSTILE}]}), 2),
        event_line(ModelChanged(HOSTILE, HOSTILE), 3),
    )
    delta, item, named = [timed.with_silence() for timed in read(folder)[1]]
    cleaned = clean(HOSTILE)
    assert "\x1b" not in cleaned
    assert delta == events.TextDelta("r" + cleaned, "i", cleaned, spoken=False)
    assert item == events.ItemRetrieved("i", {cleaned: [{"deep": cleaned}]})
    assert named == ModelChanged(cleaned, cleaned)


BROKEN = {
    "no json": b"hello\n",
    "a list": b"[]\n",
    "no time": b'{"is":"Tick","of":{}}\n',
    "an endless time": b'{"at":1e300,"is":"Tick","of":{}}\n',
    "a time before": b'{"at":-1,"is":"Tick","of":{}}\n',
    "no time at all": b'{"at":NaN,"is":"Tick","of":{}}\n',
    "an unknown kind": b'{"at":1,"is":"Tock","of":{}}\n',
    "a missing field": b'{"at":1,"is":"Typed","of":{}}\n',
    "a wrong type": b'{"at":1,"is":"Typed","of":{"text":5}}\n',
    "a wrong choice": b'{"at":1,"is":"LinkChanged","of":{"link":"\\u001b[31mred"}}\n',
    "sound as text": b'{"at":1,"is":"MicBlock","of":{"pcm":"AAAA"}}\n',
    "too much sound": b'{"at":1,"is":"MicBlock","of":{"pcm":99999999999}}\n',
    "negative sound": b'{"at":1,"is":"MicBlock","of":{"pcm":-2}}\n',
    "no sound": b'{"at":1,"is":"AudioDelta","of":{"response_id":"r","item_id":"i"}}\n',
    "a deep nest": b'{"at":1,"is":"Typed","of":' + b"[" * 50_000 + b"]" * 50_000 + b"}\n",
    "no utf-8": b'{"at":1,"is":"Typed","of":{"text":"\xff"}}\n',
    "half a character": b'{"at":4,"is":"Typed","of":{"text":"\\ud800 half"}}\n',
    "zeros": bytes(300) + b"\n",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_an_invalid_line_gives_one_sentence_with_its_line_number(
    text: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(tmp_path / "talk", event_line(inputs.Tick(), 1), text)
    assert main(["replay", str(folder)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert f"{folder / folder_format.EVENTS}:3 is not a line of a recording: " in err
    assert "\x1b" not in err
    assert len(err) < 400


@pytest.mark.parametrize(
    "text",
    [b"", b"hello\n", b"{}\n", b'{"recording":1}\n', b"[1]\n", b"[" * 50_000 + b"\n", b"\xff\n"],
)
def test_an_invalid_heading_gives_one_sentence(text: bytes, tmp_path: Path) -> None:
    (tmp_path / folder_format.EVENTS).write_bytes(text)
    with pytest.raises(UsageError, match=r"events\.jsonl:1 is not the heading of a recording"):
        read(tmp_path)


def test_a_newer_format_and_an_invalid_rate_are_refused(tmp_path: Path) -> None:
    newer_format = json.loads(heading_line(heading())) | {"recording": folder_format.FORMAT + 1}
    (tmp_path / folder_format.EVENTS).write_text(json.dumps(newer_format) + "\n")
    with pytest.raises(UsageError, match="newer voicechat"):
        read(tmp_path)
    invalid_rate = json.loads(heading_line(heading()))
    invalid_rate["output_format"]["rate"] = 0
    (tmp_path / folder_format.EVENTS).write_text(json.dumps(invalid_rate) + "\n")
    with pytest.raises(UsageError, match="sample rate"):
        read(tmp_path)


def test_a_missing_recording_gives_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (tmp_path, tmp_path / "absent", Path(__file__)):
        assert main(["replay", str(folder)]) == 2
        assert "contains no recording" in capsys.readouterr().err
    (tmp_path / folder_format.EVENTS).mkdir()
    assert main(["replay", str(tmp_path)]) == 2
    assert "cannot be read" in capsys.readouterr().err
    monkeypatch.setattr(folder_format, "LINE_LIMIT", 2_000)
    folder = write(tmp_path / "long", b"x" * 5_000)
    with pytest.raises(UsageError, match=":2 is too long"):
        read(folder)


def test_a_fifo_is_refused_without_blocking(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / folder_format.EVENTS)
    assert main(["replay", str(tmp_path)]) == 2
    assert "events.jsonl cannot be read: it is not a file." in capsys.readouterr().err
    (tmp_path / folder_format.EVENTS).unlink()
    write(tmp_path, event_line(inputs.Tick(), 0.0))
    os.mkfifo(tmp_path / folder_format.SOUND)
    assert main(["replay", str(tmp_path), "--plain"]) == 2
    assert "sound.wav cannot be read: it is not a file." in capsys.readouterr().err


def test_an_impossible_event_gives_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    impossible = inputs.InsertMessage("i", "\x1b[31mnobody", "hello")
    folder = write(tmp_path, event_line(events.SessionCreated(), 0), event_line(impossible, 0.1))
    assert main(["replay", str(folder), "--plain", "--text"]) == 2
    problem = f"{folder / folder_format.EVENTS}:3 does not follow from the events before it."
    assert capsys.readouterr().err == f"voicechat: {problem}\n"


ODD_VALUES: dict[object, list[Any]] = {
    str: ["", "i", "r", "user", "assistant", "{", '{"a":1}', "\x1b[31m\u202e", "x" * 3_000],
    int: [0, -1, 1, 2**31, 2**63, 10**30],
    float: [0.0, -1.0, 0.5, 1e308, -1e308, 5e-324],
    bool: [True, False],
    bytes: [0, 1, 4_800],
    object: [None, 1, "x", [1], {"a": 1}],
    type(None): [None],
}


def random_json(kind: Any, rng: random.Random) -> Any:
    """Make random JSON for this type: valid for the type, but often impossible."""
    origin = typing.get_origin(kind)
    if kind in ODD_VALUES:
        return rng.choice(ODD_VALUES[kind])
    if origin in {typing.Union, types.UnionType}:
        return random_json(rng.choice(typing.get_args(kind)), rng)
    if origin is tuple and typing.get_args(kind)[-1] is not Ellipsis:
        return [random_json(each, rng) for each in typing.get_args(kind)]
    if origin is tuple:
        return [random_json(typing.get_args(kind)[0], rng) for _ in range(rng.randrange(3))]
    if origin is Mapping:
        return {random_json(str, rng): random_json(typing.get_args(kind)[1], rng) for _ in range(2)}
    if kind is Picture:
        return {"kind": "png", "width": 7, "height": 7}
    if kind is CallRules:
        return random_json(ArgumentRules, rng)
    if issubclass(kind, enum.Enum):
        return rng.choice(list(kind)).value
    hints = typing.get_type_hints(kind)
    return {field.name: random_json(hints[field.name], rng) for field in dataclasses.fields(kind)}


@pytest.mark.parametrize("seed", range(40))
async def test_random_events_are_shown_cleaned_or_refused(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    lines = [event_line(events.SessionCreated(), 0), event_line(LinkChanged(Link.ONLINE), 0)]
    for at in range(60):
        name, kind = rng.choice(list(folder_format.EVENT_TYPES.items()))
        fields = {"at": at / 4, "is": name, "of": random_json(kind, rng)}
        lines.append(json.dumps(fields).encode() + b"\n")
    replay = Replay(write(tmp_path, *lines), play_sound=False)
    out = io.StringIO()
    chat = Chat(cast("Session", replay), out)
    refused = ""
    try:
        replay._catch_up(replay.length)
    except UsageError as error:
        refused = str(error)
    assert replay.is_over or "does not follow from the events before it" in refused
    chat.handle_updates()
    assert out.getvalue() or refused, "the replay shows events"
    assert not set("\x1b\u202e") & set(out.getvalue())


@given(st.binary(max_size=200))
def test_any_bytes_give_an_event_or_a_usage_error(raw: bytes) -> None:
    text = raw.replace(b"\n", b" ") + b"\n"
    with suppress(UsageError):
        assert isinstance(folder_format._timed_event("here", text), TimedEvent)
