"""What doesn't take part in a subset, counted by reason: records rejected, examples left out, shards left out."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from adg_pipeline.formats.fields import with_counts
from adg_pipeline.store import Store


@dataclass(frozen=True)
class LeftOut:
    """Of the pool that a subset was selected from. Reasons with counts, the most frequent first.

    records: read from the pool's files. examples: accepted of them. shards: left out as a whole, with the reason.
    """

    records: int
    rejected: Mapping[str, int]
    examples: int
    not_eligible: Mapping[str, int]
    shards: Mapping[str, str]


def left_out(store: Store, arm: str) -> LeftOut | None:
    """Of the arm's subset at hand; None where there is none."""
    manifest = store.selection_manifest(arm)
    if manifest is None:
        return None
    look, records, rejected = store.look(), 0, Counter[str]()
    for shard in manifest["shards"]:
        stored = look.provenance("raw_pool", shard)
        if stored is not None:
            records += stored.facts["read"]
            rejected.update(stored.facts["reasons"])
    counts = manifest["counts"]
    by_reason = sorted(counts["left_out"].items(), key=lambda reason: -reason[1])
    return LeftOut(records, dict(rejected.most_common()), counts["pool"], dict(by_reason), manifest["shards_left_out"])


def in_words(found: LeftOut, store: Store, arm: str) -> Iterator[str]:
    """A line for each kind of what is left out, with where to read more; none where nothing is."""
    if found.rejected:
        yield (
            f"{sum(found.rejected.values()):,} of {found.records:,} records of the pool rejected{_because(found.rejected)}; "
            f"each with its place in {store.root / 'raw_pool' / 'rejects'}"
        )
    if found.not_eligible:
        yield (
            f"{sum(found.not_eligible.values()):,} of {found.examples:,} examples left out{_because(found.not_eligible)}; "
            f"each in {store.selection_dir(arm) / 'ranking.parquet'}, column left_out, and `adg explain ID`"
        )
    if found.shards:
        yield f"{len(found.shards):,} shards left out: {', '.join(list(found.shards)[:5])}; `adg status` has why"


def _because(reasons: Mapping[str, int]) -> str:
    return f" ({with_counts(reasons)})"
