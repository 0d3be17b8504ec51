"""A published checkpoint asks as it was tuned and stops by itself."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adg_pipeline.resources.trainer import TrainingJob
from adg_pipeline.resources.trainer.finish import finish
from adg_pipeline.resources.trainer.script import load_examples
from adg_pipeline_tests.resources.trainer.chatml import END, backbone_with_chatml, questions, tuned_with_chatml

ROOM = 48  # tokens; the longest right answer has 12 letters


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tuned_with_chatml(tmp_path_factory.mktemp("chatml"))


def test_held_out_questions_are_answered_and_the_answers_end(checkpoint: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    end = tokenizer.convert_tokens_to_ids(END)
    assert model.generation_config.eos_token_id == [tokenizer.eos_token_id, end]
    asked = questions(24, held_out=True)
    chats = [[{"role": "user", "content": f"{q.instruction}\n{q.input}".strip()}] for q in asked]
    inputs = tokenizer.apply_chat_template(
        chats, add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True
    )

    def answers(**how: Any) -> list[list[int]]:
        ids = model.generate(**inputs, do_sample=False, max_new_tokens=ROOM, **how)
        return [
            [token for token in row if token != tokenizer.pad_token_id]
            for row in ids[:, inputs.input_ids.shape[1] :].tolist()
        ]

    stopped = answers()
    assert [answer[-1] for answer in stopped] == [end] * len(asked)
    texts = tokenizer.batch_decode(stopped, skip_special_tokens=True)
    assert sum(text == question.output for text, question in zip(texts, asked, strict=True)) >= 6
    # With the backbone's own end alone they would run on.
    assert max(map(len, answers(eos_token_id=tokenizer.eos_token_id))) == ROOM


@pytest.mark.parametrize("how", [{"method": "lora"}, {"method": "lora", "merge": False}, {"method": "full"}])
def test_every_kind_of_checkpoint_names_its_ends_and_how_it_is_asked(
    how: dict[str, Any], plan: Callable[..., TrainingJob], tmp_path: Path
) -> None:
    from transformers import AutoTokenizer, GenerationConfig

    from adg_pipeline.resources.trainer.fit import fit

    backbone = backbone_with_chatml(tmp_path / "backbone")
    declared = {"do_sample": False, "temperature": 0.7, "eos_token_id": 5}  # as some are published: a contradiction
    (backbone / "generation_config.json").write_text(json.dumps(declared))
    job = plan(tmp_path / "adg", template="chat", max_steps=1, **how).model_copy(
        update={"base_model": str(backbone), "template_options": {"tone": "dry"}}
    )
    job.work.mkdir()
    examples = load_examples(job)
    finished = finish(job, fit(job, examples, print)[0], examples, 0)
    published = GenerationConfig.from_pretrained(finished)
    tokenizer = AutoTokenizer.from_pretrained(finished)
    end = tokenizer.convert_tokens_to_ids(END)
    assert published.eos_token_id == [tokenizer.eos_token_id, 5, end]
    assert (published.do_sample, published.temperature) == (False, 0.7)
    manifest = json.loads((finished / "training_manifest.json").read_text())
    assert manifest["turn_ends"] == {"<|end|>": 0, tokenizer.convert_ids_to_tokens(5): 5, END: end}
    assert (manifest["job"]["template"], manifest["job"]["template_options"]) == ("chat", {"tone": "dry"})
    assert 'set tone = "dry"' in tokenizer.chat_template
