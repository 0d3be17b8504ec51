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
