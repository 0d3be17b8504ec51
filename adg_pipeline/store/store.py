"""The store as a Dagster resource: where things are, and how a stage reads and writes them."""

import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pyarrow as pa
from pydantic import Field

from adg_pipeline.errors import StoreError
from adg_pipeline.formats.shards import ShardFile
from adg_pipeline.host.files import locked
from adg_pipeline.host.mirror import open_mirror
from adg_pipeline.host.shared_files import folder_at_hand, names_in, remove, states_in, tree_at_hand
from adg_pipeline.progress import Progress
from adg_pipeline.resources.generators.journal import journals_in
from adg_pipeline.settings.kept import Kept
from adg_pipeline.store import tables
from adg_pipeline.store.checkpoints import SMALL, checkpoint_folder, nest, trained_seeds
from adg_pipeline.store.duplicates import DuplicateIndex
from adg_pipeline.store.history import SubsetHistory
from adg_pipeline.store.kept import KeptSettings
from adg_pipeline.store.kept_answers import KeptAnswers
from adg_pipeline.store.ledger import Ledger, Look, Shelf
from adg_pipeline.store.provenance import Provenance
from adg_pipeline.store.quarantine import Quarantine
from adg_pipeline.store.results import results_name
from adg_pipeline.store.selections import BinStore, read_manifest, require_files
from adg_pipeline.store.vectors import TABLES, VectorTables
from adg_pipeline.store.versions import known_version

DATA_DIR_VARIABLE, SCRATCH_DIR_VARIABLE = "ADG_DATA_DIR", "ADG_SCRATCH_DIR"
DEFAULT_DATA_DIR = "data"
SHARD_TABLES = ("raw_pool", "fingerprints", "token_counts", "generations", "reference_losses", "divergence_scores")


def default_data_dir() -> str:
    """``$ADG_DATA_DIR``, else ``data`` in the working directory."""
    return os.environ.get(DATA_DIR_VARIABLE) or DEFAULT_DATA_DIR


def copy_of(url: str, scratch_dir: str | None = None) -> Path:
    """Where this machine's copy of an object store lies: in ``$ADG_SCRATCH_DIR``, else in the user's cache."""
    named = scratch_dir or os.environ.get(SCRATCH_DIR_VARIABLE)
    folder = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "adg-pipeline"
    plain = re.sub(r"[^A-Za-z0-9]+", "-", url.rstrip("/"))[:80]
    return folder.resolve() / f"{plain}-{hashlib.sha256(url.rstrip('/').encode()).hexdigest()[:8]}"


class Store(dg.ConfigurableResource):
    """Everything the pipeline keeps, under `data_dir`. A write replaces a whole shard, atomically."""

    data_dir: str = Field(
        description="Directory of the pool and of all that is made from it, or a prefix of an object store: s3://, gs://, az://."
    )

    scratch_dir: str | None = Field(
        default=None,
        description="Where this machine's copy of an object store lies: by default $ADG_SCRATCH_DIR, or the user's cache.",
    )

    @property
    def root(self) -> Path:
        """Where all of it lies on this machine: of an object store the copy of what this machine has read or written."""
        if "://" in self.data_dir:
            return open_mirror(self.data_dir, copy_of(self.data_dir, self.scratch_dir)).root
        return Path(self.data_dir).resolve()

    @property
    def pool_dir(self) -> Path:
        return self.root / "pool"

    def require_pool(self) -> None:
        """Raise StoreError, with what was looked for, where, and the mend, unless there is a pool directory."""
        files = states_in(self.pool_dir)
        if self.pool_dir.is_dir() if files is None else files:
            return
        named = os.environ.get(DATA_DIR_VARIABLE)
        why = (
            f"{DATA_DIR_VARIABLE} is {named}" if named else f"{DATA_DIR_VARIABLE} isn't set, the folder is {Path.cwd()}"
        )
        raise StoreError(
            f"there is no pool directory {self.place('pool')} ({why}): start one with `adg pool add FILE`, or go to the "
            f"folder that has yours, or set {DATA_DIR_VARIABLE}"
        )

    def place(self, *names: str) -> str:
        """Where something lies, as its users name it."""
        return "/".join((self.data_dir.rstrip("/") if "://" in self.data_dir else str(self.root), *names))

    @property
    def vectors(self) -> VectorTables:
        return VectorTables(self.root / "lancedb", self.place("lancedb"))

    @property
    def quarantine(self) -> Quarantine:
        return Quarantine(self.root / "quarantine")

    def version_read(self, shard: str) -> str:
        """Version of the pool file that the stored rows of a shard were read from; "missing" where there are none."""
        read = self.provenance("raw_pool", shard)
        return "missing" if read is None else read.inputs["file"]

    def file_version(self, shard: str, file: ShardFile) -> str:
        """Tells one content of a pool file from another, reading it only where its time changed (`store.versions`)."""
        try:
            stored = self.provenance("raw_pool", shard)
        except StoreError:
            stored = None
        return known_version(file, stored, self.versions_dir)

    @property
    def versions_dir(self) -> Path:
        """Hashes of pool files whose time changed, a file a shard."""
        return self.root / "raw_pool" / "versions"

    # Tables with one Parquet file per shard.

    def table_path(self, asset: str, shard: str) -> Path:
        return self.root / asset / f"{shard}.parquet"

    def rejects_path(self, shard: str) -> Path:
        return self.root / "raw_pool" / "rejects" / f"{shard}.jsonl"

    def journal_path(self, shard: str) -> Path:
        """Answers of a shard that is still being generated."""
        return self.root / "generations" / "unfinished" / f"{shard}.jsonl"

    def unfinished(self) -> list[str]:
        """Shards with answers that are in no table yet, sorted."""
        return sorted(name.removesuffix(".jsonl") for name in journals_in(self.journal_path("x").parent))

    @property
    def kept_answers(self) -> KeptAnswers:
        """Answers that no shard holds any more."""
        return KeptAnswers(self.root / "generations" / "kept")

    def duplicate_index(self, recipe_id: str, likeness: float) -> DuplicateIndex:
        """Near duplicates over shards whose fingerprints were made by that recipe."""
        return DuplicateIndex(self.root / "duplicates" / f"{recipe_id[:12]}-{likeness:g}", likeness)

    def write_table(self, table: pa.Table, provenance: Provenance) -> None:
        tables.write_table(self.table_path(provenance.asset, provenance.shard), table, provenance)

    def read_table(self, asset: str, shard: str, columns: Sequence[str] | None = None) -> pa.Table:
        return tables.read_table(self.table_path(asset, shard), columns)

    def scan(self, asset: str, shards: Sequence[str]) -> pl.LazyFrame:
        return tables.scan_tables([self.table_path(asset, shard) for shard in shards])

    def provenance(self, asset: str, shard: str) -> Provenance | None:
        """What a stored shard was made from; None where it hasn't been computed. Raises StoreError if damaged."""
        if asset in TABLES:
            return self.vectors.provenance(asset, shard)
        return tables.read_provenance(self.table_path(asset, shard))

    @property
    def ledger(self) -> Ledger:
        root, vectors = self.root, self.vectors
        shelves = {asset: Shelf(root / asset, ".parquet", tables.read_provenance) for asset in SHARD_TABLES}
        return Ledger(root / "ledger", shelves | {table: vectors.shelf(table) for table in TABLES})

    def look(self, *, keep: bool = False, progress: Progress | None = None) -> Look:
        """What is stored of all shards now, at the cost of what is new since the last look (`store.ledger`).

        keep: remember what is new; not for a command that only looks.
        """
        return self.ledger.look(keep=keep, progress=progress)

    def required_provenance(self, asset: str, shard: str) -> Provenance:
        provenance = self.provenance(asset, shard)
        if provenance is None:
            raise StoreError(f"{asset} of shard {shard} is missing in {self.root}: materialise it first")
        return provenance

    def shards(self, asset: str) -> list[str]:
        """Shards of which the asset is stored, sorted."""
        if asset in TABLES:
            return self.vectors.shards(asset)
        names = names_in(self.root / asset)
        return sorted(name.removesuffix(".parquet") for name in names if name.endswith(".parquet"))

    def all_shards(self) -> set[str]:
        """Shards of which anything is stored."""
        return {shard for asset in (*SHARD_TABLES, *TABLES) for shard in self.shards(asset)}

    def remove_shard(self, shard: str) -> None:
        """Remove every trace of a shard, but for its answers: they were paid for, and are kept a while.

        Waits for whoever computes one of them just now, who would otherwise leave a table of a shard that is gone.
        """
        for asset in SHARD_TABLES:
            with self.shard_lock(asset, shard):
                if asset == "generations":
                    self.kept_answers.take(self.table_path(asset, shard))
                    self.kept_answers.take(self.journal_path(shard))
                else:
                    remove(self.table_path(asset, shard))
        for path in (self.rejects_path(shard), self.versions_dir / shard):
            remove(path)
        for table in TABLES:
            with self.shard_lock(table, shard):
                self.vectors.remove(table, shard)
        self.quarantine.remove(shard)

    @contextmanager
    def shard_lock(self, asset: str, shard: str) -> Iterator[None]:
        """Only one process computes a shard of an asset; the next one finds it done."""
        with locked(self.root / ".locks" / f"{asset}-{shard}.lock"):
            yield

    # What isn't partitioned by shard.

    @property
    def bins(self) -> BinStore:
        return BinStore(self.root / "semantic_bins")

    def arms(self) -> set[str]:
        """Arms of which a subset is stored, at hand or before."""
        folders = (self.root / kind for kind in ("selections", "subset_history"))
        return {name for folder in folders for name in names_in(folder, folders=True)}

    def selected_arms(self) -> list[str]:
        """Arms of which a subset is at hand."""
        return names_in(self.root / "selections", folders=True)

    def selection_dir(self, arm: str) -> Path:
        return folder_at_hand(self.root / "selections" / arm)

    def selection_manifest(self, arm: str) -> dict[str, Any] | None:
        return read_manifest(self.selection_dir(arm))

    def subset_history(self, arm: str) -> SubsetHistory:
        return SubsetHistory(self.selection_dir(arm), self.root / "subset_history" / arm)

    def drawn_dir(self, arm: str, seed: int) -> Path:
        """Subset that an arm which draws at random has for a training seed, other than its own at hand."""
        return folder_at_hand(self.root / "subset_draws" / arm / str(seed))

    def remember_subset(self, arm: str, kept: Kept) -> None:
        """Somebody asked for this subset: its settings hold, no pin does."""
        self.kept.keep(arm, ["selected_subset"], kept)
        self.kept.unpin(arm)

    def is_pinned(self, arm: str) -> bool:
        """Whether the subset at hand was restored: it then stays until somebody asks for it anew."""
        pinned = self.kept.pinned().get(arm)
        current = self.subset_history(arm).current() if pinned else None
        return current is not None and current.id == pinned

    @property
    def kept(self) -> KeptSettings:
        return KeptSettings(self.root / "kept_settings.json")

    def require_selection(self, arm: str) -> None:
        """Raise StoreError, naming the file, unless the stored subset is what was published."""
        manifest = self.selection_manifest(arm) or {}
        require_files(self.selection_dir(arm), manifest.get("files_sha256", {}))

    @contextmanager
    def damage_named(self, assets: Sequence[str], shards: Sequence[str]) -> Iterator[None]:
        """Where reading several tables in one query fails, raise StoreError that names the damaged one."""
        try:
            yield
        except tables.UNREADABLE:
            tables.check([self.table_path(asset, shard) for asset in assets for shard in shards])
            raise

    def checkpoint_dir(self, arm: str, seed: int) -> Path:
        """Where a checkpoint lies. Of one in an object store the weights may still be there: `whole_checkpoint`."""
        return folder_at_hand(checkpoint_folder(self.root / "checkpoints" / arm, seed), SMALL)

    def whole_checkpoint(self, arm: str, seed: int) -> Path:
        return folder_at_hand(checkpoint_folder(self.root / "checkpoints" / arm, seed))

    def trained_arms(self) -> list[str]:
        """Arms of which a checkpoint is, or was, stored."""
        return names_in(self.root / "checkpoints", folders=True)

    def trained_seeds(self, arm: str) -> list[int]:
        """Seeds of which a checkpoint of the arm is stored."""
        return trained_seeds(self.root / "checkpoints" / arm)

    def new_checkpoint_dir(self, arm: str, seed: int) -> Path:
        """Where a training publishes to. An arm's checkpoint of before seeds had folders is moved out of its way."""
        nest(self.root / "checkpoints" / arm, seed)
        return self.checkpoint_dir(arm, seed)

    @property
    def benchmark_data(self) -> Path:
        """What the benchmarks ask, as `adg benchmarks prepare` laid it out."""
        return tree_at_hand(self.root / "benchmark_data")

    def results_dir(self, arm: str, seed: int, suite: str, limit: int | None = None) -> Path:
        """Results of an arm's checkpoint; those of a quick look apart."""
        return self.root / "benchmarks" / arm / str(seed) / results_name(suite, limit)

    def model_results_dir(self, model: str, suite: str, limit: int | None = None) -> Path:
        """Results of a model that isn't an arm's checkpoint. An arm's name begins otherwise, so they don't meet."""
        return self.root / "benchmarks" / "_models" / model / results_name(suite, limit)

    def evaluated(self, arm: str) -> list[tuple[int, str]]:
        """Seed and folder of all results of an arm that are stored."""
        of_arm = self.root / "benchmarks" / arm
        seeds = sorted(int(name) for name in names_in(of_arm, folders=True) if name.isdigit())
        return [(seed, name) for seed in seeds for name in names_in(of_arm / str(seed), folders=True)]

    def evaluated_arms(self) -> list[str]:
        return [name for name in names_in(self.root / "benchmarks", folders=True) if not name.startswith("_")]

    def evaluated_models(self) -> list[str]:
        """Models that aren't an arm's checkpoint and of which results are stored."""
        return names_in(self.root / "benchmarks" / "_models", folders=True)

    def report_dir(self, suite: str, limit: int | None = None) -> Path:
        """Where the report of the newest comparison on a suite lies."""
        return self.root / "reports" / results_name(suite, limit)

    def free_bytes(self) -> int:
        return shutil.disk_usage(self.root).free
