"""comparison_report: which arm is better, how sure that is, and what each chose."""

import dagster as dg

from adg_pipeline import report
from adg_pipeline.algorithms.arms import arms as known_arms
from adg_pipeline.algorithms.comparison import Figures, UnequalQuestions, compare_arms
from adg_pipeline.assets.asked import asked, evaluation_asked
from adg_pipeline.errors import PipelineError, SettingsError
from adg_pipeline.lineage.recipes import CODE_VERSIONS
from adg_pipeline.report.comparison import trials as read
from adg_pipeline.report.comparison.content import UNTUNED
from adg_pipeline.report.comparison.gather import gather
from adg_pipeline.report.comparison.publish import publish
from adg_pipeline.resources.evaluator.suite import load_suite
from adg_pipeline.settings.launchpad import launchpad_schema
from adg_pipeline.settings.loading import Settings
from adg_pipeline.settings.sections import ComparisonConfig
from adg_pipeline.store import Store
from adg_pipeline.store.checkpoints import read_training_manifest
from adg_pipeline.store.results import read_results

DESCRIPTION = """Arms against each other: means and differences to `random` with intervals over questions and training seeds,
what each arm chose and left out, how much their subsets overlap, and what all of it cost.

One HTML page that needs nothing beside it, a Markdown table, and the data as Parquet. What was got in different ways is
refused, by name.

**To compare**, in a terminal: `adg compare --arms adg,adg_grounded,random --seeds 3` brings everything up to date and then
makes this. On this page: a backfill of `finetuned_checkpoint` and `benchmark_results` over arms and seeds, then *Materialize*
here.
"""


def build(settings: Settings) -> dg.AssetsDefinition:
    @dg.asset(
        description=DESCRIPTION,
        deps=[dg.AssetDep("benchmark_results", partition_mapping=dg.AllPartitionMapping())],
        config_schema=launchpad_schema(settings.comparison_report),
        code_version=CODE_VERSIONS["comparison_report"],
        group_name="evaluation",
        kinds={"polars", "html"},
        owners=["team:ml"],
    )
    def comparison_report(context: dg.AssetExecutionContext, store: Store) -> dg.MaterializeResult:
        config, _ = asked(context, store, ComparisonConfig)
        evaluation = evaluation_asked(context, store, settings.benchmark_results)
        suite = load_suite(evaluation.suite).only(evaluation.tasks)
        first = settings.finetuned_checkpoint.seed
        seeds = range(first, first + config.seeds)
        try:
            arms = config.arms or _with_results(store, list(seeds), suite.name, evaluation.limit)
            trials = read.read_trials(store, arms, seeds, suite.name, evaluation.limit)
            found = read.read_untuned(store, trials, suite.name, evaluation.limit)
            untuned = None if isinstance(found, str) else found
            marks = read.marks(trials, untuned)
            about = {name: arm.about for name, arm in known_arms(settings.arms).items()}
            compared = read.compared_arms(store, trials, about)
            against = read.baselines(compared, config.baseline)
            figures = Figures([task.task for task in suite.tasks], suite.groups, suite.average)
            table = compare_arms(marks, figures, against, config.level)
            of_untuned = table.clear()
            if untuned is not None:
                bases = [name for name, to in against.items() if to is None]
                beside = {UNTUNED: bases[0] if len(bases) == 1 else None, **dict.fromkeys(bases)}
                of_untuned = compare_arms(marks, figures, beside, config.level).filter(arm=UNTUNED)
        except (PipelineError, SettingsError, UnequalQuestions) as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        sample = trials[0]
        comparison = gather(
            store,
            table,
            marks,
            compared,
            list(read.training_costs(trials, untuned)),
            suite=suite.name,
            limit=evaluation.limit,
            level=config.level,
            baseline=config.baseline,
            backbone=sample.training["job"]["base_fingerprint"]["id"],
            beside=read.beside(trials),
            how=read.how(trials),
            untuned=of_untuned,
            untuned_missing=found if isinstance(found, str) else "",
        )
        directory = store.report_dir(suite.name, evaluation.limit)
        publish(comparison, directory, read.lineage(trials, config))
        return dg.MaterializeResult(metadata=report.comparison_shown(comparison, directory))

    return comparison_report


def _with_results(store: Store, seeds: list[int], suite: str, limit: int | None) -> list[str]:
    """Arms that have a checkpoint and results of every seed. Raises PipelineError where none has."""
    found = [
        arm
        for arm in sorted(store.arms())
        if all(
            read_training_manifest(store.checkpoint_dir(arm, seed)) is not None
            and read_results(store.results_dir(arm, seed, suite, limit)) is not None
            for seed in seeds
        )
    ]
    if not found:
        raise PipelineError(
            f"no arm has results on {suite} of the seeds {', '.join(map(str, seeds))}: `adg compare` trains and evaluates"
        )
    return found
