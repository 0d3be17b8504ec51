"""Answers of other shards, found by the request."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from adg_pipeline.resources.generators.journal import AnswerJournal
from adg_pipeline.resources.generators.paid import answers_of, find_answers, request_ids, without
from adg_pipeline.resources.generators.shard import generate_shard
from adg_pipeline.settings.sections import GenerationConfig

from .scripted import ScriptedGenerator
from .test_shard import pool, run

CONFIG = GenerationConfig(samples=5, max_new_tokens=10)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    with AnswerJournal(tmp_path / "journal.jsonl") as journal:
        pq.write_table(run(pool(["one", "two"]), journal)[0], tmp_path / "other.parquet")
    return tmp_path / "other.parquet"


def test_answers_are_found_in_tables_and_journals(table: Path, tmp_path: Path) -> None:
    answers = answers_of(pq.read_table(table))
    names = list(answers)
    with AnswerJournal(tmp_path / "cut.jsonl") as journal:
        journal.append(names[0], answers[names[0]])
    with (tmp_path / "cut.jsonl").open("ab") as file:
        file.write(b'{"request_id": "')
    assert find_answers([tmp_path / "cut.jsonl"], names) == {names[0]: answers[names[0]]}
    assert find_answers([tmp_path / "cut.jsonl", table], names[:3]) == {name: answers[name] for name in names[:3]}
    assert (tmp_path / "cut.jsonl").read_bytes().endswith(b'{"request_id": "')


def test_a_damaged_file_is_passed_over_and_one_that_went_away_is_told(table: Path, tmp_path: Path) -> None:
    names = request_ids(pq.read_table(table))
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1")
    assert find_answers([tmp_path / "damaged.parquet", table], names).keys() == names
    with pytest.raises(FileNotFoundError):
        find_answers([tmp_path / "gone.parquet"], names)


def test_a_shard_asks_only_for_what_was_paid_nowhere(table: Path, tmp_path: Path) -> None:
    with AnswerJournal(tmp_path / "mine.jsonl") as journal, ScriptedGenerator(CONFIG) as generator:
        made, counts = generate_shard(
            pool(["one", "two", "three"]), generator, CONFIG, journal, elsewhere=lambda ids: find_answers([table], ids)
        )
    assert (counts.asked, counts.reused) == (5, 10)
    assert made.to_pylist()[:2] == pq.read_table(table).to_pylist()


def test_rows_without_some_requests_are_those_that_hold_any_other(table: Path) -> None:
    rows = pq.read_table(table)
    first, second = rows["request_ids"].to_pylist()
    assert without(rows, [*first, *second]).num_rows == 0
    assert without(rows, first).to_pylist() == rows.to_pylist()[1:]
    assert without(rows, [*first[1:], *second]).to_pylist() == rows.to_pylist()[:1]
