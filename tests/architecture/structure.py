"""The structure of the package as numbers: print it with `python tests/architecture/structure.py`.

A room is a package or module directly below `voicechat`. An arrow is a pair of rooms of which
one imports the other, however often and wherever in a file.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "voicechat"
MOST_ARROWS = 136
MOST_LINES = 500
MAY_REPEAT = {"__init__", "__main__", "app"}
LOOSE = {"__init__.py", "__main__.py", "errors.py", "py.typed"}
"""The only files allowed in `voicechat` itself."""


def modules() -> dict[str, Path]:
    """Return the path of every module by its dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def room_of(module: str) -> str:
    """Return the room of a module; the package itself is a room, too."""
    return module.split(".")[1] if "." in module else module


def imports(tree: ast.AST, known: Mapping[str, Path]) -> Iterator[str]:
    """Return the modules of the package that a module imports, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            for name in node.names:
                inner = f"{node.module}.{name.name}"
                yield inner if inner in known else node.module


def arrows() -> dict[str, set[str]]:
    """Return the rooms that each room imports."""
    known = modules()
    found: dict[str, set[str]] = defaultdict(set)
    for module, path in known.items():
        room = room_of(module)
        if room == "voicechat":
            continue  # It offers names of other rooms and loads each when it is first used.
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found[room] |= {room_of(other) for other in imports(tree, known)} - {room, "voicechat"}
    return found


def cycle() -> list[str]:
    """Return rooms that form an import cycle; empty if there is none."""
    try:
        tuple(TopologicalSorter(arrows()).static_order())
    except CycleError as error:
        return list(error.args[1])
    return []


def repeated_modules() -> dict[str, list[str]]:
    """Return module names that occur more than once."""
    return _repeated((path.stem, _short(path)) for path in modules().values())


def repeated_classes() -> dict[str, list[str]]:
    """Return names of public classes that are defined more than once."""
    return _repeated(
        (node.name, _short(path))
        for path in modules().values()
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )


def loose() -> list[str]:
    """Return files in the package itself that belong in a room."""
    return [p.name for p in sorted(PACKAGE.iterdir()) if p.is_file() and p.name not in LOOSE]


def too_long() -> list[str]:
    """Return files with more than 500 lines."""
    sizes = {_short(path): len(path.read_text("utf-8").splitlines()) for path in modules().values()}
    return [f"{name} ({size})" for name, size in sizes.items() if size > MOST_LINES]


def _repeated(names: Iterator[tuple[str, str]]) -> dict[str, list[str]]:
    places: dict[str, list[str]] = defaultdict(list)
    for name, place in names:
        if name not in MAY_REPEAT:
            places[name].append(place)
    return {name: where for name, where in places.items() if len(where) > 1}


def _short(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def main() -> int:
    """Print the numbers and the violations; return 1 if there are any."""
    found = arrows()
    count = sum(map(len, found.values()))
    sys.stdout.write(f"{len(found)} rooms, {count} arrows between them (at most {MOST_ARROWS})\n")
    faults = {
        "cycle between rooms": cycle(),
        "loose in voicechat/": loose(),
        "module names that repeat": repeated_modules(),
        "public class names that repeat": repeated_classes(),
        f"files above {MOST_LINES} lines": too_long(),
    }
    for name, what in faults.items():
        sys.stdout.write(f"{name}: {what or 'none'}\n")
    return int(count > MOST_ARROWS or any(faults.values()))


if __name__ == "__main__":
    sys.exit(main())
