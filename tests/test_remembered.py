"""Devices are remembered, and forgotten when told to."""

from __future__ import annotations

from pathlib import Path

from voicechat.config import Options
from voicechat.remembered import with_devices


def choose(folder: Path, **typed: str) -> tuple[str | None, str | None]:
    options = with_devices(Options(**typed), typed, folder)
    return options.input_device, options.output_device


def test_what_was_typed_once_is_used_again(tmp_path: Path) -> None:
    assert choose(tmp_path, input_device="USB") == ("USB", None)
    assert choose(tmp_path) == ("USB", None)
    assert choose(tmp_path, output_device="Head") == ("USB", "Head")
    assert choose(tmp_path, input_device="default") == (None, "Head")
    assert choose(tmp_path) == (None, "Head")


def test_settings_win_over_memory(tmp_path: Path) -> None:
    choose(tmp_path, input_device="USB")
    assert with_devices(Options(input_device="Desk"), {}, tmp_path).input_device == "Desk"


def test_a_broken_or_unwritable_memory_is_no_memory(tmp_path: Path) -> None:
    (tmp_path / "devices.json").write_text("{{", encoding="utf-8")
    assert choose(tmp_path) == (None, None)
    assert choose(tmp_path / "devices.json", input_device="USB") == ("USB", None)


def test_typed_chat_remembers_nothing(tmp_path: Path) -> None:
    options = with_devices(Options(with_sound=False), {"input_device": "USB"}, tmp_path)
    assert options.input_device is None
    assert not (tmp_path / "devices.json").exists()
