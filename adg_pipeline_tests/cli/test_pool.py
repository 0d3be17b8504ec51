"""``adg pool`` as a user calls it: what is said, what is refused, and that looking creates nothing."""

import gzip
import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adg_pipeline_tests.workbench import Workbench, records


def write(path: Path, count: int, first: int = 0) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(records(count, first)), encoding="utf-8")
    return str(path)


def in_pool(bench: Workbench) -> list[str]:
    return sorted(path.name for path in bench.pool.iterdir() if not path.name.startswith("."))


def test_two_files_of_one_name_are_refused_before_anything_is_added(bench: Workbench) -> None:
    files = [write(bench.folder / folder / "train.json", 3) for folder in ("a", "b")]
    for options in ([], ["--rows-per-shard", "2"]):
        refused = bench.adg("pool", "add", *files, *options)
        assert refused.code == 1
        assert all(part in refused.err for part in (*files, "--with-folder", "--name"))
        assert in_pool(bench) == []
    assert bench.adg("pool", "add", *files, "--with-folder").code == 0
    assert in_pool(bench) == ["a-train.json", "b-train.json"]


def test_another_file_of_a_key_that_is_taken_is_refused_and_replacing_it_is_said(bench: Workbench) -> None:
    first, second = write(bench.folder / "a" / "train.json", 3), write(bench.folder / "b" / "train.json", 4, 10)
    assert bench.adg("pool", "add", first).code == 0
    refused = bench.adg("pool", "add", second)
    assert (refused.code, refused.out) == (1, "")
    assert all(part in refused.err for part in ("train.json", first, "--replace", "--name"))
    replaced = bench.adg("pool", "add", second, "--replace")
    assert "train: replaces train.json: 3 examples before, 4 examples now" in replaced.err
    assert bench.adg("pool", "add", first, "--name", "seed").code == 0
    assert in_pool(bench) == ["seed.json", "train.json"]


def test_names_without_a_letter_that_a_key_can_hold_are_told_apart(bench: Workbench) -> None:
    files = [write(bench.folder / f"{name}.json", 2, place * 2) for place, name in enumerate(["数据", "表格"])]
    assert bench.adg("pool", "add", *files).code == 0
    assert len(in_pool(bench)) == 2


def test_with_a_limit_the_counts_are_of_what_was_taken(bench: Workbench) -> None:
    added = bench.adg("pool", "add", write(bench.folder / "a.json", 20), "--limit", "6")
    assert "6 read = 6 accepted + 0 rejected; --limit 6 is reached, the rest wasn't read" in added.err


def test_listing_a_pool_that_is_not_there_says_so_and_creates_nothing(bench: Workbench) -> None:
    shutil.rmtree(bench.folder / "data")
    listed = bench.adg("pool", "list")
    assert listed.code == 1
    assert "there is no pool directory" in listed.err
    assert "Errno" not in listed.err
    assert sorted(path.name for path in bench.folder.iterdir()) == ["adg.yaml"]


@pytest.mark.parametrize("below", [".", "data"])
def test_each_file_of_a_folder_is_added_by_itself_and_what_cannot_be_used_is_named(
    bench: Workbench, below: str
) -> None:
    folder = bench.folder / "set" / below
    write(folder / "a.json", 2)
    for suffix, opened in (("jsonl", open), ("jsonl.gz", gzip.open)):
        with opened(folder / f"b-{suffix[-2:]}.{suffix}", "wt") as file:
            file.write("".join(json.dumps(record) + "\n" for record in records(2, first=len(suffix))))
    (folder / "c.csv").write_text("instruction,output\nwhy,because\n")
    (folder / "README.md").write_text("a card")
    (folder / "dataset_infos.json").write_text("{}")
    added = bench.adg("pool", "add", str(bench.folder / "set"))
    assert added.code == 0, added.err
    assert in_pool(bench) == ["a.json", "b-gz.jsonl.gz", "b-nl.jsonl", "c.csv"]

    (folder / "d.jsonl").write_text('{"text": "no example"}\n')
    again = bench.adg("pool", "add", str(bench.folder / "set"))
    assert again.code == 1
    assert f"error: not added: {folder.resolve() / 'd.jsonl'}: " in again.err
    assert [line.split("\t")[1] for line in again.out.splitlines()] == ["unchanged"] * 4
    assert bench.adg("pool", "add", str(bench.folder / "set"), "--name", "mine").code == 2


def test_splits_of_a_folder_of_text_files_are_chosen_like_those_of_parquet(bench: Workbench) -> None:
    folder = bench.folder / "set"
    write(folder / "train.json", 2)
    write(folder / "test.json", 2, 2)
    refused = bench.adg("pool", "add", str(folder))
    assert (refused.code, in_pool(bench)) == (1, [])
    assert "has the splits test, train: choose one with --split" in refused.err
    assert bench.adg("pool", "add", str(folder), "--split", "train").code == 0
    assert in_pool(bench) == ["train.json"]


def test_text_files_beside_parquet_and_folders_in_the_pool_are_named(bench: Workbench) -> None:
    folder = bench.folder / "set"
    write(folder / "more.json", 2)
    pq.write_table(pa.Table.from_pylist(records(3)), folder / "a.parquet")
    added = bench.adg("pool", "add", str(folder))
    assert added.code == 0, added.err
    assert "these are left alone: more.json" in added.err
    folder.rename(bench.pool / "set")
    assert "set is a directory, in which nothing is read: move it elsewhere" in bench.adg("pool", "list").err


def test_a_file_that_cannot_be_used_makes_no_pool(bench: Workbench) -> None:
    shutil.rmtree(bench.folder / "data")
    (bench.folder / "a.json").write_text("[{}]")
    assert bench.adg("pool", "add", str(bench.folder / "a.json")).code == 1
    assert not (bench.folder / "data").exists()
