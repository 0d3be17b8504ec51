"""Metadata of each asset, made from what is stored, so that a shard that was up to date shows the same as a new one.

In the order that a reader asks: how many, what it looks like, then the paths and hashes that tell where it comes from.
What is empty isn't shown.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
import numpy as np
import polars as pl

from adg_pipeline.algorithms.divergence import adg_score
from adg_pipeline.report import plots
from adg_pipeline.report.figures import figures, quick_look
from adg_pipeline.report.tables import SAMPLE_ROWS, number, sample_table
from adg_pipeline.settings.kept import in_words
from adg_pipeline.store import Store
from adg_pipeline.store.provenance import Provenance
from adg_pipeline.store.results import Results
from adg_pipeline.store.selections import arm_of, content_id

if TYPE_CHECKING:
    from adg_pipeline.resources.trainer import TrainingResult

Metadata = Mapping[str, Any]
# λ of the shard's histogram; a selection shows its own.
WEIGHT = 0.4


def raw_pool(store: Store, stored: Provenance) -> Metadata:
    facts = stored.facts
    return {
        **_rows(stored),
        "read": facts["read"],
        "accepted": stored.rows,
        "rejected": facts["rejected"],
        **_counts("rejected_because", facts["reasons"]),
        **_counts("keys_not_used", facts.get("keys_not_used", {})),
        **_counts("templates_taken_off", facts.get("templates_taken_off", {})),
        "sample": sample_table(_head(store, stored, ["instruction", "input", "output", "source", "example_id"])),
        "file": facts["file"],
        "format": facts["format"],
        **({"rejects_file": dg.MetadataValue.path(str(store.rejects_path(stored.shard)))} if facts["rejected"] else {}),
        **_origin(stored),
    }


def generations(store: Store, stored: Provenance) -> Metadata:
    sample = _head(store, stored, ["example_id", "answers", "status", "reason"])
    return {
        **_rows(stored),
        **_numbers(stored.facts),
        "sample": sample_table(_with_instruction(store, stored.shard, sample)),
        **_origin(stored),
    }


def vectors(stored: Provenance) -> Metadata:
    named = {key: value for key, value in stored.facts.items() if isinstance(value, list) and value}
    lists = {key: dg.MetadataValue.json(value) for key, value in named.items()}
    return {**_rows(stored), **_numbers(stored.facts), **lists, **_origin(stored)}


def fingerprints(stored: Provenance) -> Metadata:
    return {**_rows(stored), **_numbers(stored.facts), **_origin(stored)}


def token_counts(stored: Provenance) -> Metadata:
    return {**_rows(stored), **_numbers(stored.facts), **_origin(stored)}


def references(stored: Provenance) -> Metadata:
    return {**_rows(stored), **_numbers(stored.facts), **_origin(stored)}


def scores(store: Store, stored: Provenance) -> Metadata:
    columns = ["example_id", "dispersion", "anisotropy", "modes", "distinct_answers"]
    frame = pl.from_arrow(store.read_table("divergence_scores", stored.shard, columns))
    assert isinstance(frame, pl.DataFrame)
    frame = frame.drop_nulls("dispersion")
    dispersion, anisotropy = frame["dispersion"].to_numpy(), frame["anisotropy"].to_numpy()
    widest = frame.sort("dispersion", "example_id", descending=[True, False]).head(SAMPLE_ROWS)
    return {
        **_rows(stored),
        **_numbers(stored.facts),
        "quadrants": plots.quadrants(dispersion, anisotropy, None, f"Divergence of {stored.shard}"),
        "score_histogram": plots.score_histogram(
            adg_score(dispersion, anisotropy, WEIGHT), f"Scores of {stored.shard}, λ = {WEIGHT}"
        ),
        "most_dispersed": sample_table(_with_instruction(store, stored.shard, widest)),
        **_origin(stored),
    }


def bins(fit: Mapping[str, Any], sizes: np.ndarray) -> Metadata:
    facts = _numbers(fit)
    return {
        "dagster/row_count": int(sizes.sum()),
        "largest_bin": int(sizes.max(initial=0)),
        "empty_bins": int((sizes == 0).sum()),
        # Hashes last.
        **{key: facts[key] for key in sorted(facts, key=lambda key: isinstance(facts[key], str))},
    }


def selection(manifest: Mapping[str, Any], ranking: pl.DataFrame, subset: pl.DataFrame, weight: float) -> Metadata:
    scored = ranking.filter(pl.col("dispersion").is_not_null())
    chosen = scored["selected"].to_numpy()
    dispersion, anisotropy = scored["dispersion"].to_numpy(), scored["anisotropy"].to_numpy()
    per_bin = ranking.filter(pl.col("bin") >= 0).group_by("bin").agg(pl.len(), pl.col("selected").sum())
    counts = manifest["counts"]
    sample = subset.select("rank", "instruction", "output", "score", "example_id")
    return {
        "dagster/row_count": subset.height,
        **_budget(manifest),
        "otherwise_than_configured": ", ".join(in_words(key, one) for key, one in manifest.get("kept", {}).items())
        or "no",
        "pool": counts["pool"],
        "eligible": counts["eligible"],
        **(
            {"funnel": _funnel(manifest["funnel"])} if "funnel" in manifest else _counts("left_out", counts["left_out"])
        ),
        "shards": len(manifest["shards"]),
        **_counts("shards_left_out", manifest["shards_left_out"]),
        "quadrants": plots.quadrants(dispersion, anisotropy, chosen, "Dispersion and anisotropy, selected marked"),
        "score_histogram": _own_scores(manifest, ranking, scored, weight),
        **_stability(manifest.get("stability", {})),
        "quotas": plots.quota_bars(per_bin["len"].to_list(), per_bin["selected"].to_list(), "Selected per bin"),
        "sample": sample_table(sample),
        "closest_calls": sample_table(closest_calls(ranking)),
        **_counts("selected_by_source", counts["selected_by_source"]),
        "subset": content_id(manifest),
    }


def _budget(manifest: Mapping[str, Any]) -> Metadata:
    config = manifest["config"]
    if config.get("budget_tokens") is not None:
        return {"budget_tokens": config["budget_tokens"], "tokens": manifest["counts"]["tokens"]}
    return {"budget": config["budget"]}


def _funnel(steps: Sequence[Mapping[str, Any]]) -> dg.MetadataValue:
    """A row for each step and, under it, for each reason."""
    lines = ["| step | examples |", "|---|---:|"]
    for step in steps:
        lines.append(f"| **{step['step']}** | {step['examples']:,} |")
        lines += [f"| {reason} | -{number:,} |" for reason, number in step["left_out"].items()]
    return dg.MetadataValue.md("\n".join(lines))


def _own_scores(manifest: Mapping[str, Any], ranking: pl.DataFrame, scored: pl.DataFrame, weight: float) -> Any:
    """Histogram of what the arm ranks by: the paper's score of all that have one, or its own of those it could take."""
    config = manifest["config"]
    if config.get("selector", "adg") == "adg" and not config.get("length_control") and not config.get("first_answers"):
        scores = adg_score(scored["dispersion"], scored["anisotropy"], weight)
        return plots.score_histogram(scores, f"Scores, λ = {weight}", scored["selected"].to_numpy())
    own = ranking.drop_nulls("score")
    return plots.score_histogram(own["score"].to_numpy(), f"Scores of {arm_of(manifest)}", own["selected"].to_numpy())


def closest_calls(ranking: pl.DataFrame) -> pl.DataFrame:
    """Choices that a little would have changed, the closest first: how far the example's score lies from that of the nearest
    one on the other side, of its bin, or of the pool where bins decided nothing.
    """
    eligible = ranking.filter(pl.col("left_out").is_null(), pl.col("score").is_not_null())
    among = pl.when(pl.col("bin_rank").is_null()).then(-1).otherwise(pl.col("bin"))
    taken, left = pl.col("score").filter("selected").min(), pl.col("score").filter(~pl.col("selected")).max()
    nearest = pl.when("selected").then(left.over(among)).otherwise(taken.over(among))
    columns = ["example_id", "selected", "score", "nearest_on_the_other_side", "source"]
    told = eligible.with_columns(nearest.alias("nearest_on_the_other_side")).drop_nulls("nearest_on_the_other_side")
    distance = (pl.col("score") - pl.col("nearest_on_the_other_side")).abs()
    times = [pl.col("jackknife").alias("in_jackknife")] if "jackknife" in told.columns else []
    return told.sort(distance, "example_id").select(*columns, *times)


def _stability(found: Mapping[str, Any]) -> dict[str, Any]:
    """What of the subset stays when one of the K answers is left out; nothing where that isn't known."""
    if not found:
        return {}
    return {
        "stable_share": number(found["mean"]),
        "jackknife_jaccard": dg.MetadataValue.json(found["jackknife_jaccard"]),
        **({"stability_of_examples": found["examples"]} if found.get("examples", 0) < found.get("of", 0) else {}),
    }


def checkpoint(result: "TrainingResult") -> Metadata:
    manifest = result.manifest
    points = [(entry["step"], entry["loss"]) for entry in result.log if "loss" in entry]
    given = manifest.examples + sum(map(len, manifest.left_out.values()))
    metadata: dict[str, Any] = {
        "examples": manifest.examples,
        **_counts(
            "left_out",
            {reason: f"{len(ids)} of {given} ({len(ids) / given:.1%})" for reason, ids in manifest.left_out.items()},
        ),
        "left_out_share": number((given - manifest.examples) / given),
        "steps": manifest.steps,
        "epochs": number(manifest.epochs),
        "final_loss": number(manifest.final_loss),
        "prompt_template": manifest.job.template,
        "turn_ends": ", ".join(manifest.turn_ends),
        "tokens": manifest.tokens,
        "tokens_per_second": number(manifest.tokens / max(manifest.seconds, 1e-9)),
        "seconds": number(manifest.seconds),
    }
    if manifest.resumed_from:
        metadata["resumed_from_step"] = manifest.resumed_from
    if points:
        steps, losses = zip(*points, strict=True)
        metadata["training_loss"] = plots.loss_curve(steps, losses, "Training loss")
    return metadata | {
        "path": dg.MetadataValue.path(str(result.checkpoint)),
        "subset": manifest.job.provenance.get("subset", ""),
        "job": manifest.job_fingerprint,
    }


def benchmarks(results: Results) -> Metadata:
    manifest = results.manifest
    limit = {} if results.limit is None else {"quick_look": quick_look(results.limit)}
    headline = results.summary().filter(headline=True)
    scores = {row["name"]: round(100 * row["value"], 2) for row in headline.iter_rows(named=True)}
    return {
        **limit,
        "figures": dg.MetadataValue.table(
            [
                dg.TableRecord({key: "" if value is None else value for key, value in row.items()})
                for row in figures(results)
            ]
        ),
        **({} if limit else scores),
        "suite": manifest["suite"]["name"],
        "backend": manifest["recipe"]["backend"],
        "device": manifest["device"],
        "seconds": number(manifest["seconds"]),
        "path": dg.MetadataValue.path(str(results.folder)),
        "checkpoint": manifest["provenance"].get("checkpoint", ""),
    }


def _rows(stored: Provenance) -> dict[str, Any]:
    return {"dagster/row_count": stored.rows}


def _origin(stored: Provenance) -> dict[str, Any]:
    return {"recipe": stored.recipe.id, "fingerprint": stored.fingerprint}


def _numbers(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {key: number(value) for key, value in facts.items() if isinstance(value, int | float | str)}


def _counts(name: str, counts: Mapping[str, Any]) -> dict[str, Any]:
    """A dictionary under a name; nothing if it is empty."""
    return {name: dg.MetadataValue.json(dict(counts))} if counts else {}


def _head(store: Store, stored: Provenance, columns: list[str]) -> pl.DataFrame:
    frame = pl.from_arrow(store.read_table(stored.asset, stored.shard, columns).slice(0, SAMPLE_ROWS))
    assert isinstance(frame, pl.DataFrame)
    return frame.select(columns)


def _with_instruction(store: Store, shard: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of a shard, each with what was asked before and its id after the rest."""
    asked = pl.from_arrow(store.read_table("raw_pool", shard, ["example_id", "instruction"]))
    assert isinstance(asked, pl.DataFrame)
    joined = rows.join(asked, on="example_id", how="left", maintain_order="left")
    return joined.select("instruction", pl.exclude("instruction", "example_id"), "example_id")
