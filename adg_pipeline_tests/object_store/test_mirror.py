"""A copy of an object store: what is pulled is the newest, what is put is whole, whoever else writes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from adg_pipeline.errors import StoreError
from adg_pipeline.host.children import environment
from adg_pipeline.host.files import locked, publish_directory, write_atomically
from adg_pipeline.host.mirror import Bucket, Mirror, leases, mirror, open_mirror
from adg_pipeline.host.shared_files import (
    at_hand,
    end_of,
    folder_at_hand,
    move,
    names_in,
    remove,
    remove_folder,
    tree_at_hand,
)
from adg_pipeline_tests.object_store.gateway import Gateway, gateway


@pytest.fixture
def a(url: str, tmp_path: Path) -> Mirror:
    return open_mirror(url, tmp_path / "a")


@pytest.fixture
def b(url: str, tmp_path: Path) -> Mirror:
    return open_mirror(url, tmp_path / "b")


@pytest.fixture
def counted(s3: str, url: str) -> Iterator[Gateway]:
    with gateway(s3) as (told, address), environment({"AWS_ENDPOINT_URL": address}):
        yield told


def put(path: Path, text: str) -> None:
    write_atomically(path, lambda temporary: _write(temporary, text))


def _write(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")


def publish(path: Path, files: dict[str, str]) -> None:
    def fill(folder: Path) -> None:
        for name, text in files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text, "utf-8")

    publish_directory(path, fill)


def files_of(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text("utf-8") for path in folder.rglob("*") if path.is_file()}


def test_a_file_of_one_host_is_at_hand_on_another_until_it_is_removed(a: Mirror, b: Mirror) -> None:
    put(a.root / "raw_pool/x.parquet", "first")
    assert at_hand(b.root / "raw_pool/x.parquet").read_text() == "first"
    assert names_in(b.root / "raw_pool") == ["x.parquet"]
    put(b.root / "raw_pool/x.parquet", "second")
    assert at_hand(a.root / "raw_pool/x.parquet").read_text() == "second"
    assert end_of(a.root / "raw_pool/x.parquet", 3) == b"ond"
    move(a.root / "raw_pool/x.parquet", a.root / "raw_pool/y.parquet")
    assert names_in(b.root / "raw_pool") == ["y.parquet"]
    remove(b.root / "raw_pool/y.parquet")
    assert not at_hand(a.root / "raw_pool/y.parquet").exists()
    assert names_in(a.root / "raw_pool") == []
    with pytest.raises(FileNotFoundError):
        end_of(a.root / "raw_pool/y.parquet", 3)


def test_what_has_not_changed_is_not_fetched_again_and_what_was_changed_here_is(
    a: Mirror, b: Mirror, counted: Gateway
) -> None:
    put(a.root / "raw_pool/x.parquet", "text")
    path = b.root / "raw_pool/x.parquet"
    inode = at_hand(path).stat().st_ino
    assert at_hand(path).stat().st_ino == inode
    path.write_text("by hand")
    assert at_hand(path).read_text() == "text"


def test_what_serves_one_host_alone_or_is_not_finished_stays_here(a: Mirror) -> None:
    for name in ("duplicates/state.json", "plans/adg.json", "raw_pool/versions/x", "checkpoints/adg/.42.work-1/file"):
        put(a.root / name, "text")
    assert a.bucket.below("") == []
    put(a.root / "pool/.origins/x.json", "text")
    assert [found.key for found in a.bucket.below("pool")] == ["pool/.origins/x.json"]


def test_a_folder_is_the_old_one_or_the_new_one(a: Mirror, b: Mirror) -> None:
    place = "selections/adg"
    publish(a.root / place, {"manifest.json": "1", "deep/file": "2"})
    assert files_of(folder_at_hand(b.root / place)) == {"manifest.json": "1", "deep/file": "2"}
    publish(b.root / place, {"manifest.json": "3"})
    assert files_of(folder_at_hand(a.root / place)) == {"manifest.json": "3"}
    assert names_in(a.root / "selections", folders=True) == ["adg"]
    remove_folder(a.root / place)
    assert not folder_at_hand(b.root / place).exists()
    assert names_in(a.root / "selections", folders=True) == []


def test_of_a_folder_what_is_large_is_left_where_it_is_until_it_is_asked_for(a: Mirror, b: Mirror) -> None:
    publish(a.root / "checkpoints/adg/42", {"record.json": "{}", "weights": "w" * 1000})
    assert files_of(folder_at_hand(b.root / "checkpoints/adg/42", 100)) == {"record.json": "{}"}
    assert set(files_of(folder_at_hand(b.root / "checkpoints/adg/42"))) == {"record.json", "weights"}
    assert set(files_of(folder_at_hand(b.root / "checkpoints/adg/42", 100))) == {"record.json", "weights"}


def test_a_tree_brings_files_and_published_folders(a: Mirror, b: Mirror) -> None:
    put(a.root / "benchmark_data/prepared.json", "1")
    publish(a.root / "benchmark_data/gsm8k", {"test": "2"})
    publish(a.root / "benchmark_data/mmlu/law", {"test": "3"})
    found = files_of(tree_at_hand(b.root / "benchmark_data"))
    assert found == {"prepared.json": "1", "gsm8k/test": "2", "mmlu/law/test": "3"}


def test_a_file_that_is_not_what_its_folder_names_is_told_with_the_mend(a: Mirror, b: Mirror) -> None:
    publish(a.root / "selections/adg", {"manifest.json": "1"})
    (found,) = (one.key for one in a.bucket.below("selections/adg") if one.key.endswith("manifest.json"))
    a.bucket.put(found, b"other")
    with pytest.raises(
        StoreError, match=r"manifest\.json: missing, or not what .* names\. Delete s3://.*/selections/adg,"
    ):
        folder_at_hand(b.root / "selections/adg")
    assert not (b.root / "selections/adg").exists()


def test_folders_that_were_replaced_go_after_a_while_but_for_the_last_one(
    a: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "_KEEP", -mirror._KEEP)
    for number in range(4):
        publish(a.root / "selections/adg", {"manifest.json": str(number)})
    contents = [a.bucket.get(one.key) for one in a.bucket.below("selections/adg") if one.key.endswith("manifest.json")]
    assert sorted(found[0] for found in contents if isinstance(found, tuple)) == [b"2", b"3"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_two_writers_at_once_leave_one_of_both_and_a_reader_never_sees_a_mixture(
    a: Mirror, b: Mirror, url: str, tmp_path: Path, kind: str
) -> None:
    c, place, faults = open_mirror(url, tmp_path / "c"), "selections/adg", []

    def write(host: Mirror, text: str) -> None:
        try:
            for number in range(12):
                if kind == "file":
                    put(host.root / place, f"{text}{number}" * 1000)
                else:
                    publish(host.root / place, dict.fromkeys(("one", "two", "three"), f"{text}{number}"))
        except Exception as error:
            faults.append(error)

    writers = [threading.Thread(target=write, args=pair) for pair in ((a, "a"), (b, "b"))]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        if kind == "file":
            text = at_hand(c.root / place).read_text() if at_hand(c.root / place).exists() else ""
            assert (
                len({text[start : start + len(text) // 1000] for start in range(0, len(text), len(text) // 1000 or 1)})
                <= 1
            )
        else:
            texts = set(files_of(folder_at_hand(c.root / place)).values())
            assert len(texts) <= 1
            seen |= texts
    assert faults == []
    for host in (a, b, c):
        if kind == "folder":
            assert len(set(files_of(folder_at_hand(host.root / place)).values())) == 1
    assert a.bucket.version(f"{place}/_published.json" if kind == "folder" else place) is not None


def test_hosts_take_turns_at_a_lock(a: Mirror, b: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "LOOKS", 0.02)
    inside, most, turns = 0, 0, 0

    def work(host: Mirror) -> None:
        nonlocal inside, most, turns
        for _ in range(4):
            with locked(host.root / ".locks" / "x.lock"):
                inside += 1
                most = max(most, inside)
                time.sleep(0.02)
                inside -= 1
                turns += 1

    workers = [threading.Thread(target=work, args=(host,)) for host in (a, b, a, b)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert (most, turns) == (1, 16)


# Holds the lock of a copy of a store, says so, and writes a file once a line comes in.
_HOLDER = """
import sys
from pathlib import Path
from adg_pipeline.host.files import locked, write_atomically
from adg_pipeline.host.mirror import leases, open_mirror
leases.EXPIRES, leases.RENEWS = 2.0, 0.3
root = open_mirror(sys.argv[1], Path(sys.argv[2])).root
with locked(root / ".locks" / "x.lock"):
    print("held", flush=True)
    sys.stdin.readline()
    write_atomically(root / "raw_pool" / "x.parquet", lambda path: path.write_text("late"))
"""


def holder(url: str, folder: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, url, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_lock_of_a_host_that_died_is_taken_over_when_it_is_not_renewed(
    b: Mirror, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "EXPIRES", 2.0)
    monkeypatch.setattr(leases, "RENEWS", 0.3)
    process = holder(url, tmp_path / "a")
    process.kill()
    process.wait()
    with locked(b.root / ".locks" / "x.lock"):
        put(b.root / "raw_pool/x.parquet", "text")


def test_the_lock_of_a_process_that_died_is_taken_by_the_next_one_of_its_host_at_once(
    a: Mirror, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "EXPIRES", 1e9)
    process = holder(url, a.root)
    process.kill()
    process.wait()
    with locked(a.root / ".locks" / "x.lock"):
        put(a.root / "raw_pool/x.parquet", "text")


def test_a_holder_that_was_stopped_too_long_writes_nothing_any_more(
    b: Mirror, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "EXPIRES", 2.0)
    monkeypatch.setattr(leases, "RENEWS", 0.3)
    process = holder(url, tmp_path / "a")
    process.send_signal(signal.SIGSTOP)
    with locked(b.root / ".locks" / "x.lock"):
        put(b.root / "raw_pool/x.parquet", "text")
        process.send_signal(signal.SIGCONT)
        _, err = process.communicate("go\n")
    assert process.returncode == 1
    assert "another one may have taken over; nothing was written" in err
    assert at_hand(b.root / "raw_pool/x.parquet").read_text() == "text"


def test_a_lease_outlives_requests_that_fail(
    a: Mirror, b: Mirror, counted: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "RENEWS", 0.02)
    counted.share = 0.3
    for number in range(3):
        with locked(a.root / ".locks" / "x.lock"):
            put(a.root / "raw_pool/x.parquet", str(number))
            publish(a.root / "selections/adg", {"manifest.json": str(number)})
            time.sleep(0.3)
    assert at_hand(b.root / "raw_pool/x.parquet").read_text() == "2"
    assert files_of(folder_at_hand(b.root / "selections/adg")) == {"manifest.json": "2"}
    assert {"dropped after", "429", "503"} <= counted.failed.keys()


def test_a_store_that_overwrites_whatever_is_asked_is_refused(counted: Gateway, url: str, tmp_path: Path) -> None:
    counted.ignored = {"if-none-match", "if-match"}
    with pytest.raises(StoreError, match=r"s3://.*: this store overwrites an object though it was asked not to"):
        open_mirror(url, tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_what_is_wrong_with_a_store_is_told_without_the_credentials(
    s3: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StoreError, match="s3://nobody-has-this: there is no such bucket"):
        open_mirror("s3://nobody-has-this", tmp_path / "a")
    with pytest.raises(StoreError, match=r"ftp://x: ftp:// is no object store"):
        open_mirror("ftp://x", tmp_path / "a")
    monkeypatch.setattr(mirror, "_AT_FIRST", 0.5)
    with environment({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}), pytest.raises(StoreError) as told:
        open_mirror(url, tmp_path / "a")
    assert "the store can't be used" in str(told.value)
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in str(told.value)
    open_mirror(url, tmp_path / "a")
    with pytest.raises(StoreError, match=r"is a copy of s3://.*, not of s3://other"):
        open_mirror("s3://other", tmp_path / "a")


def test_a_lease_names_nobody_but_who_holds_it(a: Mirror) -> None:
    with locked(a.root / ".locks" / "x.lock"):
        held = a.bucket.get(".locks/x.lock")
        assert isinstance(held, tuple)
        assert json.loads(held[0])["token"]
    free = a.bucket.get(".locks/x.lock")
    assert isinstance(free, tuple)
    assert json.loads(free[0])["token"] is None


def test_a_part_of_a_name_is_no_part_of_a_folder(url: str) -> None:
    bucket = Bucket(url)
    bucket.put("raw_pool/x", b"1")
    bucket.put("raw_pool2/x", b"2")
    assert [found.key for found in bucket.below("raw_pool")] == ["raw_pool/x"]
    assert [found.key for found in bucket.inside("raw_pool")[0]] == ["raw_pool/x"]


def test_a_process_forked_from_one_that_used_the_store_says_so_instead_of_waiting_for_ever(url: str) -> None:
    code = """
import os, sys
from adg_pipeline.errors import StoreError
from adg_pipeline.host.mirror import Bucket

Bucket(sys.argv[1]).inside("")
if os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
try:
    Bucket(sys.argv[1]).inside("")
except StoreError as error:
    assert "forked" in str(error) and "spawn" in str(error), error
    os._exit(7)
"""
    assert subprocess.run([sys.executable, "-c", code, url], timeout=60).returncode == 7
