"""A published checkpoint in vLLM, with nothing said about templates or ends: it asks as it was tuned and stops."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adg_pipeline.algorithms.prompts import alpaca_prompt
from adg_pipeline.models.devices import VLLM_ON_CPU
from adg_pipeline.models.published import published_chat_template
from adg_pipeline.models.templates import PromptTemplate
from adg_pipeline.models.tokenizers import load_tokenizer
from adg_pipeline_tests.resources.trainer.chatml import END, questions, tuned_with_chatml

ROOM = 48


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tuned_with_chatml(tmp_path_factory.mktemp("chatml"))


@pytest.fixture(scope="module")
def llm(checkpoint: Path) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in VLLM_ON_CPU.items():
            patch.setenv(name, value)
        from vllm import LLM
        from vllm.distributed import cleanup_dist_env_and_memory

        llm = LLM(
            str(checkpoint), max_model_len=256, enforce_eager=True, dtype="float32", enable_chunked_prefill=False
        )  # fmt: skip
        yield llm
        llm.llm_engine.engine_core.shutdown()
        del llm
        cleanup_dist_env_and_memory()


def test_held_out_questions_are_answered_and_the_answers_end(llm: Any, checkpoint: Path) -> None:
    from vllm import SamplingParams

    tokenizer = load_tokenizer(str(checkpoint))
    asked = questions(24, held_out=True)
    chats = [[{"role": "user", "content": f"{q.instruction}\n{q.input}".strip()}] for q in asked]
    outputs = llm.chat(chats, SamplingParams(temperature=0, max_tokens=ROOM), use_tqdm=False)
    answers = [output.outputs[0] for output in outputs]
    assert {answer.finish_reason for answer in answers} == {"stop"}
    assert {answer.token_ids[-1] for answer in answers} == {tokenizer.convert_tokens_to_ids(END)}
    assert sum(answer.text == question.output for answer, question in zip(answers, asked, strict=True)) >= 6
    template = PromptTemplate(tokenizer, "chat")
    prompts = template.encode([template.prompt({"instruction": q.instruction, "input": q.input}) for q in asked])
    assert [output.prompt_token_ids for output in outputs] == prompts


def test_an_alpaca_checkpoint_is_asked_with_its_prompt(llm: Any, checkpoint: Path) -> None:
    from vllm import SamplingParams

    tokenizer = load_tokenizer(str(checkpoint))
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Name a colour."},
        {"role": "assistant", "content": "Red."},
        {"role": "user", "content": "Another."},
    ]
    published = published_chat_template(PromptTemplate(tokenizer, "alpaca"))
    assert isinstance(published, str)
    (output,) = llm.chat([turns], SamplingParams(max_tokens=1), chat_template=published, use_tqdm=False)
    text = alpaca_prompt("Be brief.\n\nUser: Name a colour.\n\nAssistant: Red.\n\nUser: Another.")
    assert output.prompt_token_ids == tokenizer(text).input_ids
