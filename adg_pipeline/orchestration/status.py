"""The state of every shard in rows, for `adg status`."""

import shlex
from collections.abc import Callable
from typing import Any

import dagster as dg

from adg_pipeline.formats.shards import list_shards
from adg_pipeline.lineage.recipes import wanted_recipes
from adg_pipeline.lineage.states import ShardState, shard_states
from adg_pipeline.orchestration.runs import shards_in_flight
from adg_pipeline.settings.loading import Settings
from adg_pipeline.store import Store


def pool_status(
    store: Store, settings: Settings, instance: dg.DagsterInstance, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """One row per shard: state, rows per asset, why it isn't current, and the command that mends it."""
    listing = list_shards(store.pool_dir)
    for problem in listing.problems:
        say(f"warning: {problem}")
    running = shards_in_flight(instance)
    states = shard_states(store, listing, wanted_recipes(settings), look_at_tables=True)
    return [_row(state, running) for state in states.values()]


def _row(state: ShardState, running: set[str]) -> dict[str, Any]:
    summary = "running" if state.shard in running else state.summary
    return {
        "shard": state.shard,
        "state": summary,
        **{asset: asset_state.rows or asset_state.state for asset, asset_state in state.assets.items()},
        "why": state.why,
        "mend": _mend(summary, state),
    }


def _mend(summary: str, state: ShardState) -> str:
    if summary in ("current", "running"):
        return ""
    if summary == "quarantined":
        return "mend the file, or `adg run --retry`"
    paths = {str(path): None for delete in state.damages.values() for path in delete}
    return f"`rm -r {shlex.join(paths)} && adg run`" if paths else "`adg run`"
