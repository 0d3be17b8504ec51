"""``adg pool`` as a user calls it: what is said, what is refused, and that looking creates nothing."""

import json
import shutil
from pathlib import Path

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


def test_a_file_that_cannot_be_used_makes_no_pool(bench: Workbench) -> None:
    shutil.rmtree(bench.folder / "data")
    (bench.folder / "a.json").write_text("[{}]")
    assert bench.adg("pool", "add", str(bench.folder / "a.json")).code == 1
    assert not (bench.folder / "data").exists()
