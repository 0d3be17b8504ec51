"""Metadata of each asset, made from what is stored, so that a shard that was up to date shows the same as a new one."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg
import numpy as np
import polars as pl

from adg_pipeline.algorithms.divergence import adg_score
from adg_pipeline.report import plots
from adg_pipeline.settings.kept import in_words
from adg_pipeline.store import Store
from adg_pipeline.store.provenance import Provenance
from adg_pipeline.store.selections import content_id

if TYPE_CHECKING:
    from adg_pipeline.resources.trainer import TrainingResult

Metadata = Mapping[str, Any]
SAMPLE_ROWS, SAMPLE_CHARS = 5, 200


def raw_pool(store: Store, stored: Provenance) -> Metadata:
    facts = stored.facts
    sample = _sample(store, stored, ["example_id", "source", "instruction", "input", "output"])
    metadata = {
        **_common(stored),
        "file": facts["file"],
        "format": facts["format"],
        "read": facts["read"],
        "accepted": stored.rows,
        "rejected": facts["rejected"],
        "sample": sample,
    }
    # Counts by key, where there are any.
    for name in ("keys_not_used", "templates_taken_off"):
        if facts.get(name):
            metadata[name] = dg.MetadataValue.json(facts[name])
    if facts["rejected"]:
        metadata["rejected_because"] = dg.MetadataValue.json(facts["reasons"])
        metadata["rejects_file"] = dg.MetadataValue.path(str(store.rejects_path(stored.shard)))
    return metadata


def generations(store: Store, stored: Provenance) -> Metadata:
    sample = _sample(store, stored, ["example_id", "status", "prompt_tokens", "answers"])
    return {**_common(stored), **_numbers(stored.facts), "sample": sample}


def vectors(stored: Provenance) -> Metadata:
    metadata = {**_common(stored), **_numbers(stored.facts)}
    if stored.facts["not_finite"]:
        metadata["not_finite_ids"] = dg.MetadataValue.json(stored.facts["not_finite_ids"])
    return metadata


def scores(store: Store, stored: Provenance) -> Metadata:
    columns = ["example_id", "dispersion", "anisotropy", "modes", "distinct_answers"]
    frame = pl.from_arrow(store.read_table("divergence_scores", stored.shard, columns))
    assert isinstance(frame, pl.DataFrame)
    frame = frame.drop_nulls("dispersion")
    dispersion, anisotropy = frame["dispersion"].to_numpy(), frame["anisotropy"].to_numpy()
    return {
        **_common(stored),
        **_numbers(stored.facts),
        "sample": _table(frame.sort("dispersion", "example_id", descending=[True, False]).head(SAMPLE_ROWS)),
        "score_histogram": plots.score_histogram(
            adg_score(dispersion, anisotropy), f"Scores of {stored.shard}, λ = 0.4"
        ),
        "quadrants": plots.quadrants(dispersion, anisotropy, None, f"Divergence of {stored.shard}"),
    }


def bins(fit: Mapping[str, Any], sizes: np.ndarray) -> Metadata:
    return {
        "dagster/row_count": int(sizes.sum()),
        **{key: value for key, value in fit.items() if isinstance(value, int | float | str)},
        "largest_bin": int(sizes.max(initial=0)),
        "empty_bins": int((sizes == 0).sum()),
    }


def selection(manifest: Mapping[str, Any], ranking: pl.DataFrame, subset: pl.DataFrame, weight: float) -> Metadata:
    scored = ranking.filter(pl.col("dispersion").is_not_null())
    chosen = scored["selected"].to_numpy()
    dispersion, anisotropy = scored["dispersion"].to_numpy(), scored["anisotropy"].to_numpy()
    per_bin = ranking.filter(pl.col("bin") >= 0).group_by("bin").agg(pl.len(), pl.col("selected").sum())
    counts = manifest["counts"]
    return {
        "dagster/row_count": subset.height,
        "subset": content_id(manifest),
        "quadrants": plots.quadrants(dispersion, anisotropy, chosen, "Dispersion and anisotropy, selected marked"),
        "score_histogram": plots.score_histogram(
            adg_score(dispersion, anisotropy, weight), f"Scores, λ = {weight}", chosen
        ),
        "quotas": plots.quota_bars(per_bin["len"].to_list(), per_bin["selected"].to_list(), "Selected per bin"),
        "budget": manifest["config"]["budget"],
        "otherwise_than_configured": ", ".join(in_words(key, one) for key, one in manifest.get("kept", {}).items())
        or "no",
        "pool": counts["pool"],
        "eligible": counts["eligible"],
        "left_out": dg.MetadataValue.json(counts["left_out"]),
        "shards": len(manifest["shards"]),
        "shards_left_out": dg.MetadataValue.json(manifest["shards_left_out"]),
        "selected_by_source": dg.MetadataValue.json(counts["selected_by_source"]),
        "sample": _table(subset.select("rank", "example_id", "score", "instruction", "output").head(SAMPLE_ROWS)),
    }


def checkpoint(result: "TrainingResult") -> Metadata:
    manifest = result.manifest
    points = [(entry["step"], entry["loss"]) for entry in result.log if "loss" in entry]
    given = manifest.examples + sum(map(len, manifest.left_out.values()))
    metadata: dict[str, Any] = {
        "path": dg.MetadataValue.path(str(result.checkpoint)),
        "subset": manifest.job.provenance.get("subset", ""),
        "job": manifest.job_fingerprint,
        "steps": manifest.steps,
        "epochs": manifest.epochs,
        "final_loss": manifest.final_loss,
        "examples": manifest.examples,
        "prompt_template": manifest.job.template,
        "turn_ends": ", ".join(manifest.turn_ends),
        "left_out": dg.MetadataValue.json(
            {reason: f"{len(ids)} of {given} ({len(ids) / given:.1%})" for reason, ids in manifest.left_out.items()}
        ),
        "left_out_share": (given - manifest.examples) / given,
        "tokens": manifest.tokens,
        "tokens_per_second": manifest.tokens / max(manifest.seconds, 1e-9),
        "seconds": manifest.seconds,
        "resumed_from_step": manifest.resumed_from,
    }
    if points:
        steps, losses = zip(*points, strict=True)
        metadata["training_loss"] = plots.loss_curve(steps, losses, "Training loss")
    return metadata


def _common(stored: Provenance) -> dict[str, Any]:
    return {"dagster/row_count": stored.rows, "recipe": stored.recipe.id, "fingerprint": stored.fingerprint}


def _numbers(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if isinstance(value, int | float | str)}


def _sample(store: Store, stored: Provenance, columns: list[str]) -> dg.MetadataValue:
    frame = pl.from_arrow(store.read_table(stored.asset, stored.shard, columns).slice(0, SAMPLE_ROWS))
    assert isinstance(frame, pl.DataFrame)
    return _table(frame)


def _table(frame: pl.DataFrame) -> dg.MetadataValue:
    records = [dg.TableRecord({key: _cell(value) for key, value in row.items()}) for row in frame.to_dicts()]
    if not records:
        return dg.MetadataValue.text("no rows")
    return dg.MetadataValue.table(records)


def _cell(value: Any) -> str | int | float | bool:
    if isinstance(value, int | float | bool):
        return value
    if isinstance(value, list):
        value = " ⏐ ".join(str(item) for item in value)
    text = "" if value is None else str(value)
    return text if len(text) <= SAMPLE_CHARS else text[: SAMPLE_CHARS - 1] + "…"
