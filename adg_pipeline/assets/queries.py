"""query_states: an arm's queries as the backbone reads them, where the arm compares hidden states."""

from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa

from adg_pipeline.algorithms.selectors import SELECTORS
from adg_pipeline.assets.asked import generation_asked, losses_asked, selection_asked
from adg_pipeline.assets.candidates import read_queries
from adg_pipeline.errors import PipelineError, SettingsError
from adg_pipeline.formats.staging import sha256_of
from adg_pipeline.lineage.recipes import CODE_VERSIONS, query_states_recipe, reference_losses_recipe
from adg_pipeline.orchestration.compute import GPU_POOL, gpu_op_tags
from adg_pipeline.orchestration.partitions import arms
from adg_pipeline.resources.factories import GeneratorFactory
from adg_pipeline.resources.losses.states import query_states as read_states
from adg_pipeline.settings.sections import GenerationConfig, ReferenceLossConfig, SelectionConfig
from adg_pipeline.store import Store
from adg_pipeline.store.provenance import make_provenance

NAME = "query_states"
DESCRIPTION = """Hidden states of an arm's queries, read as references are: what `rds_plus` compares the pool with.

The selection itself loads no model: this step does, on a GPU of its own. It is part of a run only where the arm compares
states, and reads a file of queries once, however often the pool grows.
"""


def build(losses: ReferenceLossConfig, generation: GenerationConfig) -> dg.AssetsDefinition:
    """losses, generation: what reads the references, and so the queries."""

    @dg.asset(
        description=DESCRIPTION,
        partitions_def=arms,
        pool=GPU_POOL,
        op_tags=gpu_op_tags(losses.scorer(generation).gpus_needed),
        code_version=CODE_VERSIONS[NAME],
        group_name="selection",
        kinds={"vllm", "parquet"},
        owners=["team:ml"],
    )
    def query_states(
        context: dg.AssetExecutionContext, store: Store, generators: GeneratorFactory
    ) -> dg.MaterializeResult:
        arm = context.partition_key
        try:
            config = selection_asked(context, store, arm)
            selector = SELECTORS.get(config.selector)
            if selector is None or not selector.likeness:
                return dg.MaterializeResult(metadata={"queries": 0, "why": f"{config.selector} compares no states"})
            queries = read_queries(config)
            scoring, sampled = losses_asked(context, store, losses), generation_asked(context, store, generation)
            recipe = query_states_recipe(reference_losses_recipe(scoring, sampled))
            inputs = {"queries": sha256_of(Path(config.queries or ""))}
            # Of a table of an arm, the arm stands where others name their shard.
            with store.shard_lock(NAME, arm):
                stored = store.provenance(NAME, arm)
                if stored is None or stored.fingerprint != recipe.fingerprint(inputs):
                    with generators.open(scoring.scorer(sampled)) as generator:
                        states = read_states(queries, generator, scoring.batch_size)
                    stored = make_provenance(recipe, arm, inputs, len(states))
                    store.write_table(_table(states), stored)
        except (PipelineError, SettingsError) as error:
            if isinstance(error, PipelineError) and error.may_pass:
                raise
            raise dg.Failure(str(error), allow_retries=False) from error
        return dg.MaterializeResult(metadata={"queries": stored.rows, "computed_at": stored.created_at})

    return query_states


def stored_states(store: Store, arm: str, config: SelectionConfig, shard: str) -> np.ndarray:
    """(Q, d) states of the arm's queries. shard: one of those whose references they are compared with.

    Raises dg.Failure where there are none, or they are of other queries or were read in another way.
    """
    stored = store.provenance(NAME, arm)
    wanted = query_states_recipe(store.required_provenance("reference_losses", shard).recipe)
    file = Path(config.queries or "")
    now = {"queries": sha256_of(file) if file.is_file() else "missing"}
    if stored is None or stored.fingerprint != wanted.fingerprint(now):
        why = "aren't read yet" if stored is None else "or the way in which references are read have changed"
        raise dg.Failure(
            f"the queries of {arm} {why}: `adg run --arm {arm}`, or materialise query_states", allow_retries=False
        )
    column: Any = store.read_table(NAME, arm)["state"].to_pylist()
    return np.array(column, dtype=np.float32)


def _table(states: np.ndarray) -> pa.Table:
    return pa.table({"state": pa.array([row.tolist() for row in states], pa.list_(pa.float32()))})
