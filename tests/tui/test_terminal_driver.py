"""Drawing on terminals that draw emoji at another width than the layout."""

from __future__ import annotations

import re

import pytest
from rich.cells import cell_len

from voicechat.tui.terminal_driver import pin_columns

CLUSTERS = ["❤️", "⚠️", "1️⃣", "👍🏽", "👨\u200d👩\u200d👧", "🏳️\u200d🌈", "🇩🇪", "🫨", "✔️"]
MOVE = re.compile(r"\x1b\[(\d+);(\d+)H|\x1b\[[\d;]*m")


def drawn(commands: str, cluster: str, cluster_width: int) -> list[str]:
    """Draw on a line that was full of "#", on a terminal that gives the cluster this width."""
    cells = ["#"] * 80
    column, at = 0, 0
    while at < len(commands):
        if move := MOVE.match(commands, at):
            column = int(move[2]) - 1 if move[2] else column
            at = move.end()
        elif commands.startswith(cluster, at):
            cells[column : column + cluster_width] = [cluster] + [""] * (cluster_width - 1)
            column += cluster_width
            at += len(cluster)
        else:
            cells[column] = commands[at]
            column += 1
            at += 1
    return cells


@pytest.mark.parametrize("terminal_width", [1, 2, 4, 6])
@pytest.mark.parametrize("cluster", CLUSTERS)
def test_no_cell_of_the_old_line_stays_and_text_keeps_its_column(
    cluster: str, terminal_width: int
) -> None:
    line = f"ab{cluster}cd{cluster}e" + " " * 10
    cells = drawn(pin_columns(f"\x1b[3;1H\x1b[1m{line}"), cluster, terminal_width)
    after = 2 + cell_len(cluster)
    assert "#" not in cells[: cell_len(line)]
    assert cells[after : after + 2] == ["c", "d"]
    assert cells[2 * after] == "e"


def test_a_line_without_emoji_is_unchanged() -> None:
    line = "\x1b[3;5H\x1b[1mHello — 漢字 │ ▶ ● é\x1b[0m\n\x1b[4;5Hworld"
    assert pin_columns(line) == line


def test_a_text_at_an_unknown_place_is_unchanged() -> None:
    assert pin_columns("a❤️b\x1b[5;5Hc\x1b[Kd❤️") == "a❤️b\x1b[5;5Hc\x1b[Kd❤️"


def test_a_link_does_not_move_the_column() -> None:
    line = "\x1b[1;1H\x1b]8;;https://example.org\x1b\\a❤️\x1b]8;;\x1b\\b"
    assert "a  \x1b[1;2H❤️\x1b[1;4H" in pin_columns(line)
