"""The documents name the commands, keys, tools, exit codes and variables that the code has."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from voicechat import errors
from voicechat.tui import keys

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def script(name: str) -> ModuleType:
    """Load a script of `assets/` as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "assets" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_of_commands_is_current() -> None:
    written = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert written == script("make_reference").commands_page(), "run make pictures"


def test_the_readme_has_every_key() -> None:
    assert keys.markdown() in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_exit_code_is_documented() -> None:
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    kinds = [
        each
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, errors.VoicechatError)
    ]
    assert len(kinds) > 5
    for kind in kinds:
        assert f"| {kind.exit_code} |" in page, kind.__name__


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_between_pages_exist(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_options_in_the_pages_exist(page: Path) -> None:
    known = set(re.findall(r"--[a-z][a-z-]+", script("make_reference").commands_page()))
    # Options of other programs that the pages show.
    known |= {"--help"}
    for line in re.findall(r"voicechat [^`\n#|]*", page.read_text(encoding="utf-8")):
        ours = line.partition(" -- ")[0]
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", ours):
            assert option in known, line
