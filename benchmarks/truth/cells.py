"""A cell of the sweep: one world, one noise, one budget; every arm's pick, and what a training on it teaches."""

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from adg_pipeline.demo.evaluate import answered_rightly, held_out_questions
from adg_pipeline.demo.questions import Question, skill_question
from adg_pipeline.demo.train_backbone import Recipe
from adg_pipeline.host.files import write_atomically
from adg_pipeline.settings.sections import TrainingConfig
from benchmarks.truth import gains, records, worlds
from benchmarks.truth.ideas import WITH_GAINS
from benchmarks.truth.records import CLEAN, UNMET
from benchmarks.truth.signals import Signals, World
from benchmarks.truth.subsets import picked_kinds, select
from benchmarks.truth.tuning import RECIPE, tune

UNTUNED = "untuned"


@dataclass(frozen=True, order=True)
class Cell:
    """seed: of the world, its pool and the training. noise: a kind of records. share: of them in the pool. budget: share of
    the pool that is picked.
    """

    seed: int
    noise: str
    share: float
    budget: float

    @property
    def name(self) -> str:
        return f"{self.seed}-{self.noise}-{self.share:g}-{self.budget:g}"


@dataclass(frozen=True)
class Scale:
    """How large it all is: records in the pool, records made of each noise, held-out questions a skill, and how backbones and
    arms are trained."""

    pool: int = 1600
    noise: int = 800
    hard_noise: int = 480
    questions: int = 24
    training: TrainingConfig = RECIPE
    backbone: Recipe = worlds.RECIPE

    def made(self, kind: str) -> int:
        return {CLEAN: self.pool, records.RANDOM: self.noise}.get(kind, self.hard_noise)


FULL = Scale()


def pool_of(world: World, cell: Cell, scale: Scale) -> Signals:
    """The cell's pool: clean records, some of which give way to noise."""
    noisy = round(cell.share * scale.pool)
    if noisy > scale.made(cell.noise):
        raise ValueError(f"{cell.name}: {noisy} records of noise are wanted, {scale.made(cell.noise)} are made")
    parts = [world.signals(CLEAN, scale.made(CLEAN)).first(scale.pool - noisy)]
    if noisy:
        parts.append(world.signals(cell.noise, scale.made(cell.noise)).first(noisy))
    return Signals.together(parts)


@dataclass
class CellFile:
    """What is known of a cell: by arm the name of its subset (a hash of its ids) and examples picked by kind; by subset which
    questions a model tuned on it answers rightly.
    """

    path: Path
    picks: dict[str, tuple[str, dict[str, int]]] = field(default_factory=dict)
    marks: dict[str, list[bool]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "CellFile":
        kept = json.loads(path.read_text("utf-8")) if path.is_file() else {"picks": {}, "marks": {}}
        return cls(path, {arm: (subset, kinds) for arm, (subset, kinds) in kept["picks"].items()}, kept["marks"])

    def write(self) -> None:
        text = json.dumps({"picks": self.picks, "marks": self.marks}) + "\n"
        write_atomically(self.path, partial(_write, text))

    def has(self, arm: str, trained: bool) -> bool:
        return arm in self.picks and (not trained or self.picks[arm][0] in self.marks)


def run_cell(world: World, cell: Cell, arms: Sequence[str], trained: bool, path: Path, scale: Scale) -> Iterator[str]:
    """Add to the cell's file what each arm picks, and what that teaches if `trained`; yield the arm when it is there."""
    kept = CellFile.read(path)
    missing = [arm for arm in arms if not kept.has(arm, trained)]
    if not missing:
        return
    torch.set_num_threads(1)
    pool = pool_of(world, cell, scale)
    if set(missing) & set(WITH_GAINS):
        pool = gains.with_gains(world, pool, scale.training, cell.seed)
    questions = _questions(cell, scale)
    for arm in missing:
        chosen = [] if arm == UNTUNED else select(arm, pool, round(cell.budget * scale.pool), cell.seed)
        subset = hashlib.blake2b("\n".join(sorted(chosen)).encode(), digest_size=8).hexdigest()
        kept.picks[arm] = subset, picked_kinds(pool, chosen)
        if trained and subset not in kept.marks:
            kept.marks[subset] = _marks(world, pool, chosen, questions, scale.training, cell.seed)
        kept.write()
        yield arm


def _write(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")


def _questions(cell: Cell, scale: Scale) -> list[Question]:
    """The same for every seed; of phrases that were never met only where the pool has some."""
    asked = held_out_questions(scale.questions)
    if cell.noise == UNMET:
        stream = random.Random("truth/held-out")
        asked += [
            skill_question(skill, stream, held_out=True)
            for skill in records.UNMET_SKILLS
            for _ in range(scale.questions)
        ]
    return asked


def _marks(
    world: World,
    pool: Signals,
    chosen: Sequence[str],
    questions: Sequence[Question],
    training: TrainingConfig,
    seed: int,
) -> list[bool]:
    model = AutoModelForCausalLM.from_pretrained(world.backbone, dtype=torch.float32, use_safetensors=True)
    if chosen:
        wanted = pool.frame.filter(pool.frame["example_id"].is_in(list(chosen)))  # sorted by id, as the pool is
        rows = wanted.select("example_id", "instruction", "input", "output").to_dicts()
        tune(model, world.template, rows, training.model_copy(update={"seed": seed}))
    return answered_rightly(model, world.template, questions, batch_size=128)
