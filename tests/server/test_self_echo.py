"""Turns that are the echo of the assistant's own voice."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from scripted import scripted_server, silence, tone
from socket_events import append, events_until, kinds

from voicechat.server.engine_protocols import Say
from voicechat.server.realtime.item_store import StoredItem
from voicechat.server.self_echo import SpokenOver, is_echo

STORY = "There was a small fox who lived near the old mill with her two brothers."
WORDS = [(word, 300.0 * (at + 1)) for at, word in enumerate(STORY.split())]


@pytest.mark.parametrize(
    ("text", "heard_ms", "echo"),
    [
        ("There was.", 900, True),
        ("a small fox", 1_500, True),
        ("a small box", 1_500, True),
        ("There was", 4_000, False),  # played too long ago
        ("what", 500, True),
        ("what", 2_000, False),
        ("what else", 400, True),
        ("what else is there", 400, False),
        ("stop", 400, False),
        ("Stop!", 2_000, False),
        ("hold on", 500, False),
        ("tell me about the fox", 1_500, False),
        ("", 2_000, True),
        ("...", 500, True),
        ("Smell.", 1_500, True),  # played as "small"
        ("Smell a box.", 1_500, False),
    ],
)
def test_echoes_are_told_from_turns(text: str, heard_ms: float, echo: bool) -> None:
    assert is_echo(text, WORDS, heard_ms, request=False) is echo


@pytest.mark.parametrize("text", ["It's.", "And?"])
def test_a_slow_stop_does_not_turn_the_begin_of_a_reply_into_a_turn(text: str) -> None:
    assert is_echo(text, WORDS, 1_400, request=False, detection_ms=1_150)
    assert not is_echo(text, WORDS, 1_400, request=False, detection_ms=300)


def test_words_are_compared_with_what_played_when_the_turn_began() -> None:
    assert is_echo("There was.", WORDS, 4_000, request=False, detection_ms=3_400)


@pytest.mark.parametrize(
    ("text", "heard_ms", "echo"),
    [
        ("Slow.", 4_028, True),  # its sound ends before the pause after it does
        ("Slow.", 3_600, False),  # it did not begin
        ("if it", 4_028, True),  # an echo of "slow." that was misheard
        ("if it", 3_000, False),
        ("if it is", 4_028, False),
        ("stop", 4_028, False),
    ],
)
def test_the_last_word_before_a_pause_may_leave_an_echo(
    text: str, heard_ms: float, echo: bool
) -> None:
    words = [("a clock that was always seven minutes ", 3_675.0)]
    words += [("slow. ", 4_475), ("The ", 4_600), ("baker ", 4_900)]
    assert is_echo(text, words, heard_ms, request=False) is echo


def test_the_detection_time_is_the_sound_until_the_client_stops_the_reply() -> None:
    reply = StoredItem({"id": "reply", "content": [{"type": "output_audio", "transcript": STORY}]})
    spoken = SpokenOver(reply, began_ms=5_000)
    spoken.note_stop(5_400)
    reply.heard_ms = 1_400
    assert not spoken.is_echo("It's.", request=False), "as if it took 300 ms"
    spoken.note_stop(6_200)
    spoken.note_stop(9_000)
    assert spoken.is_echo("It's.", request=False)


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ("Your 20 minute timer is canceled.", "Twenty minutes."),
        ("Okay, 10 minutes, starting now.", "Ten minutes starting now."),
        ("It's 6:37 PM.", "It's six thirty seven"),
        ("5 kilometers is about 3.11 miles.", "three point one one miles"),
        ("December 24, 2026 is a Thursday.", "twenty twenty six"),
        ("Twenty minutes, starting now.", "20 minutes"),
    ],
)
def test_a_number_sounds_the_same_in_digits_and_in_words(reply: str, text: str) -> None:
    words = [(word, 300.0 * (at + 1)) for at, word in enumerate(reply.split())]
    assert is_echo(text, words, 1_500, request=True)


@pytest.mark.parametrize(
    "text", ["Make it twenty.", "Twenty minutes.", "20 minutes", "Two minutes"]
)
def test_another_number_is_no_echo(text: str) -> None:
    words = [("Okay,", 300.0), ("10", 600.0), ("minutes,", 900.0), ("starting", 1_200.0)]
    assert not is_echo(text, words, 900, request=True)


def test_a_short_request_at_the_start_of_a_reply_counts() -> None:
    assert not is_echo("flip a", WORDS, 400, request=True)


async def _interrupted(backend: Any, connection: Any, heard: str, heard_ms: int) -> list[Any]:
    """Stop a reply with sound that is recognized as `heard`; return what follows."""
    backend.assistant.answer = lambda request: [Say(STORY)]
    await connection.response.create()
    events = await events_until(connection, "response.done")
    item = next(e["item"]["id"] for e in events if e["type"] == "response.output_item.added")
    backend.stt.texts = [heard]
    backend.assistant.answer = lambda request: [Say(f"You said {request.messages[-1].text}.")]
    await append(connection, silence(200) + tone(400))
    await events_until(connection, "input_audio_buffer.speech_started")
    await connection.conversation.item.truncate(
        item_id=item, content_index=0, audio_end_ms=heard_ms
    )
    await append(connection, silence(900))
    found: list[Any] = await events_until(connection, "response.done")
    return found


def _transcript(events: list[Any]) -> str:
    return str(events[-1]["response"]["output"][0]["content"][0]["transcript"])


@pytest.mark.parametrize("heard", ["a small fox", "Smell.", ""])
async def test_the_reply_goes_on_after_an_echo(heard: str) -> None:
    async with (
        scripted_server() as backend,
        backend.client().realtime.connect(model="any") as connection,
    ):
        # Each word of the scripted voice takes 100 ms: "There was a small fox" was heard.
        events = await _interrupted(backend, connection, heard, 500)
    assert _transcript(events).strip() == "who lived near the old mill with her two brothers."
    completed = next(e for e in events if e["type"].endswith("transcription.completed"))
    assert completed["transcript"] == ""
    sound = b"".join(
        base64.b64decode(e["delta"]) for e in events if e["type"] == "response.output_audio.delta"
    )
    assert len(sound) / 2 / 24_000 == pytest.approx(1.0, abs=0.05)
    assert "response.output_audio.delta" in kinds(events)


async def test_a_reply_that_its_echo_stops_again_and_again_is_given_up() -> None:
    async with (
        scripted_server() as backend,
        backend.client().realtime.connect(model="any") as connection,
    ):
        events = await _interrupted(backend, connection, "there was a", 300)
        for _ in range(2):
            item = next(
                e["item"]["id"] for e in events if e["type"] == "response.output_item.added"
            )
            rest = _transcript(events).split()
            backend.stt.texts = [" ".join(rest[:2])]
            await append(connection, tone(400))
            await events_until(connection, "input_audio_buffer.speech_started")
            await connection.conversation.item.truncate(
                item_id=item, content_index=0, audio_end_ms=200
            )
            await append(connection, silence(900))
            events = await events_until(connection, "response.done")
    assert not any(e["type"] == "response.output_audio.delta" for e in events)
    assert events[-1]["response"]["status"] == "completed"


async def test_a_turn_of_the_user_is_answered() -> None:
    async with (
        scripted_server() as backend,
        backend.client().realtime.connect(model="any") as connection,
    ):
        events = await _interrupted(backend, connection, "tell me a joke", 500)
    assert _transcript(events) == "You said tell me a joke."


async def test_the_answer_to_a_question_may_repeat_it() -> None:
    """After the whole question was heard, its own words are an answer."""
    async with (
        scripted_server() as backend,
        backend.client().realtime.connect(model="any") as connection,
    ):
        backend.assistant.answer = lambda request: [Say("Ten minutes or twenty minutes?")]
        await connection.response.create()
        await events_until(connection, "response.done")
        backend.stt.texts = ["twenty minutes"]
        backend.assistant.answer = lambda request: [Say(f"Yes, {request.messages[-1].text}.")]
        await append(connection, silence(200) + tone(400) + silence(900))
        events = await events_until(connection, "response.done")
    assert _transcript(events) == "Yes, twenty minutes."
