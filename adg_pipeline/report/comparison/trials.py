"""Reads the trials of a comparison from the store: for each arm and seed a checkpoint, its subset and its benchmark results.

What was got in different ways is refused, by name: other questions, other settings of the training or of the evaluation, a
checkpoint of another subset than the arm's other seeds learnt from.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from adg_pipeline.algorithms.selectors import SELECTORS
from adg_pipeline.errors import PipelineError
from adg_pipeline.report.comparison.content import UNTUNED, Arm, Cost
from adg_pipeline.resources.evaluator import find_model
from adg_pipeline.settings.sections import SelectionConfig
from adg_pipeline.store import Store
from adg_pipeline.store.checkpoints import read_training_manifest
from adg_pipeline.store.history import subset_learnt
from adg_pipeline.store.results import NotComparable, Results, read_results, require_comparable
from adg_pipeline.store.selections import content_id


class Incomplete(PipelineError):
    """A trial that the comparison needs isn't there, or isn't of what its arm has now."""


@dataclass(frozen=True)
class Trial:
    """One training of an arm with one seed, and what its checkpoint answered."""

    arm: str
    seed: int
    training: Mapping[str, Any]
    results: Results

    @property
    def name(self) -> str:
        return f"{self.arm}, seed {self.seed}"

    @property
    def selection(self) -> Mapping[str, Any]:
        """Manifest of the subset that was learnt from."""
        found: Mapping[str, Any] = self.training["job"]["provenance"]["selection"]
        return found


def read_trials(store: Store, arms: Sequence[str], seeds: Sequence[int], suite: str, limit: int | None) -> list[Trial]:
    """Every trial of these arms and seeds.

    Raises:
        Incomplete: one is missing, with the command that makes it.
        NotComparable: two were got in different ways.
    """
    trials, missing = [], []
    for arm in arms:
        for seed in seeds:
            training = read_training_manifest(store.checkpoint_dir(arm, seed))
            results = read_results(store.results_dir(arm, seed, suite, limit))
            if training is None:
                missing.append(f"{arm}, seed {seed}: not trained")
            elif results is None:
                missing.append(f"{arm}, seed {seed}: not evaluated on {suite}")
            elif results.manifest["model"]["content"] != _content(store.whole_checkpoint(arm, seed)):
                missing.append(f"{arm}, seed {seed}: its results are of another checkpoint than the one at hand")
            else:
                trials.append(Trial(arm, seed, training, results))
    if missing:
        asked = f"--arms {','.join(arms)} --seeds {','.join(map(str, seeds))}"
        raise Incomplete(f"{'; '.join(missing)}: `adg compare {asked}` makes what is missing")
    require_comparable({trial.name: trial.results for trial in trials})
    _require_one_training(trials)
    return trials


def read_untuned(store: Store, trials: Sequence[Trial], suite: str, limit: int | None) -> Results | str:
    """Results of the backbone that was tuned, or why they can't stand beside those of the trials."""
    tuned = trials[0].training["job"]["base_fingerprint"]
    every = (store.model_results_dir(model, suite, limit) for model in store.evaluated_models())
    stored = [results for folder in every if (results := read_results(folder)) is not None]
    found = [results for results in stored if results.manifest["model"]["content"] == tuned["content"]]
    if not found:
        return f"{tuned['id']} was not evaluated before tuning: `adg compare` or `adg evaluate` does it"
    try:
        require_comparable({trials[0].name: trials[0].results, UNTUNED: found[0]})
    except NotComparable as error:
        return f"{tuned['id']} was evaluated before tuning, but: {error}"
    return found[0]


def _content(checkpoint: Path) -> str | None:
    return find_model(str(checkpoint)).fingerprint["content"]


def _require_one_training(trials: Sequence[Trial]) -> None:
    """Raise NotComparable where trainings differ in more than subset and seed, or an arm's seeds learnt different subsets."""
    ways: dict[str, dict[str, list[str]]] = {}
    for trial in trials:
        job = trial.training["job"]
        way = {f"finetuned_checkpoint.{key}": value for key, value in job["config"].items() if key != "seed"}
        way |= {"backbone": job["base_fingerprint"]["content"], "template": job["template"]}
        for key, value in way.items():
            ways.setdefault(key, {}).setdefault(json.dumps(value, sort_keys=True), []).append(trial.name)
    faults = [
        f"{key} is {', '.join(f'{value} of {of[0]}' for value, of in values.items())}"
        for key, values in ways.items()
        if len(values) > 1 and key.removeprefix("finetuned_checkpoint.") not in _ONLY_SPEED
    ]
    for arm in dict.fromkeys(trial.arm for trial in trials):
        of_arm = [trial for trial in trials if trial.arm == arm]
        subsets = {content_id(trial.selection) for trial in of_arm}
        config = _config(of_arm[0].selection)
        if len(subsets) > 1 and not SELECTORS[config.selector].is_drawn(config):
            faults.append(f"the seeds of {arm} learnt from different subsets ({', '.join(sorted(subsets))})")
    if faults:
        raise NotComparable(
            f"these checkpoints were trained in different ways, so their difference would say nothing: {'; '.join(faults)}. "
            "`adg compare` trains anew what isn't as the settings say"
        )


# What a training may differ in without another result.
_ONLY_SPEED = ("threads", "save_steps", "logging_steps", "gradient_checkpointing", "accelerate_config")


def marks(trials: Sequence[Trial], untuned: Results | None = None) -> pl.DataFrame:
    """arm, seed, task, subtask, doc_id, value of every headline answer; of the untuned backbone the seed is null.

    Raises NotComparable where prompts differ.
    """
    evaluated: list[tuple[str, int | None, Results]] = [(trial.arm, trial.seed, trial.results) for trial in trials]
    if untuned is not None:
        evaluated.append((UNTUNED, None, untuned))
    whole = pl.concat(
        results.headline_samples().with_columns(arm=pl.lit(arm), seed=pl.lit(seed, dtype=pl.Int64))
        for arm, seed, results in evaluated
    )
    prompts = whole.group_by("task", "subtask", "doc_id").agg(pl.col("prompt_hash").n_unique())
    other = prompts.filter(pl.col("prompt_hash") > 1)
    if other.height:
        raise NotComparable(
            f"{other.height} questions were asked with different prompts, such as {other.row(0)[:3]}: evaluate again"
        )
    return whole.select("arm", "seed", "task", "subtask", "doc_id", "value")


def beside(trials: Sequence[Trial]) -> pl.DataFrame:
    """Mean over seeds of figures that don't count in means: figure, arm, mean."""
    frames = [
        trial.results.summary()
        .filter(pl.col("kind") == "task", ~pl.col("headline"))
        .select(pl.format("{}, {}", "name", "filter").alias("figure"), pl.lit(trial.arm).alias("arm"), "value")
        for trial in trials
    ]
    means = pl.concat(frames).group_by("figure", "arm", maintain_order=True).agg(pl.col("value").mean().alias("mean"))
    return means.select("figure", "arm", "mean")


def compared_arms(store: Store, trials: Sequence[Trial], about: Mapping[str, str]) -> list[Arm]:
    """The arms of the trials with the subsets that they learnt from. about: arm → what it does, in words."""
    by_arm: dict[str, list[Trial]] = {}
    for trial in trials:
        by_arm.setdefault(trial.arm, []).append(trial)
    families = _families({arm: _config(of[0].selection) for arm, of in by_arm.items()})
    return [
        Arm(
            name=arm,
            about=about.get(arm, ""),
            family=families[arm],
            budget=_config(of[0].selection).budget,
            subsets={content_id(trial.selection): _ids(store, trial) for trial in of},
            left_out=of[0].selection["counts"]["left_out"],
            eligible=of[0].selection["counts"]["eligible"],
            stability=of[0].selection.get("stability", {}).get("mean"),
        )
        for arm, of in by_arm.items()
    ]


def baselines(arms: Sequence[Arm], baseline: str) -> dict[str, str | None]:
    """arm → what it is compared with: the baseline, of several that of its own budget. Raises PipelineError without one."""
    of_family = {arm.budget: arm.name for arm in arms if baseline in (arm.family, arm.name)}
    if not of_family:
        known = ", ".join(arm.name for arm in arms)
        raise PipelineError(f"{baseline}, which the others are to be compared with, is not among the arms {known}")
    alone = next(iter(of_family.values()))
    against = {arm.name: of_family.get(arm.budget, alone) for arm in arms}
    return {name: None if name in of_family.values() else to for name, to in against.items()}


def training_costs(trials: Sequence[Trial], untuned: Results | None = None) -> Iterator[Cost]:
    made, asked = [trial.training for trial in trials], [trial.results.manifest for trial in trials]
    asked += [] if untuned is None else [untuned.manifest]
    yield Cost(
        "Training",
        f"{len(made)} trainings of {sum(one['steps'] for one in made) // len(made):,} steps",
        sum(one["seconds"] for one in made),
        sum(one["tokens"] for one in made),
        _hardware(one.get("hardware") for one in made),
    )
    yield Cost(
        "Evaluation",
        f"{len(asked)} evaluations",
        sum(one["seconds"] for one in asked),
        hardware=_hardware("CPU" if one["device"] == "cpu" else one["device"] for one in asked),
    )


def _hardware(named: Iterable[str | None]) -> str | None:
    return " or ".join(sorted({name for name in named if name})) or None


def _config(selection: Mapping[str, Any]) -> SelectionConfig:
    known = SelectionConfig.model_fields
    return SelectionConfig.model_validate({key: value for key, value in selection["config"].items() if key in known})


def _families(configs: Mapping[str, SelectionConfig]) -> dict[str, str]:
    """arm → its family: arms that differ in their budgets alone, named as the first of them without its number."""
    names: dict[str, str] = {}
    families = {}
    for arm, config in configs.items():
        alike = config.model_copy(update={"budget": 1, "history": 0, "seed": 0}).model_dump_json()
        names.setdefault(alike, arm.removesuffix(f"-{config.budget}").removesuffix(f"_{config.budget}"))
        families[arm] = names[alike]
    return families


def _ids(store: Store, trial: Trial) -> list[str]:
    """Ids of the subset that was learnt from, wherever it lies by now. Raises Incomplete where it is gone."""
    name = content_id(trial.selection)
    stored = subset_learnt(store.subset_history(trial.arm), store.drawn_dir(trial.arm, trial.seed), name)
    if stored is None:
        raise Incomplete(
            f"{trial.name}: its subset {name} is no longer stored, so what it chose can't be shown: "
            f"`adg compare` selects and trains anew"
        )
    return stored.rows()["example_id"].to_list()


def how(trials: Sequence[Trial]) -> dict[str, str]:
    """How the results were got, in words, by name."""
    manifest, training = trials[0].results.manifest, trials[0].training
    recipe, config = manifest["recipe"], training["job"]["config"]
    asked = ", ".join(f"{task} {of['shots']}-shot" for task, of in recipe["tasks"].items())
    return {
        "benchmarks": f"{asked}; lm-evaluation-harness {recipe['versions'].get('lm_eval', '')}",
        "evaluation": f"{recipe['backend']}, {recipe['dtype']}, batch {recipe.get('batch_size', 'auto')}",
        "training": f"{config['method']}, learning rate {config['learning_rate']:g}, {training['steps']} steps of "
        f"{config['batch_size'] * config['gradient_accumulation'] * config['processes']} examples",
        "training seeds": ", ".join(map(str, sorted({trial.seed for trial in trials}))),
        "versions": ", ".join(f"{name} {version}" for name, version in sorted(training["versions"].items())),
    }


def lineage(trials: Sequence[Trial], config: Any) -> dict[str, Any]:
    """What a report was made from, for its manifest: checkpoints, subsets and results by arm and seed."""
    return {
        "config": config.model_dump(mode="json"),
        "recipe": trials[0].results.manifest["recipe"],
        "trials": {
            trial.name: {
                "subset": content_id(trial.selection),
                "checkpoint": trial.training["job_fingerprint"],
                "results": str(trial.results.folder),
            }
            for trial in trials
        },
    }
