"""Ids, content hashes, sources, and records that share an id."""

import hashlib
import itertools
import json

import pytest

from adg_pipeline.formats.split import add_to_pool
from adg_pipeline.settings.sections import RawPoolConfig
from adg_pipeline_tests.formats.reading import alpaca, convert_bytes, convert_file, convert_records


def test_without_an_own_id_the_id_is_the_hash_of_the_content():
    (example,) = convert_records(alpaca("Écris.", "Voilà.", input="x")).examples
    canonical = '["Écris.","x","Voilà.",null]'
    assert example["content_hash"] == hashlib.sha256(canonical.encode()).hexdigest()[:32]
    assert example["example_id"] == example["content_hash"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"id": "seed_1"}, "seed_1"),
        ({"uuid": "u", "uid": "v"}, "v"),
        ({"id": "a", "example_id": "b"}, "b"),
        ({"id": "", "uuid": "u"}, "u"),
    ],
)
def test_the_files_own_id_is_kept(fields, expected):
    assert convert_records(alpaca(**fields)).examples[0]["example_id"] == expected


@pytest.mark.parametrize("value", [None, "  ", True, 1.5, ["a"]])
def test_what_is_no_id_is_not_taken_for_one(value):
    (example,) = convert_records(alpaca(id=value)).examples
    assert example["example_id"] == example["content_hash"]


def test_the_source_is_the_records_own_or_the_files_name():
    named, dataset, unnamed = convert_bytes(
        json.dumps([alpaca("a", source="books"), alpaca("b", dataset="web"), alpaca("c", source=7)]).encode(),
        name="my pool-00003.json",
    ).examples
    assert (named["source"], dataset["source"], unnamed["source"]) == ("books", "web", "my-pool")


def test_an_exact_repeat_names_the_record_it_repeats():
    converted = convert_records(alpaca("a"), alpaca("b"), alpaca("a"), alpaca("a"))
    assert converted.reasons == ["duplicate of record 1", "duplicate of record 1"]
    assert [reject["record"] for reject in converted.rejects] == [3, 4]
    assert [example["row"] for example in converted.examples] == [1, 2]


def test_equal_texts_under_two_ids_are_two_examples():
    assert convert_records(alpaca(id=1), alpaca(id=2)).summary.accepted == 2


def test_of_one_id_with_differing_contents_the_same_one_is_kept_in_every_order():
    records = [alpaca("a", id="x"), alpaca("b", id="x"), alpaca("a", id="x"), alpaca("d", id="y")]
    kept, fingerprints = set(), set()
    for order in itertools.permutations(records):
        converted = convert_records(*order)
        assert converted.summary.accepted == 2
        kept.add(next(example["instruction"] for example in converted.examples if example["example_id"] == "x"))
        fingerprints.add(converted.summary.content_fingerprint)
    assert len(kept) == 1
    assert len(fingerprints) == 1


def test_a_conflict_of_ids_names_both_records():
    converted = convert_records(alpaca("a", id="x"), alpaca("b", id="x"))
    (example,) = converted.examples
    gone = 3 - example["row"]
    assert converted.rejects[0]["record"] == gone
    assert converted.rejects[0]["kind"] == "same id, other content"
    for part in ("'x'", f"record {example['row']}", f"record {gone}"):
        assert part in converted.reasons[0]


def test_the_fingerprint_tells_contents_and_ids_apart_but_not_orders_or_containers():
    def fingerprint(*records):
        return convert_records(*records).summary.content_fingerprint

    a, b = alpaca("a"), alpaca("b")
    assert fingerprint(a, b) == fingerprint(b, a) == fingerprint(a, b, a)
    assert len({fingerprint(a, b), fingerprint(a), fingerprint(a, alpaca("b", id=1)), fingerprint(a, alpaca("c"))}) == 4
    array = convert_bytes(json.dumps([b, a]).encode()).summary.content_fingerprint
    assert array == fingerprint(a, b)


@pytest.mark.parametrize("number", [7, "7", 0, "0012", "7#2"])
def test_a_number_is_told_apart_by_content_and_so_is_the_same_in_any_file(number):
    first, other = alpaca("a", id=number), alpaca("b", id=number)
    converted = convert_records(first, other)
    ids = [example["example_id"] for example in converted.examples]
    assert ids == [f"{number}@{example['content_hash'][:12]}" for example in converted.examples]
    assert converted.summary.named_ids == 0
    (alone,) = convert_bytes(json.dumps(other).encode(), name="another-file.json").examples
    assert alone["example_id"] == ids[1]


def test_a_setting_takes_all_own_ids_for_local_or_for_global():
    records = [alpaca("a", id="q1"), alpaca("b", id=1), alpaca("c")]
    whole = convert_records(*records, config=RawPoolConfig(ids="global"))
    assert [example["example_id"] for example in whole.examples[:2]] == ["q1", "1"]
    assert whole.summary.named_ids == 2
    told = convert_records(*records, config=RawPoolConfig(ids="local"))
    first, second, third = (example["example_id"] for example in told.examples)
    assert (first[:3], second[:2], third) == ("q1@", "1@", whole.examples[2]["example_id"])


@pytest.mark.parametrize("scope", ["auto", "local"])
def test_an_id_that_is_told_by_content_stays_as_it_is_in_a_shard_of_our_own(scope, tmp_path):
    (tmp_path / "a.json").write_text(json.dumps([alpaca("a", id=1), alpaca("b", id="q")]))
    config = RawPoolConfig(ids=scope)
    (shard,) = add_to_pool(tmp_path / "a.json", tmp_path / "pool", rows_per_shard=9, config=config)
    whole, split = convert_file(tmp_path / "a.json", config), convert_file(shard.path, config)
    assert [example["example_id"] for example in split.examples] == [
        example["example_id"] for example in whole.examples
    ]
    assert split.summary.content_fingerprint == whole.summary.content_fingerprint
