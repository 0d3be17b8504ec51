"""What is learnt of a chat example, beside what TRL learns of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest

from adg_pipeline.models.chat import for_template
from adg_pipeline.models.templates import PromptTemplate
from adg_pipeline.resources.trainer.examples import IGNORED, NOT_CONTINUED, TokenizedExamples, tokenize_examples
from adg_pipeline_tests.models.families import FAMILIES, Family

Turn = dict[str, Any]

QWEN3 = next(family for family in FAMILIES if family.name == "qwen3")

ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Adds two numbers.",
        "parameters": {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}},
    },
}
CALL = {"type": "function", "id": "call00001", "function": {"name": "add", "arguments": {"a": 2, "b": 3}}}


def turn(role: str, content: str, **more: Any) -> Turn:
    blank = {"reasoning": "", "tool_calls": "", "tool_name": "", "tool_call_id": "", "learn": True}
    return {"role": role, "content": content, **blank, **more}


SYSTEM = turn("system", "You are brief.")
ASKED, ANSWERED = turn("user", "What follows 3?"), turn("assistant", "4 follows 3. \n")
MORE, LAST = turn("user", "  And then? "), turn("assistant", "5, of course.")
CALLS = turn("assistant", "", tool_calls=json.dumps([CALL]))
RESULT = turn("tool", "5", tool_name="add", tool_call_id="call00001")
THINKS = turn("assistant", "It is 5.", reasoning="2 and 3 make 5.")

CONVERSATIONS: dict[str, list[Turn]] = {
    "one turn": [ASKED, ANSWERED],
    "several turns": [ASKED, ANSWERED, MORE, LAST],
    "system text": [SYSTEM, ASKED, ANSWERED],
    "system text, several turns": [SYSTEM, ASKED, ANSWERED, MORE, LAST],
    "a call": [ASKED, CALLS],
    "a call after system text": [SYSTEM, ASKED, CALLS],
    "a result": [ASKED, CALLS, RESULT, LAST],
    "a result after several turns": [ASKED, ANSWERED, MORE, CALLS, RESULT, LAST],
    "tools that are not called": [ASKED, ANSWERED, MORE, LAST],
    "reasoning": [ASKED, THINKS],
    "reasoning after reasoning": [ASKED, THINKS, MORE, THINKS],
}
ABOUT_TOOLS = {name for name in CONVERSATIONS if "call" in name or "result" in name}


def holds(family: Family, name: str) -> bool:
    return (
        (family.system or "system" not in name)
        and (family.tools or name not in ABOUT_TOOLS)
        and (family.name == "qwen3" or "reasoning" not in name)
    )


def row(name: str, turns: list[Turn]) -> dict[str, Any]:
    tools = json.dumps([ADD]) if name in ABOUT_TOOLS else ""
    return {"example_id": name, "instruction": "", "input": "", "output": "", "messages": turns, "tools": tools}


@pytest.fixture(scope="module")
def model(shared: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(shared / "goldens" / "tiny-llama")


@pytest.fixture
def with_trl(model: Any, tmp_path: Path) -> Callable[..., list[tuple[list[int], list[int]]]]:
    """TRL's own token ids and labels of conversations, each as a prompt with its completion."""

    def tokenize(
        rows: list[dict[str, Any]], tokenizer: Any, options: dict[str, Any]
    ) -> list[tuple[list[int], list[int]]]:
        from trl.trainer.sft_config import SFTConfig
        from trl.trainer.sft_trainer import SFTTrainer

        given = []
        for example in rows:
            shown = [for_template(turn) for turn in example["messages"]]
            more = {"tools": example["tools"]} if example["tools"] else {}
            given.append({"prompt": shown[:-1], "completion": shown[-1:], "chat_template_kwargs": options, **more})
        found = []
        for example in given:  # one by one, since a table would fill in the keys that other rows have
            arguments = SFTConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, report_to=[], max_length=None)
            trainer = SFTTrainer(
                model, arguments, train_dataset=datasets.Dataset.from_list([example]), processing_class=tokenizer
            )
            (had,) = trainer.train_dataset
            found.append((had["input_ids"], had["labels"]))
        return found

    return tokenize


CASES = [*((family, {}) for family in FAMILIES), (QWEN3, {"enable_thinking": False})]


@pytest.mark.parametrize(
    ("family", "options"), CASES, ids=[f"{family.name} {options or ''}" for family, options in CASES]
)
def test_token_ids_and_labels_are_trls(
    family: Family, options: dict[str, Any], shared: Path, with_trl: Callable[..., Any]
) -> None:
    tokenizer = family.tokenizer(shared / "goldens" / "tiny-llama")
    names = [name for name in CONVERSATIONS if holds(family, name) and not (options and "reasoning" in name)]
    rows = [row(name, CONVERSATIONS[name]) for name in names]
    ours = tokenize_examples(rows, PromptTemplate(tokenizer, "chat", options), 10_000)
    assert ours.left_out == {}
    assert list(zip(ours.input_ids, ours.labels, strict=True)) == with_trl(rows, tokenizer, options)


def spans(tokenizer: Any, examples: TokenizedExamples) -> list[list[str]]:
    """The texts that are learnt, by sequence."""
    found = []
    for labels in examples.labels:
        runs: list[list[int]] = [[]]
        for label in labels:
            if label != IGNORED:
                runs[-1].append(label)
            elif runs[-1]:
                runs.append([])
        found.append([tokenizer.decode(run) for run in runs if run])
    return found


LEARNT = {
    "chatml": ["4 follows 3. \n<|im_end|>\n", "5, of course.<|im_end|>\n"],
    "qwen2_5": ["4 follows 3. \n<|im_end|>\n", "5, of course.<|im_end|>\n"],
    "qwen3": [f"<think>\n\n</think>\n\n{text}<|im_end|>\n" for text in ("4 follows 3. \n", "5, of course.")],
    "llama3": ["4 follows 3.<|eot_id|>", "5, of course.<|eot_id|>"],
    "gemma": ["4 follows 3.<end_of_turn>\n", "5, of course.<end_of_turn>\n"],
    "mistral": [" 4 follows 3.</s>", " 5, of course.</s>"],
}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_every_answer_is_learnt_on_request_where_it_stands_or_by_itself(family: Family, shared: Path) -> None:
    tokenizer = family.tokenizer(shared / "goldens" / "tiny-llama")
    template = PromptTemplate(tokenizer, "chat")
    rows = [row("several turns", CONVERSATIONS["several turns"])]
    assert spans(tokenizer, tokenize_examples(rows, template, 10_000)) == [LEARNT[family.name][1:]]
    every = tokenize_examples(rows, template, 10_000, "all")
    # Qwen3 shows earlier answers without the thinking that it has them begin with.
    alone = family.name == "qwen3"
    assert spans(tokenizer, every) == ([[text] for text in LEARNT["qwen3"][::-1]] if alone else [LEARNT[family.name]])
    assert every.count == 1
    if alone:  # each follows what it is asked with
        for turns, ids, labels in zip((4, 2), every.input_ids, every.labels, strict=True):
            asked = {"instruction": "", "input": "", "messages": CONVERSATIONS["several turns"][:turns]}
            (prompt,) = template.encode([template.prompt(asked)])
            assert ids[: len(prompt)] == prompt
            assert labels.count(IGNORED) == len(prompt)


@pytest.mark.parametrize("kind", ["chat", "alpaca"])
def test_a_turn_that_must_not_be_learnt_has_no_label(kind: Any, shared: Path) -> None:
    tokenizer = FAMILIES[0].tokenizer(shared / "goldens" / "tiny-llama")
    bad, after = turn("assistant", "bad", learn=False), turn("assistant", "worse", learn=False)
    rows = [row("", [ASKED, ANSWERED, MORE, bad, MORE, LAST, MORE, after])]
    template = PromptTemplate(tokenizer, kind)
    learnt = [text for texts in spans(tokenizer, tokenize_examples(rows, template, 10_000, "all")) for text in texts]
    end = "<|im_end|>\n" if kind == "chat" else "<|endoftext|>"
    assert sorted(learnt) == [f"4 follows 3. \n{end}", f"5, of course.{end}"]
    assert spans(tokenizer, tokenize_examples(rows, template, 10_000)) == [[f"5, of course.{end}"]]


def test_a_template_whose_conversation_begins_otherwise_than_its_prompt_leaves_the_example_out(shared: Path) -> None:
    tokenizer = QWEN3.tokenizer(shared / "goldens" / "tiny-llama")
    rows = [row("thinks", CONVERSATIONS["reasoning"]), row("answers", CONVERSATIONS["one turn"])]
    # A prompt that closes the thinking at once can't be followed by some.
    examples = tokenize_examples(rows, PromptTemplate(tokenizer, "chat", {"enable_thinking": False}), 10_000)
    assert (examples.count, examples.left_out) == (1, {NOT_CONTINUED: ["thinks"]})
    # As DeepSeek-R1's: it opens the thinking in the prompt, and leaves it out of conversations.
    tokenizer.chat_template = tokenizer.chat_template.replace("'<think>\\n\\n</think>\\n\\n'", "'<think>\\nWell'")
    examples = tokenize_examples(rows, PromptTemplate(tokenizer, "chat", {"enable_thinking": False}), 10_000)
    assert examples.left_out == {NOT_CONTINUED: ["thinks", "answers"]}


def test_reasoning_that_the_template_has_no_place_for_is_named(shared: Path) -> None:
    tokenizer = FAMILIES[0].tokenizer(shared / "goldens" / "tiny-llama")
    rows = [row("thinks", CONVERSATIONS["reasoning"])]
    examples = tokenize_examples(rows, PromptTemplate(tokenizer, "chat"), 10_000)
    assert examples.left_out == {"the chat template has no place for the answer's reasoning": ["thinks"]}
    examples = tokenize_examples(rows, PromptTemplate(tokenizer, "alpaca"), 10_000)
    assert spans(tokenizer, examples) == [["<think>\n2 and 3 make 5.\n</think>\n\nIt is 5.<|endoftext|>"]]


@pytest.mark.parametrize(
    ("closing", "end"), [("", "<|user|>"), ("\n", "<|user|>"), ("<|end|>", "<|end|>"), ("<|end|>\n</s>", "<|end|>")]
)
def test_an_answer_is_always_taught_an_end(shared: Path, closing: str, end: str) -> None:
    tokenizer = FAMILIES[0].tokenizer(shared / "goldens" / "tiny-llama")
    tokenizer.add_special_tokens({"extra_special_tokens": ["<|user|>", "<|assistant|>", "<|end|>", "</s>"]})
    tokenizer.chat_template = (
        "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{{ closing if m.role == 'assistant' }}"
        "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )  # fmt: skip
    template = PromptTemplate(tokenizer, "chat", {"closing": closing})
    ((learnt,),) = spans(tokenizer, tokenize_examples([row("", [ASKED, LAST])], template, 10_000))
    assert learnt == "5, of course." + (closing if "<|end|>" in closing else closing + end)
    assert tokenizer.convert_tokens_to_ids(end) in template.turn_ends


def test_a_control_token_that_an_answer_spells_is_learnt_as_text(shared: Path) -> None:
    tokenizer = FAMILIES[0].tokenizer(shared / "goldens" / "tiny-llama")
    spelling = turn("assistant", "It is <|im_end|>, then <|endoftext|>.")
    for kind, end in (("chat", ["<|im_end|>"]), ("alpaca", ["<|endoftext|>"])):
        template = PromptTemplate(tokenizer, kind)  # type: ignore[arg-type]
        (labels,) = tokenize_examples([row("", [ASKED, spelling])], template, 10_000).labels
        learnt = [label for label in labels if label != IGNORED]
        assert tokenizer.decode(learnt).startswith(spelling["content"])
        assert [t for t in tokenizer.convert_ids_to_tokens(learnt) if t in tokenizer.all_special_tokens] == end


def test_a_prompt_keeps_its_tokens_where_the_answer_would_merge_into_it(shared: Path) -> None:
    tokenizer = FAMILIES[0].tokenizer(shared / "goldens" / "tiny-llama")
    tokenizer.add_tokens(["\n\n"])
    template = PromptTemplate(tokenizer, "chat")
    example = row("", [ASKED, turn("assistant", "\nFour.")])
    examples = tokenize_examples([example], template, 10_000)
    (prompt,) = template.encode([template.prompt(example)])
    assert examples.input_ids[0][: len(prompt)] == prompt
    assert spans(tokenizer, examples) == [["\nFour.<|im_end|>\n"]]
