"""What commands print: progress to stderr, results to stdout."""

import json
import re
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

import click

from adg_pipeline.progress import tell

_FIGURE = re.compile(r"[-+]?[\d,.]+( ?(%|[kMGT]?B|s|min|h))?|-")


def say(text: str) -> None:
    """Progress and warnings, on stderr, also while runs write there."""
    if not tell(line=text, of_command=True):
        click.echo(text, err=True)


def print_rows(rows: Sequence[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(list(rows), ensure_ascii=False))
        return
    if not rows:
        click.echo("the pool is empty")
        return
    texts = [[shown(value) for value in row.values()] for row in rows]
    header = list(rows[0])
    if sys.stdout.isatty():
        _print_table(header, texts)
        return
    widths = [max(len(row[place]) for row in [header, *texts]) for place in range(len(header))]
    for row in [header, *texts]:
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def _print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """For a terminal: a long cell is folded within its column, and figures stand below each other."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(header):
        figures = all(_FIGURE.fullmatch(row[place]) for row in rows)
        table.add_column(name, justify="right" if figures else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))  # brackets of a text are no markup
    Console(highlight=False).print(table)


def print_details(**details: str | None) -> None:
    """Lines below a heading, ``why   text`` each; what is empty isn't shown."""
    for name, text in details.items():
        for line in wrapped(name, text):
            click.echo(line)


def wrapped(name: str, text: str | None) -> list[str]:
    """``why   text``, over as many lines as the terminal's width makes of it; commands and paths stay whole."""
    width = max(60, shutil.get_terminal_size((100, 24)).columns)
    start = f"      {name:7}"
    return textwrap.wrap(
        text or "", width, initial_indent=start, subsequent_indent=" " * len(start), break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


def shown(value: Any) -> str:
    if value is None:
        return "-"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)
