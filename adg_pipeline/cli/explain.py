"""``adg explain``."""

import json
from pathlib import Path
from typing import Any

import click

from adg_pipeline.cli.options import as_json, open_store, require_known
from adg_pipeline.cli.output import print_rows, say, shown

MOST_NUMBERS = 16
FEW = 20


@click.command(short_help="Why an example is in the subset or isn't; what a checkpoint learnt from.")
@click.argument("example_id", metavar="EXAMPLE_ID|CHECKPOINT")
@click.option("--arm", default="adg", show_default=True, help="Of the subset of this arm.")
@as_json
def explain(example_id: str, arm: str, as_json: bool) -> None:
    """Why EXAMPLE_ID is in the subset or isn't: its record, answers, scores, bin, quota and origin, the score that would have
    got it in, how often it is in when an answer is left out, and the checkpoints that learnt from it.

    Of a CHECKPOINT's folder: how it was made, and the file and record of each example that it learnt from (`--json` lists
    them all). In JSON lines the record is the line."""
    from adg_pipeline.lineage.checkpoints import explain_checkpoint, is_checkpoint
    from adg_pipeline.lineage.explain import explain_example

    store = open_store()
    if is_checkpoint(Path(example_id)):
        _print_checkpoint(explain_checkpoint(store, Path(example_id)), as_json)
        return
    require_known([arm], store.arms())
    explanation = explain_example(store, example_id, arm)
    if as_json:
        click.echo(json.dumps(explanation, ensure_ascii=False))
        return
    for section, content in explanation.items():
        if isinstance(content, dict):
            click.echo(f"{section}:")
            for key, value in content.items():
                click.echo(f"  {key}: {_brief(value)}")
        else:
            click.echo(f"{section}: {shown(content)}")


def _print_checkpoint(explanation: dict[str, Any], as_json: bool) -> None:
    examples = explanation["examples"]
    if as_json:
        click.echo(json.dumps(explanation, ensure_ascii=False))
        return
    for name, value in explanation.items():
        if name != "examples" and value:
            click.echo(f"{name}: {shown(value)}")
    click.echo(f"examples: {len(examples):,}, the best first")
    print_rows(examples[:FEW], as_json)
    if len(examples) > FEW:
        say(f"{len(examples) - FEW:,} more with --json; `adg explain ID --arm {explanation['arm']}` tells all of one")


def _brief(value: Any) -> str:
    """As it is shown elsewhere, but for what only a program reads: `--json` has it whole."""
    if isinstance(value, list) and len(value) > MOST_NUMBERS and isinstance(value[0], float | int):
        return f"{len(value)} numbers from {min(value):.4g} to {max(value):.4g}"
    return shown(value)
