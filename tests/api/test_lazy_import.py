"""`import voicechat` loads nothing, and every exported name can be loaded."""

from __future__ import annotations

import ast
import importlib.resources
import json
import pickle
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import voicechat

HEAVY = {"numpy", "textual", "websockets", "httpx", "pydantic", "typer", "rich", "msgspec"}


def loaded_by(statement: str) -> set[str]:
    """The modules that a fresh Python has loaded after the statement."""
    program = f"import sys, json; {statement}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30
    )
    return set(json.loads(done.stdout))


def test_import_loads_the_package_and_nothing_else() -> None:
    more = loaded_by("import voicechat") - loaded_by("import __future__, typing")
    assert more == {"voicechat"}
    assert not more & HEAVY


def test_errors_load_without_the_session() -> None:
    loaded = loaded_by("import voicechat; voicechat.UsageError; voicechat.Usage")
    assert not loaded & HEAVY
    assert "voicechat.session" not in loaded


@pytest.mark.parametrize("name", voicechat.__all__)
def test_exported_name_loads(name: str) -> None:
    assert getattr(voicechat, name) is not None
    assert name in dir(voicechat)


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(voicechat.__file__).read_text(encoding="utf-8"))
    checked = next(
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    names = {
        each.asname or each.name
        for node in checked.body
        if isinstance(node, ast.ImportFrom)
        for each in node.names
    }
    assert names == set(voicechat.__all__)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        voicechat.no_such_name  # noqa: B018


def test_package_is_typed() -> None:
    assert importlib.resources.files(voicechat).joinpath("py.typed").is_file()


def test_version_is_that_of_the_project() -> None:
    project = Path(__file__).parents[2] / "pyproject.toml"
    version = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"]
    assert voicechat.__version__ == version


def test_events_go_by_their_public_names() -> None:
    event = voicechat.TurnEnded(12.0)
    assert repr(event) == "TurnEnded(latency_ms=12.0)"
    assert pickle.loads(pickle.dumps(event)) == event
