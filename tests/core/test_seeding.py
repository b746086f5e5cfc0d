"""Seeding of a session that refused a part of the conversation."""

from __future__ import annotations

from voicechat.core import events, inputs
from voicechat.core.commands import CreateMessage, CreateResponse, SeedCall, SeedResult
from voicechat.core.conversation import Conversation
from voicechat.core.effects import Effect, Notice, Send
from voicechat.core.items import ToolCall, ToolState
from voicechat.core.pictures import Kind, Picture
from voicechat.core.seeding import LONG, MOST_SEEDED, SHORTENED
from voicechat.core.settings import SessionSettings, ToolSpec

LOOK = ToolSpec("look", "Look.", {})
REFUSED = inputs.Disconnected("no", unacceptable=True)
PICTURE = Picture(Kind.PNG, 1, 1, "p.png", b"png")


class Talk:
    """A conversation of typed turns."""

    def __init__(self, *turns: str) -> None:
        self.conversation = Conversation(
            SessionSettings(tools=(LOOK,)), hands_free=False, speaker=False
        )
        self.feed(events.SessionCreated("s"))
        for number, words in enumerate(turns):
            response, item = f"r{number}", f"a{number}"
            self.feed(inputs.Typed(words), events.ResponseCreated(response))
            self.feed(events.TextDone(response, item, f"{words}!", spoken=False))
            self.feed(events.ResponseDone(response))

    def feed(self, *received: events.Event | inputs.Input) -> list[Effect]:
        return [effect for each in received for effect in self.conversation.handle(each, 1.0)]

    def begin(self) -> tuple[list[str], int, list[str]]:
        """Start a session; return its seeded texts, the number of requests, and the notices."""
        effects = self.feed(events.SessionCreated("again"))
        commands = [effect.command for effect in effects if isinstance(effect, Send)]
        told = [each.text for each in commands if isinstance(each, CreateMessage)]
        asked = sum(isinstance(each, CreateResponse) for each in commands)
        return told, asked, [each.text for each in effects if isinstance(each, Notice)]


def test_a_session_that_refused_its_items_is_seeded_with_the_newest_half() -> None:
    talk = Talk("one", "two", "three")
    talk.feed(REFUSED)
    assert talk.begin() == (["two!", "three", "three!"], 0, [SHORTENED])
    talk.feed(inputs.Disconnected("reset"))
    assert talk.begin() == (["two!", "three", "three!"], 0, [])
    talk.feed(REFUSED)
    assert talk.begin() == (["three!"], 0, [SHORTENED])


def test_only_the_end_of_a_long_conversation_is_seeded() -> None:
    talk = Talk(*map(str, range(MOST_SEEDED)))
    talk.feed(inputs.Disconnected("reset"))
    told, asked, notices = talk.begin()
    assert (len(told), told[0], told[-1]) == (MOST_SEEDED, "500", "999!")
    assert (asked, notices) == (0, [LONG])
    talk.feed(inputs.Disconnected("reset"))
    assert talk.begin() == (told, 0, [])


def test_a_long_conversation_that_is_refused_gets_shorter() -> None:
    talk = Talk(*map(str, range(MOST_SEEDED)))
    talk.feed(inputs.Disconnected("reset"))
    counts = [len(talk.begin()[0])]
    while counts[-1] > 10:
        talk.feed(REFUSED)
        counts.append(len(talk.begin()[0]))
    assert counts == [1_000, 500, 250, 125, 62, 31, 15, 7]


def test_an_old_call_that_is_open_is_seeded_with_the_end_of_a_long_conversation() -> None:
    talk = Talk()
    talk.feed(inputs.Typed("look"), events.ResponseCreated("r"))
    talk.feed(events.ToolCallReady("r", "i", "c", "look", "{}"), events.ResponseDone("r"))
    for number in range(MOST_SEEDED + 1):
        talk.feed(events.ItemAdded(f"i{number}", events.ItemKind.MESSAGE, "user", "x", done=True))
    talk.feed(inputs.Disconnected("reset"))
    effects = talk.feed(events.SessionCreated("again"))
    sent = [each.command for each in effects if isinstance(each, Send)]
    assert SeedCall("c", "look", "{}") in sent
    talk.feed(REFUSED, inputs.ToolFinished("c", "seen"))
    effects = talk.feed(events.SessionCreated("shorter"))
    sent = [each.command for each in effects if isinstance(each, Send)]
    assert SeedResult("c", "seen") in sent
    assert len(sent) < MOST_SEEDED


def test_an_unanswered_turn_is_seeded() -> None:
    talk = Talk("one")
    talk.feed(inputs.Typed("two"), REFUSED)
    assert talk.begin() == (["two"], 1, [SHORTENED])


def test_a_refused_picture_is_not_seeded_again() -> None:
    talk = Talk("one")
    talk.feed(inputs.Typed("look", PICTURE), REFUSED)
    [told], asked, _ = talk.begin()
    assert "cannot be shown again" in told
    assert asked == 1


def test_no_response_is_requested_for_a_turn_that_is_not_seeded() -> None:
    talk = Talk()
    talk.feed(inputs.Typed("x" * 1_000_000), REFUSED)
    assert talk.begin() == ([], 0, [SHORTENED])
    effects = talk.feed(inputs.Typed("hello"))
    assert Send(CreateResponse()) in effects


def test_a_running_call_is_seeded_and_answered() -> None:
    talk = Talk("one")
    talk.feed(inputs.Typed("look"), events.ResponseCreated("r"))
    talk.feed(events.ToolCallReady("r", "i", "c", "look", "{}"), events.ResponseDone("r"))
    talk.feed(inputs.Typed("and then?"), events.ResponseCreated("q"), events.ResponseDone("q"))
    call = talk.conversation.transcript.get("c")
    assert isinstance(call, ToolCall)
    assert call.state is ToolState.RUNNING
    talk.feed(REFUSED, inputs.ToolFinished("c", "seen"))
    effects = talk.feed(events.SessionCreated("again"))
    assert Send(SeedCall("c", "look", "{}")) in effects
    assert Send(SeedResult("c", "seen")) in effects
