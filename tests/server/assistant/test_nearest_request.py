"""Transcripts that are no request move to the nearest-sounding request, or stay."""

from __future__ import annotations

import asyncio
from functools import cache
from pathlib import Path

import pytest
from hibari.g2p import G2P
from meanings import corpus

from voicechat.errors import ServerError
from voicechat.server.assistant import intents, undoing
from voicechat.server.assistant.nearest_request import LONGEST, NearestRequest
from voicechat.server.assistant.offline_assistant import UNKNOWN, OfflineAssistant
from voicechat.server.engine_protocols import AssistantRequest, Message, Say, ToolOffer


@cache
def phonemizer() -> G2P:
    return G2P()


async def phonemes(words: list[str]) -> list[str]:
    return [phonemizer()(word) for word in words]


@pytest.fixture(scope="module")
def corrected():
    """Correct texts with one loaded instance."""
    loop = asyncio.new_event_loop()
    nearest = NearestRequest(phonemes)
    yield lambda text: loop.run_until_complete(nearest.correct(text))
    loop.run_until_complete(nearest.close())
    loop.close()


@pytest.mark.parametrize(
    ("transcript", "request_text"),
    [
        ("Set a time or four ten minutes.", "set a timer for ten minutes"),
        ("Create a time before one hour and fifteen minutes.", "set a timer for 75 minutes"),
        ("Time were four to minutes.", "set a timer for two minutes"),
        ("Said Anne alarmed for noon.", "set an alarm for noon"),
        ("Wait me at six to-morrow", "wake me at six tomorrow"),
        ("At milk to my shopping list.", "add milk to my shopping list"),
        ("Clear my shop and list.", "clear my shopping list"),
        ("Cancel the post a timer.", "cancel the pasta timer"),
        ("What's too plus, too?", "what is two plus two"),
        ("Flick a coin.", "flip a coin"),
        ("Coal me Peter.", "call me Peter"),
        ("Take a note by flowers for Anna.", "take a note buy flowers for Anna"),
    ],
)
def test_a_near_transcript_becomes_the_request(corrected, transcript, request_text) -> None:
    assert intents.parse(transcript) is None
    found, wanted = intents.parse(corrected(transcript)), intents.parse(request_text)
    assert found is not None
    assert (found.intent, found.values) == (wanted.intent, wanted.values)


@pytest.mark.parametrize(
    "text",
    [
        "set a timer for ten minutes",
        "What time is it?",
        "How much is twenty per cent of a t five?",
        "What would a third of nine T B?",
        "The meeting lasted for nine minutes.",
        "Can use liver crying for me",
        "Uh.",
        "",
        "Stay on you!",
        "Xqzt vrlk.",
        "My name isn't Bob.",
        "Mine aim is true.",
        "It's me here.",
        "Stop the clock at three minutes.",
        "It's so quiet here.",
        "Forget what he told you.",
        "Leave a note for Sarah.",
        "Put me on your list.",
        " ".join(["timer"] * (LONGEST + 1)),
    ],
)
def test_a_request_and_a_text_that_is_not_near_stay(corrected, text) -> None:
    assert corrected(text) == text


@pytest.mark.parametrize("name", ["open_talk", "open_questions"])
@pytest.mark.parametrize("part", [0, 2])
def test_open_speech_never_becomes_a_request_that_changes_something(corrected, name, part) -> None:
    """Every second text: the bench searches all. Each part has a time limit of its own."""
    taken = [text for text in corpus(name)[part::4] if intents.changes(corrected(text))]
    assert taken == []


def test_numbers_do_not_change(corrected) -> None:
    for heard in ("set a time or for fifteen minutes", "set a time or for fifty minutes"):
        meaning = intents.parse(corrected(heard))
        assert meaning is not None
        assert meaning.values["seconds"] == (900 if "fifteen" in heard else 3000)


def test_unchanged_words_keep_their_spelling(corrected) -> None:
    assert corrected("Said a reminder for two hours to call Anna.").endswith("to call Anna")


@pytest.mark.parametrize(
    ("transcript", "name"),
    [
        ("What is on my shocking list?", "shopping"),
        ("Add milk to my chopping list.", "shopping"),
        ("What is on my packing list?", "packing"),
        ("What is on my stocking list?", "stocking"),
        ("Add milk to my party list.", "party"),
    ],
)
def test_the_name_of_a_list_becomes_a_usual_one_only_if_it_sounds_nearly_equal(
    corrected, transcript, name
) -> None:
    assert intents.parse(corrected(transcript)).values["list"] == name


@pytest.mark.parametrize(
    ("transcript", "request_text"),
    [("Lotter.", "louder"), ("Slow her.", "slower"), ("Fester.", "faster"), ("Counsel.", "cancel")],
)
def test_a_short_text_that_sounds_almost_the_same_becomes_the_request(
    corrected, transcript, request_text
) -> None:
    assert corrected(transcript) == request_text


@pytest.mark.parametrize(
    "text",
    [
        *("Ladder.", "Letter.", "Leader.", "Powder.", "Flower.", "Shower.", "Master.", "Pastor."),
        *("After.", "Laughter.", "Choir.", "Quite.", "Shop.", "Receipt.", "Candle.", "Loud."),
        *("Lower.", "Solar.", "Riot.", "Wider.", "Council house.", "Slow.", "Fast."),
    ],
)
def test_a_short_text_that_only_resembles_a_request_stays(corrected, text) -> None:
    assert corrected(text) == text


async def test_a_failure_of_the_pronunciations_leaves_the_text_and_is_tried_again() -> None:
    fails = True

    async def sometimes(words: list[str]) -> list[str]:
        if fails:
            raise ServerError("The speech engine stopped.")
        return await phonemes(words)

    nearest = NearestRequest(sometimes)
    assert await nearest.correct("Flick a coin.") == "Flick a coin."
    fails = False
    assert intents.parse(await nearest.correct("Flick a coin.")).intent == "coin"
    await nearest.close()


async def replies(assistant: OfflineAssistant, text: str, spoken: bool, tools=()) -> list[object]:
    request = AssistantRequest([Message("user", text, spoken=spoken)], tools=tools)
    return [output async for output in assistant.reply(request)]


async def test_only_speech_is_corrected(tmp_path: Path) -> None:
    assistant = OfflineAssistant(tmp_path, phonemes=phonemes)
    await assistant.open()
    heard = await replies(assistant, "Flick a coin.", spoken=True)
    typed = await replies(assistant, "Flick a coin.", spoken=False)
    await assistant.close()
    assert "heads" in heard[0].text.lower() or "tails" in heard[0].text.lower()
    assert isinstance(typed[0], Say)
    assert typed[0].text == UNKNOWN


async def test_a_tool_that_the_words_name_is_called(tmp_path: Path) -> None:
    assistant = OfflineAssistant(tmp_path, phonemes=phonemes)
    await assistant.open()
    tool = ToolOffer("flick_coin", "Flick a coin.", {"type": "object", "properties": {}})
    (call,) = await replies(assistant, "Flick a coin.", spoken=True, tools=[tool])
    await assistant.close()
    assert call.name == "flick_coin"


@pytest.mark.parametrize(
    ("transcript", "likely"),
    [
        ("And do that.", "undo that"),
        ("And knew that.", "undo that"),
        ("I knew that.", "undo that"),
        ("And you.", "undo"),
        ("A new.", "undo"),
        ("Thank you.", "Thank you."),
        ("I like that.", "I like that."),
        ("And do that tomorrow then.", "And do that tomorrow then."),
        ("", ""),
    ],
)
async def test_a_short_text_becomes_a_likely_request_that_sounds_similar(
    transcript, likely
) -> None:
    nearest = NearestRequest(phonemes)
    assert await nearest.likely(transcript, undoing.REQUESTS) == likely


@pytest.mark.parametrize(
    ("before", "spoken", "undoes"),
    [
        ("add milk to my shopping list", True, True),
        ("add milk to my shopping list", False, False),
        ("what time is it", True, False),
        ("my name is Ada", True, False),
    ],
)
async def test_speech_that_sounds_like_undo_undoes_a_change_just_made(
    tmp_path: Path, before, spoken, undoes
) -> None:
    assistant = OfflineAssistant(tmp_path, phonemes=phonemes)
    await assistant.open()
    first = Message("user", before, spoken=True)
    answers = [output.text async for output in assistant.reply(AssistantRequest([first]))]
    messages = [first, Message("assistant", " ".join(answers))]
    messages.append(Message("user", "And you.", spoken=spoken))
    heard = [output.text async for output in assistant.reply(AssistantRequest(messages))]
    await assistant.close()
    assert ("I took milk off" in heard[0]) is undoes


async def test_a_prepared_text_is_searched_once_and_at_once_when_it_is_needed() -> None:
    calls: list[list[str]] = []

    async def counted(words: list[str]) -> list[str]:
        calls.append(words)
        return await phonemes(words)

    nearest = NearestRequest(counted)
    await nearest.correct("Flick a coin.")
    calls.clear()
    nearest.prepare("Flick a coin now.")
    nearest.prepare("Flick a coin.")
    assert await nearest.correct("Flick a coin.") == await nearest.correct("Flick a coin.")
    assert len(calls) == 2
    nearest.prepare("Flick a coin.")
    await nearest.correct("At milk to my shopping list.")
    await nearest.close()
