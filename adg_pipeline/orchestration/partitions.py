"""Partition definitions and the rules of their keys. Nothing else belongs here.

https://docs.dagster.io/guides/build/partitions-and-backfills
"""

from collections.abc import Iterable

import dagster as dg

# One partition per pool file. Dagster's pages break on commas and spaces in keys, and store paths and SQL filters are
# made from them, so `adg_pipeline.formats.split.shard_key` admits only letters, digits, "_" and "-".
pool_shards = dg.DynamicPartitionsDefinition(name="pool_shards")

# An arm is a named way to make a subset: `adg` is the paper's, the others are what a user compares it with. Its
# partition is made when somebody first asks for its subset: the graph would show one that nobody wants as missing.
arms = dg.DynamicPartitionsDefinition(name="arms")

# Seeds of a training: that of the settings, and those that somebody asks for besides. What is trained and evaluated is
# partitioned by both; https://docs.dagster.io/guides/build/partitions-and-backfills/partitioning-assets
seeds = dg.DynamicPartitionsDefinition(name="seeds")
arm_seeds = dg.MultiPartitionsDefinition({"arm": arms, "seed": seeds})


def arm_seed_key(arm: str, seed: int) -> dg.MultiPartitionKey:
    """Key of a checkpoint, and of its results: ``arm|seed``."""
    return dg.MultiPartitionKey({"arm": arm, "seed": str(seed)})


def arm_and_seed(context: dg.AssetExecutionContext) -> tuple[str, int]:
    """Whose partition a step runs. Raises Failure for a seed that is no number: anybody can add partitions on the page."""
    key = context.partition_key
    assert isinstance(key, dg.MultiPartitionKey)
    arm, seed = key.keys_by_dimension["arm"], key.keys_by_dimension["seed"]
    if not seed.isdigit() or int(seed) >= 2**31:
        raise dg.Failure(f"a seed is a whole number below 2³¹, not {seed!r}", allow_retries=False)
    return arm, int(seed)


def register(instance: dg.DagsterInstance, definition: dg.DynamicPartitionsDefinition, keys: Iterable[str]) -> None:
    """Make the partitions that there aren't, in the order of their keys."""
    name = definition.name or ""
    new = sorted(set(keys) - set(instance.get_dynamic_partitions(name)))
    if new:
        instance.add_dynamic_partitions(name, new)


def contiguous_ranges(wanted: list[str], ordered: list[str], longest: int) -> list[tuple[str, str, int]]:
    """Split wanted keys into ranges that are contiguous in `ordered`: (first, last, length), at most `longest` each.

    Dagster runs a range of partitions in one run, but only a contiguous one, in the order in which keys were added.
    """
    positions = {key: index for index, key in enumerate(ordered)}
    ranges: list[tuple[str, str, int]] = []
    run: list[str] = []
    for key in sorted(wanted, key=positions.__getitem__):
        if run and (positions[key] != positions[run[-1]] + 1 or len(run) == longest):
            ranges.append((run[0], run[-1], len(run)))
            run = []
        run.append(key)
    if run:
        ranges.append((run[0], run[-1], len(run)))
    return ranges
