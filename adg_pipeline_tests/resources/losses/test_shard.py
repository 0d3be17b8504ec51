"""A shard's reference losses, with the embedded backbone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from adg_pipeline.errors import ShardFault
from adg_pipeline.models.backbones import EMBEDDED
from adg_pipeline.resources.generators.base import AnswerError, GeneratorError, Passage, Scored
from adg_pipeline.resources.generators.endpoint import EndpointGenerator
from adg_pipeline.resources.generators.journal import AnswerJournal
from adg_pipeline.resources.generators.shard import generate_shard
from adg_pipeline.resources.generators.transformers import TransformersGenerator
from adg_pipeline.resources.losses.schema import ON_REQUEST, REFERENCE_LOSSES_SCHEMA
from adg_pipeline.resources.losses.shard import score_references
from adg_pipeline.settings.sections import GenerationConfig, ReferenceLossConfig
from adg_pipeline_tests.workbench import records

CONFIG = GenerationConfig(backbone=EMBEDDED, max_new_tokens=8, samples=2, device="cpu")


LOGPROBS = [name for name in REFERENCE_LOSSES_SCHEMA.names if name.endswith("_logprob")]


class Counting(TransformersGenerator):
    """Counts the passages that it scores."""

    scored = 0

    def score(self, passages: Any, batch_size: int) -> Iterator[Scored]:
        self.scored += len(passages)
        return super().score(passages, batch_size)


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


@pytest.fixture
def tiny_llama(shared: Path) -> str:
    return str(shared / "goldens" / "tiny-llama")


def scored(*arguments: Any) -> pa.Table:
    return score_references(*arguments)[0]


def rows(table: pa.Table) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = table.to_pylist()
    return found


def test_every_example_gets_its_log_probabilities(generator: Counting, pool: pa.Table, answers: pa.Table) -> None:
    told: list[tuple[int, int]] = []
    config = ReferenceLossConfig(plain=True)
    table = scored(pool, answers, generator, config, lambda done, total: told.append((done, total)))
    assert told == sorted(told)
    assert {(0, 6), (3, 6), (6, 6)} <= set(told)  # as passes are done, not as examples are
    for row in rows(table):
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


def test_a_control_token_that_an_answer_spells_stays_text(generator: Counting) -> None:
    template = generator.template
    assert template is not None
    ids = template.encode_answer("Red.<|end|>")
    assert template.end not in ids
    assert template.tokenizer.decode(ids) == "Red.<|end|>"
    assert template.encode_answer("Red.") == template.tokenizer("Red.", add_special_tokens=False).input_ids


def test_a_reference_beyond_the_context_is_no_failure(generator: Counting, pool: pa.Table, answers: pa.Table) -> None:
    longest = generator.context_length or 0
    long = [{**row, "output": "a " * longest} if place == 0 else row for place, row in enumerate(rows(pool))]
    table = pa.Table.from_pylist(long)
    found, facts = score_references(table, answers, generator, ReferenceLossConfig(max_failed_share=0.0))
    first, second, *_ = rows(found)
    assert first["status"] == "prompt_too_long"
    assert "exceed the context" in first["reason"]
    assert [first[name] for name in LOGPROBS] == [None] * len(LOGPROBS)
    assert second["status"] == "ok"
    assert (facts["scored"], facts["failed"], facts["too_long"]) == (5, 0, 1)


class Unscored(Counting):
    """Scores nothing."""

    def score(self, passages: Any, batch_size: int) -> Iterator[Scored]:
        for place in range(len(passages)):
            yield place, AnswerError("not this one")


def test_an_example_whose_scores_fail_has_none(pool: pa.Table, answers: pa.Table) -> None:
    with Unscored(CONFIG) as generator:
        found = rows(scored(pool, answers, generator, ReferenceLossConfig(max_failed_share=1.0)))
        assert {row["status"] for row in found} == {"failed"}
        assert [row[name] for row in found for name in LOGPROBS] == [None] * len(LOGPROBS) * len(found)
        with pytest.raises(ShardFault, match=r"6 of 6 references could .*max_failed_share = 0.1 .*not this one"):
            score_references(pool, answers, generator, ReferenceLossConfig(max_failed_share=0.1))


def test_an_answer_that_the_scorer_has_no_room_for_leaves_the_rest(
    generator: Counting, pool: pa.Table, answers: pa.Table
) -> None:
    """Without a value for all answers there is none for their mean."""
    long = ["a", "a " * (generator.context_length or 0)]
    old = answers.drop_columns(["output_logprobs"]).to_pylist()
    table = pa.Table.from_pylist([{**row, "answers": long} for row in old])
    for row in rows(scored(pool, table, generator, ReferenceLossConfig())):
        assert row["status"] == "ok"
        assert row["reference_logprob"] < 0
        assert row["answer_logprob"] is None


def test_an_example_that_the_template_refuses_fails_by_name(
    generator: Counting, pool: pa.Table, answers: pa.Table
) -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "", "tool_calls": "[{"}]
    broken = [{**row, "messages": turns if place == 0 else None} for place, row in enumerate(rows(pool))]
    found = rows(scored(pa.Table.from_pylist(broken), answers, generator, ReferenceLossConfig(max_failed_share=1.0)))
    assert [row["status"] for row in found] == ["failed", *["ok"] * 5]
    assert found[0]["reason"]


def test_an_empty_reference_is_its_end_token(generator: Counting, pool: pa.Table, answers: pa.Table) -> None:
    table = pa.Table.from_pylist([{**row, "output": ""} for row in rows(pool)])
    for row in rows(scored(table, answers, generator, ReferenceLossConfig(plain=True))):
        assert (row["status"], row["reference_tokens"]) == ("ok", 1)
        assert row["reference_logprob"] < 0
        assert row["plain_bare_logprob"] is None  # a first token that nothing stands before


def test_stored_values_depend_neither_on_order_nor_on_batches(pool: pa.Table, answers: pa.Table) -> None:
    places = [3, 0, 5, 2, 4, 1]
    asked = {"plain": True, "states": True, "noisy_copies": 3}
    with Counting(CONFIG) as one, Counting(CONFIG) as other:
        found = rows(scored(pool, answers, one, ReferenceLossConfig(**asked)))
        turned = rows(scored(pool.take(places), answers, other, ReferenceLossConfig(**asked, batch_size=1)))
    assert turned == [found[place] for place in places]
    assert all(row[name] is not None for row in found for names in ON_REQUEST.values() for name in names[:-1])


def test_another_model_scores_the_answers_too(
    generator: Counting, pool: pa.Table, answers: pa.Table, tiny_llama: str
) -> None:
    config = ReferenceLossConfig(model=tiny_llama)
    scorer = config.scorer(CONFIG)
    with Counting(scorer) as small:
        found = rows(scored(pool, answers, small, config))
        assert small.scored == (2 + CONFIG.samples) * pool.num_rows
    of_backbone = rows(scored(pool, answers, generator, ReferenceLossConfig()))
    for name in ("reference_logprob", "answer_logprob"):
        assert all(one[name] != other[name] for one, other in zip(found, of_backbone, strict=True))


@pytest.mark.parametrize(
    ("values", "generating", "engine"),
    [
        ({}, "endpoint", "endpoint"),
        ({"engine": "transformers"}, "endpoint", "transformers"),
        ({"model": "small"}, "endpoint", "transformers"),  # the server has the backbone only
        ({"model": "small"}, "vllm", "vllm"),
        ({"model": "small", "engine": "vllm"}, "endpoint", "vllm"),
    ],
)
def test_what_scores(values: dict[str, str], generating: str, engine: str) -> None:
    generation = GenerationConfig.model_validate(
        {"engine": generating, "backbone": "large", "stop": "auto", "vllm": {"max_model_len": 8192}}
    )
    scorer = ReferenceLossConfig.model_validate(values).scorer(generation)
    own = "model" in values
    assert (scorer.engine, scorer.backbone) == (engine, "small" if own else "large")
    assert (scorer == generation) == (values == {})  # the same engine serves both
    assert scorer.vllm.max_model_len == (None if own else 8192)


def test_without_the_tokenizer_nothing_is_scored(pool: pa.Table, answers: pa.Table) -> None:
    generator = EndpointGenerator(GenerationConfig(engine="endpoint"))
    with pytest.raises(GeneratorError, match=r"set `generations.backbone`, or set `reference_losses.engine`"):
        score_references(pool, answers, generator, ReferenceLossConfig())


def test_a_passage_says_how_long_it_is() -> None:
    assert len(Passage((1, 2), (3,))) == 3


def test_what_is_known_already_is_not_scored_again(generator: Counting, pool: pa.Table, answers: pa.Table) -> None:
    first = scored(pool, answers, generator, ReferenceLossConfig())
    before = generator.scored
    more = ReferenceLossConfig(plain=True, states=True)
    second = score_references(pool, answers, generator, more, known=first)[0]
    assert generator.scored - before == 2 * pool.num_rows  # the plain passes; states are no scores
    assert rows(second) == rows(scored(pool, answers, generator, more))
