"""Measure voicechat against its targets: `make bench`, `make bench ONLY="stop load"`.

Each word of ONLY selects the rows that have it in their topic or name.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "support"))

from figures import Table, say, show


def tables() -> list[Table]:
    """Return the tables of all benchmarks in this folder."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))
    return [importlib.import_module(name).TABLE for name in names]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="measure only rows with one of these words")
    parser.add_argument("--effort", type=float, default=1.0, help="2 makes twice the trials")
    parser.add_argument("--list", action="store_true", help="only list the rows")
    options = parser.parse_args()
    began = time.monotonic()

    def wanted(name: str) -> bool:
        return not options.words or any(word.lower() in name.lower() for word in options.words)

    good = True
    for table in tables():
        if options.list:
            say("\n".join([table.title, *(f"  {name}" for name in table.rows)]))
        else:
            good &= show(table, wanted, options.effort)
    if not options.list:
        verdict = "No target was missed" if good else "A target was missed"
        say(f"\n{verdict}; measured in {time.monotonic() - began:.0f} s.")


if __name__ == "__main__":
    main()
