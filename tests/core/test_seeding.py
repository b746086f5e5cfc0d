"""What a new session is told of an old one that would not have all of it."""

from __future__ import annotations

from voicechat.core import events, inputs
from voicechat.core.commands import CreateMessage, CreateResponse, SeedCall, SeedResult
from voicechat.core.conversation import Conversation
from voicechat.core.effects import Effect, Notice, Send
from voicechat.core.items import ToolCall, ToolState
from voicechat.core.pictures import Kind, Picture
from voicechat.core.seeding import SHORTENED
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

    def feed(self, *happenings: events.Event | inputs.Input) -> list[Effect]:
        return [effect for each in happenings for effect in self.conversation.handle(each, 1.0)]

    def begin(self) -> tuple[list[str], int, list[str]]:
        """What a new session is told, what it is requested, and what the user is told."""
        effects = self.feed(events.SessionCreated("again"))
        commands = [effect.command for effect in effects if isinstance(effect, Send)]
        told = [each.text for each in commands if isinstance(each, CreateMessage)]
        asked = sum(isinstance(each, CreateResponse) for each in commands)
        return told, asked, [each.text for each in effects if isinstance(each, Notice)]


def test_a_session_that_would_not_have_all_is_told_the_newest_half() -> None:
    talk = Talk("one", "two", "three")
    talk.feed(REFUSED)
    assert talk.begin() == (["two!", "three", "three!"], 0, [SHORTENED])
    talk.feed(inputs.Disconnected("reset"))
    assert talk.begin() == (["two!", "three", "three!"], 0, [])
    talk.feed(REFUSED)
    assert talk.begin() == (["three!"], 0, [SHORTENED])


def test_a_turn_that_awaits_its_answer_is_among_what_is_told() -> None:
    talk = Talk("one")
    talk.feed(inputs.Typed("two"), REFUSED)
    assert talk.begin() == (["two"], 1, [SHORTENED])


def test_a_picture_is_not_shown_again_to_who_would_not_have_it() -> None:
    talk = Talk("one")
    talk.feed(inputs.Typed("look", PICTURE), REFUSED)
    [told], asked, _ = talk.begin()
    assert "cannot be shown again" in told
    assert asked == 1


def test_nothing_is_asked_for_what_is_told_no_more() -> None:
    talk = Talk()
    talk.feed(inputs.Typed("x" * 1_000_000), REFUSED)
    assert talk.begin() == ([], 0, [SHORTENED])
    effects = talk.feed(inputs.Typed("hello"))
    assert Send(CreateResponse()) in effects


def test_a_call_that_still_runs_is_told_and_answered() -> None:
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
