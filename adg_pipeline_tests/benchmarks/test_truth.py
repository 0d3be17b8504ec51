"""`make truth` on a tiny scale: noises are what they say, a training is the product's, a killed sweep goes on."""

import itertools
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from transformers import AutoModelForCausalLM

from adg_pipeline.demo.skills import ALL_SKILLS, BARELY_KNOWN, KNOWN
from adg_pipeline.models.backbones import EMBEDDED_FOLDER
from adg_pipeline.resources.trainer.examples import tokenize_examples
from adg_pipeline.resources.trainer.fit import fit
from adg_pipeline.resources.trainer.job import TrainingJob
from benchmarks.truth import page, plots, records, sweep, tables, worlds
from benchmarks.truth.cells import Cell, Scale
from benchmarks.truth.plan import PARTS, Task, plan, together
from benchmarks.truth.records import Record, first
from benchmarks.truth.signals import Signals
from benchmarks.truth.subsets import ORACLE, RANDOM_CLEAN, select
from benchmarks.truth.tuning import RECIPE, tune

SKILLS = {skill.name: skill for skill in ALL_SKILLS}


def right(record: Record) -> str:
    """What the skill that the record asks for would answer."""
    text = record["input"] or record["instruction"].rpartition(" is ")[2]
    return SKILLS[record["source"].partition("/")[2]].solve(text)


def test_clean_records_hold_no_noise_and_the_kinds_of_the_demo() -> None:
    kinds = [record["source"].partition("/")[0] for record in first(records.clean(1), 180)]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {"known": 110, "barely-known": 50, "open-ended": 20}


@pytest.mark.parametrize("kind", records.KINDS)
def test_a_seed_gives_the_same_records_and_more_of_them_begin_alike(kind: str) -> None:
    many = first(records.KINDS[kind](4), 60)
    assert many[:40] == first(records.KINDS[kind](4), 40)
    assert many != first(records.KINDS[kind](5), 60)
    assert len({record["id"] for record in many}) == 60


def test_another_skills_answer_is_right_for_some_other_skill_and_wrong_for_its_own() -> None:
    for record in first(records.other_skill(2), 100):
        text = record["input"] or record["instruction"].rpartition(" is ")[2]
        assert record["output"] != right(record)
        assert record["output"] in {skill.solve(text) for skill in ALL_SKILLS}


def test_an_own_answer_is_the_first_wrong_one_that_was_drawn() -> None:
    def drawn(asked: list[Record]) -> list[list[str]]:
        return [[right(record), f" wrong {record['id']} ", "other"] for record in asked]

    made = first(records.own_answer(3, drawn, block=7), 20)
    assert [record["output"].partition(" ")[0] for record in made] == ["wrong"] * 20
    assert all(record["output"] != right(record) for record in made)


def test_questions_always_answered_rightly_are_passed_over() -> None:
    def drawn(asked: list[Record]) -> list[list[str]]:
        known = {skill.name for skill in KNOWN}
        return [[right(r)] if r["source"].partition("/")[2] in known else ["q"] for r in asked]

    names = {record["source"].partition("/")[2] for record in first(records.own_answer(3, drawn, block=30), 60)}
    assert names <= {skill.name for skill in BARELY_KNOWN}


def test_unmet_phrases_ask_for_known_procedures_in_words_of_their_own() -> None:
    for skill, asked in zip(KNOWN, records.UNMET_SKILLS, strict=True):
        word = asked.phrasings[0].partition(" ")[0]
        assert asked.answer is skill.answer
        assert not any(word in phrase for other in ALL_SKILLS for phrase in (*other.phrasings, *other.practised))


def test_the_oracle_and_random_of_the_clean_take_what_they_are_named_for() -> None:
    pool = first(records.clean(1), 90) + first(records.other_skill(1), 30)
    frame = pl.DataFrame({"example_id": [r["id"] for r in pool], "source": [r["source"] for r in pool]}).sort(
        "example_id"
    )
    signals = Signals(frame, np.zeros((120, 1), np.float32))
    sources = dict(frame.iter_rows())
    assert {sources[row].partition("/")[0] for row in select(ORACLE, signals, 20, 7)} == {"barely-known"}
    clean = select(RANDOM_CLEAN, signals, 90, 7)
    assert len(clean) == 90
    assert not any(row.startswith(records.OTHER_SKILL) for row in clean)


def test_a_training_ends_in_the_weights_of_the_products_trainer(tmp_path: Path) -> None:
    """One batch is the whole subset, so the order in which it is drawn can't matter."""
    config = RECIPE.model_copy(update={"max_steps": 4})
    rows = [
        {**record, "example_id": record["id"], "messages": None, "tools": ""} for record in first(records.clean(1), 8)
    ]
    job = TrainingJob(
        subset="", base_model=str(EMBEDDED_FOLDER), output=str(tmp_path / "tuned"), template="alpaca", config=config,
        subset_fingerprint="", base_fingerprint={},
    )  # fmt: skip
    examples = tokenize_examples(rows, job.prompt_template(), config.max_length)
    job.work.mkdir(parents=True)
    checkpoint, _ = fit(job, examples, lambda line: None)
    expected = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
    model = AutoModelForCausalLM.from_pretrained(EMBEDDED_FOLDER, dtype=torch.float32)
    untuned = {name: weights.clone() for name, weights in model.named_parameters()}
    tune(model, job.prompt_template(), rows, config)
    for (name, weights), wanted in zip(model.named_parameters(), expected.parameters(), strict=True):
        moved = (wanted - untuned[name]).norm()
        assert moved > 0
        assert (weights - wanted).norm() < 0.02 * moved, name


TINY = Scale(pool=40, noise=12, hard_noise=4, questions=2, training=RECIPE.model_copy(update={"max_steps": 1}))
TASKS = [
    Task(Cell(1, records.RANDOM, 0.3, 0.1), ["adg", "zip", "dsir", "rds_plus"], trained=False),
    Task(Cell(1, records.RANDOM, 0.3, 0.1), ["untuned", "adg", "random", "oracle"]),
    Task(Cell(1, records.OWN_ANSWER, 0.1, 0.1), ["gain_2", "neighbours", "no_majority"]),
    Task(Cell(1, records.UNMET, 0.1, 0.1), ["random"]),
]


def world_with_packaged_backbone(work: Path) -> Path:
    (work / "world-1").mkdir(parents=True)
    (work / "world-1" / "backbone").symlink_to(EMBEDDED_FOLDER)
    return work


def run(work: Path, arms: int | None = None) -> None:
    """The whole sweep in this process, or no more than so many of its arms."""
    steps = (step for task in TASKS for step in sweep.steps(task, work, TINY))
    for _ in itertools.islice(steps, arms):
        pass


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    work = world_with_packaged_backbone(tmp_path_factory.mktemp("truth"))
    run(work)
    return sweep.collect(TASKS, work)


def test_a_stopped_sweep_goes_on_and_gives_the_same_table(whole: pl.DataFrame, tmp_path: Path) -> None:
    work = world_with_packaged_backbone(tmp_path)
    run(work, 6)
    assert sweep.collect(TASKS, work).height == 5
    # As if it had died when the signals were half written, and in the middle of a cell's file.
    (work / "world-1" / "clean-40.npz").unlink()
    (work / "cells" / f".{TASKS[0].cell.name}.json.tmp").write_text("[{")
    before = {path: path.stat().st_size for path in work.rglob("*answers.jsonl")}
    run(work)
    assert sweep.collect(TASKS, work).equals(whole)
    assert all(path.stat().st_size == size for path, size in before.items())  # no answer is drawn again
    run(work)
    assert sweep.collect(TASKS, work).equals(whole)


def test_tables_and_pictures_are_made_of_what_there_is(whole: pl.DataFrame, tmp_path: Path) -> None:
    where = tables.places(whole)[0]
    assert set(tables.arms_at(whole, where)) == {"untuned", "adg", "random", "oracle"}
    assert sum(tables.picked(whole, where, "adg").values()) == 4
    assert tables.difference(whole, where, "adg", "adg") is None
    untuned = tables.accuracy(whole, where, "untuned", "known")
    assert untuned.mean > 0.8
    text = tmp_path / "page.md"
    text.write_text("before\n<!-- unmet -->\n<!-- end -->\n<!-- main -->\nold\n<!-- end -->\nafter\n")
    page.write(whole, text)
    page.write(whole, text)
    assert "| `oracle` |" in text.read_text()
    assert "old" not in text.read_text()
    assert text.read_text().count("<!-- end -->") == 2
    assert text.read_text().startswith("before\n") and text.read_text().endswith("after\n")
    assert all(path.stat().st_size > 1000 for path in plots.draw(whole, tmp_path / "pictures"))


def test_the_same_subset_has_the_same_marks_and_what_is_only_picked_has_none(whole: pl.DataFrame) -> None:
    assert whole.filter(arm="zip")["marks"].to_list() == [None]
    marks = whole.drop_nulls("marks").group_by("noise", "subset").agg(pl.col("marks").n_unique())
    assert marks["marks"].max() == 1


def test_every_cell_of_the_plan_has_each_arm_once() -> None:
    planned = together(plan(list(PARTS), range(1, 4)))
    assert all(len(set(arms)) == len(arms) for arms in planned.values())
    assert len({cell.name for cell in planned}) == len(planned)


def test_a_world_is_shaken_by_its_seed() -> None:
    one, same, other = (next(iter(worlds.shaken(seed).parameters())) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.allclose(one, other, atol=1e-3)
