"""`adg demo`: the whole graph on the embedded world, through Dagster, and then a pool that grows."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from adg_pipeline.errors import PipelineError

if TYPE_CHECKING:
    from adg_pipeline.demo.evaluate import SkillAccuracy
    from adg_pipeline.orchestration.runner import RunReport
    from adg_pipeline.settings.loading import Settings
    from adg_pipeline.store import Store

SHARDS, ROWS_PER_SHARD = 4, 400
SEEDS = (0, 1, 2)
SETTINGS = Path(__file__).with_name("settings.yaml")
MARK = ".adg-demo"
ADG, RANDOM = "adg", "random"


def run_demo(directory: Path, say: Callable[[str], None]) -> str:
    """Run the demo in `directory`, which is made anew, and return its report. Says what it does as it goes."""
    started = time.monotonic()
    _prepare(directory)
    # The definitions read these when they are imported, here and in every process that a run starts.
    os.environ["ADG_DATA_DIR"] = str(directory.resolve() / "data")
    os.environ["ADG_CONFIG"] = str(SETTINGS)
    os.environ["DAGSTER_HOME"] = str(directory.resolve() / "dagster")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")

    from adg_pipeline.demo.evaluate import evaluate, held_out_questions
    from adg_pipeline.demo.pool import write_pool
    from adg_pipeline.demo.report import DemoReport, count, count_sources, render
    from adg_pipeline.models.backbones import resolve_backbone
    from adg_pipeline.orchestration.instance import instance_home, open_instance
    from adg_pipeline.orchestration.runner import Runner, RunReport
    from adg_pipeline.orchestration.terminal import open_terminal
    from adg_pipeline.settings.loading import load_settings
    from adg_pipeline.store import Store

    settings = load_settings()
    store = Store(data_dir=os.environ["ADG_DATA_DIR"])
    questions = held_out_questions()

    def accuracy(checkpoint: Path) -> "SkillAccuracy":
        return evaluate(checkpoint, questions)

    with open_instance() as instance, open_terminal(instance_home()):
        write_pool(store.pool_dir, shards=SHARDS, rows_per_shard=ROWS_PER_SHARD)
        first, grown = RunReport(), RunReport()
        runner = Runner(store, settings, instance, say)
        runner.bring_shards_up_to_date(first)
        runner.select(ADG, first)
        _stop_on_failure(first)
        backbone = accuracy(Path(resolve_backbone(settings.generations.backbone)))
        tuned: dict[str, list[SkillAccuracy]] = {"ADG": [], "random": []}
        for seed in SEEDS:
            seeded = Runner(store, _with_seed(settings, seed), instance, say, configured=settings)
            for name, arm in (("ADG", ADG), ("random", RANDOM)):
                say(f"seed {seed}: {name}")
                if arm == RANDOM:
                    seeded.select(RANDOM, first)
                seeded.train(arm, first)
                _stop_on_failure(first)
                tuned[name].append(accuracy(store.checkpoint_dir(arm)))
        report = DemoReport(
            pool=count(_sources(store)),
            selected={
                "ADG": count_sources(store.selection_dir(ADG) / "subset.parquet"),
                "ADG without bins": count(_without_bins(store, settings)),
                "random": count_sources(store.selection_dir(RANDOM) / "subset.parquet"),
            },
            backbone=backbone,
            tuned=tuned,
        )
        say("the pool grows by one shard")
        before, chosen_before = store.selection_manifest(ADG) or {}, _chosen(store)
        write_pool(store.pool_dir, shards=1, rows_per_shard=ROWS_PER_SHARD, first_shard=SHARDS + 1)
        since = time.monotonic()
        runner.bring_shards_up_to_date(grown)
        runner.select(ADG, grown)
        _stop_on_failure(grown)
        after = store.selection_manifest(ADG) or {}
    growth = [
        "When the pool grew",
        f"  shards computed: {', '.join(grown.shards_computed)} of {len(after['shards'])}, {time.monotonic() - since:.0f} s",
        f"  subset renewed: {before['counts']['pool']} examples in the pool before, {after['counts']['pool']} after; "
        f"{len(_chosen(store) - chosen_before)} of the {after['counts']['selected']} selected are new",
    ]
    home = " ".join(f"{name}={os.environ[name]}" for name in ("ADG_DATA_DIR", "ADG_CONFIG", "DAGSTER_HOME"))
    where = [
        "",
        f"All of it took {time.monotonic() - started:.0f} s. Look at it in Dagster's UI:",
        f"  {home} make dev",
    ]
    return render(report) + "\n" + "\n".join([*growth, *where])


def _prepare(directory: Path) -> None:
    if directory.exists() and any(directory.iterdir()):
        if not (directory / MARK).exists():
            raise PipelineError(f"{directory} holds files that are not the demo's: name another one with --dir")
        shutil.rmtree(directory)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / MARK).touch()


def _with_seed(settings: "Settings", seed: int) -> "Settings":
    """The random subset and the training vary with the seed; what ADG selects doesn't depend on one."""
    return settings.model_copy(
        update={
            "selected_subset": settings.selected_subset.model_copy(update={"seed": seed}),
            "finetuned_checkpoint": settings.finetuned_checkpoint.model_copy(update={"seed": seed}),
        }
    )


def _stop_on_failure(report: "RunReport") -> None:
    if report.failed:
        raise PipelineError(f"the demo stopped: {'; '.join(report.failed)}")


def _sources(store: "Store") -> list[str]:
    return store.scan("raw_pool", store.shards("raw_pool")).select("source").collect()["source"].to_list()


def _chosen(store: "Store") -> set[str]:
    import polars

    subset = polars.read_parquet(store.selection_dir(ADG) / "subset.parquet", columns=["example_id"])
    return set(subset["example_id"])


def _without_bins(store: "Store", settings: "Settings") -> list[str]:
    """Sources of what the score alone would select, all examples in one bin."""
    import polars

    from adg_pipeline.algorithms.selectors import SELECTORS, Candidates

    ranking = polars.read_parquet(store.selection_dir(ADG) / "ranking.parquet").filter(polars.col("left_out").is_null())
    in_one_bin = ranking.select("example_id", "source", "dispersion", "anisotropy", bin=polars.lit(0)).sort(
        "example_id"
    )
    places = SELECTORS[ADG].choose(Candidates(in_one_bin), settings.selected_subset)
    return in_one_bin.filter(places["selected"])["source"].to_list()
