"""Static rules: layers, lazy imports, file sizes, names."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "voicechat").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
HEAVY = {
    "numpy",
    "textual",
    "mcp",
    "websockets",
    "rich",
    "msgspec",
    "sounddevice",
    "hassil",
    "pint",
    "pydantic",
}
VAGUE = {"manager", "handler", "processor", "helper", "helpers", "util", "utils", "info"}


def loaded_by(code: str) -> set[str]:
    """Return the top-level packages loaded by the code in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys, json\nprint(json.dumps(list(sys.modules)))"],
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    names = json.loads(done.stdout.splitlines()[-1])
    return {name.split(".")[0] for name in names} | {n for n in names if n.startswith("voicechat.")}


def test_the_import_contracts_hold() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_session_starts_before_the_screen_is_imported() -> None:
    assert not loaded_by("import voicechat.tui.screen_start") & {"textual", "rich", "markdown_it"}


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["serve", "--help"]])
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    code = f"from voicechat.cli.app import main\nassert main({words}) == 0"
    assert not loaded_by(code) & HEAVY


def test_core_loads_only_itself() -> None:
    loaded = loaded_by("import voicechat.core.conversation")
    assert not loaded & (HEAVY | {"asyncio", "logging"})
    rooms = {name for name in loaded if name.startswith("voicechat.")}
    assert {name.split(".")[1] for name in rooms} == {"core"}


def test_the_line_mode_loads_no_screen() -> None:
    assert not loaded_by("import voicechat.line_mode.app") & {"textual", "rich", "sounddevice"}


def test_the_audio_process_loads_no_screen_and_no_socket() -> None:
    loaded = loaded_by("import voicechat.audio.engine, voicechat.audio.process")
    assert not loaded & {"textual", "websockets", "typer", "asyncio", "ssl", "email", "zipfile"}


@pytest.mark.parametrize("path", SOURCES + TESTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_follows_the_rules(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    assert len(lines) <= (700 if path in TESTS else 500)
    tree = ast.parse(text)
    assert ast.get_docstring(tree) or path in TESTS, "says at its top what it is"
    for word in ("TO" + "DO", "FIX" + "ME", "raise NotImplemented" + "Error"):
        assert not re.search(rf"\b{word}\b", text)
    assert not list(silenced(tree)), "a silenced exception"


def silenced(tree: ast.AST) -> list[int]:
    """Return the lines of `except Exception: pass` and similar handlers."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"})
        and all(isinstance(line, ast.Pass) for line in node.body)
    ]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_names_are_not_vague(path: Path) -> None:
    assert path.stem not in VAGUE
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            parts = {part.lower() for part in re.findall(r"[A-Z]?[a-z]+", node.name)}
            assert not parts & VAGUE, f"line {node.lineno}: {node.name}"


def test_basenames_of_tests_differ() -> None:
    names = [path.name for path in TESTS if path.name.startswith("test_")]
    assert len(names) == len(set(names))
