"""The model of the event console: facts of frames, folded sound, pairs, turns, filters."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from voicechat.core import effects, events
from voicechat.core.text import clean
from voicechat.session import frame_facts
from voicechat.session.event_stream import Direction, EventStream, RawFrame
from voicechat.session.frame_facts import KEPT_CHARACTERS, read_frame
from voicechat.session.frame_filter import frame_line, json_lines, parse_filter
from voicechat.session.frame_log import (
    MOST_CHARACTERS,
    MOST_ROWS,
    QUEUE_LIMIT,
    FrameLog,
    FrameRow,
    FrameTap,
    shown_gist,
)

SOUND = base64.b64encode(bytes(4_800)).decode()
SENT, RECEIVED = Direction.SENT, Direction.RECEIVED


@dataclass
class Wire:
    """Frames that arrive at a log, 0.1 s apart."""

    log: FrameLog = field(default_factory=FrameLog)
    now: float = 100.0

    def frame(self, direction: Direction, **fields: Any) -> FrameRow:
        self.now += 0.1
        *_, row = self.log.add(RawFrame(direction, json.dumps(fields), self.now), self.now)
        return row

    def sent(self, kind: str, **fields: Any) -> FrameRow:
        return self.frame(SENT, type=kind, **fields)

    def got(self, kind: str, **fields: Any) -> FrameRow:
        return self.frame(RECEIVED, type=kind, **fields)

    def floor(self, floor: effects.Floor) -> None:
        self.now += 0.1
        self.log.add(effects.FloorChanged(floor), self.now)


# ------------------------------------------------------------------------------- facts


def test_facts_name_type_ids_and_words_without_the_sound() -> None:
    frame = {"type": "response.output_audio.delta", "item_id": "item_1", "delta": SOUND}
    facts = read_frame(json.dumps(frame))
    assert (facts.type, facts.item_id, facts.sound_bytes) == (frame["type"], "item_1", 4_800)
    assert SOUND not in facts.text
    assert json.loads(facts.text)["delta"] == "‹6400 characters of base64›"
    assert read_frame(facts.text).sound_bytes == 4_800

    done = read_frame(
        '{"type":"response.done","response":{"id":"resp_1","status":"completed","output":'
        '[{"role":"assistant","content":[{"transcript":"Hello there"}]}]}}'
    )
    assert (done.response_id, done.gist) == (
        "resp_1",
        'status completed · role assistant · "Hello there"',
    )


def test_words_that_look_like_base64_are_no_sound() -> None:
    kind = "response.output_audio_transcript.delta"
    facts = read_frame(json.dumps({"type": kind, "delta": "HelloWorld"}))
    assert (facts.gist, facts.sound_bytes) == ('"HelloWorld"', 0)


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        ({"realtimeInput": {"audio": {"data": SOUND, "mimeType": "audio/pcm"}}}, "realtimeInput"),
        ({"serverContent": {"modelTurn": {"parts": [
            {"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": SOUND}}]}}},
         "serverContent"),
        ({"type": "audio-delta", "delta": SOUND}, "audio-delta"),
    ],
    ids=["google in", "google out", "gateway"],
)  # fmt: skip
def test_sound_is_found_on_every_wire(frame: dict[str, Any], kind: str) -> None:
    facts = read_frame(json.dumps(frame).encode())
    assert facts.type.startswith(kind)
    assert facts.sound_bytes == 4_800


def test_pictures_are_left_out_but_are_no_sound() -> None:
    picture = {"type": "input_image", "image_url": f"data:image/png;base64,{SOUND}"}
    facts = read_frame(json.dumps({"type": "conversation.item.create", "item": picture}))
    assert SOUND not in facts.text
    assert facts.sound_bytes == 0


HOSTILE = {
    "escapes": '{"type":"\\u001b[2J","delta":"\\u001b]0;x\\u0007 \\u202eabc [bold]x[/]"}',
    "raw escapes": "\x1b[2J\x1b]52;c;aGk=\x07",
    "not utf-8": b"\xff\xfe\x00{",
    "brackets": "[" * 200_000,
    "deep": '{"a":' * 900 + "1" + "}" * 900,
    "large": '{"type":"x","text":"' + "long " * 400_000 + '"}',
    "wide": json.dumps({f"k{n}": n for n in range(60_000)}),
    "many": json.dumps({"type": "x", "a": [[]] * 100_000}),
    "types": '{"type":7,"item_id":{"x":1},"error":[],"response":"no","item":3,"delta":null}',
    "surrogates": '{"type":"x","text":"\\ud800"}',
    "infinite": '{"type":"x","a":1e999,"b":NaN}',
    "empty": "",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_frame_gives_short_clean_facts(name: str) -> None:
    log = FrameLog()
    [row] = log.add(RawFrame(RECEIVED, HOSTILE[name], 1.0), 1.0)
    facts = row.facts
    for text in (facts.type, facts.gist, facts.item_id, frame_line(row)):
        assert clean(text) == text
        assert "\n" not in text
        assert len(text) < 600
    assert clean(facts.text) == facts.text
    assert len(facts.text) < KEPT_CHARACTERS + 100
    json.loads(json_lines([row]))


# ------------------------------------------------------------------------------- rows


def test_sound_grows_in_one_row_for_each_item_and_direction() -> None:
    wire = Wire()
    first = wire.got("response.output_audio.delta", item_id="a", delta=SOUND)
    wire.got("response.output_audio_transcript.delta", item_id="a", delta="Hi")
    wire.sent("input_audio_buffer.append", audio=SOUND)
    again = wire.got("response.output_audio.delta", item_id="a", delta=SOUND)
    other = wire.got("response.output_audio.delta", item_id="b", delta=SOUND)
    assert again is first
    assert other is not first
    assert shown_gist(first) == "♪ 9.6 kB of sound, 2 frames in 0.300 s"
    assert len(wire.log) == 4
    assert wire.log.frames == 5


def test_the_microphone_has_a_row_for_each_turn() -> None:
    wire = Wire()
    before = wire.sent("input_audio_buffer.append", audio=SOUND)
    wire.floor(effects.Floor.THINKING)
    after = wire.sent("input_audio_buffer.append", audio=SOUND)
    assert after is not before
    assert not before.is_open
    assert after.is_open


def test_times_count_from_the_end_of_the_users_turn() -> None:
    wire = Wire()
    assert wire.sent("session.update", session={}).since_turn == 0.0
    assert wire.got("session.updated").since_turn == pytest.approx(0.1)
    wire.floor(effects.Floor.THINKING)
    assert wire.got("response.created").since_turn == pytest.approx(0.1)
    wire.floor(effects.Floor.WORKING)
    wire.floor(effects.Floor.THINKING)  # the same turn, after a tool
    assert wire.got("response.created").since_turn == pytest.approx(0.4)
    assert [row.facts.gist for row in wire.log.rows if row.is_note] == ["Turn 1"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("sent", "session.update"), ("got", "session.updated")),
        (("sent", "input_audio_buffer.commit"), ("got", "input_audio_buffer.committed")),
        (("sent", "input_audio_buffer.clear"), ("got", "input_audio_buffer.cleared")),
        (("sent", "conversation.item.create"), ("got", "conversation.item.added")),
        (("sent", "conversation.item.truncate"), ("got", "conversation.item.truncated")),
        (("sent", "session-update"), ("got", "session-updated")),
        (("got", "response.output_text.delta"), ("got", "response.output_text.done")),
        (("got", "response.output_item.added"), ("got", "response.output_item.done")),
        (("got", "x.speech_started"), ("got", "x.speech_stopped")),
        (("got", "audio-delta"), ("got", "audio-done")),
    ],
    ids=lambda side: side[1],
)  # fmt: skip
def test_pairs_show_their_gap(first: tuple[str, str], second: tuple[str, str]) -> None:
    wire = Wire()
    one = getattr(wire, first[0])(first[1], item_id="item_1")
    wire.got("rate_limits.updated")
    two = getattr(wire, second[0])(second[1], item_id="item_1")
    assert (one.pair, two.pair) == (two.number, one.number)
    assert shown_gist(two).startswith("⇄ 0.200 s")
    assert one.gap_s is None


def test_setup_errors_and_tool_calls_have_pairs() -> None:
    wire = Wire()
    setup = wire.frame(SENT, setup={})
    assert wire.frame(RECEIVED, setupComplete={}).pair == setup.number
    wrong = wire.sent("response.create", event_id="CreateResponse-4")
    error = wire.got("error", error={"message": "no", "event_id": "CreateResponse-4"})
    assert (error.pair, error.facts.is_error) == (wrong.number, True)
    call = wire.got("response.function_call_arguments.done", call_id="call_1", arguments="{}")
    result = wire.sent("conversation.item.create", item={"call_id": "call_1", "output": "4"})
    assert result.pair == call.number


def test_the_gap_of_many_deltas_counts_from_the_first() -> None:
    wire = Wire()
    deltas = [wire.got("response.text.delta", item_id="a", delta="x") for _ in range(5)]
    other = wire.got("response.text.done", item_id="b")
    done = wire.got("response.text.done", item_id="a")
    assert other.pair is None
    assert (done.pair, done.gap_s) == (deltas[0].number, pytest.approx(0.6))


def test_rows_belong_to_the_entries_that_the_codec_makes_of_them() -> None:
    """A wire without ids: the events after a frame name the item."""
    wire = Wire()
    row = wire.frame(RECEIVED, serverContent={"outputTranscription": {"text": "Hi"}})
    wire.log.add(events.TextDelta("resp_x", "item_x", "Hi", spoken=True), wire.now)
    later = wire.frame(RECEIVED, serverContent={"turnComplete": True})
    assert list(wire.log.rows_of("item_x")) == [row]
    assert not later.entries


def test_the_ring_is_bounded_in_rows_and_characters() -> None:
    wire = Wire()
    first = wire.got("first")
    for number in range(MOST_ROWS + 10):
        wire.got("response.text.delta", item_id=str(number))
    assert len(wire.log) == MOST_ROWS
    assert wire.log.row(first.number) is None
    assert wire.log.first == 11

    log = FrameLog()
    for number in range(100):
        log.add(RawFrame(RECEIVED, json.dumps({"a": f"{number} " * 30_000}), 0.0), 0.0)
    assert sum(len(row.facts.text) for row in log.rows) <= MOST_CHARACTERS


# ------------------------------------------------------------------------------- filters


def test_filters_by_direction_type_item_words_and_errors() -> None:
    wire = Wire()
    sent = wire.sent("session.update", session={"voice": "Marin"})
    got = wire.got("session.updated", event_id="event_9")
    text = wire.got("response.text.delta", item_id="Item_7", delta="Hello World")
    wrong = wire.got("error", error={"message": "no"})
    wire.floor(effects.Floor.THINKING)
    expected = {
        "sent": [sent], "received": [got, text, wrong], "type:session": [sent, got],
        "type:text type:error": [text, wrong], "item:item_7": [text], "errors": [wrong],
        "hello world": [text], "sent marin": [sent], "received marin": [], "Marin": [sent],
    }  # fmt: skip
    for typed, rows in expected.items():
        found = parse_filter(typed)
        assert [r for r in wire.log.rows if found.matches(r) and not r.is_note] == rows, typed
        assert parse_filter(found.text) == found
    note = wire.log.rows[-1]
    assert parse_filter("sent").matches(note)
    assert not parse_filter("type:x").matches(note)
    assert [parse_filter("").next_direction().direction] == [SENT]


def test_a_row_is_a_line_of_text_and_of_json() -> None:
    wire = Wire()
    wire.sent("session.update", session={})
    row = wire.got("session.updated", session={"voice": "marin"})
    assert frame_line(row) == ("   +0.100 s ← got session.updated, 58 B: ⇄ 0.100 s voice marin")
    line = json.loads(json_lines(wire.log.rows).splitlines()[1])
    assert line["direction"] == "received"
    assert line["gap"] == pytest.approx(0.1)
    assert line["frame"] == {"type": "session.updated", "session": {"voice": "marin"}}


# ------------------------------------------------------------------------------- the tap


class _Session:
    def __init__(self) -> None:
        self.stream = EventStream()
        self.subscribe = self.stream.subscribe
        self.past: list[tuple[object, float]] = []

    def past_frames(self) -> list[tuple[object, float]]:
        return self.past


def test_frames_are_wanted_only_while_a_tap_is_open() -> None:
    session = _Session()
    assert not session.stream.wanted(RawFrame)
    tap = FrameTap(session, FrameLog())  # type: ignore[arg-type]
    assert session.stream.wanted(RawFrame)
    tap.close()
    assert not session.stream.wanted(RawFrame)


def test_events_lost_to_a_full_queue_are_counted_in_the_log() -> None:
    session, log = _Session(), FrameLog()
    tap = FrameTap(session, log)  # type: ignore[arg-type]
    for number in range(QUEUE_LIMIT + 5):
        session.stream.publish(RawFrame(RECEIVED, f'{{"type":"t{number}"}}', 1.0), 1.0)
    changed = tap.take()
    assert changed[0].facts.gist == "5 events are missing: they came too fast"
    assert changed[1].facts.type == "t5"
    assert len(changed) == QUEUE_LIMIT + 1
    assert tap.take() == []


def test_a_long_frame_is_cut_before_it_is_cleaned() -> None:
    frame = json.dumps({"type": "x", "text": "\x1b[2J" * 60_000})
    with pytest.MonkeyPatch.context() as patch:
        cleaned: list[int] = []
        patch.setattr(frame_facts, "clean_json", lambda text: cleaned.append(len(text)) or text)
        patch.setattr(frame_facts, "clean", lambda text: cleaned.append(len(text)) or clean(text))
        facts = frame_facts.read_frame(frame)
    assert max(cleaned) <= frame_facts.KEPT_CHARACTERS
    assert not facts.is_json
    assert "more characters" in facts.text
    assert "\x1b" not in facts.text
