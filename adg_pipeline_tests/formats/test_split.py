"""Adding files to the pool: the same examples for every shard size, and nothing changed the second time."""

import json

import pytest

from adg_pipeline.formats.convert import PoolFileError
from adg_pipeline.formats.errors import ShardConflict
from adg_pipeline.formats.shards import list_shards
from adg_pipeline.formats.split import add_to_pool, names_in_pool
from adg_pipeline_tests.formats.reading import alpaca, convert_file


def write_array(path, records):
    path.write_text(json.dumps(records, ensure_ascii=False), "utf-8")
    return path


def numbered(count):
    return [alpaca(f"{number}?", f"{number}!", **({"id": number} if number % 2 else {})) for number in range(count)]


@pytest.fixture
def pool(tmp_path):
    return tmp_path / "pool"


def contents(pool):
    return {path.name: (path.read_bytes(), path.stat().st_ino) for path in pool.iterdir() if path.is_file()}


def test_a_file_is_copied_as_it_is_under_a_legal_key(tmp_path, pool):
    file = write_array(tmp_path / "My pool.json", numbered(3))
    (written,) = add_to_pool(file, pool)
    assert (written.key, written.path.name, written.rows, written.changed) == ("My-pool", "My-pool.json", 3, True)
    assert written.path.read_bytes() == file.read_bytes()
    assert list(list_shards(pool).shards) == ["My-pool"]


@pytest.mark.parametrize("split", [{}, {"rows_per_shard": 4}, {"limit": 7}])
def test_adding_a_file_again_changes_nothing(tmp_path, pool, split):
    file = write_array(tmp_path / "a.json", [*numbered(10), {}])
    add_to_pool(file, pool, **split)
    before = contents(pool)
    assert not any(written.changed for written in add_to_pool(file, pool, **split))
    assert contents(pool) == before


def test_shards_of_every_size_hold_the_same_examples(tmp_path):
    records = [
        *numbered(10),
        alpaca("3?", "other", id="x"),
        alpaca("3?", "yet another", id="x"),
        alpaca("0?", "0!"),
        {},
        alpaca("s", source="own"),
    ]
    file = write_array(tmp_path / "a.json", records)
    whole = {(row["example_id"], row["content_hash"], row["source"]) for row in convert_file(file).examples}
    for size in (1, 3, 100):
        shards = add_to_pool(file, tmp_path / f"pool{size}", rows_per_shard=size)
        rows = [row for shard in shards for row in convert_file(shard.path).examples]
        assert {(row["example_id"], row["content_hash"], row["source"]) for row in rows} == whole
        assert [shard.rows for shard in shards[:-1]] == [size] * (len(shards) - 1)
        assert sum(shard.rows for shard in shards) == len(rows) == len(whole)
        assert (shards[0].summary.read, shards[0].summary.rejected) == (15, 3)


def test_what_was_rejected_while_splitting_is_kept_beside_the_shards(tmp_path, pool):
    add_to_pool(write_array(tmp_path / "a.json", [*numbered(2), {}]), pool, rows_per_shard=1)
    assert "missing field" in (pool / ".rejects" / "a.jsonl").read_text()
    add_to_pool(write_array(tmp_path / "a.json", numbered(2)), pool, rows_per_shard=1)
    assert not (pool / ".rejects" / "a.jsonl").exists()


def test_a_file_that_has_grown_gives_the_same_first_shards(tmp_path, pool):
    add_to_pool(write_array(tmp_path / "a.json", numbered(10)), pool, rows_per_shard=4)
    before = contents(pool)
    shards = add_to_pool(write_array(tmp_path / "a.json", numbered(15)), pool, rows_per_shard=4)
    assert [shard.changed for shard in shards] == [False, False, True, True]
    assert contents(pool)["a-00000.jsonl"] == before["a-00000.jsonl"]
    assert (
        add_to_pool(tmp_path / "a.json", tmp_path / "other", rows_per_shard=4, limit=8)[1].path.read_bytes()
        == (before["a-00001.jsonl"][0])
    )


def test_limit_counts_accepted_examples(tmp_path, pool):
    file = write_array(tmp_path / "a.json", [{}, *numbered(10)])
    shards = add_to_pool(file, pool, rows_per_shard=4, limit=6)
    assert [shard.rows for shard in shards] == [4, 2]


def test_a_name_gives_key_and_source(tmp_path, pool):
    (written,) = add_to_pool(write_array(tmp_path / "a.json", numbered(2)), pool, limit=2, name="seed")
    assert written.key == "seed-00000"
    assert {row["source"] for row in convert_file(written.path).examples} == {"seed"}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {"rows_per_shard": 5}),
        ({"rows_per_shard": 5}, {}),
        ({"rows_per_shard": 2}, {"rows_per_shard": 5}),
        ({"limit": 10, "rows_per_shard": 3}, {"limit": 5, "rows_per_shard": 3}),
    ],
)
def test_a_file_that_is_split_otherwise_replaces_its_own_shards_and_says_so(tmp_path, pool, first, second):
    file = write_array(tmp_path / "a.json", numbered(10))
    add_to_pool(file, pool, **first)
    told = []
    shards = add_to_pool(file, pool, **second, say=told.append)
    assert sorted(contents(pool)) == sorted(shard.path.name for shard in shards)
    now = min(10, second.get("limit", 10))
    assert f"10 examples before, {now} examples now" in told[0]
    assert "replaces a" in told[0]


@pytest.mark.parametrize("split", [{}, {"rows_per_shard": 5}])
def test_a_file_that_was_edited_replaces_what_it_gave_and_says_so(tmp_path, pool, split):
    add_to_pool(write_array(tmp_path / "a.json", numbered(10)), pool, **split)
    told = []
    add_to_pool(write_array(tmp_path / "a.json", numbered(4)), pool, **split, say=told.append)
    assert len(told) == 1
    assert "10 examples before, 4 examples now" in told[0]
    assert sum(len(convert_file(path).examples) for path in pool.iterdir() if path.is_file()) == 4


@pytest.mark.parametrize("second", [{}, {"rows_per_shard": 5}, {"limit": 1}])
@pytest.mark.parametrize("first", [{}, {"rows_per_shard": 5}])
@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_another_file_of_the_same_key_is_refused_unless_it_is_to_replace(tmp_path, pool, name, first, second):
    (tmp_path / "other").mkdir()
    add_to_pool(write_array(tmp_path / "a.json", numbered(10)), pool, **first)
    before = contents(pool)
    other = tmp_path / "other" / name
    other.write_text(json.dumps([alpaca("x"), alpaca("y")]))
    with pytest.raises(ShardConflict, match=r"already holds a.*/a\.json.*--replace.*--name"):
        add_to_pool(other, pool, **second)
    assert contents(pool) == before
    told = []
    shards = add_to_pool(other, pool, **second, replace=True, say=told.append)
    assert told
    assert sorted(contents(pool)) == sorted(shard.path.name for shard in shards)


def test_what_was_put_into_the_pool_or_changed_there_by_hand_is_not_replaced_unasked(tmp_path, pool):
    pool.mkdir()
    write_array(pool / "a.json", numbered(3))
    with pytest.raises(ShardConflict, match="not known to come from"):
        add_to_pool(write_array(tmp_path / "a.json", numbered(10)), pool)
    add_to_pool(write_array(tmp_path / "b.json", numbered(10)), pool)
    write_array(pool / "b.json", numbered(4))
    with pytest.raises(ShardConflict, match="changed there since"):
        add_to_pool(write_array(tmp_path / "b.json", numbered(11)), pool)


def test_the_same_bytes_from_elsewhere_change_nothing(tmp_path, pool):
    add_to_pool(write_array(tmp_path / "a.json", numbered(3)), pool)
    (tmp_path / "copy").mkdir()
    before = contents(pool)
    (shard,) = add_to_pool(write_array(tmp_path / "copy" / "a.json", numbered(3)), pool)
    assert not shard.changed
    assert contents(pool) == before


def test_files_of_one_key_in_one_command_are_refused_by_name(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_array(tmp_path / folder / "train.json", numbered(1))
    files = [tmp_path / "a" / "train.json", tmp_path / "b" / "train.json"]
    with pytest.raises(ShardConflict, match=r"a/train\.json and .*b/train\.json.*train.*--with-folder"):
        names_in_pool(files)
    assert list(names_in_pool(files, with_folder=True).values()) == ["a-train.json", "b-train.json"]
    assert len(names_in_pool([files[0], tmp_path / "b" / ".." / "a" / "train.json"])) == 1


def test_a_limit_reads_no_further_and_counts_what_it_read(tmp_path, pool):
    file = write_array(tmp_path / "a.json", [{}, *numbered(10), {}])
    counts = add_to_pool(file, pool, limit=6)[0].summary
    assert (counts.read, counts.accepted, counts.rejected, counts.complete) == (7, 6, 1, False)
    counts = add_to_pool(file, pool, limit=60)[0].summary
    assert (counts.read, counts.accepted, counts.rejected, counts.complete) == (12, 10, 2, True)


def test_a_limit_takes_different_examples(tmp_path, pool):
    file = write_array(tmp_path / "a.json", [alpaca("a"), alpaca("a"), alpaca("b"), alpaca("c")])
    (shard,) = add_to_pool(file, pool, limit=2)
    assert [row["instruction"] for row in convert_file(shard.path).examples] == ["a", "b"]
    assert (shard.summary.read, shard.summary.accepted, shard.summary.rejected) == (3, 2, 1)


def test_a_file_with_nothing_usable_does_not_enter_the_pool(tmp_path, pool):
    with pytest.raises(PoolFileError):
        add_to_pool(write_array(tmp_path / "a.json", [{}]), pool)
    assert not pool.exists()


@pytest.mark.parametrize("arguments", [{"rows_per_shard": 0}, {"limit": -1}])
def test_sizes_below_one_are_refused(tmp_path, pool, arguments):
    with pytest.raises(ValueError, match="at least 1"):
        add_to_pool(write_array(tmp_path / "a.json", numbered(2)), pool, **arguments)


def test_real_pools_split_in_250_and_500_hold_the_same(shared, tmp_path):
    for name in ("lima.json", "glaive_toolcall_en_demo.json", "seed_tasks.jsonl"):
        file = shared / "data" / "pools" / name
        held = []
        for size in (250, 500):
            shards = add_to_pool(file, tmp_path / f"{size}", rows_per_shard=size)
            rows = [row for shard in shards for row in convert_file(shard.path).examples]
            held.append([{**row, "row": 0} for row in rows])
        assert held[0] == held[1] == [{**row, "row": 0} for row in convert_file(file).examples]
