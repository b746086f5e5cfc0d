"""The response slot, and the floor."""

from __future__ import annotations

import itertools

from voicechat.core.effects import Floor
from voicechat.core.turns import (
    SLOT_TIMEOUT_S,
    TRANSITIONS,
    Presence,
    RecentIds,
    ResponseSlot,
    SlotState,
    Trigger,
)


def test_every_state_expires_without_the_provider() -> None:
    assert set(SLOT_TIMEOUT_S) == set(SlotState) - {SlotState.IDLE}
    assert all(0 < seconds <= 15 for seconds in SLOT_TIMEOUT_S.values())
    for state in SLOT_TIMEOUT_S:
        assert TRANSITIONS[state][Trigger.EXPIRE] is SlotState.IDLE
        slot = ResponseSlot(state=state, response_id="r", seen_at=5.0)
        assert slot.due == 5.0 + SLOT_TIMEOUT_S[state]
        slot.expire()
        assert (slot.state, slot.due, slot.response_id) == (SlotState.IDLE, None, None)


def test_only_an_idle_slot_can_request() -> None:
    assert [s for s in SlotState if Trigger.REQUEST in TRANSITIONS[s]] == [SlotState.IDLE]


def test_a_response_is_requested_created_and_done() -> None:
    slot = ResponseSlot(request_due=True)
    assert slot.may_request
    slot.request()
    assert not slot.may_request
    assert not slot.created("r")
    assert slot.done("r")
    assert not slot.busy
    assert not slot.done("r"), "once"


def test_a_cancelled_request_is_dead_when_it_is_created() -> None:
    slot = ResponseSlot(request_due=True)
    slot.request()
    assert slot.cancel() is None
    assert slot.created("r")
    assert "r" in slot.dead


def test_a_response_that_ends_without_a_start_frees_the_slot() -> None:
    slot = ResponseSlot(request_due=True)
    slot.request()
    assert slot.done("r")
    assert not slot.busy


def test_a_cancelled_response_is_not_owed() -> None:
    slot = ResponseSlot(request_due=True)
    slot.request()
    assert slot.response_pending
    slot.cancel()
    assert not slot.response_pending
    slot.reset()
    assert not slot.busy


def test_an_ended_response_does_not_restart() -> None:
    slot = ResponseSlot()
    slot.created("r")
    slot.expire()
    slot.created("r")
    assert not slot.busy


def test_the_oldest_ids_are_dropped_first() -> None:
    recent = RecentIds(2)
    for key in ("a", "b", "b", "c"):
        recent.add(key)
    assert [key in recent for key in "abc"] == [False, True, True]


def test_floor_priority_is_user_then_playback_then_thinking() -> None:
    order = [
        ("talking", Floor.HEARING),
        ("user_speaking", Floor.HEARING),
        ("held", Floor.HEARING),
        ("sounding", Floor.SPEAKING),
        ("response_pending", Floor.THINKING),
        ("tools", Floor.WORKING),
        ("open_mic", Floor.LISTENING),
    ]
    assert Presence().floor() is Floor.IDLE
    for first, second in itertools.combinations(order, 2):
        here = Presence(**{first[0]: True, second[0]: True})
        assert here.floor() is first[1]
