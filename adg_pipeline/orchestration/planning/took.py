"""A plan held against what was computed since."""

from dataclasses import dataclass

from adg_pipeline.algorithms.costs import TRAINING
from adg_pipeline.orchestration.planning.plan import Plan
from adg_pipeline.orchestration.planning.stored import bytes_of, units_of
from adg_pipeline.store import Store
from adg_pipeline.store.checkpoints import read_training_manifest


@dataclass(frozen=True)
class Took:
    """A stage as planned and as it came. None where nothing is known, or nothing was done since the plan."""

    stage: str
    planned_seconds: float | None
    seconds: float | None
    planned_tokens: float | None
    tokens: float | None
    planned_bytes: float | None
    bytes: float | None


def what_it_took(store: Store, plan: Plan) -> list[Took]:
    """Each stage of a plan beside what was stored since. A shard that was done before, or isn't yet, isn't counted."""
    rows, look = [], store.look()
    for stage in plan.stages:
        if stage.stage == TRAINING:
            seconds, tokens = _trained_since(store, plan)
            rows.append(Took(stage.stage, stage.seconds, seconds, stage.tokens, tokens, None, None))
            continue
        made = [
            stored
            for shard in plan.shards
            if (stored := look.provenance(stage.stage, shard)) is not None and stored.created_at >= plan.made_at
        ]
        timed = [stored for stored in made if "seconds" in stored.facts]
        seconds = sum(stored.facts["seconds"] for stored in timed) if timed else None
        tokens = sum(units_of(store, stage.stage, stored) for stored in made) if made and stage.tokens else None
        on_disk = sum(bytes_of(store, stored) for stored in made) if made else None
        opening = plan.profile.rates[stage.stage].open_seconds if stage.stage in plan.profile.rates else 0.0
        without_opening = None if stage.seconds is None else stage.seconds - opening
        rows.append(Took(stage.stage, without_opening, seconds, stage.tokens, tokens, stage.bytes, on_disk))
    return rows


def _trained_since(store: Store, plan: Plan) -> tuple[float | None, float | None]:
    found = [
        manifest
        for seed in store.trained_seeds(plan.arm)
        if (manifest := read_training_manifest(store.checkpoint_dir(plan.arm, seed))) is not None
        and manifest["finished_at"] >= plan.made_at
    ]
    return (sum(one["seconds"] for one in found), sum(one["tokens"] for one in found)) if found else (None, None)
