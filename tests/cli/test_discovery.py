"""Discovery of commands: a module adds a command, and the list of commands is ordered."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from voicechat import cli
from voicechat.cli import app
from voicechat.cli.tools import tools_as_text
from voicechat.config.options import FILE_SETTINGS, SETTINGS, Options, typed
from voicechat.core.settings import Permission, ToolSpec

NEW = '''"""A command."""
from voicechat.cli.command import CommandEntry

def water() -> int:
    """Water the plants."""
    print("watered")
    return 0

COMMAND = CommandEntry(18, "water", "Water the plants.", water)
'''


def test_a_module_adds_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "water.py").write_text(NEW, encoding="utf-8")
    monkeypatch.setattr(cli, "__path__", [*cli.__path__, str(tmp_path)])
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, "voicechat.cli.water", raising=False)
    assert app.main(["water"]) == 0
    assert capsys.readouterr().out == "watered\n"
    assert app.main(["--help"]) == 0
    listed = capsys.readouterr().out.partition("Commands:\n")[2]
    names = [line.split()[0] for line in listed.splitlines() if line.strip()]
    assert names.index("water") + 1 == names.index("devices")


def test_ranks_and_names_of_commands_are_unique() -> None:
    found = app.commands()
    assert len({each.rank for each in found}) == len(found) == len({each.name for each in found})


def test_help_loads_no_heavy_package() -> None:
    heavy = (
        "{'numpy', 'textual', 'mcp', 'websockets', 'rich', 'msgspec', 'sounddevice', 'pint',"
        " 'asyncio', 'httpx'}"
    )
    code = (
        "import sys; from voicechat.cli.app import main; main(['--help']);"
        f"sys.exit(str({heavy} & set(sys.modules)) if {heavy} & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", [["transcribe", "no-such.wav"], ["history", "list"]])
def test_a_command_without_typed_numbers_loads_no_pydantic(
    words: list[str], tmp_path: Path
) -> None:
    code = (
        f"import sys; from voicechat.cli.app import main; main({words!r});"
        "sys.exit('pydantic' in sys.modules)"
    )
    places = {f"XDG_{name}_HOME": str(tmp_path) for name in ("STATE", "CONFIG", "DATA")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | places, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_command_loads_no_other_command_and_no_codec() -> None:
    code = (
        "import sys; from voicechat.cli.app import main; main(['models', 'list']);"
        "found = [name for name in sys.modules if name.endswith(('_codec', 'cli.serve'))];"
        "sys.exit(str(found) if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_schema_has_a_help_for_every_setting() -> None:
    for setting in SETTINGS.values():
        assert setting.help.endswith(".")
        assert setting.flag.startswith("--")
    assert FILE_SETTINGS["voice"].variable == "VOICECHAT_VOICE"
    assert SETTINGS["record"].variable == ""


def test_typed_switches_are_the_opposite_of_their_defaults() -> None:
    parameters = {
        "with_sound": True,
        "echo_cancel": False,
        "earcons": True,
        "voice": "x",
        "live": True,
    }
    assert typed(parameters) == {"with_sound": False, "earcons": True, "voice": "x"}


def test_the_list_of_tools_uses_the_permission_words_of_the_settings(
    capsys: pytest.CaptureFixture[str],
) -> None:
    specs = [
        ToolSpec(name=str(each), description="", parameters={}, permission=each, source="here")
        for each in Permission
    ]
    lines = tools_as_text(Options(), specs).splitlines()[1:]
    assert [line.split()[0] for line in lines] == list(Permission)
    unlisted = tools_as_text(Options(tools=("ask",)), specs).splitlines()[1:]
    assert [line.split()[0] for line in unlisted] == ["unlisted", "ask", "never"]
    assert app.main(["tools", "--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"{each} " in text for each in Permission)
    assert "off is" not in text
