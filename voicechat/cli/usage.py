"""`voicechat usage`: what was used and what it cost, by day, model, provider or conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from voicechat.cli.command import JSON, CommandEntry, Text
from voicechat.errors import UsageError

if TYPE_CHECKING:
    from voicechat.history.usage_sums import UsageSum

_BAR_CELLS = 16
_MOST_DAYS = 30


def usage(
    by: Annotated[
        str, typer.Option("--by", metavar="KIND", help="day, model, provider or conversation.")
    ] = "day",
    since: Annotated[
        Text, typer.Option(metavar="TIME", help="Day as YYYY-MM-DD, an age, or all.")
    ] = None,
    as_json: Annotated[bool, JSON] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> int:
    """Show what all sessions used and cost in the last 30 days.

    Costs are estimates at the price of their day. The embedded voice costs nothing and is left out.
    """
    from voicechat.history.database import opened
    from voicechat.history.usage_sums import GROUPS, usage_by

    if by not in GROUPS:
        raise UsageError(f"--by must be one of {', '.join(GROUPS)}.")
    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other.")
    start = _start(since)
    with opened() as connection:
        sums = usage_by(connection, by, start)
    if as_json:
        _print_json(sums, by, start)
    elif as_csv:
        _print_csv(sums, by)
    else:
        for line in _lines(sums, by, start):
            typer.echo(line)
    return 0


COMMAND = CommandEntry(16, "usage", "Show what you used, and what it cost.", usage)


def _start(since: str | None) -> float:
    """Return the Unix time (s) that `--since` means; by default, 30 days with today."""
    from datetime import datetime, timedelta

    from voicechat.config.age import age_in_days

    today = datetime.now().replace(hour=0, minute=0, second=0, microsecond=0)
    if since is None:
        return (today - timedelta(days=_MOST_DAYS - 1)).timestamp()
    if since == "all":
        return 0.0
    if since == "today":
        return today.timestamp()
    try:
        if (days := age_in_days(since)) is not None:
            return (datetime.now() - timedelta(days=days)).timestamp()
        return datetime.strptime(since, "%Y-%m-%d").timestamp()
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            "--since must be a day, an age or a word.",
            'Write it like 2026-11-01, "7 days", today or all.',
        ) from None


def _print_json(sums: list[UsageSum], by: str, start: float) -> None:
    import json
    from dataclasses import asdict
    from datetime import datetime

    from voicechat.history.usage_sums import total_of

    day = datetime.fromtimestamp(start).strftime("%Y-%m-%d") if start else None
    document = {
        "by": by,
        "since": day,
        "rows": [asdict(each) for each in sums],
        "total": asdict(total_of(sums)),
    }
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _print_csv(sums: list[UsageSum], by: str) -> None:
    import csv
    import sys
    from dataclasses import asdict, fields

    from voicechat.core.text import clean
    from voicechat.history.usage_sums import UsageSum

    names = [field.name for field in fields(UsageSum)]
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([by, *names[1:]])
    for each in sums:
        values = asdict(each).values()
        writer.writerow([_cell(clean(v)) if isinstance(v, str) else v for v in values])


def _cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.lstrip()[:1] in tuple("=+-@") else text


def _lines(sums: list[UsageSum], by: str, start: float) -> list[str]:
    from datetime import datetime

    from voicechat.history.usage_sums import total_of

    if not sums:
        return ["Nothing used." if start else "Nothing used yet."]
    since = datetime.fromtimestamp(start).strftime("since %Y-%m-%d, ") if start else ""
    total = total_of(sums)
    lines = [f"Usage {since}by {by}:", *_chart([*sums, total])]
    if not all(each.answers for each in sums):
        lines.append("Lines without answers: speech that was only transcribed or translated.")
    if total.cost:
        lines.append("Costs are estimates at the price of their day.")
    if rest := _amount(total.unpriced_tokens, total.unpriced_seconds):
        lines.append(f"Not in the costs, because the price is unknown: {rest}.")
    return lines


def _chart(sums: list[UsageSum]) -> list[str]:
    """Return a line with a bar for each; the last one is the total, which has none."""
    from voicechat.core.price import dollars
    from voicechat.core.text import clean
    from voicechat.system.text_table import counted, shortened, table

    *groups, total = sums
    weights = [each.cost if total.cost else each.tokens or each.seconds for each in groups]
    most = max(weights) or 1
    rows = []
    for each, weight in zip(sums, [*weights, 0.0], strict=True):
        name = clean(each.name or "not kept")
        if each.title:
            name = f"{name} {clean(each.title)}"
        rows.append(
            (
                shortened(name, 32),
                _bar(weight / most),
                dollars(each.cost) if each.cost else "-",
                counted(each.answers, "answer") if each.answers else "-",
                _amount(each.tokens, each.seconds),
            )
        )
    widths = [max(len(row[n]) for row in rows) for n in (2, 3)]
    return table(
        (name, bar, cost.rjust(widths[0]), answers.rjust(widths[1]), amount)
        for name, bar, cost, answers, amount in rows
    )


def _bar(share: float) -> str:
    """Return a bar in half cells; in ASCII where the output has no other letters."""
    import sys

    halves = max(round(share * _BAR_CELLS * 2), 1 if share > 0 else 0)
    full, half = divmod(halves, 2)
    try:
        "━╸".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ("=" * full + "-" * half).ljust(_BAR_CELLS)
    return ("━" * full + "╸" * half).ljust(_BAR_CELLS)


def _amount(tokens: int, seconds: float) -> str:
    """Return tokens and billed time in words; empty for nothing."""
    parts = [f"{tokens:,} tokens"] if tokens else []
    if seconds:
        parts.append(f"{seconds / 60:,.1f} minutes")
    return " and ".join(parts)
