"""Write the tables of the conversation's transitions into docs/architecture.md, from the code.

Run `make pictures` after changing `core`.
`tests/architecture/test_transitions.py` fails while the page differs from the code.

The effects of a step are read from the source: every `effects.X(...)` and `commands.X(...)` that
the step, or a method of `core` that it calls, can make.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from voicechat.core.turns import SLOT_TIMEOUT_S, TRANSITIONS

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
CORE = ROOT / "voicechat" / "core"
BEGIN, END = "<!-- transitions: begin -->", "<!-- transitions: end -->"

_BUFFER = {
    "changed": {"EntryChanged"},
    "ask": {"EntryChanged", "AskApproval"},
    "remove": {"EntryRemoved"},
}
"""Methods of the effect buffer that stand for effects."""


class Source:
    """The classes of `core`, their methods, and the classes of their attributes."""

    def __init__(self) -> None:
        self.methods: dict[tuple[str, str], ast.AST] = {}
        self.attributes: dict[tuple[str, str], str] = {}
        self.tables: dict[str, ast.Dict] = {}
        trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted(CORE.glob("*.py"))]
        found = [node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)]
        names = {node.name for node in found}
        for tree in trees:
            for node in tree.body:
                if isinstance(node, ast.FunctionDef):
                    self.methods["", node.name] = node
        for node in found:
            for method in node.body:
                if isinstance(method, ast.FunctionDef):
                    self.methods[node.name, method.name] = method
                    if method.name == "__init__":
                        self._read_attributes(node.name, method, names)
        conversation = ast.parse((CORE / "conversation.py").read_text(encoding="utf-8"))
        for statement in conversation.body:
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.value, ast.Dict):
                self.tables[ast.unparse(statement.target)] = statement.value

    def _read_attributes(self, owner: str, init: ast.FunctionDef, names: set[str]) -> None:
        given = [*init.args.args, *init.args.kwonlyargs]
        types = {each.arg: ast.unparse(each.annotation) for each in given if each.annotation}
        for node in ast.walk(init):
            if not (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute)):
                continue
            value = node.value.func if isinstance(node.value, ast.Call) else node.value
            kind = types.get(ast.unparse(value), ast.unparse(value))
            if kind in names:
                self.attributes[owner, node.targets[0].attr] = kind

    def rows(self, table: str) -> Iterator[tuple[str, ast.expr]]:
        """Each event or input in a dispatch table of `conversation`, with its step."""
        found = self.tables[table]
        for key, value in zip(found.keys, found.values, strict=True):
            if key is not None:
                yield ast.unparse(key), value
            elif isinstance(value, ast.Call) and isinstance(value.args[0], ast.Tuple):
                for name in value.args[0].elts:
                    yield ast.unparse(name), value.args[1]

    def step(self, node: ast.expr) -> tuple[str, str] | None:
        """Class and method of a step; None when it does nothing."""
        text = ast.unparse(node)
        if isinstance(node, ast.Lambda) and isinstance(node.body, ast.Call):
            return self._callee("Conversation", node.body, self_name="c")
        if isinstance(node, ast.Call):
            return self.step(node.args[0])
        owner, _, method = text.partition(".")
        return ("Conversation" if owner == "_C" else owner, method) if method else None

    def _callee(
        self, owner: str, call: ast.Call, self_name: str = "self"
    ) -> tuple[str, str] | None:
        parts = ast.unparse(call.func).split(".")
        if len(parts) == 1:
            return "", parts[0]
        if parts[-1] == "_answered":  # a callback that `Conversation` gives to `AssistantItems`
            return "Responses", "began"
        if parts[0] != self_name or len(parts) not in (2, 3):
            return None
        if len(parts) == 3:
            return self.attributes.get((owner, parts[1]), ""), parts[2]
        return owner, parts[1]

    def made(self, step: tuple[str, str], seen: set[tuple[str, str]]) -> set[str]:
        """Effects and commands that a method can make, itself or by what it calls."""
        if step in seen or step not in self.methods:
            return set()
        seen.add(step)
        names: set[str] = set()
        for node in ast.walk(self.methods[step]):
            if isinstance(node, ast.Call):
                names |= self.made_by_call(step[0], node, seen)
        return names

    def made_by_call(
        self, owner: str, node: ast.Call, seen: set[tuple[str, str]], self_name: str = "self"
    ) -> set[str]:
        """Effects and commands of one call."""
        where, _, name = ast.unparse(node.func).rpartition(".")
        if where == "effects" and name != "Send":
            return {name}
        if where == "commands":
            return {name}
        if where.endswith("_buffer"):
            return _BUFFER.get(name, set())
        called = self._callee(owner, node, self_name)
        return self.made(called, seen) if called else set()


def tables() -> str:
    """All tables, in Markdown."""
    return "\n".join([*_steps(Source()), "", *_slot()])


def _steps(source: Source) -> Iterator[str]:
    yield "| Event or input | Step | May emit |"
    yield "|---|---|---|"
    short = {name for name, _ in source.rows("_SHORT")}
    silent = []
    for name, node in [*source.rows("_SHORT"), *source.rows("_ON")]:
        step = source.step(node)
        if step is None:
            silent.append(f"`{name.split('.')[1]}`")
            continue
        made: set[str] = source.made(step, set())
        if isinstance(node, ast.Lambda) and isinstance(node.body, ast.Call):
            for given in (node.body, *node.body.args):
                if isinstance(given, ast.Call):
                    made |= source.made_by_call("Conversation", given, set(), "c")
        where = ".".join(step).replace("EffectBuffer.do", "emit")
        path = " (short path)" if step[1] in _SHORT_STEPS and name in short else ""
        emitted = ", ".join(f"`{each}`" for each in sorted(made)) or "-"
        yield f"| `{name}` | `{where}`{path} | {emitted} |"
    yield ""
    yield f"No effect: {', '.join(sorted(silent))}."
    yield ""
    machine: set[str] = source.made(("Conversation", "_advance"), set())
    yield (
        "After each step outside the short paths, `Conversation._advance` may emit "
        f"{', '.join(f'`{each}`' for each in sorted(machine))}."
    )


_SHORT_STEPS = frozenset({"_mic_block", "_more_audio", "_heard"})


def _slot() -> Iterator[str]:
    yield "| Response slot | Trigger | Next | Deadline |"
    yield "|---|---|---|---|"
    for state, triggers in TRANSITIONS.items():
        patience = SLOT_TIMEOUT_S.get(state)
        limit = "-" if patience is None else f"{patience:g} s"
        for trigger, following in triggers.items():
            yield f"| {state.name} | {trigger.name} | {following.name} | {limit} |"


def page(text: str) -> str:
    """The page with current tables."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
