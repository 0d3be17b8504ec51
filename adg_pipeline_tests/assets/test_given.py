"""A list that somebody made, found again in the pool."""

import json

import polars as pl
import pytest

from adg_pipeline.assets.given import Given, find_given
from adg_pipeline.errors import SettingsError
from adg_pipeline.settings.sections import SelectionConfig
from adg_pipeline_tests.workbench import Workbench

ROWS = [
    {"id": "one", "instruction": "Name a colour.", "input": "", "output": "Red."},
    {"id": "two", "instruction": "Add them.", "input": "1 and 2", "output": "3"},
    {"id": "three", "instruction": "Add them.", "input": "2 and 1", "output": "3"},
    {"instruction": "Translate.", "input": "chat", "output": "cat"},
    {"instruction": "Say\nhello.", "input": "", "output": "Hello."},
]


@pytest.fixture
def pool(bench: Workbench) -> Workbench:
    bench.add("a", ROWS[:3])
    bench.add("b", ROWS[3:])
    with bench.instance() as instance:
        runner = bench.runner(instance)
        runner.register(["a", "b"])
        assert runner.compute(["a", "b"], ["raw_pool"])
    return bench


def found(pool: Workbench, name: str, text: str) -> Given:
    path = pool.folder / name
    path.write_text(text, encoding="utf-8")
    return find_given(pool.store, ["a", "b"], SelectionConfig(selector="given", given=str(path)))


def ids(pool: Workbench, *instructions: str) -> list[str]:
    table = pl.concat([pl.read_parquet(pool.store.table_path("raw_pool", shard)) for shard in "ab"])
    by_text = dict(table.select("instruction", "example_id").iter_rows())
    return [by_text[text] for text in instructions]


def test_ids_stand_one_a_line_or_in_a_json_list(pool: Workbench) -> None:
    for name, text in (("ids.txt", "three\n\n  one \nthree\n"), ("ids.json", '["three", "one", "three"]')):
        given = found(pool, name, text)
        assert list(given.ids) == ["three", "one"]
        assert (given.listed, given.warning) == (3, None)


def test_records_are_found_by_id_by_content_and_without_their_input(pool: Workbench) -> None:
    listed = [
        {"instruction": "Translate.", "output": "cat"},  # as a list that dropped the inputs has it
        {"id": "two", "instruction": "Add them, please.", "input": "1 and 2", "output": "3"},
        {"instruction": "Say\nhello. ", "output": "Hello.\n", "combined_score": 0.7, "Sc.SED": 0.5},
        {"instruction": "Name a colour.", "input": "", "output": "Red.", "answers": ["Red", "Blue"]},
    ]
    given = found(pool, "subset.jsonl", "".join(json.dumps(row) + "\n" for row in listed))
    assert list(given.ids) == [*ids(pool, "Translate."), "two", *ids(pool, "Say\nhello.", "Name a colour.")]
    assert given.warning is None


def test_what_may_be_several_examples_or_has_another_input_is_told_as_missing(pool: Workbench) -> None:
    listed = [
        {"instruction": "Name a colour.", "output": "Red."},
        {"instruction": "Add them.", "output": "3"},  # of two examples
        {"instruction": "Translate.", "input": "chien", "output": "cat"},
        {"instruction": "Nothing"},
    ]
    given = found(pool, "subset.json", json.dumps(listed))
    assert list(given.ids) == ["one"]
    assert given.warning is not None
    assert given.warning.startswith("3 of 4 entries of the given list are not in the pool: ")
    assert given.warning.endswith("record 2: Add them.")


def test_a_list_of_another_pool_is_refused_with_its_first_entry(pool: Workbench) -> None:
    with pytest.raises(SettingsError, match=r"the pool holds nothing of .*\(1 entries, such as .*line 1: elsewhere\)"):
        found(pool, "ids.txt", "elsewhere\n")
    with pytest.raises(SettingsError, match="there is no file"):
        find_given(pool.store, ["a"], SelectionConfig(selector="given", given="gone.txt"))
