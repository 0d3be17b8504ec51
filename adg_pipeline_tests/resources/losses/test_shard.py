"""A shard's reference losses, with the embedded backbone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from adg_pipeline.errors import ShardFault
from adg_pipeline.models.backbones import EMBEDDED
from adg_pipeline.resources.generators.base import Passage, Scored
from adg_pipeline.resources.generators.journal import AnswerJournal
from adg_pipeline.resources.generators.shard import generate_shard
from adg_pipeline.resources.generators.transformers import TransformersGenerator
from adg_pipeline.resources.losses.shard import score_references
from adg_pipeline.settings.sections import GenerationConfig, ReferenceLossConfig
from adg_pipeline_tests.workbench import records

CONFIG = GenerationConfig(backbone=EMBEDDED, max_new_tokens=8, samples=2, device="cpu")


class Counting(TransformersGenerator):
    """Counts the passages that it scores."""

    scored = 0

    def score(self, passages: Any) -> Iterator[Scored]:
        self.scored += len(passages)
        return super().score(passages)


@pytest.fixture(scope="module")
def generator() -> Iterator[Counting]:
    with Counting(CONFIG) as opened:
        yield opened


@pytest.fixture(scope="module")
def pool() -> pa.Table:
    rows = [{**row, "example_id": row["id"], "messages": None, "tools": ""} for row in records(6)]
    return pa.Table.from_pylist(rows)


@pytest.fixture(scope="module")
def answers(generator: Counting, pool: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    with AnswerJournal(Path(tmp_path_factory.mktemp("journal")) / "j.jsonl") as journal:
        return generate_shard(pool, generator, CONFIG, journal)[0]


def scored(*arguments: Any) -> pa.Table:
    return score_references(*arguments)[0]


def rows(table: pa.Table) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = table.to_pylist()
    return found


def test_every_example_gets_its_log_probabilities(generator: Counting, pool: pa.Table, answers: pa.Table) -> None:
    for row in rows(scored(pool, answers, generator, ReferenceLossConfig(plain=True))):
        assert row["status"] == "ok"
        assert row["reference_tokens"] > 1  # its end is a token too
        for name, value in row.items():
            if name.endswith("logprob"):
                assert value < 0, name
        assert 0 <= row["confident_surprise"] <= 1


def test_without_the_plain_passes_their_columns_are_empty(
    generator: Counting, pool: pa.Table, answers: pa.Table
) -> None:
    row = rows(scored(pool, answers, generator, ReferenceLossConfig()))[0]
    assert row["plain_logprob"] is None
    assert row["plain_bare_logprob"] is None


def test_only_answers_without_a_log_probability_are_scored(
    generator: Counting, pool: pa.Table, answers: pa.Table
) -> None:
    before = generator.scored
    kept = rows(scored(pool, answers, generator, ReferenceLossConfig()))
    assert generator.scored - before == 2 * pool.num_rows
    before = generator.scored
    old = rows(scored(pool, answers.drop_columns(["output_logprobs"]), generator, ReferenceLossConfig()))
    assert generator.scored - before == (2 + CONFIG.samples) * pool.num_rows
    for one, other in zip(kept, old, strict=True):
        assert one["answer_logprob"] == pytest.approx(other["answer_logprob"], abs=0.02)


def test_a_reference_beyond_the_context_fails_by_name(generator: Counting, pool: pa.Table, answers: pa.Table) -> None:
    longest = generator.context_length or 0
    long = [{**row, "output": "a " * longest} if place == 0 else row for place, row in enumerate(rows(pool))]
    table = pa.Table.from_pylist(long)
    found = rows(scored(table, answers, generator, ReferenceLossConfig(max_failed_share=0.5)))
    assert found[0]["status"] == "failed"
    assert "exceed the context" in found[0]["reason"]
    assert found[1]["status"] == "ok"
    with pytest.raises(ShardFault, match="max_failed_share"):
        score_references(table, answers, generator, ReferenceLossConfig(max_failed_share=0.1))


def test_a_passage_says_how_long_it_is() -> None:
    assert len(Passage((1, 2), (3,))) == 3
