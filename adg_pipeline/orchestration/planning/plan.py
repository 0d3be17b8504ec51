"""What bringing a pool up to date will take, before anything is spent; and afterwards, what it took.

A plan is arithmetic (`adg_pipeline.algorithms.costs`) on rates that were measured: given as a profile, told by the shards
that are stored, kept from the last look, or measured now on a few examples of the pool.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from adg_pipeline.algorithms.costs import SAMPLING, STAGES, Planned, Profile, Work, planned
from adg_pipeline.errors import PipelineError
from adg_pipeline.host.files import write_atomically
from adg_pipeline.lineage.states import ShardState
from adg_pipeline.settings.loading import Settings
from adg_pipeline.store import Store
from adg_pipeline.store.provenance import Recipe


@dataclass(frozen=True)
class Plan:
    """A plan as it is kept. shards: those that it is of. recipes: ids by stage, for which the profile holds.
    had: answers that were sampled for it, which a run finds."""

    arm: str
    made_at: str
    stages: Sequence[Planned]
    shards: Sequence[str]
    profile: Profile
    recipes: Mapping[str, str]
    had: int = 0


def work_to_do(
    store: Store, states: Mapping[str, ShardState], settings: Settings, wanted: Mapping[str, Recipe], trainings: int
) -> Work:
    """What the shards lack. The pool must have been read: an example that isn't in raw_pool isn't counted."""
    rows = {shard: state.assets["raw_pool"].rows for shard, state in states.items() if state.put_aside is None}
    behind = {
        stage: [shard for shard in rows if stage in wanted and states[shard].assets[stage].state != "current"]
        for stage in STAGES
    }
    samples, training = settings.generations.samples, settings.finetuned_checkpoint
    answers = sum(rows[shard] * _lacking(store, shard, wanted[SAMPLING], samples) for shard in behind[SAMPLING])
    pool = sum(rows.values())
    return Work(
        pool=pool,
        examples={stage: sum(rows[shard] for shard in shards) for stage, shards in behind.items()},
        answers=answers,
        samples=samples,
        max_new_tokens=settings.generations.max_new_tokens,
        shards={stage: len(shards) for stage, shards in behind.items()},
        budget=min(settings.selected_subset.budget, pool) if trainings else 0,
        budget_tokens=settings.selected_subset.budget_tokens if trainings else None,
        epochs=training.epochs,
        trainings=max(1, trainings),
    )


def _lacking(store: Store, shard: str, wanted: Recipe, samples: int) -> int:
    """Answers that each example of a shard lacks: where K alone has grown, those that it has stay."""
    stored = store.provenance(SAMPLING, shard)
    if stored is None:
        return samples
    before, now = dict(stored.recipe.config), dict(wanted.config)
    had = int(before.pop("samples", 0))
    now.pop("samples", None)
    return max(0, samples - had) if before == now else samples


def recipe_ids(wanted: Mapping[str, Recipe]) -> dict[str, str]:
    """Of the stages that are planned."""
    return {stage: wanted[stage].id for stage in STAGES if stage in wanted}


def make_plan(
    arm: str, work: Work, profile: Profile, shards: Sequence[str], wanted: Mapping[str, Recipe], had: int = 0
) -> Plan:
    """A plan of now. had: answers that are there although no shard holds them yet, which the work isn't to count."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Plan(arm, now, planned(profile, work), list(shards), profile, recipe_ids(wanted), had)


def keep_plan(store: Store, plan: Plan) -> None:
    """Keep it, so that it can be told afterwards how far off it was."""
    values = {name: getattr(plan, name) for name in ("arm", "made_at", "shards", "recipes", "had")}
    stages = [asdict(stage) for stage in plan.stages]
    text = json.dumps({**values, "stages": stages, "profile": plan.profile.model_dump()})

    def write(temporary: Path) -> None:
        temporary.write_text(text, encoding="utf-8")

    write_atomically(_place(store, plan.arm), write)


def kept_plan(store: Store, arm: str) -> Plan | None:
    """The last plan of an arm."""
    try:
        values: dict[str, Any] = json.loads(_place(store, arm).read_text("utf-8"))
        stages = [Planned(**stage) for stage in values["stages"]]
        return Plan(**{**values, "stages": stages, "profile": Profile.model_validate(values["profile"])})
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise PipelineError(f"{_place(store, arm)}: damaged; delete it and plan again") from error


def kept_plans(store: Store) -> list[Plan]:
    """The last plan of every arm, the newest first."""
    arms = [path.stem for path in _place(store, "x").parent.glob("*.json")]
    return sorted(
        (plan for arm in arms if (plan := kept_plan(store, arm))), key=lambda plan: plan.made_at, reverse=True
    )


def _place(store: Store, arm: str) -> Path:
    return store.root / "plans" / f"{arm}.json"
