"""The ledger says what the footers say, whatever happened between them; and costs one read, however many shards there are."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from adg_pipeline.errors import StoreError
from adg_pipeline.store import Store, ledger, ledger_files, tables
from adg_pipeline.store.ledger import Look
from adg_pipeline.store.provenance import Provenance, Recipe, make_provenance
from adg_pipeline.store.store import SHARD_TABLES
from adg_pipeline.store.vectors import TABLES

SHARDS, ASSETS = ("a", "b-1", "c_2"), ("raw_pool", "generations", "answer_embeddings")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(data_dir=str(tmp_path))


def put(store: Store, asset: str, shard: str, value: int = 1) -> None:
    """A stored shard, with a provenance that tells of the value."""
    made = make_provenance(
        Recipe(asset, "1", {"k": value}), shard, {"file": f"v{value}"}, value, facts={"n": [value, "é"]}
    )
    if asset in TABLES:
        stamp = store.vectors.shelf(asset).path(shard)
        stamp.parent.mkdir(parents=True, exist_ok=True)
        temporary = stamp.with_suffix(".new")
        temporary.write_text(made.to_json())
        temporary.replace(stamp)
    else:
        store.write_table(pa.table({"value": [value]}), made)


def place(store: Store, asset: str, shard: str) -> Path:
    return store.vectors.shelf(asset).path(shard) if asset in TABLES else store.table_path(asset, shard)


def told(ask: Callable[[str, str], Provenance | None], asset: str, shard: str) -> Any:
    """What is stored, or that it is damaged."""
    try:
        stored = ask(asset, shard)
    except StoreError as error:
        return str(error)
    return None if stored is None else stored.to_json()


def assert_true(store: Store, look: Look) -> None:
    """The look says what the files say one by one."""
    for asset in (*SHARD_TABLES, *TABLES):
        assert look.shards(asset) == store.shards(asset)
        for shard in SHARDS:
            assert told(look.provenance, asset, shard) == told(store.provenance, asset, shard)


def restart() -> None:
    """Another process begins: nothing is remembered."""
    ledger._memory.cache_clear()


def count_footers(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    read: list[Path] = []
    really = tables.read_provenance

    def counted(path: Path) -> Provenance | None:
        read.append(path)
        return really(path)

    monkeypatch.setattr(tables, "read_provenance", counted)
    return read


class Changes(RuleBasedStateMachine):
    """Whatever is written, replaced, removed, damaged or copied, by whom, and wherever a look is killed."""

    @initialize()
    def begin(self) -> None:
        self.folder = TemporaryDirectory()
        self.store = Store(data_dir=self.folder.name)
        self.others: list[Any] = []

    @rule(asset=st.sampled_from(ASSETS), shard=st.sampled_from(SHARDS), value=st.integers(1, 3))
    def write(self, asset: str, shard: str, value: int) -> None:
        put(self.store, asset, shard, value)

    @rule(asset=st.sampled_from(ASSETS), shard=st.sampled_from(SHARDS))
    def remove(self, asset: str, shard: str) -> None:
        place(self.store, asset, shard).unlink(missing_ok=True)

    @rule(asset=st.sampled_from(ASSETS), shard=st.sampled_from(SHARDS), keep=st.integers(0, 60))
    def truncate(self, asset: str, shard: str, keep: int) -> None:
        path = place(self.store, asset, shard)
        if path.exists():
            path.write_bytes(path.read_bytes()[:keep])

    @rule(asset=st.sampled_from(ASSETS), one=st.sampled_from(SHARDS), other=st.sampled_from(SHARDS))
    def rename_by_hand(self, asset: str, one: str, other: str) -> None:
        path = place(self.store, asset, one)
        if path.exists():
            path.replace(place(self.store, asset, other))

    @rule()
    def look_and_keep(self) -> None:
        self.store.look(keep=True)

    @rule()
    def begin_another_process(self) -> None:
        restart()

    @rule()
    def leave_to_another_process(self) -> None:
        """Each remembers what it saw; the other comes back to a ledger that went on without it."""
        self.others.append(ledger._memory(self.store.root / "ledger"))
        restart()
        memory = ledger._memory(self.store.root / "ledger")
        earlier = self.others.pop(0) if len(self.others) > 1 else None
        if earlier is not None:
            memory.parts, memory.known, memory.read = earlier.parts, earlier.known, earlier.read

    @rule(step=st.sampled_from(["before", "half", "after"]))
    def be_killed_while_keeping(self, step: str) -> None:
        really = ledger_files.write_part

        def killed(directory: Path, records: Any) -> Any:
            if step == "half":
                directory.mkdir(exist_ok=True)
                (directory / ".x.parquet.other-host-1-a.tmp").write_bytes(b"PAR1")
            if step == "after":
                really(directory, records)
            raise KeyboardInterrupt

        with pytest.MonkeyPatch.context() as patch, suppress(KeyboardInterrupt):
            patch.setattr(ledger, "write_part", killed)
            self.store.look(keep=True)
        restart()

    @rule(how=st.sampled_from(["truncate", "delete", "flip", "all"]))
    def damage_the_ledger(self, how: str) -> None:
        paths = sorted(ledger_files.part_paths(self.store.root / "ledger").values())
        if how == "all":
            shutil.rmtree(self.store.root / "ledger", ignore_errors=True)
        elif paths and how == "delete":
            paths[0].unlink()
        elif paths:
            data = bytearray(paths[0].read_bytes())
            data[len(data) // 3] ^= 0xFF
            paths[0].write_bytes(data if how == "flip" else data[: len(data) // 2])
        restart()

    @rule()
    def copy_the_store(self) -> None:
        copy = TemporaryDirectory()
        shutil.copytree(self.folder.name, copy.name, dirs_exist_ok=True)
        self.folder.cleanup()
        self.folder, self.store = copy, Store(data_dir=copy.name)

    @rule()
    def repair(self) -> None:
        assert_true(self.store, self.store.ledger.rebuild())

    @invariant()
    def it_says_what_the_footers_say(self) -> None:
        if hasattr(self, "store"):
            assert_true(self.store, self.store.look())

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()


Changes.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
TestChanges = Changes.TestCase


def test_a_look_reads_only_what_is_new(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    read = count_footers(store, monkeypatch)
    for number in range(20):
        put(store, "raw_pool", f"part-{number}")
    store.look(keep=True)
    assert len(read) == 20
    read.clear()
    restart()
    put(store, "raw_pool", "part-3", 2)
    assert store.look(keep=True).required("raw_pool", "part-3").rows == 2
    assert read == [store.table_path("raw_pool", "part-3")]
    read.clear()
    restart()
    store.look(keep=True)
    assert read == []


def test_files_stay_few_and_records_are_rarely_written_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    written = 0
    really = ledger_files.write_part

    def counted(directory: Path, records: Any) -> Any:
        nonlocal written
        written += sum(map(len, records.values()))
        return really(directory, records)

    monkeypatch.setattr(ledger, "write_part", counted)
    for number in range(64):
        put(store, "raw_pool", f"part-{number}")
        store.look(keep=True)
        assert len(ledger_files.part_paths(store.root / "ledger")) <= 6
    assert written <= 64 * 6
    for number in range(60):
        store.table_path("raw_pool", f"part-{number}").unlink()
    put(store, "raw_pool", "one-more")
    store.look(keep=True)
    (left,) = ledger_files.part_paths(store.root / "ledger").values()
    assert pq.read_metadata(left).num_rows == 5


def test_a_command_that_only_looks_writes_nothing(store: Store) -> None:
    put(store, "raw_pool", "a")
    before = sorted(store.root.rglob("*"))
    assert_true(store, store.look())
    assert sorted(store.root.rglob("*")) == before


def test_a_file_that_is_replaced_while_it_is_read_is_not_remembered_as_the_one_before(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, "raw_pool", "a", 1)
    really = tables.read_provenance

    def overtaken(path: Path) -> Provenance | None:
        stored = really(path)
        monkeypatch.setattr(tables, "read_provenance", really)
        put(store, "raw_pool", "a", 2)
        return stored

    monkeypatch.setattr(tables, "read_provenance", overtaken)
    store.look(keep=True)
    restart()
    assert store.look(keep=True).required("raw_pool", "a").rows == 2


def test_a_file_that_was_renamed_by_hand_tells_of_the_place_that_it_was_made_for(store: Store) -> None:
    put(store, "raw_pool", "a")
    store.table_path("raw_pool", "a").rename(store.table_path("raw_pool", "b-1"))
    store.look(keep=True)
    restart()
    assert_true(store, store.look())
    assert store.look().required("raw_pool", "b-1").shard == "a"


def test_a_full_disk_is_no_hindrance(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store, "raw_pool", "a")

    def full(directory: Path, records: Any) -> Any:
        raise StoreError(f"{directory}: can't be written (No space left on device)")

    monkeypatch.setattr(ledger, "write_part", full)
    assert_true(store, store.look(keep=True))


def test_what_a_killed_process_left_of_a_file_goes_at_the_next_write(store: Store) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    folder = store.root / "ledger"
    folder.mkdir()
    dead, alive = (
        folder / f".{name}.parquet.{socket.gethostname()}-{pid}-0123456789ab.tmp"
        for name, pid in (("x", ended.pid), ("y", os.getpid()))
    )
    for path in (dead, alive):
        path.write_text("half a file")
    put(store, "raw_pool", "a")
    store.look(keep=True)
    assert (dead.exists(), alive.exists()) == (False, True)


def test_repair_tells_what_is_damaged(store: Store) -> None:
    put(store, "raw_pool", "a")
    put(store, "raw_pool", "b-1")
    store.table_path("raw_pool", "a").write_bytes(b"PAR1")
    look = store.ledger.rebuild()
    assert [path for damage in look.damages for path in damage.delete] == [store.table_path("raw_pool", "a")]
    assert look.required("raw_pool", "b-1").rows == 1
    with pytest.raises(StoreError, match="generations of shard a is missing"):
        look.required("generations", "a")
