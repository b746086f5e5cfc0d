"""The table of faults names tests that exist, for every row."""

from __future__ import annotations

import ast
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = tomllib.loads((ROOT / "tests" / "faults.toml").read_text("utf-8"))
COUNTS = {
    "N": 12,
    "P": 11,
    "A": 10,
    "T": 9,
    "X": 13,
    "S": 5,
    "C": 5,
    "L": 17,
    "K": 2,
    "R": 3,
    "Z": 5,
}
MOST_WITHOUT_A_TEST = 1


@cache
def names(path: str) -> frozenset[str]:
    """Return the tests at the top level of a file: functions, and names such as `TestX = ...`."""
    found = set()
    for node in ast.parse((ROOT / path).read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return frozenset(found)


def test_the_table_has_every_row_once() -> None:
    assert list(ROWS) == [
        f"{kind}{n}" for kind, count in COUNTS.items() for n in range(1, count + 1)
    ]
    without = [row for row, entry in ROWS.items() if "tests" not in entry]
    assert len(without) <= MOST_WITHOUT_A_TEST, without


@pytest.mark.parametrize("row", ROWS)
def test_a_row_names_tests_that_exist(row: str) -> None:
    entry = ROWS[row]
    assert entry["fault"]
    assert entry["expected"]
    assert bool(entry.get("tests")) is not bool(entry.get("reason"))
    for test in entry.get("tests", ()):
        path, _, name = test.partition("::")
        assert name.lower().startswith("test")
        assert name in names(path), f"{test} does not exist"
