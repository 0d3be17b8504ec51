"""What stored shards and checkpoints tell of how fast the stages are, and what rows take on the disk."""

from collections.abc import Mapping, Sequence

import numpy as np

from adg_pipeline.algorithms.costs import ANSWERS, REFERENCES, SAMPLING, SCORES, STAGES, TRAINING, Profile, Rate
from adg_pipeline.host.shared_files import at_hand
from adg_pipeline.store import Store
from adg_pipeline.store.checkpoints import read_training_manifest
from adg_pipeline.store.provenance import Provenance, Recipe
from adg_pipeline.store.vectors import TABLES

MOST_SHARDS = 50  # that rates are taken from
MOST_LENGTHS = 2000  # examples whose answers' lengths are read
BYTES_PER_FLOAT, BYTES_OF_IDS = 4, 60  # of a row of a vector table


def on_gpu(hardware: str) -> bool:
    """Whether what a stage ran on, as the record of what it took names it, is a GPU."""
    return not hardware.startswith(("CPU", "a server", "not known"))


def gpus_of(hardware: str) -> int:
    """How many GPUs that names: ``4 × NVIDIA L4`` (`adg_pipeline.models.devices.several`)."""
    if not on_gpu(hardware):
        return 0
    return sum(int(part.split(" × ")[0]) if " × " in part else 1 for part in hardware.split(" and "))


def profile_of_store(store: Store, wanted: Mapping[str, Recipe], max_new_tokens: int) -> Profile | None:
    """What the shards tell that were made as is wanted now; None where none tells how fast answers came."""
    made = {stage: _latest(store, stage, wanted[stage]) for stage in STAGES if stage in wanted}
    rates = {stage: rate for stage, of_stage in made.items() if (rate := _rate_of(store, stage, of_stage)) is not None}
    if SAMPLING not in rates:
        return None
    lengths, prompts, examples = [], [], 0
    for stored in made[SAMPLING]:
        table = store.read_table(SAMPLING, stored.shard, ["output_tokens", "prompt_tokens"]).to_pylist()
        lengths += [[one for one in row["output_tokens"] if one is not None] for row in table]
        prompts += [row["prompt_tokens"] for row in table if row["prompt_tokens"] is not None]
        examples += len(table)
        if examples >= MOST_LENGTHS:
            break
    too_long = sum(stored.facts["prompt_too_long"] for stored in made[SAMPLING])
    references = made.get(REFERENCES, [])
    scored = sum(stored.facts["scored"] for stored in references)
    return Profile(
        measured=f"{len(made[SAMPLING])} stored shards",
        examples=max(1, examples),
        max_new_tokens=max_new_tokens,
        answer_tokens=lengths,
        prompt_tokens=float(np.mean(prompts)) if prompts else 0.0,
        reference_tokens=sum(stored.facts["reference_tokens"] for stored in references) / scored if scored else None,
        unanswerable_share=too_long / max(1, sum(stored.rows for stored in made[SAMPLING])),
        rates=rates,
        bytes_per_unit={
            stage: sum(bytes_of(store, stored) for stored in of_stage)
            / max(1, sum(_disk_units(one) for one in of_stage))
            for stage, of_stage in made.items()
            if of_stage
        },
    )


def _latest(store: Store, stage: str, wanted: Recipe) -> list[Provenance]:
    """Of the shards that were made in this way the latest, on what the very last was made on, the oldest first."""
    look = store.look()
    made = [
        stored
        for shard in look.shards(stage)
        if (stored := look.provenance(stage, shard)) is not None
        and _alike(stored.recipe, wanted)
        and "seconds" in stored.facts
    ]
    made.sort(key=lambda stored: (stored.created_at, stored.shard))
    return [stored for stored in made[-MOST_SHARDS:] if stored.facts["hardware"] == made[-1].facts["hardware"]]


def _alike(stored: Recipe, wanted: Recipe) -> bool:
    """Whether they are as fast as each other by the unit: K doesn't matter, nor what they are computed from."""
    before, now = ({**one.config, "samples": None} for one in (stored, wanted))
    return before == now and stored.code_version == wanted.code_version


def _rate_of(store: Store, stage: str, made: Sequence[Provenance]) -> Rate | None:
    """From the facts that stand with the tables: see `adg_pipeline.assets.shards.Stopwatch`."""
    units = seconds = 0.0
    for stored in made:
        of_shard = units_of(store, stage, stored)
        if of_shard:
            units, seconds = units + of_shard, seconds + stored.facts["seconds"]
    if not units or seconds <= 0:
        return None
    hardware = made[-1].facts["hardware"]
    return Rate(per_second=units / seconds, hardware=hardware, gpus=gpus_of(hardware))


def units_of(store: Store, stage: str, stored: Provenance) -> float:
    """Units of work that a shard's seconds were spent on."""
    facts = stored.facts
    if stage == SAMPLING:
        return float(facts["asked_output_tokens"])
    if stage == REFERENCES:
        return float(facts["reference_tokens"] + _tokens(store, stored.shard, "prompt_tokens"))
    if stage == ANSWERS:
        return _tokens(store, stored.shard, "output_tokens")
    if stage == SCORES:
        return float(facts["scored"]) * (_samples(store, stored.shard) or 0)
    return float(stored.rows)


def _tokens(store: Store, shard: str, column: str) -> float:
    if not at_hand(store.table_path(SAMPLING, shard)).exists():
        return 0.0
    values = store.read_table(SAMPLING, shard, [column])[column].to_pylist()
    return float(sum(one or 0 for value in values for one in (value if isinstance(value, list) else [value])))


def _samples(store: Store, shard: str) -> int | None:
    stored = store.provenance(SAMPLING, shard)
    return None if stored is None else int(stored.recipe.config["samples"])


def _disk_units(stored: Provenance) -> int:
    return int(stored.facts["asked"] + stored.facts["reused"]) if stored.asset == SAMPLING else stored.rows


def bytes_of(store: Store, stored: Provenance) -> float:
    if stored.asset in TABLES:
        return stored.rows * (BYTES_PER_FLOAT * stored.facts["dimension"] + BYTES_OF_IDS)
    return float(at_hand(store.table_path(stored.asset, stored.shard)).stat().st_size)


def with_trainings(store: Store, profile: Profile) -> Profile:
    """The profile with what stored checkpoints took, if it tells nothing of trainings."""
    if TRAINING in profile.rates:
        return profile
    found = [
        manifest
        for arm in store.trained_arms()
        for seed in store.trained_seeds(arm)
        if (manifest := read_training_manifest(store.checkpoint_dir(arm, seed))) is not None
    ]
    seconds, tokens = sum(one["seconds"] for one in found), sum(one["tokens"] for one in found)
    if not seconds or not tokens:
        return profile
    hardware = str(found[-1].get("hardware") or "not known")
    rate = Rate(per_second=tokens / seconds, hardware=hardware, gpus=gpus_of(hardware))
    return profile.model_copy(update={"rates": {**profile.rates, TRAINING: rate}})
