"""What the assets that are partitioned by shard have in common: the loop, skipping what is up to date, quarantine.

A range of shards is one run. After each shard its materialisation is logged, so a crash keeps the finished ones. A
shard whose own data is at fault is put aside with its reason and the loop goes on; the step fails at the end, by name.
One whose file changes while it is read fails the step too, but isn't put aside: the next run reads it as it is then.
A damaged file of the store is not the shard's own fault: nothing is put aside, the step fails by name until the file is
deleted. Other faults (an engine that doesn't start, a full disk) stop the loop: they'd meet every shard. Only those that
may pass by themselves are tried again.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, TypeVar

import dagster as dg

from adg_pipeline.errors import EndAsked, PipelineError, ShardFault, StoreError
from adg_pipeline.formats.errors import PoolFileChanged
from adg_pipeline.host.signals import nothing_more
from adg_pipeline.orchestration.runs import STOPPED
from adg_pipeline.progress import for_the_log, tell
from adg_pipeline.store import Store
from adg_pipeline.store.provenance import Provenance, Recipe

T = TypeVar("T")


@dataclass(frozen=True)
class ShardTask:
    """One shard to compute: what with, and from what."""

    shard: str
    recipe: Recipe
    inputs: Mapping[str, str]

    @property
    def fingerprint(self) -> str:
        return self.recipe.fingerprint(self.inputs)


class Stopwatch:
    """What a shard took, for the facts that stand with its table: they decide nothing. Started once the model is open."""

    def __init__(self, hardware: str) -> None:
        self._hardware, self._started = hardware, time.monotonic()

    def facts(self) -> dict[str, Any]:
        return {"seconds": round(time.monotonic() - self._started, 3), "hardware": self._hardware}


def materialize_shards(
    context: dg.AssetExecutionContext,
    store: Store,
    plan: Callable[[str], ShardTask],
    compute: Callable[[ShardTask], Provenance],
    describe: Callable[[Provenance], Mapping[str, Any]],
) -> None:
    """Bring every shard of the run up to date.

    plan: what a shard is to be computed with and from. compute: computes, stores and returns what was stored.
    describe: the metadata shown for a stored shard.
    """
    asset = context.asset_key.to_user_string()
    shards = sorted(context.partition_keys)
    faults: dict[str, str] = {}
    unsettled: list[str] = []
    damages: dict[str, None] = {}
    for number, shard in enumerate(shards, start=1):
        task: ShardTask | None = None
        tell(stage=asset, shard=shard, number=number, of=len(shards))
        if nothing_more():
            raise dg.Failure(STOPPED, allow_retries=False)
        try:
            tried = store.version_read(shard)
            task = plan(shard)
            with store.shard_lock(asset, shard):
                stored = store.provenance(asset, shard)
                computed = stored is None or stored.fingerprint != task.fingerprint
                if computed:
                    stored = compute(task)
                assert stored is not None
                said = f"{stored.rows:,} rows" if computed else "up to date, nothing computed"
                with for_the_log():
                    context.log.info(f"{asset} {shard} ({number} of {len(shards)}): {said}")
                tell(stage=asset, shard=shard, number=number, of=len(shards), rows=stored.rows, computed=computed)
                store.quarantine.release(asset, shard)
            metadata = {"computed_at": stored.created_at, **describe(stored)}
        except (dg.DagsterExecutionInterruptedError, EndAsked) as interrupt:
            # Somebody wants the run to end: the step's retry policy must not start it again.
            raise dg.Failure(STOPPED, allow_retries=False) from interrupt
        except ShardFault as fault:
            if task is None:
                raise
            faults[shard] = str(fault)
            # Under the version that was at fault, not the one that lies there by now: that one hasn't had its chance.
            store.quarantine.put(asset, shard, str(fault), task.inputs.get("file", tried), task.recipe.id)
            context.log.error(f"{asset} {shard} ({number} of {len(shards)}): put aside: {fault}")
            continue
        except PoolFileChanged as error:
            unsettled.append(str(error))
            context.log.warning(f"{asset} {shard} ({number} of {len(shards)}): left for the next run: {error}")
            continue
        except StoreError as error:
            if not error.delete:
                raise dg.Failure(str(error), allow_retries=False) from error
            damages[str(error)] = None
            continue
        except PipelineError as error:
            if error.may_pass:
                raise
            raise dg.Failure(str(error), allow_retries=False) from error
        if len(shards) > 1:
            context.log_event(dg.AssetMaterialization(asset, partition=shard, metadata=metadata))
        context.add_asset_metadata(metadata, partition_key=shard)
    if damages:
        raise dg.Failure(" ".join(damages), allow_retries=False)
    if unsettled and not faults:
        raise dg.Failure(
            f"{len(unsettled)} of {len(shards)} shards are left for the next run, the others are done. {' '.join(unsettled)}",
            allow_retries=False,
        )
    if faults:
        details = "; ".join(f"{shard}: {reason}" for shard, reason in faults.items())
        raise dg.Failure(
            f"{len(faults)} of {len(shards)} shards of {asset} were put aside, the others are done. {details}",
            metadata={"shards_put_aside": sorted(faults), "shards_done": len(shards) - len(faults)},
            allow_retries=False,
        )


def compute_alongside(
    context: dg.AssetExecutionContext,
    store: Store,
    asset: str,
    plan: Callable[[str], ShardTask],
    compute: Callable[[ShardTask], Provenance],
) -> None:
    """Compute what another asset lacks of the run's shards, whose own step follows: it finds them up to date.

    That step shows them, and tells what goes wrong here, since it meets the same.
    """
    shards = sorted(context.partition_keys)
    for number, shard in enumerate(shards, start=1):
        if nothing_more():
            raise dg.Failure(STOPPED, allow_retries=False)
        try:
            task = plan(shard)
            with store.shard_lock(asset, shard):
                stored = store.provenance(asset, shard)
                if stored is not None and stored.fingerprint == task.fingerprint:
                    continue
                tell(stage=asset, shard=shard, number=number, of=len(shards))
                made = compute(task)
            tell(stage=asset, shard=shard, number=number, of=len(shards), rows=made.rows, computed=True)
            with for_the_log():
                context.log.info(f"{asset} {shard} ({number} of {len(shards)}): computed while the engine is open")
        except dg.DagsterExecutionInterruptedError as interrupt:
            raise dg.Failure(STOPPED, allow_retries=False) from interrupt
        except PipelineError as error:
            with for_the_log():
                context.log.info(f"{asset} {shard}: left to its own step: {error}")


class OpenedOnce(Generic[T]):
    """Opens a model at its first use and closes it at the end: once for all shards, never if nothing is to be done."""

    def __init__(self, open_it: Callable[[], Any]) -> None:
        self._open_it = open_it
        self._stack = ExitStack()
        self._opened: T | None = None

    def __call__(self) -> T:
        if self._opened is None:
            self._opened = self._stack.enter_context(self._open_it())
        return self._opened

    @property
    def is_open(self) -> bool:
        return self._opened is not None

    def __enter__(self) -> "OpenedOnce[T]":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)
