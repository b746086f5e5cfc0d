"""The lines of a recording: everything comes back, nothing broken or hostile gets in."""

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
from voicechat.core.text import clean
from voicechat.errors import UsageError
from voicechat.line_mode.app import Chat
from voicechat.recording import folder_format
from voicechat.recording.folder_format import Moment, heading_line, line, read
from voicechat.recording.replayed_session import Replay
from voicechat.session.updates import Link, LinkChanged, ModelChanged

if TYPE_CHECKING:
    from voicechat.session.session import Session


def some(kind: object) -> object:
    """A value of the type that is no default."""
    origin = typing.get_origin(kind)
    if origin in {typing.Union, types.UnionType}:
        return some(typing.get_args(kind)[0])
    if origin is tuple:
        return (some(typing.get_args(kind)[0]),) * 2
    if origin is Mapping:
        return {"name": some(typing.get_args(kind)[1])}
    plain = {str: "wörd \U0001f600", int: 7, float: 2.5, bool: True, bytes: bytes(6), object: [1]}
    if kind in plain:
        return plain[kind]  # type: ignore[index]
    assert isinstance(kind, type)
    if kind is Picture:
        return Picture(Kind.WEBP, 7, 7, "cät.webp")
    if kind is events.ResumptionHandle:
        return events.ResumptionHandle("")
    if issubclass(kind, enum.Enum):
        return list(kind)[-1]
    hints = typing.get_type_hints(kind)
    return kind(**{field.name: some(hints[field.name]) for field in dataclasses.fields(kind)})


def write(folder: Path, *lines: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / folder_format.EVENTS).write_bytes(heading_line(heading()) + b"".join(lines))
    return folder


def test_every_event_and_input_can_stand_in_a_line() -> None:
    named = set(typing.get_args(events.Event)) | set(typing.get_args(inputs.Input))
    assert named - folder_format.UNTOLD <= set(folder_format.KINDS.values())
    assert len(folder_format.KINDS) + len(folder_format.UNTOLD) == len(
        typing.get_args(folder_format.Happening)
    )


@pytest.mark.parametrize("kind", folder_format.KINDS.values(), ids=folder_format.KINDS)
def test_it_comes_back_as_it_was(kind: type, tmp_path: Path) -> None:
    whole = some(kind)
    needed = {
        f.name: getattr(whole, f.name)
        for f in dataclasses.fields(kind)
        if f.default is f.default_factory is dataclasses.MISSING
    }
    for happening in (whole, kind(**needed)):
        folder = write(tmp_path / "talk", line(happening, 1.25))  # type: ignore[arg-type]
        found_heading, (moment,) = read(folder)
        assert found_heading == heading()
        assert (moment.at, moment.whole()) == (1.25, happening)


def test_what_hides_itself_is_not_written() -> None:
    assert b"token-1" not in line(events.ResumptionHandle("token-1"), 1)
    shown = inputs.Typed("look", Picture(Kind.PNG, 2, 2, "cat.png", b"0123456789"))
    assert len(line(shown, 1)) < len(line(inputs.Typed("look"), 1)) + 80


def test_time_never_goes_back(tmp_path: Path) -> None:
    folder = write(
        tmp_path, line(inputs.Tick(), 2), line(inputs.Tick(), 1.5), line(inputs.Tick(), 3)
    )
    assert [moment.at for moment in read(folder)[1]] == [2, 2, 3]


def test_a_last_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    folder = write(tmp_path, line(inputs.Typed("a"), 1), line(inputs.Typed("b"), 2)[:-5])
    assert read(folder)[1] == [Moment(1, inputs.Typed("a"))]


HOSTILE = "a\x1b]0;title\x07b\u202ec\u200bd"


def test_hostile_text_is_cleaned_wherever_it_stands(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        line(events.TextDelta("r" + HOSTILE, "i", HOSTILE, spoken=False), 1),
        line(events.ItemRetrieved("i", {HOSTILE: [{"deep": HOSTILE}]}), 2),
        line(ModelChanged(HOSTILE, HOSTILE), 3),
    )
    delta, item, named = [moment.whole() for moment in read(folder)[1]]
    mild = clean(HOSTILE)
    assert "\x1b" not in mild
    assert delta == events.TextDelta("r" + mild, "i", mild, spoken=False)
    assert item == events.ItemRetrieved("i", {mild: [{"deep": mild}]})
    assert named == ModelChanged(mild, mild)


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
def test_a_broken_line_is_one_sentence_with_its_place(
    text: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(tmp_path / "talk", line(inputs.Tick(), 1), text)
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
def test_a_broken_heading_is_one_sentence(text: bytes, tmp_path: Path) -> None:
    (tmp_path / folder_format.EVENTS).write_bytes(text)
    with pytest.raises(UsageError, match=r"events\.jsonl:1 is not the heading of a recording"):
        read(tmp_path)


def test_what_this_version_cannot_know_is_said(tmp_path: Path) -> None:
    newer = json.loads(heading_line(heading())) | {"recording": folder_format.FORMAT + 1}
    (tmp_path / folder_format.EVENTS).write_text(json.dumps(newer) + "\n")
    with pytest.raises(UsageError, match="newer voicechat"):
        read(tmp_path)
    odd = json.loads(heading_line(heading()))
    odd["output_format"]["rate"] = 0
    (tmp_path / folder_format.EVENTS).write_text(json.dumps(odd) + "\n")
    with pytest.raises(UsageError, match="sample rate"):
        read(tmp_path)


def test_no_recording_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (tmp_path, tmp_path / "absent", Path(__file__)):
        assert main(["replay", str(folder)]) == 2
        assert "contains no recording" in capsys.readouterr().err
    (tmp_path / folder_format.EVENTS).mkdir()
    assert main(["replay", str(tmp_path)]) == 2
    assert "cannot be read" in capsys.readouterr().err
    monkeypatch.setattr(folder_format, "LINE_LIMIT", 1_000)
    folder = write(tmp_path / "long", b"x" * 5_000)
    with pytest.raises(UsageError, match=":2 is too long"):
        read(folder)


def test_what_is_no_file_holds_nobody_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / folder_format.EVENTS)
    assert main(["replay", str(tmp_path)]) == 2
    assert "events.jsonl cannot be read: it is not a file." in capsys.readouterr().err
    (tmp_path / folder_format.EVENTS).unlink()
    write(tmp_path, line(inputs.Tick(), 0.0))
    os.mkfifo(tmp_path / folder_format.SOUND)
    assert main(["replay", str(tmp_path), "--plain"]) == 2
    assert "sound.wav cannot be read: it is not a file." in capsys.readouterr().err


def test_what_cannot_have_happened_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stranger = inputs.InsertMessage("i", "\x1b[31mnobody", "hello")
    folder = write(tmp_path, line(events.SessionCreated(), 0), line(stranger, 0.1))
    assert main(["replay", str(folder), "--plain", "--text"]) == 2
    problem = f"{folder / folder_format.EVENTS}:3 does not follow from the events before it."
    assert capsys.readouterr().err == f"voicechat: {problem}\n"


ODD: dict[object, list[Any]] = {
    str: ["", "i", "r", "user", "assistant", "{", '{"a":1}', "\x1b[31m\u202e", "x" * 3_000],
    int: [0, -1, 1, 2**31, 2**63, 10**30],
    float: [0.0, -1.0, 0.5, 1e308, -1e308, 5e-324],
    bool: [True, False],
    bytes: [0, 1, 4_800],
    object: [None, 1, "x", [1], {"a": 1}],
    type(None): [None],
}


def odd(kind: Any, chance: random.Random) -> Any:
    """The JSON of a value that has the right type and no other virtue."""
    origin = typing.get_origin(kind)
    if kind in ODD:
        return chance.choice(ODD[kind])
    if origin in {typing.Union, types.UnionType}:
        return odd(chance.choice(typing.get_args(kind)), chance)
    if origin is tuple:
        return [odd(typing.get_args(kind)[0], chance) for _ in range(chance.randrange(3))]
    if origin is Mapping:
        return {odd(str, chance): odd(typing.get_args(kind)[1], chance) for _ in range(2)}
    if kind is Picture:
        return None
    if issubclass(kind, enum.Enum):
        return chance.choice(list(kind)).value
    hints = typing.get_type_hints(kind)
    return {field.name: odd(hints[field.name], chance) for field in dataclasses.fields(kind)}


@pytest.mark.parametrize("seed", range(40))
async def test_whatever_stands_in_the_lines_it_is_shown_or_refused(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    lines = [line(events.SessionCreated(), 0), line(LinkChanged(Link.ONLINE), 0)]
    for at in range(60):
        name, kind = chance.choice(list(folder_format.KINDS.items()))
        told = {"at": at / 4, "is": name, "of": odd(kind, chance)}
        lines.append(json.dumps(told).encode() + b"\n")
    again = Replay(write(tmp_path, *lines), aloud=False)
    out = io.StringIO()
    Chat(cast("Session", again), out)
    refused = ""
    try:
        again._catch_up(again.length)
    except UsageError as error:
        refused = str(error)
    assert again.over or "does not follow from the events before it" in refused
    assert not set("\x1b\u202e") & set(out.getvalue())


@given(st.binary(max_size=200))
def test_any_bytes_are_a_line_or_a_sentence(raw: bytes) -> None:
    text = raw.replace(b"\n", b" ") + b"\n"
    with suppress(UsageError):
        assert isinstance(folder_format._moment("here", text), Moment)
