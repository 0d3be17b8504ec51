"""Every real pool: what is accepted, what is rejected and why."""

import json

import pytest

from adg_pipeline_tests.formats.reading import convert_file

POOLS = {
    "alpaca_cleaned.json": ("alpaca", 51_941, {}),
    "alpaca_en_demo.json": ("alpaca", 999, {"duplicate": 14}),
    "alpaca_zh_demo.json": ("alpaca", 1000, {"duplicate": 8}),
    "lima.json": ("alpaca", 1029, {}),
    "glaive_toolcall_en_demo.json": ("sharegpt", 300, {"duplicate": 35}),
    "seed_tasks.jsonl": ("self_instruct", 175, {}),
    "flan_cot/aqua_train.tsv": ("flan_cot", 2728, {}),
    "flan_cot/creak_train.tsv": ("flan_cot", 6915, {}),
    "flan_cot/ecqa_train.tsv": ("flan_cot", 7112, {}),
    "flan_cot/gsm8k_train.tsv": ("flan_cot", 7473, {}),
    "flan_cot/qasc_train.tsv": ("flan_cot", 1084, {}),
    "flan_cot/sensemaking_train.tsv": ("flan_cot", 6070, {}),
    "flan_cot/strategyqa_train.tsv": ("flan_cot", 2061, {"duplicate": 1}),
}


@pytest.mark.parametrize("name", POOLS)
def test_a_real_pool_is_read_whole(shared, name):
    format, read, reasons = POOLS[name]
    summary = convert_file(shared / "data" / "pools" / name).summary
    assert (summary.format, summary.read, summary.reasons) == (format, read, reasons)
    assert summary.accepted == read - sum(reasons.values())


def test_alpaca_texts_are_those_of_json_loads(shared):
    path = shared / "data" / "pools" / "alpaca_cleaned.json"
    records = json.loads(path.read_text("utf-8"))
    examples = convert_file(path).examples
    assert [(row["instruction"], row["input"], row["output"]) for row in examples] == [
        (record["instruction"], record["input"], record["output"]) for record in records
    ]


def test_lima_has_29_conversations(shared):
    examples = convert_file(shared / "data" / "pools" / "lima.json").examples
    assert sum(row["messages"] is not None for row in examples) == 29
    assert max(len(row["output"]) for row in examples) == 17_742


def test_glaive_repeats_are_whole_repeats(shared):
    path = shared / "data" / "pools" / "glaive_toolcall_en_demo.json"
    records = [json.dumps(record, sort_keys=True) for record in json.loads(path.read_text("utf-8"))]
    assert convert_file(path).summary.accepted == len(set(records))
