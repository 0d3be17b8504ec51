"""What commands print: progress to stderr, results to stdout."""

import json
from collections.abc import Sequence
from typing import Any

import click

from adg_pipeline.progress import tell


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
    widths = [max(len(row[place]) for row in [header, *texts]) for place in range(len(header))]
    for row in [header, *texts]:
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def shown(value: Any) -> str:
    if value is None:
        return "-"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)
