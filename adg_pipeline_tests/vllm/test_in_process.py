"""vLLM in this process, with the packaged backbone: one engine for all tests."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from adg_pipeline.formats.schema import RAW_POOL_SCHEMA
from adg_pipeline.resources.generators.base import (
    Answer,
    AnswerError,
    AnswerRequest,
    Generator,
    GeneratorError,
    Passage,
    TokenScores,
)
from adg_pipeline.resources.generators.endings import StopTexts
from adg_pipeline.resources.generators.factory import open_generator
from adg_pipeline.resources.generators.journal import AnswerJournal
from adg_pipeline.resources.generators.shard import generate_shard
from adg_pipeline.settings.sections import GenerationConfig, VllmOptions
from adg_pipeline_tests.vllm.comparing import require_alike

CONFIG = GenerationConfig(
    engine="vllm",
    backbone="embedded",
    samples=5,
    max_new_tokens=24,
    batch_size=4,
    vllm=VllmOptions(max_model_len=256, enforce_eager=True),
)


@pytest.fixture(scope="module")
def generator() -> Iterator[Generator]:
    with open_generator(CONFIG) as generator:
        yield generator


def requests(generator: Generator, instructions: int = 12) -> list[AnswerRequest]:
    return [
        AnswerRequest(f"row-{row}", k, generator.render(f"Say {row} words."), 1000 * row + k, f"{row}-{k}")
        for row in range(instructions)
        for k in range(CONFIG.samples)
    ]


def answers(generator: Generator, asked: list[AnswerRequest]) -> dict[str, Answer]:
    had = {request.request_id: answer for request, answer in generator.generate(asked)}
    return {name: answer for name, answer in had.items() if isinstance(answer, Answer)}


def test_every_request_is_answered_and_samples_differ(generator: Generator) -> None:
    asked = requests(generator)
    had = answers(generator, asked)
    assert len(had) == len(asked)
    assert len({answer.text for answer in had.values()}) > len(asked) / 2
    for request, tokens in zip(asked, generator.count_tokens([r.prompt for r in asked]) or [], strict=True):
        assert had[request.request_id].prompt_tokens == tokens


def test_same_requests_in_another_order_get_the_same_answers(generator: Generator) -> None:
    asked = requests(generator)
    assert answers(generator, random.Random(0).sample(asked, len(asked))) == answers(generator, asked)


def test_most_likely_tokens_are_those_of_transformers(generator: Generator) -> None:
    greedy = {"top_k": 1, "samples": 2}
    generator.config = CONFIG.model_copy(update=greedy)
    try:
        with_vllm = answers(generator, requests(generator))
    finally:
        generator.config = CONFIG
    with open_generator(CONFIG.model_copy(update={**greedy, "engine": "transformers", "dtype": "float32"})) as other:
        expected = answers(other, requests(other))
    assert with_vllm.keys() == expected.keys()
    require_alike([with_vllm[name] for name in expected], list(expected.values()))


def test_stop_texts_end_an_answer_as_with_transformers(generator: Generator) -> None:
    stops = ["a", "e s", "\n"]
    greedy = {"top_k": 1, "samples": 2, "stop": stops}
    before = generator.stops
    generator.config, generator.stops = CONFIG.model_copy(update=greedy), StopTexts(stops)
    try:
        with_vllm = answers(generator, requests(generator))
    finally:
        generator.config, generator.stops = CONFIG, before
    with open_generator(CONFIG.model_copy(update={**greedy, "engine": "transformers", "dtype": "float32"})) as other:
        expected = answers(other, requests(other))
    assert with_vllm.keys() == expected.keys()
    require_alike([with_vllm[name] for name in expected], list(expected.values()))


def test_text_written_here_is_the_one_that_vllm_writes(generator: Generator) -> None:
    """With stop texts vLLM writes the text itself; this one never comes, so that the answers are the same."""
    asked = requests(generator)
    written_here = answers(generator, asked)
    before = generator.stops
    never = ["\N{SNOWMAN} never \N{SNOWMAN}"]
    generator.config, generator.stops = CONFIG.model_copy(update={"stop": never}), StopTexts(never)
    try:
        by_vllm = answers(generator, asked)
    finally:
        generator.config, generator.stops = CONFIG, before
    assert by_vllm == written_here


def test_engine_is_not_forked_off_a_process_that_has_looked_for_a_gpu(generator: Generator) -> None:
    """CUDA can't be used in such a fork: on a GPU the engine would not start. Asked is vLLM's own choice."""
    from vllm.utils.system_utils import get_mp_context

    assert get_mp_context().get_start_method() == "spawn"


def test_end_token_of_a_template_ends_an_answer_and_is_no_part_of_it(generator: Generator) -> None:
    """The most likely second token of an answer is made one that ends it."""
    generator.config = CONFIG.model_copy(update={"top_k": 1, "samples": 2})
    before = generator.end_tokens
    try:
        asked = requests(generator, 3)
        whole = answers(generator, asked)
        second = {name: generator.tokenizer(answer.text).input_ids[1] for name, answer in whole.items()}
        generator.end_tokens = before | set(second.values())
        had = answers(generator, asked)
    finally:
        generator.config, generator.end_tokens = CONFIG, before
    for answer in had.values():
        assert answer.finish_reason == "stop"
        assert (answer.output_tokens or 0) <= 2
        assert len(generator.tokenizer(answer.text).input_ids) == (answer.output_tokens or 0) - 1


def test_leaving_early_leaves_the_engine_empty(generator: Generator) -> None:
    outcomes = generator.generate(requests(generator))
    next(outcomes)
    outcomes.close()  # type: ignore[attr-defined]
    assert len(answers(generator, requests(generator, 2))) == 10


def test_shard_grows_from_five_samples_to_seven(generator: Generator, tmp_path: Path) -> None:
    import pyarrow as pa

    texts = ["Name a colour.", "Count to three.", "word " * 300]
    rows = [{"example_id": str(n), "instruction": text, "input": ""} for n, text in enumerate(texts)]
    examples = pa.Table.from_pylist(rows, schema=RAW_POOL_SCHEMA)
    with AnswerJournal(tmp_path / "five.jsonl") as journal:
        five, counts = generate_shard(examples, generator, CONFIG, journal)
    assert (counts.ok, counts.prompt_too_long, counts.asked) == (2, 1, 10)
    with AnswerJournal(tmp_path / "seven.jsonl") as journal:
        more = CONFIG.model_copy(update={"samples": 7})
        seven, counts = generate_shard(examples, generator, more, journal, previous=five)
    assert (counts.asked, counts.reused) == (4, 10)
    assert [row[:5] for row in seven["answers"].to_pylist()] == five["answers"].to_pylist()


def test_float64_is_refused() -> None:
    with pytest.raises(GeneratorError, match="vLLM has no float64"):
        open_generator(CONFIG.model_copy(update={"dtype": "float64"})).open()


def test_an_answer_comes_with_the_log_probability_that_scoring_it_gives(generator: Generator) -> None:
    """Of the model itself: before temperature, top-k and top-p."""
    asked = requests(generator, 6)
    had = answers(generator, asked)
    passages, told = [], []
    for request, prompt in zip(asked, generator.template.encode([r.prompt for r in asked]), strict=True):  # type: ignore[union-attr]
        answer = had[request.request_id]
        tokens = generator.tokenizer(answer.text, add_special_tokens=False).input_ids
        if answer.finish_reason == "length" and len(tokens) == answer.output_tokens:
            passages.append(Passage(tuple(prompt), tuple(tokens)))
            told.append(answer.logprob)
    assert len(told) > 5
    scored = dict(generator.score(passages, 32))
    means = [one.logprobs.mean() for _, one in sorted(scored.items()) if isinstance(one, TokenScores)]
    assert means == pytest.approx(told, abs=1e-3)


def test_scores_are_those_of_transformers(generator: Generator) -> None:
    longest = generator.context_length or 0
    passages = [
        Passage((5, 6, 7), (8, 9, 10)),
        Passage((), (8, 9, 10, 11)),
        Passage((5,), ()),
        Passage((), (8,)),
        Passage((5,) * 10, (8,) * (longest - 11)),
        Passage((5,) * 10, (8,) * (longest - 10)),  # fills the context: nothing could be drawn any more
    ]
    with_vllm = dict(generator.score(passages, 32))
    with open_generator(CONFIG.model_copy(update={"engine": "transformers", "dtype": "float32"})) as other:
        expected = dict(other.score(passages, 32))
    too_long = with_vllm.pop(5)
    assert isinstance(too_long, AnswerError)
    assert too_long.status == "prompt_too_long"
    for place, scores in with_vllm.items():
        one = expected[place]
        assert isinstance(scores, TokenScores)
        assert isinstance(one, TokenScores)
        assert scores.logprobs.tolist() == pytest.approx(one.logprobs.tolist(), abs=1e-3)
