"""`adg demo`: the whole graph on the embedded world, through Dagster, and then a pool that grows."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from adg_pipeline.demo.names import ADG, GROUNDED, ORACLE, POOL, RANDOM
from adg_pipeline.errors import PipelineError

if TYPE_CHECKING:
    from adg_pipeline.demo.report import DemoReport
    from adg_pipeline.orchestration.runner import Runner, RunReport
    from adg_pipeline.store import Store

SHARDS, ROWS_PER_SHARD = 4, 400
# The last is the default, so that the arm of which a subset is drawn for each keeps no other afterwards.
SEEDS = (1, 2, 3, 4, 0)
SETTINGS = Path(__file__).with_name("settings.yaml")
MARK = ".adg-demo"
# ORACLE and POOL are no arms: what could be reached, which no selector knows, and what one trains on who selects nothing.
ARMS = (ADG, GROUNDED, RANDOM)


def run_demo(directory: Path, say: Callable[[str], None]) -> str:
    """Run the demo in `directory`, which is made anew, and return its report. Says what it does as it goes."""
    started = time.monotonic()
    _prepare(directory)
    # The definitions read these when they are imported, here and in every process that a run starts.
    os.environ["ADG_DATA_DIR"] = str(directory.resolve() / "data")
    os.environ["ADG_CONFIG"] = str(SETTINGS)
    os.environ["DAGSTER_HOME"] = str(directory.resolve() / "dagster")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")

    from adg_pipeline.demo.picture import draw
    from adg_pipeline.demo.report import render
    from adg_pipeline.orchestration.instance import instance_home, open_instance
    from adg_pipeline.orchestration.terminal import open_terminal
    from adg_pipeline.store import Store

    store = Store(data_dir=os.environ["ADG_DATA_DIR"])
    with open_instance() as instance, open_terminal(instance_home()):

        def runner(arm: str, seed: int = 0) -> "Runner":
            from adg_pipeline.lineage.in_force import settings_in_force
            from adg_pipeline.orchestration.runner import Runner

            flags = {f"selected_subset.seed={seed}": f"seed {seed} of the demo"} if seed else {}
            return Runner(
                store,
                settings_in_force(store, arm, flags),
                instance,
                say,
                reads={"references": True, "fingerprints": False},
            )

        report = _compare(store, runner, directory / "work", say)
        growth = _grow(store, runner, say)
    draw(report, directory / "report.png")
    home = " ".join(f"{name}={os.environ[name]}" for name in ("ADG_DATA_DIR", "ADG_CONFIG", "DAGSTER_HOME"))
    where = [
        "",
        f"The picture of it: {directory / 'report.png'}",
        f"All of it took {time.monotonic() - started:.0f} s. Look at it in Dagster's UI:",
        f"  {home} make dev",
    ]
    return render(report) + "\n" + "\n".join([*growth, *where])


def _compare(store: "Store", runner: "Callable[..., Runner]", work: Path, say: Callable[[str], None]) -> "DemoReport":
    """Select for every arm, tune the backbone on every subset with every seed."""
    from adg_pipeline.demo.evaluate import evaluate, held_out_questions
    from adg_pipeline.demo.pool import write_pool
    from adg_pipeline.demo.report import DemoReport, count, count_sources
    from adg_pipeline.demo.tuning import Training, tune_all
    from adg_pipeline.models.backbones import resolve_backbone
    from adg_pipeline.orchestration.runner import RunReport

    questions = held_out_questions()
    write_pool(store.pool_dir, shards=SHARDS, rows_per_shard=ROWS_PER_SHARD)
    report = RunReport()
    adg = runner(ADG)
    adg.bring_shards_up_to_date(report)
    _stop_on_failure(report)
    work.mkdir()
    trainings = []
    for seed in SEEDS:
        for arm in ARMS:
            if arm == RANDOM or seed == SEEDS[0]:  # what ADG selects doesn't depend on a seed
                runner(arm, seed if arm == RANDOM else 0).select(report)
                _stop_on_failure(report)
                shutil.copy(store.selection_dir(arm) / "subset.parquet", work / f"{arm}-{seed}.parquet")
            trainings.append(Training(arm, work / f"{arm}-{seed if arm == RANDOM else SEEDS[0]}.parquet", seed))
        trainings += [
            Training(ORACLE, _oracle(store, adg.settings.selected_subset.budget, seed, work), seed),
            Training(POOL, _whole_pool(store, work), seed),
        ]
    # One of them as an asset of the graph, with its checkpoint, manifest and page in the UI.
    adg.train(report)
    _stop_on_failure(report)
    tuned = tune_all(trainings, adg.settings, work, say)
    pool = store.scan("raw_pool", store.shards("raw_pool")).select("source").collect()["source"].to_list()
    selected = {
        arm: count_sources(next(t.subset for t in trainings if t.arm == arm)) for arm in (RANDOM, ADG, GROUNDED, ORACLE)
    }
    shutil.rmtree(work)
    return DemoReport(
        pool=count(pool),
        selected=selected,
        backbone=evaluate(Path(resolve_backbone(adg.settings.generations.backbone)), questions),
        tuned={arm: tuned[arm] for arm in (POOL, RANDOM, ADG, GROUNDED, ORACLE)},
        skills=[question.skill for question in questions],
    )


def _grow(store: "Store", runner: "Callable[..., Runner]", say: Callable[[str], None]) -> list[str]:
    """Add a shard, renew the subsets, and say what that took."""
    from adg_pipeline.demo.pool import write_pool
    from adg_pipeline.orchestration.runner import RunReport

    say("the pool grows by one shard")
    before, chosen_before = store.selection_manifest(ADG) or {}, _chosen(store)
    write_pool(store.pool_dir, shards=1, rows_per_shard=ROWS_PER_SHARD, first_shard=SHARDS + 1)
    since, report = time.monotonic(), RunReport()
    runner(ADG).bring_shards_up_to_date(report)
    for arm in ARMS:
        runner(arm).select(report)
    _stop_on_failure(report)
    after = store.selection_manifest(ADG) or {}
    return [
        "When the pool grew",
        f"  shards computed: {', '.join(report.shards_computed)} of {len(after['shards'])}, {time.monotonic() - since:.0f} s",
        f"  subsets renewed: {before['counts']['pool']} examples in the pool before, {after['counts']['pool']} after; "
        f"{len(_chosen(store) - chosen_before)} of the {after['counts']['selected']} selected by {ADG} are new",
    ]


def _prepare(directory: Path) -> None:
    if directory.exists() and any(directory.iterdir()):
        if not (directory / MARK).exists():
            raise PipelineError(f"{directory} holds files that are not the demo's: name another one with --dir")
        shutil.rmtree(directory)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / MARK).touch()


def _oracle(store: "Store", budget: int, seed: int, work: Path) -> Path:
    """As many examples at random of those that alone can teach something: right ones of the barely known skills."""
    import polars

    path = work / f"{ORACLE}-{seed}.parquet"
    useful = store.scan("raw_pool", store.shards("raw_pool")).filter(polars.col("source").str.starts_with("barely"))
    useful.collect().sort("example_id").sample(budget, seed=seed).write_parquet(path)
    return path


def _whole_pool(store: "Store", work: Path) -> Path:
    path = work / "pool.parquet"
    if not path.exists():
        store.scan("raw_pool", store.shards("raw_pool")).collect().sort("example_id").write_parquet(path)
    return path


def _stop_on_failure(report: "RunReport") -> None:
    if report.failed:
        raise PipelineError(f"the demo stopped: {'; '.join(report.failed)}")


def _chosen(store: "Store") -> set[str]:
    import polars

    subset = polars.read_parquet(store.selection_dir(ADG) / "subset.parquet", columns=["example_id"])
    return set(subset["example_id"])
