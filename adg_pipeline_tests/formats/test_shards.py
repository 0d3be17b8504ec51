"""The pool directory's keys and listing."""

import os
import re
import unicodedata
from pathlib import Path

import pytest

from adg_pipeline.formats.shards import file_version, list_shards, shard_key, source_name


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("alpaca.json", "alpaca"),
        ("alpaca.jsonl.gz", "alpaca"),
        ("train-00001-of-00004.parquet", "train-00001-of-00004"),
        ("my pool, v2.TSV.zst", "my-pool--v2"),
        ("a.b.json", "a-b"),
        ("table.csv.gz", "table"),
        ("notes.txt", "notes-txt"),
        ("plain", "plain"),
    ],
)
def test_a_key_is_the_stem_in_letters_digits_underscores_and_hyphens(name, key):
    assert shard_key(name) == key


@pytest.mark.parametrize(
    ("name", "readable"),
    [("Größe_1.json", "Gro-e_1-"), ("Données.csv", "Donnees-"), ("数据.json", "file-"), ("数据 v2.json", "v2-")],
)
def test_letters_that_a_key_cannot_hold_get_a_short_hash(name, readable):
    key = shard_key(name)
    assert re.fullmatch(re.escape(readable) + "[a-p]{8}", key)
    assert shard_key(unicodedata.normalize("NFD", name)) == key
    assert shard_key(f"{key}.jsonl") == key


def test_names_that_differ_in_letters_a_key_cannot_hold_have_different_keys():
    names = [
        "数据.json",
        "表格.json",
        "数.json",
        "数-据.json",
        "Größe.json",
        "Grösse.json",
        "GrÖße.json",
        "Groe.json",
        "é.json",
    ]
    assert len({shard_key(name) for name in names}) == len(names)


def test_a_shard_number_stays_at_the_end_of_any_key():
    assert source_name(Path("数据-00003.jsonl")) == shard_key("数据.json")
    assert shard_key("数据-00003-of-00010.parquet") == f"{shard_key('数据')}-00003-of-00010"


def test_a_key_is_never_too_long_for_a_file_name():
    keys = {shard_key("x" * 200 + end + ".json") for end in "ab"}
    assert len(keys) == 2
    assert max(map(len, keys)) <= 150


@pytest.mark.parametrize("name", [".json", "..gz"])
def test_a_name_without_stem_has_no_key(name):
    if name == "..gz":
        assert shard_key(name) == "-"
    else:
        with pytest.raises(ValueError, match="stem"):
            shard_key(name)


def test_the_source_is_the_key_without_shard_number(tmp_path):
    for name in ("pool.json", "pool-00003.jsonl", "pool-00003-of-00010.parquet", "pool-123456.jsonl"):
        assert source_name(tmp_path / name) == "pool"
    assert source_name(tmp_path / "year-2024.json") == "year-2024"
    assert source_name(tmp_path / "-00001.json") == "-00001"


def test_the_listing_has_each_finished_file_by_key_in_order(tmp_path):
    for name in ("b.json", "a.jsonl", ".hidden.json", "c.json.tmp", "d.part"):
        (tmp_path / name).write_text("{}")
    listing = list_shards(tmp_path)
    assert list(listing.shards) == ["a", "b"]
    assert listing.shards["a"].size == 2
    assert listing.problems == []


def test_two_files_of_one_key_are_a_problem_and_no_shard(tmp_path):
    for name in ("a b.json", "a-b.jsonl", "c.json"):
        (tmp_path / name).write_text("{}")
    listing = list_shards(tmp_path)
    assert list(listing.shards) == ["c"]
    assert listing.unusable == {"a-b"}
    (problem,) = listing.problems
    assert all(part in problem for part in ("a b.json", "a-b.jsonl", "a-b"))


def test_links_out_of_the_pool_folders_and_pipes_are_problems(tmp_path):
    pool, outside = tmp_path / "pool", tmp_path / "secret.json"
    pool.mkdir()
    outside.write_text("{}")
    (pool / "out.json").symlink_to(outside)
    (pool / "gone.json").symlink_to(pool / "nothing")
    (pool / "folder").mkdir()
    os.mkfifo(pool / "pipe.json")
    (pool / "real.json").write_text("{}")
    listing = list_shards(pool)
    assert list(listing.shards) == ["real"]
    assert [problem.split()[0] for problem in listing.problems] == ["folder", "gone.json", "out.json", "pipe.json"]


def test_a_directory_that_is_missing_is_not_an_empty_pool(tmp_path):
    with pytest.raises(FileNotFoundError):
        list_shards(tmp_path / "none")
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        list_shards(tmp_path / "file")


def test_the_version_changes_with_the_file(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("{}")
    before = file_version(list_shards(tmp_path).shards["a"])
    assert file_version(list_shards(tmp_path).shards["a"]) == before
    os.utime(path, ns=(0, 1))
    assert file_version(list_shards(tmp_path).shards["a"]) != before
