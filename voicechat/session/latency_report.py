"""The latencies of a session as lines of text, for the sheet, the line mode and the model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from voicechat.core.text import clean
from voicechat.core.turn_latency import TurnLatency, percentile
from voicechat.system.text_table import counted, table

if TYPE_CHECKING:
    from voicechat.history.turn_latencies import ModelLatency
    from voicechat.session.latency_log import LatencyLog

SHOWN_TURNS: Final = 5
"""Latest turns that are listed one by one."""

_HEAD: Final = ("", "total", "speech end", "network", "model", "buffer")


def session_lines(log: LatencyLog) -> list[str]:
    """Return the latest turns in milliseconds, the percentiles and the state of the sound."""
    if not log.turns:
        return ["No turn is measured yet.", *_others(log)]
    first = max(0, len(log.turns) - SHOWN_TURNS)
    listed = list(log.turns)[first:]
    rows = [_row(f"turn {first + n}", turn) for n, turn in enumerate(listed, 1)]
    rows += [_percentiles(percent, log.turns) for percent in (50, 95)]
    heading = "Milliseconds from the end of your turn to the first sound or text:"
    return [heading, *_aligned([_HEAD, *rows]), *_others(log)]


def _row(name: str, turn: TurnLatency) -> tuple[str, ...]:
    parts = (turn.total, turn.endpointing, turn.network, turn.thinking, turn.buffer)
    return (name, *(f"{part:,.0f}" for part in parts))


def _percentiles(percent: int, turns: Iterable[TurnLatency]) -> tuple[str, ...]:
    parts = zip(
        *((t.total, t.endpointing, t.network, t.thinking, t.buffer) for t in turns), strict=True
    )
    return (f"p{percent}", *(f"{percentile(values, percent):,.0f}" for values in parts))


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the rows with numbers aligned at the right."""
    widths = [max(len(row[n]) for row in rows) for n in range(len(_HEAD))]
    return table(
        [(row[0], *(cell.rjust(widths[n + 1]) for n, cell in enumerate(row[1:]))) for row in rows]
    )


def _others(log: LatencyLog) -> list[str]:
    lines = []
    if log.silences:
        middle, high = (percentile(log.silences, percent) for percent in (50, 95))
        times = counted(len(log.silences), "interruption")
        lines.append(f"Interruption to silence: p50 {middle:.0f} ms, p95 {high:.0f} ms, {times}.")
    if log.held:
        middle, high = (percentile(log.held, percent) for percent in (50, 95))
        times = counted(len(log.held), "time")
        lines.append(f"Wait for guardrails: p50 {middle:.0f} ms, p95 {high:.0f} ms, {times}.")
    if buffered := [turn.buffer for turn in log.turns if turn.spoken]:
        middle, high = (percentile(buffered, percent) for percent in (50, 95))
        lines.append(f"Jitter buffer and speaker: p50 {middle:.0f} ms, p95 {high:.0f} ms.")
    lost = f", {log.lost_ms:.0f} ms of silence" if log.gaps else ""
    lines.append(f"Underruns: {log.gaps}{lost}. Reconnects: {log.reconnects}.")
    return lines


def history_lines(models: Sequence[ModelLatency]) -> list[str]:
    """Return the latency of each model in the history, one line each."""
    rows = [
        (
            clean(each.model),
            f"p50 {each.p50:,.0f}",
            f"p95 {each.p95:,.0f}",
            f"{counted(each.turns, 'turn')}{'' if each.spoken else ', read'}",
        )
        for each in models
    ]
    return ["By model, all sessions (ms):", *table(rows)] if rows else []


def quiet_line(log: LatencyLog) -> str:
    """Return the parts of the last turn for a status line; empty without a spoken turn."""
    turn = log.turns[-1] if log.turns else None
    if turn is None or not turn.spoken:
        return ""
    return (
        f"end {turn.endpointing:.0f} + net {turn.network:.0f}"
        f" + model {turn.thinking:.0f} + buffer {turn.buffer:.0f} ms"
    )
