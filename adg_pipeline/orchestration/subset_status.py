"""Subsets, checkpoints and results in rows, for `adg status`: what they are of, whether that is current, and the mend."""

from collections.abc import Iterator, Mapping
from typing import Any

from adg_pipeline.algorithms.selectors import SELECTORS
from adg_pipeline.errors import StaleInputError, StoreError
from adg_pipeline.host.shared_files import removal
from adg_pipeline.lineage.in_force import InForce
from adg_pipeline.lineage.states import SelectionInputs, selection_key
from adg_pipeline.lineage.trials import draw_of
from adg_pipeline.resources.trainer.examples import subset_fingerprint
from adg_pipeline.settings.budget import budget_of
from adg_pipeline.settings.sections import Section
from adg_pipeline.store import Store
from adg_pipeline.store.checkpoints import MANIFEST, read_training_manifest
from adg_pipeline.store.history import StoredSubset, SubsetHistory
from adg_pipeline.store.results import read_results
from adg_pipeline.store.selections import arm_of, content_id


def subset_row(store: Store, arm: str, in_force: InForce, inputs: SelectionInputs) -> dict[str, Any]:
    """The arm's subset: name, state, size, budget, when made, what is kept, why it isn't current, the mend.

    state: current, stale, missing, damaged, or pinned: restored, so that only `adg run` renews it.
    """
    row = {"arm": arm, "subset": None, "state": "missing", "examples": None, "budget": None, "made": None}
    run = f"`{_run(arm)}`"
    try:
        stored = store.subset_history(arm).current()
    except StoreError as error:
        mend = f"`{removal(error.delete)} && {_run(arm)}`"
        return {**row, "state": "damaged", "kept": {}, "why": str(error), "mend": mend}
    if stored is None:
        return {**row, "kept": {}, "why": "not made yet", "mend": run}
    why = "; ".join(_why_stale(stored.manifest, in_force, inputs))
    pinned = store.is_pinned(arm)
    if pinned:
        why = f"restored: it stays until `adg run` is called{f'; {why}' if why else ''}"
    return {
        "arm": arm,
        "subset": stored.id,
        "state": "pinned" if pinned else "stale" if why else "current",
        "examples": stored.manifest["counts"]["selected"],
        "budget": budget_of(stored.manifest["config"]),
        "made": stored.made_at,
        "kept": {key: one for key, one in in_force.kept.items() if key.startswith("selected_subset.")},
        "funnel": stored.manifest.get("funnel"),
        "why": why,
        "mend": run if why else "",
    }


def _why_stale(made: Mapping[str, Any], in_force: InForce, inputs: SelectionInputs) -> Iterator[str]:
    settings = in_force.settings
    sections: dict[str, tuple[Mapping[str, Any], Section]] = {
        "selected_subset": (made["config"], settings.selected_subset),
        "semantic_bins": (made["bins"]["recipe"], settings.semantic_bins),
    }
    key = selection_key(arm_of(made), settings.semantic_bins.recipe(), settings.selected_subset.recipe(), inputs)
    if key == made["key"]:
        return
    changed = [change for name, (before, section) in sections.items() for change in _changes(name, before, section)]
    shards, now = made["shards"], inputs.scores
    changed += (
        f"{len(names):,} shards {what}, such as {min(names)}"
        for what, names in {
            "came": set(now) - set(shards),
            "went": set(shards) - set(now),
            "were scored anew": {s for s in now if s in shards and shards[s]["divergence_scores"] != now[s]},
            **{
                f"have other {asset.replace('_', ' ')}": {
                    s for s, one in contents.items() if s in shards and shards[s].get(asset) != one
                }
                for asset, contents in inputs.optional.items()
            },
            "were embedded anew": {
                s for s in now if s in shards and shards[s]["instruction_embeddings"] != inputs.instructions[s]
            },
        }.items()
        if names
    )
    if not changed:
        files = SELECTORS[settings.selected_subset.selector].files
        changed = [f"the file of selected_subset.{name} holds other examples" for name in files]
    yield from changed or ["it was made by an earlier version"]


def unknown_arm_row(store: Store, arm: str) -> dict[str, Any]:
    """The row of a subset whose arm is gone from adg.yaml: it stays, and nothing renews it."""
    try:
        stored = store.subset_history(arm).current()
    except StoreError:
        stored = None
    return {
        "arm": arm,
        "subset": stored.id if stored else None,
        "state": "stale",
        "examples": stored.manifest["counts"]["selected"] if stored else None,
        "budget": budget_of(stored.manifest["config"]) if stored else None,
        "made": stored.made_at if stored else None,
        "kept": {},
        "why": f"there is no arm {arm} any more",
        "mend": f"name it under `arms:` in adg.yaml, or `{removal([store.selection_dir(arm)])}`",
    }


def checkpoint_rows(store: Store, arm: str, in_force: InForce) -> Iterator[dict[str, Any]]:
    """The arm's checkpoints, a row a seed: the subset it is of, state, size, when made, why it isn't current, the mend.

    state: current, stale (other settings), damaged, or of another subset than the one at hand.
    """
    try:
        stored = store.subset_history(arm).current()
    except StoreError:  # the subset's own row says so
        stored = None
    for seed in store.trained_seeds(arm):
        folder = store.checkpoint_dir(arm, seed)
        settings = in_force.settings.finetuned_checkpoint
        again = f"{_run(arm)} --train"
        if seed != settings.seed:
            again += f" --set finetuned_checkpoint.seed={seed}"
        row: dict[str, Any] = {"arm": arm, "seed": seed, **dict.fromkeys(("subset", "state", "examples", "made"))}
        try:
            made = read_training_manifest(folder) or {}
        except ValueError as error:
            mend = f"`{removal([folder])} && {again}`"
            yield {**row, "state": "damaged", "why": f"{folder / MANIFEST}: {error}", "mend": mend}
            continue
        job = made["job"]
        selection = job["provenance"].get("selection")
        of = content_id(selection) if selection else None
        wanted = settings.model_copy(update={"seed": seed})
        why = "; ".join(_changes("finetuned_checkpoint", job["config"], wanted))
        state = "stale" if why else "current"
        learns_from = _of_seed(store, stored, seed)
        if learns_from is None or not _trained_on(learns_from, of, job["subset_fingerprint"]):
            state = "other subset"
            why = f"trained on {of or 'another subset'}, at hand is {learns_from.id if learns_from else 'none'}"
        yield {
            **row,
            "subset": of,
            "state": state,
            "examples": made["examples"],
            "made": made["finished_at"],
            "why": why,
            "mend": f"`{again}`" if why else "",
        }


def results_rows(store: Store, arm: str) -> Iterator[dict[str, Any]]:
    """The arm's benchmark results, a row each: seed, suite, what a quick look asked, average, when made, whether they are of
    the checkpoint at hand, and the mend.
    """
    for seed, name in store.evaluated(arm):
        trained, folder = store.checkpoint_dir(arm, seed), store.results_dir(arm, seed, name)
        results = read_results(folder)
        if results is None:
            continue
        try:
            checkpoint = (read_training_manifest(trained) or {}).get("job_fingerprint")
        except ValueError:  # the checkpoint's own row says so
            checkpoint = None
        manifest = results.manifest
        is_current = manifest["provenance"].get("checkpoint") == checkpoint
        summary = results.summary().filter(kind="average")
        yield {
            "arm": arm,
            "seed": seed,
            "suite": manifest["suite"]["name"],
            "limit": results.limit,
            "average": round(100 * summary["value"][0], 2) if len(summary) else None,
            "made": manifest["finished_at"],
            "state": "current" if is_current else "other checkpoint",
            "why": "" if is_current else "the checkpoint was trained anew since, or is gone",
            "mend": "" if is_current else f"`adg evaluate --arm {arm} --seed {seed}`",
        }


def _of_seed(store: Store, at_hand: StoredSubset | None, seed: int) -> StoredSubset | None:
    """What a training with this seed learns from: the subset at hand, or of an arm that draws at random its seed's draw."""
    if at_hand is None:
        return None
    try:
        draw = draw_of(store, at_hand.manifest, at_hand.arm, seed)
    except StaleInputError:  # the subset's own row says so
        return at_hand
    if draw is None:
        return at_hand
    drawn = SubsetHistory(store.drawn_dir(at_hand.arm, seed), store.drawn_dir(at_hand.arm, seed)).current()
    return drawn if drawn is not None and draw.is_of(drawn.manifest) else None


def _trained_on(stored: StoredSubset, of: str | None, fingerprint: str) -> bool:
    """Another content may still be the same to a training: a shard that was renamed, say."""
    return stored.id == of or subset_fingerprint(stored.directory / "subset.parquet") == fingerprint


def _changes(name: str, made: Mapping[str, Any], section: Section) -> Iterator[str]:
    """What a section's settings would do otherwise than when something was made: ``budget 40 → 100``."""
    fields = type(section).model_fields
    before = type(section).model_validate({key: value for key, value in made.items() if key in fields}).recipe()
    now = section.recipe()
    for key in {**before, **now}:
        if before.get(key) != now.get(key):
            yield f"{name}.{key} {before.get(key)} → {now.get(key)}"


def _run(arm: str) -> str:
    return "adg run" if arm == "adg" else f"adg run --arm {arm}"
