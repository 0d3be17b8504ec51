"""The subset that a training seed learns from, made where it must be drawn first."""

from pathlib import Path
from typing import Any

from adg_pipeline.assets.candidates import scored_examples
from adg_pipeline.assets.given import find_must_keep
from adg_pipeline.assets.subset import make_manifest, publish, rank, require_subset, subset_rows
from adg_pipeline.errors import PipelineError
from adg_pipeline.lineage.trials import draw_of
from adg_pipeline.store import Store
from adg_pipeline.store.selections import read_manifest, require_files


def subset_for(store: Store, arm: str, seed: int) -> tuple[Path, dict[str, Any]]:
    """Folder and manifest of what the arm gives a training with this seed to learn from.

    The arm's subset at hand; of an arm that draws at random one that is drawn with ``seed`` in place of
    `selected_subset.seed`, kept in ``subset_draws/ARM/SEED/`` with the same files as in ``selections/ARM/``.

    Raises:
        PipelineError: the arm has no subset.
        StaleInputError: its shards were scored anew since, so that a draw would be of another pool.
    """
    at_hand = store.selection_manifest(arm)
    if at_hand is None:
        raise PipelineError(f"there is no subset of {arm} in {store.root}: materialise selected_subset first")
    draw = draw_of(store, at_hand, arm, seed)
    if draw is None:
        return store.selection_dir(arm), at_hand
    directory = store.drawn_dir(arm, seed)
    with store.shard_lock("selected_subset", f"{arm}-{seed}"):
        drawn = read_manifest(directory)
        if drawn is not None and draw.is_of(drawn):
            require_files(directory, drawn["files_sha256"])
            return directory, drawn
        config, inputs = draw.config, draw.inputs
        with store.damage_named(["divergence_scores", "raw_pool"], inputs.shards):
            examples, must_keep = scored_examples(store, inputs, config), find_must_keep(store, inputs.shards, config)
            ranking, stability = rank(store, arm, examples, config, must_keep=must_keep.ids)
            require_subset(ranking, config)
            subset = subset_rows(store, ranking)
        kept, bins = at_hand["kept"], dict(draw.bins)
        made = make_manifest(store, arm, draw.key, config, kept, inputs, bins, ranking, subset, stability)
        publish(directory, ranking, subset, made)
        published = read_manifest(directory)
        assert published is not None
        return directory, published
