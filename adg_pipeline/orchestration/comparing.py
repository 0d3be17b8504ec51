"""Brings a comparison up to date: shards, subsets, and for each arm and seed a checkpoint and its benchmark results.

What is current isn't done again, so that a comparison that was interrupted goes on. Seeds come one after the other, each for
all arms: what is there when somebody stops it is a comparison of fewer seeds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean

from adg_pipeline.algorithms.costs import SAMPLING, Planned, planned, total_seconds
from adg_pipeline.lineage.in_force import InForce
from adg_pipeline.lineage.trials import is_evaluated, is_selected, is_trained, untuned_job
from adg_pipeline.orchestration.planning.plan import work_to_do
from adg_pipeline.orchestration.planning.profile import known_profile
from adg_pipeline.orchestration.runner import Runner, RunReport
from adg_pipeline.progress import duration
from adg_pipeline.resources.evaluator.launch import is_published
from adg_pipeline.resources.evaluator.suite import load_suite
from adg_pipeline.settings.loading import Settings
from adg_pipeline.store import Store
from adg_pipeline.store.checkpoints import read_training_manifest
from adg_pipeline.store.results import read_results


@dataclass(frozen=True)
class Todo:
    """What a comparison has yet to do.

    shards: to compute, with the answers that are to be sampled for them at most. subsets, trainings, evaluations: by name.
    untuned: whether the backbone itself is to be evaluated.
    stages: what the shards take, stage by stage; empty where nothing tells.
    train_seconds, train_tokens, evaluate_seconds: of one, as those took that are stored; None where there is none yet.
    """

    shards: Sequence[str]
    answers: int
    subsets: Sequence[str]
    trainings: Sequence[tuple[str, int]]
    evaluations: Sequence[tuple[str, int]]
    untuned: bool
    trials: int
    train_seconds: float | None
    train_tokens: float | None
    evaluate_seconds: float | None
    stages: Sequence[Planned] = ()

    @property
    def seconds(self) -> float | None:
        """Of shards, trainings and evaluations, as far as known."""
        evaluations = len(self.evaluations) + self.untuned
        parts = [(len(self.trainings), self.train_seconds), (evaluations, self.evaluate_seconds)]
        known = self.stages or any(of for _, of in parts)
        return total_seconds(self.stages) + sum(number * (of or 0) for number, of in parts) if known else None

    def in_words(self) -> list[str]:
        """A line for each kind of work."""
        lines = []
        if self.shards:
            answers = f"at most {self.answers:,} answers to sample" if self.answers else "not read yet"
            lines.append(f"{len(self.shards)} shards to compute, {answers}, {self._shards_in_words()}")
        if self.subsets:
            lines.append(f"{len(self.subsets)} subsets to select: {', '.join(self.subsets)}")
        tokens = f", {self.train_tokens:,.0f} tokens" if self.train_tokens else ""
        for what, todo, seconds, more in (
            ("trainings", self.trainings, self.train_seconds, tokens),
            ("evaluations", self.evaluations, self.evaluate_seconds, ""),
        ):
            each = f", {duration(seconds)}{more} each as measured before" if seconds else ", how long isn't known yet"
            lines.append(f"{len(todo)} of {self.trials} {what} to do{each if todo else ''}")
        if self.untuned:
            lines.append("the untuned backbone to evaluate, beside them")
        if self.seconds:
            lines.append(f"about {duration(self.seconds)} in all, as far as known")
        return lines

    def _shards_in_words(self) -> str:
        if not self.stages:
            return "how long isn't known yet: `adg plan` measures it"
        tokens = sum(stage.tokens or 0 for stage in self.stages if stage.stage == SAMPLING)
        return f"about {duration(total_seconds(self.stages))}, {tokens:,.0f} tokens sampled"


def to_do(store: Store, asked: Mapping[str, InForce], seeds: Sequence[int], runner: Runner) -> Todo:
    """Look at what is stored; what isn't read of the pool is read for it. Where shards are behind, all that follows them is
    to be done."""
    states = runner.read_pool(runner.states(), "to see how much there is to compute")
    behind = [shard for shard, state in states.items() if state.needs_work]
    settings = runner.settings
    sampled = sum(state.assets["raw_pool"].rows or 0 for shard, state in states.items() if shard in behind)
    subsets = [arm for arm, of in asked.items() if behind or not is_selected(store, arm, of.settings)]
    trials = [(arm, seed) for seed in seeds for arm in asked]
    trainings = [
        (arm, seed) for arm, seed in trials if arm in subsets or not is_trained(store, arm, seed, asked[arm].settings)
    ]
    evaluations = [
        (arm, seed)
        for arm, seed in trials
        if (arm, seed) in trainings or not is_evaluated(store, arm, seed, asked[arm].settings)
    ]
    trained, tokens = _trainings_before(store)
    work = work_to_do(store, states, settings, runner.wanted, 0)
    known = known_profile(store, settings, runner.wanted, work) if sampled else None
    stages = [] if known is None else planned(known[0], replace(work, answers=max(0, work.answers - known[1])))
    return Todo(
        behind,
        sampled * settings.generations.samples,
        subsets,
        trainings,
        evaluations,
        not is_published(untuned_job(store, settings)),
        len(trials),
        trained,
        tokens,
        _evaluations_before(store, settings),
        stages,
    )


def compare(
    store: Store,
    asked: Mapping[str, InForce],
    seeds: Sequence[int],
    runner_of: Callable[[InForce], Runner],
    report: RunReport,
    say: Callable[[str], None],
) -> None:
    """Do what is to be done, and make the report. report.failed says what went wrong; nothing is compared then."""
    runners = {arm: runner_of(of) for arm, of in asked.items()}
    first = next(iter(runners.values()))
    first.bring_shards_up_to_date(report)
    for runner in runners.values() if not report.failed else ():
        runner.select(report)
    if not report.failed and not is_published(untuned_job(store, first.settings)):
        say("evaluating the untuned backbone")
        first.evaluate_untuned(report)
    trials = [(seed, arm) for seed in seeds for arm in runners]
    for number, (seed, arm) in enumerate(trials, start=1):
        if report.failed:
            return
        settings = asked[arm].settings
        if not is_trained(store, arm, seed, settings):
            say(f"trial {number} of {len(trials)}: training {arm}, seed {seed}")
            runners[arm].train(report, seed)
        if not report.failed and not is_evaluated(store, arm, seed, settings):
            say(f"trial {number} of {len(trials)}: evaluating {arm}, seed {seed}")
            runners[arm].evaluate(report, seed)
    if not report.failed:
        first.compare(report)


def _trainings_before(store: Store) -> tuple[float | None, float | None]:
    """Mean seconds and tokens of the checkpoints that are stored."""
    found = [
        manifest
        for arm in store.trained_arms()
        for seed in store.trained_seeds(arm)
        if (manifest := read_training_manifest(store.checkpoint_dir(arm, seed))) is not None
    ]
    return (mean(one["seconds"] for one in found), mean(one["tokens"] for one in found)) if found else (None, None)


def _evaluations_before(store: Store, settings: Settings) -> float | None:
    """Mean seconds of the results of the same suite that are stored."""
    config = settings.benchmark_results
    suite = load_suite(config.suite).only(config.tasks).name
    seeds = {(arm, seed) for arm in store.evaluated_arms() for seed, _ in store.evaluated(arm)}
    folders = [store.results_dir(arm, seed, suite, config.limit) for arm, seed in sorted(seeds)]
    found = [results.manifest["seconds"] for folder in folders if (results := read_results(folder)) is not None]
    return mean(found) if found else None
