"""Thousands of random histories of tool calls: none runs twice, unapproved, or stays unanswered."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicechat.core import commands, effects, events, inputs
from voicechat.core.conversation import Conversation
from voicechat.core.items import ToolCall
from voicechat.core.settings import Permission, SessionSettings, ToolSpec

SCHEDULES = max(3_000, 2 * settings().max_examples)
LENGTH = 30

TOOLS = (
    ToolSpec("look", "Look.", {}),
    ToolSpec("write", "Write.", {}, Permission.ASK),
    ToolSpec("burn", "Burn.", {}, Permission.ASK, asks_always=True),
    ToolSpec("hidden", "Hide.", {}, Permission.NEVER),
)
ASKING = {"write", "burn"}
NAMES = ["look", "look", "write", "write", "burn", "hidden", "no_such_tool"]
ARGUMENTS = ['{"a": 1}', '{"a": 2}']
ALLOWING = (inputs.Decision.ONCE, inputs.Decision.SESSION, inputs.Decision.ALWAYS)


class World:
    """A provider, a user and a session that act at random, and checks of every effect."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.now = 0.0
        self.conversation = Conversation(
            SessionSettings(tools=TOOLS), hands_free=False, speaker=False
        )
        self.responses = self.changes = self.connections = 0
        self.places: dict[str, tuple[int, str]] = {}
        """Connection and response of every call, by its id."""
        self.response: str | None = None
        self.afresh = False
        self.made: dict[str, tuple[str, str]] = {}
        """Name and arguments of every call, by its id, as they came first."""
        self.running: set[str] = set()
        self.ran: set[str] = set()
        self.allowed: set[tuple[str, str]] = set()
        self.lasting: set[str] = set()
        self.dropped: set[str] = set()
        self.told: set[str] = set()
        self.mine: set[str] = set()
        """Calls that the other end of this connection made."""
        self.repeated_calls: set[str] = set()
        """Calls that it was told of."""
        self.results: Counter[tuple[type, str]] = Counter()
        self.take(events.SessionCreated("s"))

    # --------------------------------------------------------------- what can happen

    def step(self) -> None:
        self.now += self.chance.random()
        self.chance.choice(STEPS)(self)

    def call(self) -> None:
        self.ready(f"c{len(self.made)}", self.chance.choice(NAMES), self.chance.choice(ARGUMENTS))

    def duplicate(self) -> None:
        # On one connection, another response makes another call, even with the same id.
        made = [
            call_id
            for call_id, place in self.places.items()
            if place[0] != self.connections or place[1] == self.response
        ]
        if made:
            call_id = self.chance.choice(made)
            name, arguments = self.made[call_id]
            if self.chance.random() < 0.3:
                arguments = '{"a": "another"}'
            self.ready(call_id, name, arguments)

    def ready(self, call_id: str, name: str, arguments: str) -> None:
        if not self.conversation.online:
            return
        if self.response is None:
            self.responses += 1
            self.response = f"r{self.responses}"
            self.take(events.ResponseCreated(self.response))
        self.made.setdefault(call_id, (name, arguments))
        self.mine.add(call_id)
        self.places[call_id] = (self.connections, self.response)
        self.take(events.ToolCallReady(self.response, f"i{call_id}", call_id, name, arguments))

    def done(self) -> None:
        if self.response is not None:
            self.take(events.ResponseDone(self.response))
            self.response = None

    def drop(self) -> None:
        self.response = None
        self.take(inputs.Disconnected("lost"))

    def connect(self) -> None:
        if not self.conversation.online:
            resumed = not self.afresh and self.chance.random() < 0.5
            self.afresh = False
            self.results.clear()
            self.connections += 1
            self.mine = set(self.made) if resumed else set()
            self.repeated_calls = set()
            self.take(events.SessionCreated("s", resumed=resumed))

    def cancel(self) -> None:
        if self.made and self.conversation.online:
            call_id = self.chance.choice(list(self.made))
            if call_id not in self.told:
                self.dropped.add(call_id)
            self.take(events.ToolCallsCancelled((call_id,)))

    def interrupt(self) -> None:
        self.take(inputs.Interrupt())

    def typed(self) -> None:
        self.take(inputs.Typed("hello"))

    def decide(self) -> None:
        if not self.made:
            return
        asking = [call.call_id for call in self.conversation.asking]
        call_id = self.chance.choice(asking or list(self.made))
        name, arguments = self.made[call_id]
        decision = self.chance.choice(list(inputs.Decision))
        if self.chance.random() < 0.2:
            arguments = '{"a": "stale"}'
        elif call_id in asking and decision in ALLOWING:
            self.allowed.add((call_id, arguments))
            if decision is not inputs.Decision.ONCE and name != "burn":
                self.lasting.add(name)
        self.take(inputs.Decided(call_id, arguments, decision))

    def finish(self) -> None:
        if self.running:
            call_id = self.chance.choice(sorted(self.running))
            self.running.discard(call_id)
            self.take(inputs.ToolFinished(call_id, "x", self.chance.random() < 0.3))

    def change(self) -> None:
        self.changes += 1
        self.lasting.discard("write")
        write = ToolSpec("write", f"Write {self.changes}.", {}, Permission.ASK)
        self.take(inputs.OfferTools((TOOLS[0], write, TOOLS[2])))

    def wait(self) -> None:
        deadline = self.conversation.deadline
        if deadline is not None:
            self.now = max(self.now, deadline)
            self.take(inputs.Tick())

    # --------------------------------------------------------------- the observer

    def take(self, event: events.Event | inputs.Input) -> None:
        for effect in self.conversation.handle(event, self.now):
            self.observe(effect)

    def observe(self, effect: effects.Effect) -> None:
        match effect:
            case effects.RunTool(call_id, name, arguments):
                assert call_id not in self.ran, "a call runs twice"
                assert (name, arguments) == self.made[call_id], "another call runs"
                asked = (call_id, arguments) in self.allowed or name in self.lasting
                assert asked or name not in ASKING, "a call runs unasked"
                assert name in {"look", *ASKING}, "a forbidden call runs"
                self.ran.add(call_id)
                self.running.add(call_id)
            case effects.StartNewSession():
                self.afresh = True
            case effects.CancelTools(call_ids):
                assert set(call_ids) <= self.ran
                self.running -= set(call_ids)
            case effects.Send(
                commands.ToolResult(call_id) | commands.SeedResult(call_id) as result
            ):
                # A seeded call may be repeated; then it is answered, too.
                key = (type(result), call_id)
                assert self.conversation.online
                self.results[key] += 1
                assert self.results[key] == 1, "a connection receives a result twice"
                known = (
                    self.mine if isinstance(result, commands.ToolResult) else self.repeated_calls
                )
                assert call_id in known, "a result of a call that the session does not know"
                self.told.add(call_id)
            case effects.Send(commands.SeedCall(call_id)):
                self.repeated_calls.add(call_id)
            case effects.Send():
                assert self.conversation.online

    def end(self) -> None:
        """Let everything end, and check that every call has an answer."""
        self.connect()
        self.done()
        for call in self.conversation.asking:
            self.take(inputs.Decided(call.call_id, call.arguments, inputs.Decision.DENY))
        while self.running:
            self.finish()
        entries = self.conversation.transcript.entries
        calls = [entry for entry in entries if isinstance(entry, ToolCall)]
        assert {call.call_id for call in calls} == set(self.made)
        assert all(call.state.final for call in calls)
        assert set(self.made) - self.dropped <= self.told, "a call was never answered"
        assert not self.conversation.asking


STEPS: list[Callable[[World], None]] = [
    World.call, World.call, World.call, World.duplicate, World.done, World.drop, World.connect,
    World.connect, World.cancel, World.interrupt, World.typed, World.decide, World.decide,
    World.finish, World.finish, World.change, World.wait,
]  # fmt: skip


def live(chance: random.Random, steps: int) -> World:
    world = World(chance)
    for _ in range(steps):
        world.step()
    world.end()
    return world


@pytest.mark.no_cover
def test_thousands_of_schedules() -> None:
    ran = lost = 0
    for seed in range(SCHEDULES):
        try:
            world = live(random.Random(seed), LENGTH)
        except AssertionError as error:
            raise AssertionError(f"schedule {seed}: {error}") from error
        ran += len(world.ran)
        lost += len(world.dropped)
    assert ran > SCHEDULES, "too few calls ran"
    assert lost > 0


@given(st.randoms(use_true_random=False), st.integers(1, 12))
def test_short_schedules_that_shrink(chance: random.Random, steps: int) -> None:
    live(chance, steps)
