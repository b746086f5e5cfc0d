"""Example frames of the wires, in scenarios and in their order."""

import json
from functools import cache
from pathlib import Path
from typing import Any

RECORDINGS = Path(__file__).parents[2].parent / "shared" / "recordings"
"""Sockets recorded by other projects; they are not part of this repository."""
NO_RECORDINGS = "no recordings next to this checkout"


@cache
def lines(name: str) -> tuple[tuple[str, str], ...]:
    """Return scenario and JSON text of every frame in `wire/NAME.jsonl`."""
    text = Path(__file__).with_name("wire").joinpath(f"{name}.jsonl").read_text("utf-8")
    found = [json.loads(line) for line in text.splitlines()]
    return tuple((line["scenario"], json.dumps(line["raw"])) for line in found)


def frames(name: str, scenario: str | None = None) -> list[str]:
    """Return the frames of one scenario, or of all."""
    return [frame for found, frame in lines(name) if scenario in {None, found}]


@cache
def example(scenario: str, kind: str) -> dict[str, Any]:
    """Return the first HTTP body of this scenario and kind in `wire/rest.jsonl`."""
    text = Path(__file__).with_name("wire").joinpath("rest.jsonl").read_text("utf-8")
    found = [json.loads(line) for line in text.splitlines()]
    return next(x["raw"] for x in found if (x["scenario"], x["type"]) == (scenario, kind))
