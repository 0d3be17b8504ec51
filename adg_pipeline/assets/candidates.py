"""What a selection chooses from: the examples with their bins, and the signals that the arm at hand reads."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from adg_pipeline.algorithms.selectors import SELECTORS, Candidates
from adg_pipeline.algorithms.selectors.base import MENDS, REFERENCE_SIGNALS, SCORE_SIGNALS, TEXTS, lists
from adg_pipeline.errors import SettingsError
from adg_pipeline.formats.convert import read_whole
from adg_pipeline.host.shared_files import all_at_hand
from adg_pipeline.lineage.in_force import reads_tokens
from adg_pipeline.lineage.states import SelectionInputs
from adg_pipeline.settings.sections import SelectionConfig
from adg_pipeline.store import Store

TABLE = "instruction_embeddings"
AT_A_TIME = 50  # shards whose lists or texts are held at a time
JOINED = 1000  # shards whose scores are joined with their bins at a time
# Columns of the scores that every selection reads: to filter by, and to tell of.
OF_ALL = (
    "content_hash", "source", "dispersion", "anisotropy", "modes", "distinct_answers", "empty_answers", "output_chars",
)  # fmt: skip


def scored_examples(store: Store, inputs: SelectionInputs, config: SelectionConfig) -> pl.DataFrame:
    """Every row of the shards' scores with its bin and the columns that the arm reads, sorted by example id."""
    # Some shards at a time: a join of all of them at once holds several times what comes out of it.
    some = [inputs.shards[start : start + JOINED] for start in range(0, len(inputs.shards), JOINED)]
    parts = [_scored(store, shards, config) for shards in some]
    binned = pl.concat(parts, how="vertical_relaxed")  # of tables of before, a column may be null in some shards
    parts.clear()
    _require_bins(store, binned)
    order = id_order(binned)
    columns = binned.get_columns()
    del binned
    # A column at a time: two whole frames would be the most that a selection holds.
    return pl.DataFrame([columns.pop(0).gather(order) for _ in range(len(columns))])


def id_order(frame: pl.DataFrame) -> np.ndarray:
    """Rows by example_id, content_hash and shard. By the first alone but for equal ids, since a sort by three texts makes a
    key of all of them."""
    order = frame["example_id"].arg_sort().to_numpy().astype(np.int64)
    same = frame["example_id"].gather(order)
    follows = (same == same.shift()).fill_null(False).to_numpy()
    if follows.any():
        tied = np.flatnonzero(follows | np.append(follows[1:], False))
        keys = frame.select("example_id", "content_hash", "shard")[order[tied]]
        order[tied] = order[tied][
            keys.select(pl.arg_sort_by("example_id", "content_hash", "shard")).to_series().to_numpy()
        ]
    return order


def _scored(store: Store, shards: Sequence[str], config: SelectionConfig) -> pl.DataFrame:
    signals = SELECTORS[config.selector].reads(config)
    keys = ["shard", "example_id"]
    frame = columns_of(
        store, "divergence_scores", shards, [*OF_ALL, *(set(signals) & set(SCORE_SIGNALS) - set(OF_ALL))]
    )
    if reads_tokens(config):
        counted = columns_of(store, "token_counts", shards, ["prompt_tokens", "reference_tokens"])
        tokens = pl.col("prompt_tokens") + pl.col("reference_tokens")
        frame = frame.join(counted.select(*keys, tokens=tokens), on=keys, how="left")
    for table, names in (("reference_losses", REFERENCE_SIGNALS), ("raw_pool", TEXTS)):
        if wanted := [name for name in signals if name in names]:
            frame = frame.join(columns_of(store, table, shards, wanted), on=keys, how="left")
    return frame.join(store.bins.assigned(shards).lazy(), on=keys, how="left").collect()


def cosines(store: Store, examples: pl.DataFrame) -> np.ndarray:
    """(N, K·K) cosines between the answers of each example; NaN where they aren't kept. Read some shards at a time."""
    found: np.ndarray | None = None
    keys = examples.select("shard", "example_id").with_row_index("row")
    shards = keys["shard"].unique().sort().to_list()
    for start in range(0, len(shards), AT_A_TIME):
        table = columns_of(store, "divergence_scores", shards[start : start + AT_A_TIME], ["cosines"]).collect()
        rows = keys.filter(pl.col("shard").is_in(shards[start : start + AT_A_TIME]))
        rows = rows.join(table, on=["shard", "example_id"], how="left", maintain_order="left")
        values = lists(rows, "cosines")
        if found is None:
            found = np.full((examples.height, values.shape[1]), np.nan)
        if values.shape[1] != found.shape[1]:
            return np.full((examples.height, 1), np.nan)
        found[rows["row"].to_numpy()] = values
    return np.zeros((0, 0)) if found is None else found


def candidates(
    store: Store,
    eligible: pl.DataFrame,
    config: SelectionConfig,
    states: np.ndarray | None = None,
    given: Sequence[str] = (),
) -> Candidates:
    """The eligible examples as the arm reads them. states: (Q, d) of the queries, where the arm compares those. given: ids of
    the list that an arm takes."""
    chooses = SELECTORS[config.selector]
    of_budget = [name for name in ("source", "tokens") if name in eligible.columns]
    frame = eligible.select("example_id", "bin", *of_budget, *chooses.reads(config))
    _require_signals(frame, chooses.reads(config), config)
    vectors = instruction_vectors(store, eligible) if chooses.vectors else None
    centroids = store.bins.centroids() if chooses.centroids else None
    queries = read_queries(config) if chooses.queries and not chooses.likeness else []
    texts = ["\n".join(query[name] for name in TEXTS if query[name]) for query in queries]
    likeness = None
    if chooses.likeness:
        assert states is not None
        likeness = _likeness(store, eligible, states)
    return Candidates(frame, vectors, centroids, texts, likeness, given)


def _require_signals(frame: pl.DataFrame, signals: Sequence[str], config: SelectionConfig) -> None:
    """Refuse a signal that is told of no example: a setting is at fault then, not each of them."""
    for name in signals:
        if 0 < frame.height == frame[name].null_count():
            table = "reference_losses" if name in REFERENCE_SIGNALS else "divergence_scores"
            mend = MENDS.get(name, f"materialise {table} again, or see `reason` in its tables")
            raise SettingsError(f"{config.selector} reads {name}, which is known of no example: {mend}")


def columns_of(store: Store, asset: str, shards: Sequence[str], names: Sequence[str]) -> pl.LazyFrame:
    """Columns of shards' tables, beside shard and example_id; null where a table of before them holds none."""
    paths = [str(path) for path in all_at_hand([store.table_path(asset, shard) for shard in shards])]
    of_file = pl.col("shard").str.extract(r"([A-Za-z0-9_-]+)\.parquet$")
    # Tables of other code versions may lack a column, or have one more; a selection takes what it names.
    scanned = pl.scan_parquet(
        paths, glob=False, include_file_paths="shard", missing_columns="insert", extra_columns="ignore"
    )
    known = scanned.collect_schema()
    columns = [pl.col(name) if name in known else pl.lit(None).alias(name) for name in names]
    return scanned.select(of_file, "example_id", *columns)


def _require_bins(store: Store, frame: pl.DataFrame) -> None:
    unbinned = frame.filter(pl.col("bin").is_null())
    # Those whose instruction could not be embedded never get one.
    lost = {
        shard: count
        for shard, count in unbinned.group_by("shard").len().sort("shard").iter_rows()
        if count != store.required_provenance(TABLE, shard).facts["not_finite"]
    }
    if lost:
        raise dg.Failure(
            f"{sum(lost.values())} examples have no bin, of shards such as {', '.join(list(lost)[:3])}: materialise "
            "semantic_bins, then select",
            allow_retries=False,
        )


def instruction_vectors(store: Store, eligible: pl.DataFrame) -> np.ndarray:
    """(N, d) vectors of the eligible examples' instructions, in their order."""
    wanted = eligible.select("shard", "example_id").with_row_index("row")
    found: np.ndarray | None = None
    for keys, vectors in store.vectors.read_all(TABLE):
        if found is None:
            found = np.zeros((eligible.height, vectors.shape[1]), dtype=np.float32)
        both = keys.with_row_index("vector").join(wanted, on=["shard", "example_id"])
        found[both["row"].to_numpy()] = vectors[both["vector"].to_numpy()]
    assert found is not None
    return found


def read_queries(config: SelectionConfig) -> list[dict[str, Any]]:
    """The query file's examples in the canonical schema, read as any pool file is."""
    if config.queries is None:
        raise SettingsError(
            f"selected_subset.queries is not set: {config.selector} needs a file of examples that the subset is to help with"
        )
    return read_whole(Path(config.queries))[0].to_dicts()


def _likeness(store: Store, eligible: pl.DataFrame, queries: np.ndarray) -> np.ndarray:
    """(N, Q) cosines of the eligible examples' states to the queries'; NaN where an example has none."""
    found = np.full((eligible.height, len(queries)), np.nan, dtype=np.float32)
    for (shard,), rows in eligible.with_row_index("row").group_by("shard"):
        states = columns_of(store, "reference_losses", [str(shard)], ["state"]).drop_nulls("state").collect()
        known = rows.select("row", "example_id").join(states, on="example_id")
        if known.height:
            vectors = known["state"].explode().to_numpy().reshape(known.height, -1)
            found[known["row"].to_numpy()] = vectors.astype(np.float64) @ queries.T.astype(np.float64)
    if eligible.height and np.isnan(found).all():
        raise SettingsError("hidden states are known of no example: set `reference_losses.states` to true")
    return found
