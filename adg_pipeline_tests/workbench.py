"""A small pipeline of its own for a test: pool, store and Dagster instance in a temporary folder, driven by `adg`."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import dagster as dg
import polars as pl
import yaml

from adg_pipeline.cli.main import main
from adg_pipeline.host.children import environment
from adg_pipeline.lineage.in_force import settings_in_force
from adg_pipeline.orchestration.instance import open_instance
from adg_pipeline.orchestration.runner import Runner
from adg_pipeline.store import Store

# Short answers, an embedder that opens in a fraction of the default one's time, and few bins, so that a run takes seconds;
# otherwise the defaults.
SMALL: dict[str, dict[str, Any]] = {
    "generations": {"max_new_tokens": 12},
    "embeddings": {"embedder": "hidden_state"},
    "semantic_bins": {"examples_per_bin": 10},
    "selected_subset": {"budget": 12},
    "finetuned_checkpoint": {"max_steps": 2, "batch_size": 2, "gradient_accumulation": 1, "threads": 1},
}


@dataclass(frozen=True)
class Output:
    """What a call of `adg` left: exit code, and both streams."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Capture(Protocol):
    """What a test's capture has read of both streams since it was last asked."""

    def readouterr(self) -> Any: ...


class NoCapture:
    """Stands in for a test's capture where a fixture outlives the test."""

    def readouterr(self) -> tuple[str, str]:
        return "", ""


@dataclass
class Workbench:
    """Folders of one pipeline, and `adg` on them."""

    folder: Path
    capture: Capture | None = None
    settings: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {key: dict(value) for key, value in SMALL.items()}
    )

    def __post_init__(self) -> None:
        self.pool.mkdir(parents=True, exist_ok=True)
        self.write_settings()

    @property
    def data(self) -> Path:
        """Where the store's files lie on this machine."""
        return self.folder / "data"

    @property
    def store(self) -> Store:
        return Store(data_dir=str(self.data))

    @property
    def pool(self) -> Path:
        return self.data / "pool"

    def write_settings(self) -> None:
        (self.folder / "adg.yaml").write_text(yaml.safe_dump(self.settings), encoding="utf-8")

    def environment(self) -> dict[str, str]:
        return {
            "ADG_DATA_DIR": str(self.folder / "data"),
            "ADG_CONFIG": str(self.folder / "adg.yaml"),
            "DAGSTER_HOME": str(self.folder / "dagster"),
            "HF_HUB_OFFLINE": "1",
        }

    def adg(self, *arguments: str) -> Output:
        """Call the command line in this process, in a test."""
        assert self.capture is not None
        self.capture.readouterr()
        code = 0
        with environment(self.environment()):
            try:
                main(list(arguments))
            except SystemExit as stop:
                code = int(stop.code or 0)
        out, err = self.capture.readouterr()
        return Output(code, out, err)

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        with environment(self.environment()), open_instance() as instance:
            yield instance

    def runner(
        self, instance: dg.DagsterInstance, *sets: str, arm: str = "adg", say: Callable[[str], None] = lambda text: None
    ) -> Runner:
        """What `adg run --arm ARM --set …` uses, without the look that it takes beforehand."""
        with environment(self.environment()):
            asked = settings_in_force(self.store, arm, {one: f"--set {one}" for one in sets})
        return Runner(self.store, asked, instance, say)

    def add(self, name: str, records: list[dict[str, Any]]) -> Path:
        """Put a file into the pool by a rename, as a careful user would."""
        path = self.pool / f"{name}.jsonl"
        temporary = path.with_suffix(".tmp")
        temporary.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
        temporary.replace(path)
        return path

    def why_failed(self) -> str:
        """What the failed steps of the newest run say, as the page shows it.

        Not from standard error: where no command listens, Dagster passes on a run's by a process that it kills at the end,
        with what that hasn't passed on yet.
        """
        with self.instance() as instance:
            run = instance.get_runs(limit=1)[0]
            failed = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
            events = [entry.dagster_event for entry in failed if entry.dagster_event is not None]
        told = [event.step_failure_data for event in events]
        return "\n".join(
            str(data.user_failure_data.description if data.user_failure_data else data.error) for data in told
        )

    def subset(self, arm: str = "adg") -> list[str]:
        """Ids of the subset, best first."""
        frame = pl.read_parquet(self.store.selection_dir(arm) / "subset.parquet")
        return frame.sort("rank")["example_id"].to_list()

    def stamps(self, asset: str) -> dict[str, str]:
        """When each shard of an asset was last written."""
        shards = self.store.shards(asset)
        return {shard: f"{self.store.required_provenance(asset, shard)}" for shard in shards}


def records(count: int, first: int = 0) -> list[dict[str, str]]:
    """Alpaca records of the embedded world, the same for the same numbers."""
    from itertools import islice

    from adg_pipeline.demo.pool import pool_records

    return list(islice(pool_records(seed=7), first, first + count))
