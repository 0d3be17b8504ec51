"""The parts of a training, each by itself."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from adg_pipeline.models.templates import PromptTemplate
from adg_pipeline.models.tokenizers import load_tokenizer
from adg_pipeline.resources.trainer import TrainingJob
from adg_pipeline.resources.trainer.checkpoints import keep_only, mark_complete, newest_complete
from adg_pipeline.resources.trainer.examples import IGNORED, read_subset, subset_fingerprint, tokenize_examples
from adg_pipeline.resources.trainer.publish import publish, repair
from adg_pipeline.resources.trainer.script import load_examples
from adg_pipeline_tests.resources.trainer.conftest import conversation, example, write_subset

Plan = Callable[..., TrainingJob]

# The fingerprint that such a job had before chat templates had options: checkpoints with it stay current.
BEFORE = "88316f6a92ac57f1fc6956325c120cdc1ce2f44486116761f6fb796835c0a700"


def test_only_the_answer_and_its_end_are_labelled(backbone: str) -> None:
    tokenizer = load_tokenizer(backbone)
    template = PromptTemplate(tokenizer, "alpaca")
    rows = [example(1, input="numbers"), example(2), example(3, output="40", messages=conversation(39))]
    examples = tokenize_examples(rows, template, 400)
    for row, ids, labels in zip(rows, examples.input_ids, examples.labels, strict=True):
        answer = [label for label in labels if label != IGNORED]
        assert tokenizer.decode(answer) == row["output"] + tokenizer.eos_token
        assert ids[-len(answer) :] == answer
        assert tokenizer.decode(ids[: -len(answer)]).endswith("### Response:\n")
    assert "Assistant: 39\n\nUser: Go on." in tokenizer.decode(examples.input_ids[2])


def test_a_prompt_keeps_the_tokens_it_is_sampled_with_where_the_answer_would_merge_into_it(backbone: str) -> None:
    tokenizer = load_tokenizer(backbone)
    tokenizer.add_tokens(["\nYes"])
    assert tokenizer("### Response:\nYes").input_ids[-1] == tokenizer.convert_tokens_to_ids("\nYes")
    template = PromptTemplate(tokenizer, "alpaca")
    examples = tokenize_examples([example(1, output="Yes")], template, 400)
    (prompt,) = template.encode([template.prompt(example(1))])
    assert examples.input_ids[0][: len(prompt)] == prompt
    answer = examples.labels[0][len(prompt) :]
    assert tokenizer.convert_tokens_to_ids("\nYes") not in answer
    assert tokenizer.decode(answer) == "Yes</s>"


def test_the_batches_that_reach_the_model_count_answers_only(plan: Plan, tmp_path: Path) -> None:
    from adg_pipeline.resources.trainer.fit import _trainer
    from adg_pipeline.resources.trainer.progress import Progress

    job = plan(tmp_path / "adg", batch_size=4)
    examples = load_examples(job)
    loader = _trainer(job, examples, Progress(tmp_path / "log", print)).get_train_dataloader()
    known = {tuple(ids): labels for ids, labels in zip(examples.input_ids, examples.labels, strict=True)}
    seen = 0
    for batch in loader:
        for ids, mask, labels in zip(batch["input_ids"], batch["attention_mask"], batch["labels"], strict=True):
            length = int(mask.sum())
            assert labels[:length].tolist() == known[tuple(ids[:length].tolist())]
            assert labels[length:].eq(IGNORED).all()
            seen += 1
    assert seen == 40


def test_a_subset_is_known_by_what_is_trained_on(tmp_path: Path) -> None:
    rows = [example(number) for number in range(5)]
    reference = subset_fingerprint(write_subset(tmp_path / "a.parquet", rows))
    assert subset_fingerprint(write_subset(tmp_path / "b.parquet", rows)) == reference
    assert subset_fingerprint(write_subset(tmp_path / "c.parquet", rows[::-1])) != reference
    assert subset_fingerprint(write_subset(tmp_path / "d.parquet", [example(0, input="x"), *rows[1:]])) != reference


def test_a_file_that_is_no_subset_is_refused_by_name(tmp_path: Path) -> None:
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table({"example_id": ["a"], "text": ["b"]}), tmp_path / "odd.parquet")
    with pytest.raises(ValueError, match=r"odd.parquet is no subset.*no column input, instruction, messages, output"):
        list(read_subset(tmp_path / "odd.parquet"))


def test_a_job_is_known_by_its_recipe_and_not_by_places_or_speed(plan: Plan, tmp_path: Path) -> None:
    reference = plan(tmp_path / "a").fingerprint
    assert plan(tmp_path / "b", threads=2, save_steps=7, logging_steps=1).fingerprint == reference
    assert plan(tmp_path / "a", learning_rate=1e-4).fingerprint != reference
    assert plan(tmp_path / "a", template="chat").fingerprint != reference
    assert plan(tmp_path / "a", assistant_turns="all").fingerprint != reference


def test_how_a_chat_template_is_used_is_part_of_the_job_and_means_nothing_to_alpaca(plan: Plan, tmp_path: Path) -> None:
    plain, quick = {"template": "chat"}, {"template": "chat", "template_options": {"enable_thinking": False}}
    folded = {"template": "chat", "system_text": "fold"}
    jobs = [plan(tmp_path / "a", **how) for how in (plain, quick, folded)]
    assert len({job.fingerprint for job in jobs}) == 3
    unused = plan(tmp_path / "a", template_options={"enable_thinking": False}, system_text="fold")
    assert unused.fingerprint == plan(tmp_path / "a").fingerprint
    assert (unused.template_options, unused.system_text) == ({}, "template")


def test_a_job_with_the_alpaca_template_is_known_as_it_was_before_there_were_options(
    plan: Plan, tmp_path: Path
) -> None:
    job = plan(tmp_path / "a").model_copy(update={"subset_fingerprint": "s", "base_fingerprint": {"content": "b"}})
    assert job.fingerprint == BEFORE


def test_the_newest_checkpoint_is_the_highest_number_among_the_complete(tmp_path: Path) -> None:
    for step in (9, 10, 100):
        (tmp_path / f"checkpoint-{step}").mkdir()
        mark_complete(tmp_path / f"checkpoint-{step}")
    (tmp_path / "checkpoint-200").mkdir()
    newest = newest_complete(tmp_path)
    assert newest == tmp_path / "checkpoint-100"
    keep_only(tmp_path, newest)
    assert list(tmp_path.iterdir()) == [newest]
    keep_only(tmp_path, None)
    assert newest_complete(tmp_path) is None


@pytest.mark.parametrize(("interrupted_after", "kept"), [("moving the old away", "old"), ("moving the new in", "new")])
def test_a_publication_that_a_crash_interrupts_leaves_one_whole_checkpoint(
    tmp_path: Path, interrupted_after: str, kept: str
) -> None:
    output, replaced = tmp_path / "adg", tmp_path / ".adg.replaced"
    replaced.mkdir()
    (replaced / "old").touch()
    if interrupted_after == "moving the new in":
        output.mkdir()
        (output / "new").touch()
    repair(output)
    assert [path.name for path in output.iterdir()] == [kept]
    assert not replaced.exists()


def test_publishing_replaces_the_whole_folder(tmp_path: Path) -> None:
    output = tmp_path / "adg"
    for content in ("old", "new"):
        (tmp_path / "finished").mkdir()
        (tmp_path / "finished" / content).touch()
        publish(tmp_path / "finished", output)
    assert [path.name for path in tmp_path.rglob("*")] == ["adg", "new"]


_CHILD = """
import time
from adg_pipeline.host.parent import die_with_parent
die_with_parent()
print("up", flush=True)
time.sleep(10_000)
"""
_PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]])
print(child.pid, flush=True)
child.wait()
"""


def test_a_training_process_ends_with_its_parent() -> None:
    command = [sys.executable, "-c", _PARENT, _CHILD]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert parent.stdout.readline() == "up\n"
        parent.send_signal(signal.SIGKILL)
    try:
        while _runs(child):
            time.sleep(0.01)
    finally:  # where a hang was ended: it outlived its parent
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def _runs(process: int) -> bool:
    state = Path(f"/proc/{process}/stat")
    return state.exists() and state.read_text().rpartition(") ")[2][0] != "Z"
