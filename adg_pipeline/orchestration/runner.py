"""Brings the pool up to date from the command line: the same jobs on the same instance as the UI, one after the other."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from adg_pipeline.errors import PipelineError, SettingsError
from adg_pipeline.formats.shards import list_shards
from adg_pipeline.host.signals import nothing_more
from adg_pipeline.lineage.in_force import InForce, optional_reads
from adg_pipeline.lineage.recipes import wanted_recipes
from adg_pipeline.lineage.states import ShardState, selection_inputs, selection_key, shard_states
from adg_pipeline.lineage.trials import untuned_job
from adg_pipeline.orchestration.evaluating import evaluate_here
from adg_pipeline.orchestration.partitions import arms, contiguous_ranges, pool_shards, register, seeds
from adg_pipeline.orchestration.preflight import pool_to_run
from adg_pipeline.orchestration.runs import (
    BENCHMARKS_JOB,
    CHECKPOINT_JOB,
    COMPARISON_JOB,
    PARTITION_TAG,
    REMOVE_SHARDS_JOB,
    SELECTION_JOB,
    SHARDS_JOB,
    STOPPED,
    arm_seed_tags,
    configured_tag,
    is_interrupt,
    process_tags,
    range_tags,
    removal_config,
    selection_assets,
    shards_in_flight,
)
from adg_pipeline.orchestration.shard_ranges import ShardRange
from adg_pipeline.progress import ProgressLog
from adg_pipeline.resources.evaluator.suite import load_suite
from adg_pipeline.settings.budget import budget_fault, count_different, is_asked_for
from adg_pipeline.settings.kept import Kept, spoken, to_keep, values
from adg_pipeline.store import Store
from adg_pipeline.store.kept import SHARED
from adg_pipeline.store.provenance import Recipe

Say = Callable[[str], None]
SHARD_SECTIONS = ("raw_pool", "generations", "reference_losses", "fingerprints", "embeddings", "divergence_scores")


@dataclass
class RunReport:
    """What a run of the pipeline did. failed: what went wrong, in words; empty if all is well."""

    shards_computed: list[str] = field(default_factory=list)
    shards_left_out: dict[str, str] = field(default_factory=dict)
    selected: dict[str, int] = field(default_factory=dict)
    checkpoints: dict[str, str] = field(default_factory=dict)
    results: dict[str, str] = field(default_factory=dict)
    comparison: str = ""
    failed: list[str] = field(default_factory=list)


class Runner:
    """Runs stages on an instance with the settings in force for one arm; `say` gets progress in words.

    An arm's settings and its name come in one piece, so that nothing can be stored as an arm's that was made as another's.

    reads: what of the optional assets shards get (`optional_reads`); by default what the arm reads.
    """

    def __init__(
        self,
        store: Store,
        asked: InForce,
        instance: dg.DagsterInstance,
        say: Say,
        in_process: bool | None = None,
        reads: Mapping[str, bool] | None = None,
    ) -> None:
        self.store, self.instance, self._say, self._asked = store, instance, say, asked
        self.settings = settings = asked.settings
        self._wanted = wanted_recipes(settings, **(reads or optional_reads([settings.selected_subset])))
        # vLLM gives its GPU memory back for certain only when its process ends.
        self._in_process = settings.generations.engine != "vllm" if in_process is None else in_process

    def states(self) -> dict[str, ShardState]:
        listing = pool_to_run(self.store)
        for problem in listing.problems:
            self._say(f"warning: {problem}")
        progress = ProgressLog(self._say, "looking at the pool", "shards")
        look = self.store.look(keep=True, progress=ProgressLog(self._say, "reading what is stored", "files"))
        return shard_states(self.store, listing, self._wanted, look=look, look_at_tables=True, progress=progress)

    def register(self, shards: Sequence[str]) -> None:
        """Make partitions of new shards, in the order of their keys."""
        register(self.instance, pool_shards, shards)

    def bring_shards_up_to_date(self, report: RunReport, part: ShardRange | None = None) -> None:
        """Compute every shard that isn't current. Ends when all are, or when a whole pass got nothing done.

        part: of the pool; the rest of it is left alone. The pool may change meanwhile: each pass takes it as it is then.
        """
        states = self._states_of(part)
        if part is None:
            self._remove_all_but(states, report)
        todo = _to_compute(states)
        self._announce(states, todo)
        if not todo:
            self._keep(SHARED, SHARD_SECTIONS)
        while todo:
            try:
                self.compute(list(todo), self._behind(states, todo))
            finally:
                states = self._states_of(part)
                if any(shard in states and states[shard].current for shard in todo):
                    self._keep(SHARED, SHARD_SECTIONS)
            left = _to_compute(states)
            report.shards_computed += [shard for shard in todo if shard in states and states[shard].current]
            if left == todo:
                report.failed.append(f"{len(left)} shards could not be computed: {', '.join(list(left)[:5])}")
                break
            todo = left
        report.failed += list(dict.fromkeys(why for state in states.values() for why in state.damages))
        report.shards_left_out = {shard: state.why for shard, state in states.items() if not state.current}

    def _states_of(self, part: ShardRange | None) -> dict[str, ShardState]:
        states = self.states()
        # All of the pool, so that machines with a part each add them in one order; up to date or not, since the store may be
        # older than the instance.
        self.register(list(states))
        return states if part is None else {shard: states[shard] for shard in part.of(states)}

    def _remove_all_but(self, states: Mapping[str, ShardState], report: RunReport) -> None:
        """Remove what is stored of shards whose file is gone, but for those that a run is computing."""
        kept = set(states) | list_shards(self.store.pool_dir).unusable | shards_in_flight(self.instance)
        known = {*self.instance.get_dynamic_partitions(pool_shards.name or ""), *self.store.all_shards()}
        removed = sorted(known - kept)
        if not removed:
            return
        self._say(f"removing {len(removed)} shards whose file is gone: {', '.join(removed[:5])}")
        if not self._execute(REMOVE_SHARDS_JOB, removal_config(removed), {}):
            report.failed.append("removing shards whose file is gone")

    def require_budget(self) -> None:
        """Refuse a budget that the pool can't meet before any answer is sampled. The pool is read for it, if need be.

        Raises SettingsError. Where a file can't be read for other reasons, those are told first, by the stages.
        """
        config, origins = self.settings.selected_subset, self._asked.origins
        if config.budget_tokens is not None:
            return  # of a smaller pool such a budget takes all there is
        if not is_asked_for(config, explicit=origins.given("selected_subset.budget")):
            return
        states = self.states()
        unread = [shard for shard in _to_compute(states) if states[shard].assets["raw_pool"].state != "current"]
        read = [shard for shard in states if shard not in unread]
        if self._usable(states, read, config.budget) >= config.budget:
            return
        if unread:
            states = self.read_pool(states, "to see whether the pool is large enough for the budget")
        takes_part = [shard for shard, state in states.items() if state.put_aside is None]
        if any(states[shard].assets["raw_pool"].state != "current" for shard in takes_part):
            return
        fault = budget_fault(config.budget, self._usable(states, takes_part, config.budget))
        if fault is not None:
            raise SettingsError(f"{origins.of('selected_subset.budget')}: {fault}")

    def read_pool(self, states: Mapping[str, ShardState], why: str) -> dict[str, ShardState]:
        """Read the shards that aren't read yet; no model is opened for that. Returns the states after it."""
        unread = [shard for shard in _to_compute(states) if states[shard].assets["raw_pool"].state != "current"]
        if unread:
            self._say(f"reading {len(unread)} shards {why}")
            self.register(list(states))
            self.compute(unread, ["raw_pool"])
        return self.states() if unread else dict(states)

    @property
    def wanted(self) -> Mapping[str, Recipe]:
        """The recipe of each shard asset under these settings."""
        return self._wanted

    def _usable(self, states: Mapping[str, ShardState], shards: Sequence[str], enough: int) -> int:
        """Different examples of shards that are read and take part; not counted on beyond `enough`."""
        taken = [s for s in shards if states[s].put_aside is None and states[s].assets["raw_pool"].state == "current"]
        ids = (self.store.read_table("raw_pool", shard, ["example_id"])["example_id"].to_pylist() for shard in taken)
        return count_different(ids, enough)

    def _behind(self, states: Mapping[str, ShardState], todo: Collection[str]) -> list[str]:
        """Assets that aren't current of any of these shards: a step that finds all done costs what another one does."""
        return [name for name in self._wanted if any(states[shard].assets[name].state != "current" for shard in todo)]

    def compute(self, shards: Sequence[str], assets: Sequence[str] = ()) -> bool:
        """Run the shard assets of registered shards; False if a run failed (the shards after it still get theirs)."""
        ordered = list(self.instance.get_dynamic_partitions(pool_shards.name or ""))
        assets = assets or list(self._wanted)
        chosen = [dg.AssetKey(asset) for asset in assets]
        succeeded = True
        for first, last, count in contiguous_ranges(list(shards), ordered, self.settings.sensors.max_shards_per_run):
            self._say(f"computing {count} shards: {first}" + (f" … {last}" if last != first else ""))
            succeeded &= self._execute(SHARDS_JOB, self.settings.run_config(assets), range_tags(first, last), chosen)
        return succeeded

    @property
    def arm(self) -> str:
        """Raises ValueError where it runs shards alone."""
        if self._asked.arm is None:
            raise ValueError("these settings are in force for shards, not for an arm")
        return self._asked.arm

    def select(self, report: RunReport) -> None:
        """Renew the subset of the arm if its inputs or settings changed."""
        arm = self.arm
        register(self.instance, arms, [arm])
        bins, selection = self.settings.semantic_bins, self.settings.selected_subset
        shards = list(list_shards(self.store.pool_dir).shards)
        inputs = selection_inputs(self.store, shards, self.store.look(keep=True), **optional_reads([selection]))
        if not inputs.scores:
            report.failed.append(f"selection {arm}: no shard is scored")
            return
        at_hand = self.store.selection_manifest(arm) or {}
        key = selection_key(arm, bins.recipe(), selection.recipe(), inputs)
        if at_hand.get("key") == key and not bins.refit:
            self.store.require_selection(arm)
            self._keep(SHARED, ["semantic_bins"])
            self.store.remember_subset(arm, self._kept("selected_subset"))
            self._say(f"selection {arm}: up to date")
        elif not self._execute(
            SELECTION_JOB,
            self.settings.run_config(["semantic_bins", "selected_subset"]),
            {PARTITION_TAG: arm},
            selection_assets(selection),
        ):
            report.failed.append(f"selection {arm}")
            return
        report.selected[arm] = (self.store.selection_manifest(arm) or {})["counts"]["selected"]

    def train(self, report: RunReport, seed: int | None = None) -> None:
        """Fine-tune on the subset of the arm; a checkpoint of the same subset and settings is kept.

        seed: of the training, that of the settings if not given. Checkpoints of several seeds are kept side by side.
        """
        if self._run_seed(CHECKPOINT_JOB, "finetuned_checkpoint", seed, report):
            folder = self.store.checkpoint_dir(self.arm, self._seed(seed))
            report.checkpoints[self._name(seed)] = str(folder)

    def evaluate(self, report: RunReport, seed: int | None = None) -> None:
        """Ask the arm's checkpoint of a seed the benchmarks; results of the same checkpoint and settings are kept."""
        if self._run_seed(BENCHMARKS_JOB, "benchmark_results", seed, report):
            config = self.settings.benchmark_results
            suite = load_suite(config.suite).only(config.tasks).name
            folder = self.store.results_dir(self.arm, self._seed(seed), suite, config.limit)
            report.results[self._name(seed)] = str(folder)

    def evaluate_untuned(self, report: RunReport) -> None:
        """Ask the backbone itself the benchmarks. It is no arm's, so it is evaluated here and not in a run of the graph."""
        job = untuned_job(self.store, self.settings)
        try:
            evaluate_here(job, self._say)
        except PipelineError as error:
            report.failed.append(f"evaluation of the untuned backbone: {error}")

    def compare(self, report: RunReport) -> None:
        """Make the report that compares the arms of `comparison_report`, on what is stored."""
        config = self.settings.benchmark_results
        suite = load_suite(config.suite).only(config.tasks).name
        if self._execute(COMPARISON_JOB, self.settings.run_config(["comparison_report"]), {}):
            report.comparison = str(self.store.report_dir(suite, config.limit))
        else:
            report.failed.append("comparison")

    def _run_seed(self, job: str, asset: str, seed: int | None, report: RunReport) -> bool:
        register(self.instance, arms, [self.arm])
        register(self.instance, seeds, [str(self._seed(seed))])
        done = self._execute(job, self.settings.run_config([asset]), arm_seed_tags(self.arm, self._seed(seed)))
        if not done:
            report.failed.append(f"{job} {self._name(seed)}")
        return done

    def _seed(self, asked: int | None) -> int:
        return self.settings.finetuned_checkpoint.seed if asked is None else asked

    def _name(self, seed: int | None) -> str:
        """What a report calls the arm's checkpoint of a seed; that of the settings goes without saying."""
        return self.arm if seed is None else f"{self.arm}, seed {seed}"

    def _keep(self, scope: str, sections: Sequence[str]) -> None:
        """Something was made with these settings, so they hold until adg.yaml or a flag says otherwise."""
        kept = [self._kept(section) for section in sections]
        self.store.kept.keep(scope, sections, {key: one for of_section in kept for key, one in of_section.items()})

    def _kept(self, section: str) -> Kept:
        return to_keep(values(self.settings), spoken(self._asked.configured), section)

    def _announce(self, states: Mapping[str, ShardState], todo: Collection[str]) -> None:
        """Say what will be computed and why before it costs anything."""
        self._say(f"pool: {len(states)} shards, {len(todo)} to compute")
        reasons: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        for shard in todo:
            behind: dict[str, list[str]] = {}
            for asset, asset_state in states[shard].assets.items():
                if asset_state.state != "current":
                    behind.setdefault(asset_state.why, []).append(asset)
            for why, assets in behind.items():
                reasons.setdefault((why, tuple(assets)), []).append(shard)
        for (why, names), shards in list(reasons.items())[:20]:
            such = f"{len(shards)} shards, such as {shards[0]}" if len(shards) > 1 else f"shard {shards[0]}"
            self._say(f"  {', '.join(names)}: {why} ({such})")
        for state in states.values():
            if state.put_aside is not None:
                self._say(f"warning: shard {state.shard} is put aside: {state.why}")

    def _execute(
        self,
        job: str,
        run_config: Mapping[str, Any],
        tags: Mapping[str, str],
        chosen: Sequence[dg.AssetKey] | None = None,
    ) -> bool:
        """Run a job, or the chosen assets of it, here and now; False if it failed."""
        arguments = {
            "name": job,
            "data_dir": self.store.data_dir,
            "settings": self.settings.model_dump_json(),
            "in_process": self._in_process,
        }
        reconstructable = dg.build_reconstructable_job(
            "adg_pipeline.assets.graph", "job_for_run", reconstructable_kwargs=arguments
        )
        # The event log of the instance has the rest; here only progress and faults are of interest.
        tags = {**tags, **configured_tag(self._asked.configured), **process_tags()}
        run_config = {**run_config, "loggers": {"progress": {"config": {}}}}
        try:
            with dg.execute_job(
                reconstructable, self.instance, run_config=run_config, tags=tags, asset_selection=chosen
            ) as result:
                if nothing_more():
                    raise KeyboardInterrupt
                if result.success:
                    return True
                failures = result.filter_events(lambda event: event.is_failure)
                if any(is_interrupt(event) for event in failures):
                    raise KeyboardInterrupt
                if not any(event.is_step_failure for event in failures):
                    # A step tells by itself why it failed. Without one nobody would.
                    self._say(f"error: the run of {job} failed outside its steps: {_reasons(failures)}")
                return False
        except KeyboardInterrupt:
            self._end_unstarted()
            raise

    def _end_unstarted(self) -> None:
        """A run that was made but not started when the signal came would count as in flight for ever."""
        ours = dg.RunsFilter(statuses=[dg.DagsterRunStatus.NOT_STARTED], tags=process_tags())
        for run in self.instance.get_runs(filters=ours):
            self.instance.report_run_failed(run, STOPPED)


def _to_compute(states: Mapping[str, ShardState]) -> dict[str, str]:
    """Shards to compute, with the versions of their files. What is damaged waits until somebody has deleted it: nothing is
    overwritten unasked."""
    return {shard: state.version for shard, state in states.items() if state.needs_work and not state.damages}


def _reasons(failures: Sequence[dg.DagsterEvent]) -> str:
    """What the events say that isn't of a step, the first cause of each."""
    told: dict[str, None] = {}
    for event in failures:
        error = getattr(event.event_specific_data, "error", None)
        while error is not None and error.cause is not None:
            error = error.cause
        told[(event.message or "" if error is None else error.message).strip()] = None
    return "; ".join(filter(None, told)) or "see its log in the UI"
