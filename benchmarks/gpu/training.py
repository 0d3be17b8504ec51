"""Fine-tuning by the product's trainer: the released settings, and the same data packed."""

import shutil
from typing import Any

import pyarrow.parquet as pq

from adg_pipeline.resources.trainer.job import LOG, plan_training
from adg_pipeline.resources.trainer.script import load_examples
from adg_pipeline.settings.sections import TrainingConfig
from benchmarks.gpu.place import Place

FIRST = 3  # steps that are not counted: kernels are chosen, memory is taken
# Updates of about as much data each: 16 examples of Alpaca are some 2,000 tokens.
SETTINGS: dict[str, dict[str, Any]] = {
    "released: 2 x 8, no packing": {"batch_size": 2, "gradient_accumulation": 8},
    "packed: 1 x 1": {"batch_size": 1, "gradient_accumulation": 1, "packing": True},
    "packed: 1 x 1, no checkpointing": {
        "batch_size": 1, "gradient_accumulation": 1, "packing": True, "gradient_checkpointing": False,
    },
}  # fmt: skip


def run(place: Place) -> None:
    from adg_pipeline.resources.trainer.fit import fit

    subset = place.work / "subset.parquet"
    pq.write_table(place.raw, subset)
    baseline = None
    for name, settings in SETTINGS.items():
        config = TrainingConfig(max_steps=place.steps, logging_steps=1, save_steps=10_000, **settings)
        output = place.work / "tuned"
        job = plan_training(subset, place.backbone(place.tuned_shape), output, config, template="alpaca")
        shutil.rmtree(job.work, ignore_errors=True)
        job.work.mkdir(parents=True)
        fit(job, load_examples(job), lambda text: None)
        rows = _rows(job.work / LOG)
        shutil.rmtree(job.work)
        tokens = rows[-1]["tokens"] - rows[FIRST]["tokens"]
        rate = tokens / (rows[-1]["seconds"] - rows[FIRST]["seconds"])
        losses = [row["loss"] for row in rows]
        curve = ", ".join(
            f"{losses[min(len(losses) - 1, at)]:.3f}" for at in range(0, len(losses), len(losses) // 5 or 1)
        )
        place.found(
            name=f"tuning, {place.tuned_shape}, {name}", figure=rate, baseline=baseline, unit="tokens/s",
            goal=2 if baseline else None, note=f"{tokens:,} tokens in {len(rows) - FIRST - 1} steps; loss {curve}",
        )  # fmt: skip
        baseline = baseline or rate


def _rows(log: Any) -> list[dict[str, Any]]:
    import json

    return [row for line in log.read_text().splitlines() if "loss" in (row := json.loads(line))]
