"""Settings that a provider refuses: the bad part is dropped, everything else is used."""

from __future__ import annotations

from itertools import combinations

import pytest

from voicechat.core import commands, effects, events, inputs
from voicechat.core.conversation import Conversation
from voicechat.core.settings import McpServer, ServerVad, SessionSettings, ToolSpec
from voicechat.core.settings_updates import REPLY_TIMEOUT_S, parts_of

TOOLS = tuple(ToolSpec(f"tool_{number}", "", {}) for number in range(7))
SETTINGS = SessionSettings(
    instructions="Be brief.", voice="marin", speed=1.1, reasoning_effort="low", tools=TOOLS,
    mcp_servers=(McpServer("docs", "https://example.com"),),
)  # fmt: skip
NAMED = tuple(parts_of(SETTINGS))


class Provider:
    """Refuses every update that contains one of the bad parts, as OpenAI does."""

    def __init__(self, bad: set[str], *, names: bool = False, confirms: bool = True) -> None:
        self.bad, self.names, self.confirms = bad, names, confirms
        self.conversation = Conversation(SETTINGS)
        self.accepted: SessionSettings | None = None
        self.updates = 0
        self.now = 0.0
        self.notices: list[str] = []
        self.sent: list[commands.Command] = []
        self._late: list[commands.UpdateSession] = []
        self.answers = True

    def handle(self, event: events.Event | inputs.Input) -> None:
        open_events = [event]
        while open_events:
            for effect in self.conversation.handle(open_events.pop(0), self.now):
                match effect:
                    case effects.Send(commands.UpdateSession() as update):
                        self._late.append(update)
                    case effects.Send(command):
                        self.sent.append(command)
                    case effects.Notice(text):
                        self.notices.append(text)
            while self.answers and self._late:
                open_events += self.reply(self._late.pop(0))

    def reply(self, update: commands.UpdateSession) -> list[events.Event]:
        self.updates += 1
        wrong = [part for part in parts_of(update.settings) if part in self.bad]
        if wrong:
            part = wrong[0] if self.names else None
            name = commands.CommandName.UPDATE_SESSION
            return [events.ProviderError("It is wrong.", command=name, part=part)]
        self.accepted = update.settings
        return [events.SessionUpdated()] if self.confirms else []

    def use(self, line: str) -> int:
        """Return how many responses are requested for a typed line."""
        before = sum(isinstance(command, commands.CreateResponse) for command in self.sent)
        self.handle(inputs.Typed(line))
        after = sum(isinstance(command, commands.CreateResponse) for command in self.sent)
        return after - before


def remaining(provider: Provider) -> set[str]:
    assert provider.accepted is not None
    return set(parts_of(provider.accepted))


@pytest.mark.parametrize("part", NAMED)
@pytest.mark.parametrize("names", [True, False])
def test_one_refused_part_costs_nothing_else(part: str, names: bool) -> None:
    provider = Provider({part}, names=names)
    provider.handle(events.SessionCreated())
    assert remaining(provider) == set(NAMED) - {part}
    assert provider.updates <= (2 if names else 10)
    (notice,) = provider.notices
    assert part.partition(".")[2] in notice or part in notice
    assert provider.use("hello") == 1


@pytest.mark.parametrize("names", [True, False])
def test_any_two_refused_parts_are_found(names: bool) -> None:
    for pair in combinations(NAMED, 2):
        provider = Provider(set(pair), names=names)
        provider.handle(events.SessionCreated())
        assert remaining(provider) == set(NAMED) - set(pair)
        assert provider.use("hello") == 1


def test_the_only_notice_names_everything_that_is_missing() -> None:
    provider = Provider({"tools.tool_2", "tools.tool_5"})
    provider.handle(events.SessionCreated())
    assert provider.notices == [
        "The provider refused the tool tool_2 and the tool tool_5: It is wrong."
    ]


def test_a_refused_part_is_left_out_of_later_updates_and_connections() -> None:
    provider = Provider({"voice"}, names=True)
    provider.handle(events.SessionCreated())
    provider.handle(inputs.HandsFree(False))
    provider.handle(inputs.Disconnected("lost"))
    provider.handle(events.SessionCreated())
    assert provider.updates == 4
    assert len(provider.notices) == 1
    assert remaining(provider) == set(NAMED) - {"voice", "turn_detection"}


def test_another_value_of_a_refused_setting_is_tried() -> None:
    provider = Provider({"voice"}, names=True)
    provider.handle(events.SessionCreated())
    provider.bad.clear()
    provider.handle(inputs.Configure(SessionSettings(voice="cedar")))
    assert provider.accepted is not None
    assert provider.accepted.voice == "cedar"


def test_a_refused_turn_detection_leaves_the_plain_one() -> None:
    provider = Provider({"turn_detection"}, names=True)
    provider.handle(events.SessionCreated())
    assert provider.accepted is not None
    assert provider.accepted.turn_detection == ServerVad()


def test_no_answer_is_given_with_half_of_the_settings() -> None:
    provider = Provider({"tools.tool_3"})
    provider.answers = False
    provider.handle(events.SessionCreated())
    assert provider.use("hello") == 1, "it is sent at once while nothing is known"
    provider.answers = True
    name = commands.CommandName.UPDATE_SESSION
    provider._late.clear()
    provider.handle(events.ProviderError("It is wrong.", command=name))
    provider.handle(events.ResponseCreated("early"))
    cancelled = [each for each in provider.sent if isinstance(each, commands.CancelResponse)]
    assert [each.response_id for each in cancelled] == ["early"]
    provider.handle(events.ResponseDone("early", events.ResponseStatus.CANCELLED))
    created = [each for each in provider.sent if isinstance(each, commands.CreateResponse)]
    assert len(created) == 2, "the same question again"
    assert remaining(provider) == set(NAMED) - {"tools.tool_3"}


def test_a_server_that_confirms_nothing_does_not_hold_up_the_answer() -> None:
    provider = Provider({"voice"}, names=True, confirms=False)
    provider.handle(events.SessionCreated())
    assert provider.use("hello") == 0
    assert provider.conversation.deadline == REPLY_TIMEOUT_S
    provider.now = REPLY_TIMEOUT_S
    provider.handle(inputs.Tick())
    assert any(isinstance(each, commands.CreateResponse) for each in provider.sent)


def test_a_provider_that_refuses_everything_is_given_up() -> None:
    provider = Provider(set(), names=False)

    def refuse(update: commands.UpdateSession) -> list[events.Event]:
        return [events.ProviderError("No.", command=commands.CommandName.UPDATE_SESSION)]

    provider.reply = refuse  # type: ignore[method-assign]
    provider.handle(events.SessionCreated())
    assert provider.notices[-1] == "The server refused settings: No."
    assert provider.use("hello") == 1


def test_an_update_that_took_effect_in_part_is_not_corrected() -> None:
    provider = Provider(set())
    provider.handle(events.SessionCreated())
    name = commands.CommandName.UPDATE_SESSION
    provider.handle(events.ProviderError("No padding.", command=name, partial=True))
    assert provider.notices == ["The server refused settings: No padding."]
    assert provider.updates == 1


def test_two_refused_updates_are_corrected_once() -> None:
    provider = Provider({"voice"}, names=True)
    provider.answers = False
    provider.handle(events.SessionCreated())
    provider.handle(inputs.OfferTools((ToolSpec("late", "", {}),)))
    provider.answers = True
    provider.handle(inputs.Tick())
    assert provider.updates == 3
    assert len(provider.notices) == 1
    assert "tools.late" in remaining(provider)
