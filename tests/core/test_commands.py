"""Names of commands: one per class, and recognized in the errors of a provider."""

import json
from typing import get_args

import pytest

from voicechat.core import commands
from voicechat.core.commands import COMMAND_NAMES, CommandName, named_in
from voicechat.providers.catalog import codec_of


def test_every_command_has_one_name():
    assert COMMAND_NAMES.keys() == set(get_args(commands.Command))
    assert sorted(COMMAND_NAMES.values()) == sorted(CommandName)


@pytest.mark.parametrize("name", CommandName)
def test_an_event_id_names_its_command(name):
    assert named_in(f"{name}-12") is name


@pytest.mark.parametrize("other", ["", "evt_1-2", "Nothing-1", "-1"])
def test_other_event_ids_name_no_command(other):
    assert named_in(other) is None


def test_a_renamed_class_keeps_its_name_on_the_wire():
    command = commands.CancelResponse()
    type(command).__name__ = "StopResponse"
    try:
        (frame,) = codec_of("openai/m", environ={}).encode(command)
    finally:
        type(command).__name__ = "CancelResponse"
    assert named_in(json.loads(frame)["event_id"]) is CommandName.CANCEL_RESPONSE
