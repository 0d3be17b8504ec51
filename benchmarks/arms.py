"""Every arm that needs nothing of the user's on one real pool: what each takes, how alike their subsets are, what they cost.

    python -m benchmarks.arms --pool alpaca_cleaned.json --out benchmarks/arms.json --picture docs/pictures/arms.png

The command `adg` does the work, stage by stage, so that each stage's seconds stand apart; Dagster's log tells them.
"""

import argparse
import contextlib
import io
import json
import platform
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from adg_pipeline.algorithms.arms import BUILT_IN
from adg_pipeline.formats.convert import convert
from adg_pipeline.host.children import environment
from adg_pipeline.settings.sections import RawPoolConfig
from adg_pipeline.store import Store
from benchmarks.result import machine_facts

# What is computed first, arm by arm: an arm asks for what none before it has asked for.
STAGES: Mapping[str, tuple[str, ...]] = {
    "adg": (),
    "ifd": (),
    "superfiltering": ("reference_losses.plain=true",),
    "t_shirt": ("reference_losses.noisy_copies={copies}",),
}
LEFT_OUT = {
    name: {"scar": "a ranker", "given": "a list"}.get(name, "a query set")
    for name, arm in BUILT_IN.items()
    if arm.chooses.files or name == "scar"
}
ARMS = [name for name in BUILT_IN if name not in LEFT_OUT]
STEPS = (
    "raw_pool",
    "generations",
    "reference_losses",
    "instruction_embeddings",
    "answer_embeddings",
    "divergence_scores",
)


def run(pool: Path, records: int, shards: int, budget: int, copies: int, folder: Path) -> dict[str, Any]:
    """All that is measured, as plain JSON values. folder: where the pipeline is made; what is there is gone on with."""
    _fill(pool, records, shards, folder / "data" / "pool")
    with environment(_environment(folder)):
        for arm, given in STAGES.items():
            sets = [part for value in given for part in ("--set", value.format(copies=copies))]
            _adg("run", "--in-process", "--budget", str(budget), "--arm", arm, *sets)
        # One that nothing can be selected for fails, and the others are made.
        every = (part for arm in ARMS for part in ("--arm", arm))
        _adg("run", "--in-process", "--budget", str(budget), *every, may_fail=True)
        seconds, refused = _told_by_steps()
    store = Store(data_dir=str(folder / "data"))
    made = [arm for arm in ARMS if arm not in refused]
    described = {arm: _described(store, arm, seconds["selected_subset"][arm][0]) for arm in made}
    chosen = {arm: set(_subset(store, arm)["example_id"]) for arm in made}
    overlap = {
        one: {other: round(len(chosen[one] & chosen[other]) / len(chosen[one] | chosen[other]), 3) for other in made}
        for one in made
    }
    return {
        "machine": machine_facts(),
        "versions": {name: version(name) for name in ("adg-pipeline", "torch", "transformers", "polars", "numpy")},
        "python": platform.python_version(),
        "pool": {"file": pool.name, "records": records, "shards": shards},
        "budget": budget,
        "noisy_copies": copies,
        "seconds": {step: seconds[step] for step in STEPS},
        "pool_as_a_whole": _means(_facts(store)),
        "arms": described,
        "refused": refused,
        "left_out": LEFT_OUT,
        "overlap": overlap,
    }


def _fill(pool: Path, records: int, shards: int, folder: Path) -> None:
    """The first records, in files of the same size."""
    if folder.exists():
        return
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as temporary:
        raw = Path(temporary) / "raw.parquet"
        convert(pool, raw, Path(temporary) / "rejects.jsonl", RawPoolConfig())
        rows = pl.read_parquet(raw).head(records).select("instruction", "input", "output")
    for number in range(shards):
        part = rows[number * records // shards : (number + 1) * records // shards]
        part.write_ndjson(folder / f"part-{number + 1:02d}.jsonl")


def _adg(*words: str, may_fail: bool = False) -> None:
    from adg_pipeline.cli.main import main

    sys.stderr.write(f"adg {' '.join(words)}\n")
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            main(list(words))
        except SystemExit as stop:
            if stop.code and not may_fail:
                raise


def _told_by_steps() -> tuple[dict[str, Any], dict[str, str]]:
    """Seconds of each step by run, in the order of the runs, of selected_subset by arm; and why an arm has no subset."""
    import dagster as dg

    from adg_pipeline.orchestration.instance import open_instance
    from adg_pipeline.orchestration.runs import PARTITION_TAG

    found: dict[str, Any] = {step: [] for step in STEPS} | {"selected_subset": {}}
    refused = {}
    with open_instance() as instance:
        for run in reversed(instance.get_runs()):
            for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_SUCCESS):
                event = entry.dagster_event
                if event is None or event.step_key not in found:
                    continue
                took = round(event.step_success_data.duration_ms / 1000, 2)
                if event.step_key == "selected_subset":
                    found["selected_subset"].setdefault(run.tags[PARTITION_TAG], []).append(took)
                else:
                    found[event.step_key].append(took)
            for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
                told = entry.dagster_event.step_failure_data if entry.dagster_event is not None else None
                if PARTITION_TAG in run.tags and told is not None and told.user_failure_data is not None:
                    refused[run.tags[PARTITION_TAG]] = str(told.user_failure_data.description)
    return found, refused


def _facts(store: Store) -> pl.DataFrame:
    """What is told of each example: how long reference and answers are, whether it has an input, how far it is in reach."""
    shards = store.shards("raw_pool")
    raw = store.scan("raw_pool", shards).select("example_id", has_input=pl.col("input") != "")
    losses = store.scan("reference_losses", shards).select(
        "example_id", "reference_tokens", gap=pl.col("reference_logprob") - pl.col("answer_logprob")
    )
    scores = store.scan("divergence_scores", shards).select("example_id", "answer_tokens", "dispersion", "anisotropy")
    return raw.join(losses, on="example_id").join(scores, on="example_id").collect()


def _means(rows: pl.DataFrame) -> dict[str, float]:
    means = rows.select(
        pl.col("reference_tokens", "answer_tokens").mean().round(1),
        pl.col("dispersion", "anisotropy", "gap").mean().round(3),
        with_input=pl.col("has_input").mean().round(3),
    )
    return dict(means.row(0, named=True))


def _subset(store: Store, arm: str) -> pl.DataFrame:
    return pl.read_parquet(store.selection_dir(arm) / "subset.parquet")


def _described(store: Store, arm: str, seconds: float) -> dict[str, Any]:
    manifest = store.selection_manifest(arm) or {}
    rows = _subset(store, arm)
    return {
        "source": BUILT_IN[arm].chooses.source,
        "selected": rows.height,
        "different": rows["example_id"].n_unique(),
        "eligible": manifest["counts"]["eligible"],
        "seconds": seconds,
        "jackknife": manifest["stability"].get("mean"),
        "by_shard": dict(sorted(rows["shard"].value_counts().iter_rows())),
        **_means(_facts(store).join(rows.select("example_id"), on="example_id")),
    }


def table(found: Mapping[str, Any]) -> str:
    """The arms in Markdown."""
    lines = [
        "| arm | taken | reference tokens | answer tokens | with input | of adg | of random | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    overlap = found["overlap"]
    for arm, of in found["arms"].items():
        lines.append(
            f"| `{arm}` | {of['selected']} | {of['reference_tokens']:.0f} | {of['answer_tokens']:.0f} | "
            f"{of['with_input']:.0%} | {overlap[arm]['adg']:.2f} | {overlap[arm]['random']:.2f} | {of['seconds']:.1f} |"
        )
    lines += [f"| `{arm}` | 0 | | | | | | |" for arm in found["refused"]]
    whole = found["pool_as_a_whole"]
    lines.append(
        f"| the pool | {found['pool']['records']:,} | {whole['reference_tokens']:.0f} | {whole['answer_tokens']:.0f} | "
        f"{whole['with_input']:.0%} | | | |"
    )
    return "\n".join(lines)


def picture(found: Mapping[str, Any], path: Path) -> None:
    """The overlaps as a square of colours."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    names = list(found["overlap"])
    values = np.array([[found["overlap"][one][other] for other in names] for one in names])
    figure, axes = plt.subplots(figsize=(9, 8), layout="constrained")
    shown = axes.imshow(values, cmap="viridis", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_title(f"Overlap (Jaccard) of subsets of {found['budget']} of {found['pool']['records']:,}", fontsize=10)
    figure.colorbar(shown, shrink=0.8)
    figure.savefig(path, dpi=90)
    plt.close(figure)


def _environment(folder: Path) -> dict[str, str]:
    # On few cores the packaged sentence embedder takes longer than all else together.
    (folder / "adg.yaml").write_text("embeddings: {embedder: hidden_state}\n", encoding="utf-8")
    return {
        "ADG_DATA_DIR": str(folder / "data"),
        "ADG_CONFIG": str(folder / "adg.yaml"),
        "DAGSTER_HOME": str(folder / "dagster"),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pool", type=Path, required=True, help="a pool file")
    parser.add_argument("--records", type=int, default=2_000, help="so many of it, the first")
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--budget", type=int, default=200)
    parser.add_argument("--noisy-copies", type=int, default=4, help="of t_shirt, whose source takes 30")
    parser.add_argument(
        "--folder", type=Path, help="keep the pipeline there, or go on with it; by default a temporary one"
    )
    parser.add_argument("--out", type=Path, help="write all that was measured there, as JSON")
    parser.add_argument("--picture", type=Path, help="draw the overlaps there")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        kept = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        kept.mkdir(parents=True, exist_ok=True)
        measured = run(
            options.pool, options.records, options.shards, options.budget, options.noisy_copies, kept.resolve()
        )
    if options.out:
        options.out.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    if options.picture:
        picture(measured, options.picture)
    sys.stdout.write(table(measured) + "\n")
