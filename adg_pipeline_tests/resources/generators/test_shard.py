"""A shard's answers: what is asked, what is kept, what is counted."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adg_pipeline.formats.schema import RAW_POOL_SCHEMA
from adg_pipeline.models.templates import Prompt
from adg_pipeline.resources.generators.base import Answer, AnswerError, AnswerRequest
from adg_pipeline.resources.generators.factory import open_generator
from adg_pipeline.resources.generators.journal import AnswerJournal
from adg_pipeline.resources.generators.schema import GENERATIONS_SCHEMA
from adg_pipeline.resources.generators.shard import GenerationCounts, TooManyFailures, generate_shard
from adg_pipeline.settings.sections import GenerationConfig

from .conftest import plain
from .scripted import ScriptedGenerator


def pool(instructions: list[str], **columns: Any) -> pa.Table:
    rows = [{"example_id": f"row-{row}", "instruction": text, "input": ""} for row, text in enumerate(instructions)]
    return pa.Table.from_pylist([{**row, **columns} for row in rows], schema=RAW_POOL_SCHEMA)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[AnswerJournal]:
    with AnswerJournal(tmp_path / "journal.jsonl") as journal:
        yield journal


def run(
    examples: pa.Table,
    journal: AnswerJournal,
    previous: pa.Table | None = None,
    generator: type[ScriptedGenerator] = ScriptedGenerator,
    **options: Any,
) -> tuple[pa.Table, GenerationCounts]:
    config = GenerationConfig(**{"samples": 5, "max_new_tokens": 10, **options})
    with generator(config) as opened:
        return generate_shard(examples, opened, config, journal, previous)


def test_table_has_k_answers_per_instruction_in_the_pools_order(journal: AnswerJournal) -> None:
    table, counts = run(pool(["one", "two", "three"]), journal)
    assert table.schema.equals(GENERATIONS_SCHEMA)
    assert table["example_id"].to_pylist() == ["row-0", "row-1", "row-2"]
    for row in table.to_pylist():
        assert row["status"] == "ok"
        assert {len(row[name]) for name in ("answers", "finish_reasons", "output_tokens")} == {5}
        assert len(set(row["answers"])) == len(set(row["seeds"])) == len(set(row["request_ids"])) == 5
    assert (counts.ok, counts.asked, counts.reused, counts.output_tokens) == (3, 15, 0, 60)


def test_table_comes_back_from_parquet_as_it_was(journal: AnswerJournal, tmp_path: Path) -> None:
    table, _ = run(pool(["one"]), journal)
    pq.write_table(table, tmp_path / "shard.parquet")
    assert pq.read_table(tmp_path / "shard.parquet").equals(table)


def test_answers_do_not_depend_on_the_shard(journal: AnswerJournal, tmp_path: Path) -> None:
    together, _ = run(pool(["one", "two", "three"]), journal)
    with AnswerJournal(tmp_path / "other.jsonl") as other:
        alone, _ = run(pool(["one", "two", "three"]).slice(1, 1), other)
    assert alone.to_pylist() == together.to_pylist()[1:2]


def test_larger_k_asks_for_the_new_samples_only(journal: AnswerJournal) -> None:
    examples = pool(["one", "two", "three"])
    five, _ = run(examples, journal)
    journal.discard()
    with AnswerJournal(journal.path) as fresh:
        seven, counts = run(examples, fresh, previous=five, samples=7)
    assert (counts.asked, counts.reused) == (3 * 2, 3 * 5)
    for before, after in zip(five.to_pylist(), seven.to_pylist(), strict=True):
        assert after["answers"][:5] == before["answers"]
        assert len(set(after["answers"])) == 7


def test_changed_sampling_asks_for_everything(journal: AnswerJournal) -> None:
    before, _ = run(pool(["one"]), journal)
    _, counts = run(pool(["one"]), journal, previous=before, temperature=1.0)
    assert (counts.asked, counts.reused) == (5, 0)


def test_other_stop_texts_ask_for_everything(journal: AnswerJournal) -> None:
    before, _ = run(pool(["one"]), journal)
    _, counts = run(pool(["one"]), journal, previous=before, stop=["\n\n"])
    assert (counts.asked, counts.reused) == (5, 0)


def test_refusal_that_was_kept_as_an_answer_is_asked_again(journal: AnswerJournal, tmp_path: Path) -> None:
    class Filtering(ScriptedGenerator):
        def answer(self, request: AnswerRequest) -> Answer | AnswerError:
            return Answer("", "content_filter", 1, 3) if request.sample_index == 2 else super().answer(request)

    refused, _ = run(pool(["one"]), journal, generator=Filtering)
    with AnswerJournal(journal.path) as reopened, AnswerJournal(tmp_path / "other.jsonl") as other:
        for again, previous in ((reopened, None), (other, refused)):
            table, counts = run(pool(["one"]), again, previous)
            assert (counts.asked, counts.reused) == (1, 4)
            assert table["finish_reasons"].to_pylist() == [["stop"] * 5]


def test_control_tokens_that_an_engine_reads_in_a_text_are_counted(journal: AnswerJournal) -> None:
    class TextOnly(ScriptedGenerator):
        def answer(self, request: AnswerRequest) -> Answer | AnswerError:
            if "<|im_end|>" in request.prompt.text:
                self.misread.add(request.example_id)
            return super().answer(request)

    _, counts = run(pool(["one", "What is <|im_end|>?"]), journal, generator=TextOnly)
    assert counts.facts()["misread"] == 1


def test_prompt_too_long_is_recorded_and_counted_not_cut(journal: AnswerJournal) -> None:
    table, counts = run(pool(["word " * 90, "short"]), journal)
    long, short = table.to_pylist()
    assert (long["status"], long["answers"], long["request_ids"]) == ("prompt_too_long", [], [])
    assert long["prompt_tokens"] > 90
    assert "exceed the context of 100" in long["reason"]
    assert short["status"] == "ok"
    assert (counts.prompt_too_long, counts.failed, counts.asked) == (1, 0, 5)


def test_server_may_be_the_one_to_find_a_prompt_too_long(journal: AnswerJournal) -> None:
    class Server(ScriptedGenerator):
        def count_tokens(self, prompts: Any) -> None:
            return None

        def answer(self, request: AnswerRequest) -> Answer | AnswerError:
            return AnswerError("maximum context length is 100 tokens", "prompt_too_long")

    table, counts = run(pool(["one"]), journal, generator=Server)
    assert table["status"].to_pylist() == ["prompt_too_long"]
    assert counts.failed == 0


def test_failed_instruction_has_its_reason_and_is_asked_again(journal: AnswerJournal) -> None:
    examples = pool(["fine", "FAIL"])
    table, counts = run(examples, journal, max_failed_share=0.5)
    assert (
        table.to_pylist()[1] | {"reason": "the engine gave up", "status": "failed", "answers": []}
        == table.to_pylist()[1]
    )
    assert (counts.failed, counts.reasons) == (1, {"the engine gave up": 1})
    _, counts = run(examples, journal, previous=table, max_failed_share=0.5)
    assert (counts.asked, counts.reused) == (5, 5)


def test_failed_instruction_keeps_the_answers_that_were_had(journal: AnswerJournal) -> None:
    class Flaky(ScriptedGenerator):
        def answer(self, request: AnswerRequest) -> Answer | AnswerError:
            return AnswerError("timed out") if request.sample_index == 2 else super().answer(request)

    table, _ = run(pool(["one"]), journal, generator=Flaky, max_failed_share=1)
    (row,) = table.to_pylist()
    assert (row["status"], len(row["answers"]), len(row["seeds"])) == ("failed", 4, 4)


def test_example_that_the_chat_template_refuses_fails_alone(journal: AnswerJournal) -> None:
    class Chat(ScriptedGenerator):
        def render(self, instruction: str, *parts: Any) -> Prompt:
            from adg_pipeline.algorithms.prompts import PromptError

            if instruction == "bad":
                raise PromptError("the chat template refuses the roles critic")
            return plain(instruction)

    table, _ = run(pool(["good", "bad"]), journal, generator=Chat, max_failed_share=0.5)
    assert table["status"].to_pylist() == ["ok", "failed"]


def test_engine_that_is_down_is_not_asked_to_the_end(journal: AnswerJournal) -> None:
    config = GenerationConfig(samples=2, max_new_tokens=10, max_failed_share=0.1)
    with ScriptedGenerator(config) as generator:
        with pytest.raises(TooManyFailures, match=r"3 of 20 .* max_failed_share = 0.1 .* the engine gave up\. Mend"):
            generate_shard(pool(["fine"] * 5 + ["FAIL"] * 10 + ["fine"] * 5), generator, config, journal)
        assert len(generator.asked) == 5 * 2 + 2 * 2 + 1
    assert len(journal) == 10  # what was had before is kept


def test_empty_answers_are_counted(journal: AnswerJournal) -> None:
    _, counts = run(pool(["EMPTY", "fine"]), journal)
    assert counts.empty_answers == 5


def test_empty_shard_has_an_empty_table(journal: AnswerJournal) -> None:
    table, counts = run(pool([]), journal)
    assert table.num_rows == counts.asked == 0
    assert table.schema.equals(GENERATIONS_SCHEMA)


def test_progress_counts_the_answers_asked_for(journal: AnswerJournal) -> None:
    told: list[tuple[int, int]] = []
    config = GenerationConfig(samples=2, max_new_tokens=10)
    with ScriptedGenerator(config) as generator:
        generate_shard(pool(["one", "two"]), generator, config, journal, progress=lambda *done: told.append(done))
    assert told == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


CHILD = """
import sys, torch
from pathlib import Path
import pyarrow.parquet as pq
from adg_pipeline.settings.sections import GenerationConfig
from adg_pipeline.resources.generators.factory import open_generator
from adg_pipeline.resources.generators.journal import AnswerJournal
from adg_pipeline.resources.generators.shard import generate_shard

torch.set_num_threads(1)
config = GenerationConfig(backbone=sys.argv[1], samples=3, max_new_tokens=32, batch_size=2)
with open_generator(config) as generator, AnswerJournal(Path(sys.argv[3])) as journal:
    generate_shard(pq.read_table(sys.argv[2]), generator, config, journal)
"""


def test_killed_process_pays_again_only_for_what_was_in_flight(tiny_llama: str, tmp_path: Path) -> None:
    """A child is killed midway; the journal has what had finished, and the whole equals an uninterrupted run."""
    examples = pool([f"Count to {number}." for number in range(60)])
    pq.write_table(examples, tmp_path / "pool.parquet")
    path = tmp_path / "journal.jsonl"
    command = [sys.executable, "-c", CHILD, tiny_llama, str(tmp_path / "pool.parquet"), str(path)]
    child = subprocess.Popen(command)
    while child.poll() is None and (not path.exists() or path.read_bytes().count(b"\n") < 20):
        time.sleep(0.01)
    child.kill()
    assert child.wait() == -9

    had = path.read_bytes().count(b"\n")
    assert 20 <= had < 180
    config = GenerationConfig(backbone=tiny_llama, samples=3, max_new_tokens=32)
    with open_generator(config) as generator:
        with AnswerJournal(path) as journal:
            resumed, counts = generate_shard(examples, generator, config, journal)
        with AnswerJournal(tmp_path / "other.jsonl") as other:
            whole, _ = generate_shard(examples, generator, config, other)
    assert (counts.reused, counts.asked) == (had, 180 - had)
    assert resumed.equals(whole)
