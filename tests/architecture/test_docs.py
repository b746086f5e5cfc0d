"""The documents name the commands, keys, tools, exit codes and variables that the code has."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from asset_scripts import script

from voicechat import errors
from voicechat.tui import keys

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@cache
def commands_page() -> str:
    """Return the generated reference, which takes seconds to make."""
    page = script("make_reference").commands_page()
    assert isinstance(page, str)
    return page


def test_the_reference_of_commands_is_current() -> None:
    written = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert written == commands_page(), "run make pictures"


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


def links(page: Path) -> list[str]:
    """Return the files that a page links to."""
    return re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))


def options(page: Path) -> list[tuple[str, str]]:
    """Return the options in the voicechat commands of a page, each with its line."""
    return [
        (option, line)
        for line in re.findall(r"voicechat [^`\n#|]*", page.read_text(encoding="utf-8"))
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", line.partition(" -- ")[0])
    ]


def test_links_between_pages_exist() -> None:
    found = [(page, target) for page in PAGES for target in links(page)]
    assert len(found) > 10
    for page, target in found:
        assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_options_in_the_pages_exist() -> None:
    known = set(re.findall(r"--[a-z][a-z-]+", commands_page()))
    found = [(page, *each) for page in PAGES for each in options(page)]
    assert len(found) > 20
    for page, option, line in found:
        assert option in known | {"--help"}, f"{page.name}: {line}"
