"""The state of shards, subsets and checkpoints in rows, for `adg status`."""

from collections.abc import Callable, Mapping
from typing import Any

from adg_pipeline.algorithms.arms import arms
from adg_pipeline.formats.shards import list_shards
from adg_pipeline.host.shared_files import removal
from adg_pipeline.lineage.in_force import optional_reads, settings_in_force
from adg_pipeline.lineage.recipes import wanted_recipes
from adg_pipeline.lineage.states import ShardState, selection_inputs, shard_states
from adg_pipeline.orchestration.runs import shards_in_flight_here
from adg_pipeline.orchestration.subset_status import checkpoint_rows, results_rows, subset_row, unknown_arm_row
from adg_pipeline.progress import ProgressLog
from adg_pipeline.store import Store


def pool_status(store: Store, flags: Mapping[str, str], say: Callable[[str], None]) -> dict[str, list[dict[str, Any]]]:
    """Rows of shards, subsets and checkpoints: state, counts, why it isn't current, and the command that mends it.

    flags: settings to look with, as for `adg_pipeline.lineage.in_force.settings_in_force`.
    """
    shared = settings_in_force(store, flags=flags)
    listing = list_shards(store.pool_dir)
    for problem in listing.problems:
        say(f"warning: {problem}")
    running = shards_in_flight_here()
    progress = ProgressLog(say, "looking at the pool", "shards")
    made = {*store.selected_arms(), *store.trained_arms()}
    known = arms(shared.settings.arms)
    still = [name for name in made if name in known]
    watched = shared.settings.sensors.arms if listing.shards else []
    in_force = {arm: settings_in_force(store, arm, flags) for arm in sorted({*watched, *still})}
    wanted = wanted_recipes(shared.settings, **optional_reads(of.settings.selected_subset for of in in_force.values()))
    look = store.look(progress=ProgressLog(say, "reading what is stored", "files"))
    states = shard_states(store, listing, wanted, look=look, look_at_tables=True, progress=progress)
    whole = [shard for shard, state in states.items() if not state.damages]
    reads = {arm: tuple(optional_reads([of.settings.selected_subset]).items()) for arm, of in in_force.items()}
    inputs = {read: selection_inputs(store, whole, look, **dict(read)) for read in set(reads.values())}
    gone = sorted(name for name in store.selected_arms() if name not in still)
    return {
        "shards": [_row(state, running) for state in states.values()],
        "subsets": [
            *(subset_row(store, arm, of, inputs[reads[arm]]) for arm, of in in_force.items()),
            *(unknown_arm_row(store, arm) for arm in gone),
        ],
        "checkpoints": [row for arm, of in in_force.items() for row in checkpoint_rows(store, arm, of)],
        "results": [row for arm in in_force for row in results_rows(store, arm)],
    }


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
    paths = list(dict.fromkeys(path for delete in state.damages.values() for path in delete))
    return f"`{removal(paths)} && adg run`" if paths else "`adg run`"
