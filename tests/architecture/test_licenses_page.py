"""The page of licenses lists what is installed, and nothing with a GPL license."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import asset_scripts
import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "assets" / "make_licenses.py"
PAGE = ROOT / "docs" / "licenses.md"


@pytest.fixture
def script() -> ModuleType:
    return asset_scripts.script("make_licenses")


def test_the_page_lists_every_installed_package(script: ModuleType) -> None:
    """Versions and platforms differ, so a page with more packages is current too."""
    listed = set(PAGE.read_text(encoding="utf-8").splitlines())
    needed = set(script.licenses_page().splitlines())
    assert needed <= listed, f"run python {SCRIPT.relative_to(ROOT)}"


def test_no_package_has_a_gpl_license() -> None:
    rows = [row for row in PAGE.read_text(encoding="utf-8").splitlines() if row.startswith("| ")]
    assert len(rows) > 40
    # Libraries under the LGPL may be used by a program under any license.
    assert not [row for row in rows if re.search(r"(?<!L)GPL", row) or "not named" in row]
