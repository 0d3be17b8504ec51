"""What arms read of a world's records, by the product's own sampler, scorer and embedder; kept per kind of record."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from adg_pipeline.algorithms.divergence import answer_divergence
from adg_pipeline.algorithms.prompts import user_turn
from adg_pipeline.demo.run import SETTINGS
from adg_pipeline.demo.train_backbone import Recipe
from adg_pipeline.formats.convert import convert
from adg_pipeline.host.files import locked, write_atomically
from adg_pipeline.models.templates import PromptTemplate, open_prompt_template
from adg_pipeline.resources.embedders import open_embedder
from adg_pipeline.resources.generators.base import Generator
from adg_pipeline.resources.generators.factory import open_generator
from adg_pipeline.resources.generators.journal import AnswerJournal
from adg_pipeline.resources.generators.shard import generate_shard
from adg_pipeline.resources.losses.shard import score_references
from adg_pipeline.resources.losses.states import query_states
from adg_pipeline.settings.loading import load_settings
from adg_pipeline.settings.sections import RawPoolConfig
from benchmarks.truth import records, worlds
from benchmarks.truth.records import OWN_ANSWER, Record

DEMO = load_settings(SETTINGS)
LOSSES = DEMO.reference_losses.model_copy(update={"plain": True, "states": True})
LISTS = {"eigenvalues": pl.Float64, "mode_sizes": pl.Int32, "cosines": pl.Float32}


@dataclass(frozen=True)
class Signals:
    """Of N records. frame: their texts and every signal, by `example_id`. vectors: (N, d) of the instructions."""

    frame: pl.DataFrame
    vectors: NDArray[np.float32]

    @classmethod
    def together(cls, parts: list["Signals"]) -> "Signals":
        """Of several lists of records, sorted by id."""
        frame = pl.concat([part.frame for part in parts])
        order = frame["example_id"].arg_sort().to_numpy()
        return cls(frame[order], np.concatenate([part.vectors for part in parts])[order])

    def first(self, number: int) -> "Signals":
        return Signals(self.frame[:number], self.vectors[:number])


class World:
    """A backbone, its records, and what is known of them; what is in the folder isn't made again."""

    def __init__(self, folder: Path, seed: int, recipe: Recipe = worlds.RECIPE) -> None:
        self.folder, self.seed = folder / f"world-{seed}", seed
        self._recipe = recipe

    @cached_property
    def backbone(self) -> Path:
        return worlds.backbone(self.folder, self.seed, self._recipe)

    @cached_property
    def template(self) -> PromptTemplate:
        template = open_prompt_template(str(self.backbone), None, "alpaca", {}, False)
        template.tokenizer.padding_side = "left"
        return template

    def signals(self, kind: str, number: int) -> Signals:
        """Of the first `number` records of a kind."""
        name = f"{kind}-{number}"
        table, arrays = self.folder / f"{name}.parquet", self.folder / f"{name}.npz"
        with locked(self.folder / "lock"):  # another process may be at the same world
            if not arrays.is_file():  # the last to be written
                with self._generator() as generator:
                    raw = self._raw_pool(kind, number, generator)
                    made = self._measure(raw, generator, name)
                write_atomically(table, lambda path: made.frame.write_parquet(path))
                write_atomically(arrays, lambda path: _write_arrays(path, made))
        with np.load(arrays, allow_pickle=False) as kept:
            return Signals(pl.read_parquet(table), kept["vectors"])

    @contextmanager
    def _generator(self) -> Iterator[Generator]:
        config = {"backbone": str(self.backbone), "seed": self.seed, "device": "cpu"}
        with open_generator(DEMO.generations.model_copy(update=config)) as generator:
            yield generator

    def _raw_pool(self, kind: str, number: int, generator: Generator) -> pa.Table:
        stream = (
            records.own_answer(self.seed, lambda asked: self._answers(asked, generator), block=number)
            if kind == OWN_ANSWER
            else records.KINDS[kind](self.seed)
        )
        return self._converted(records.first(stream, number), f"{kind}-{number}")

    def _converted(self, pool: list[Record], name: str) -> pa.Table:
        written, table = self.folder / f"{name}.jsonl", self.folder / f"{name}.raw.parquet"
        self.folder.mkdir(parents=True, exist_ok=True)
        written.write_text("".join(json.dumps(record) + "\n" for record in pool), encoding="utf-8")
        convert(written, table, self.folder / f"{name}.rejects.jsonl", RawPoolConfig())
        return pq.read_table(table)

    def _answers(self, asked: list[Record], generator: Generator) -> list[list[str]]:
        """Answers by another seed than those that arms read."""
        config = generator.config.model_copy(update={"seed": self.seed + 2**20})
        with AnswerJournal(self.folder / "own-answers.jsonl") as journal:
            table, _ = generate_shard(self._converted(asked, "asked"), generator, config, journal)
        answers: list[list[str]] = table["answers"].to_pylist()
        return answers

    def _measure(self, raw: pa.Table, generator: Generator, name: str) -> Signals:
        with AnswerJournal(self.folder / f"{name}.answers.jsonl") as journal:
            answers, _ = generate_shard(raw, generator, generator.config, journal)
        losses, _ = score_references(raw, answers, generator, LOSSES)
        asked_for = self._converted(records.queries(self.seed), records.QUERIES)
        likeness = np.array(losses["state"].to_pylist()) @ query_states(
            asked_for.to_pylist(), generator, LOSSES.batch_size
        ).T.astype(np.float64)
        rows = raw.select(["instruction", "input", "output"]).to_pylist()
        asked = [user_turn(row["instruction"], row["input"]) for row in rows]
        drawn = answers["answers"].to_pylist()
        with open_embedder(DEMO.embeddings, str(self.backbone)) as embedder:
            instructions = embedder.embed_instructions([row["instruction"] for row in rows])
            # The reference is embedded as one answer more, for ideas that ask where it lies.
            vectors = embedder.embed_answers(
                asked, [[*texts, row["output"]] for texts, row in zip(drawn, rows, strict=True)]
            )
        frame = pl.concat(
            [_texts(raw), _answered(answers), _spread(vectors[:, :-1]), _scored(losses)], how="horizontal"
        )
        steps = vectors[:, -1:] - vectors[:, :-1]
        frame = frame.with_columns(
            nearest_answer=pl.Series(np.linalg.norm(steps, axis=2).min(axis=1).round(4)),
            step=pl.Series(steps.mean(axis=1).round(4)).arr.to_list(),
            likeness=pl.Series(likeness.astype(np.float32)).arr.to_list(),
        )
        return Signals(frame, instructions)


def _texts(raw: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(raw.select(["example_id", "source", "instruction", "input", "output"]))
    assert isinstance(frame, pl.DataFrame)
    return frame.with_columns(output_chars=pl.col("output").str.len_chars().cast(pl.Int32))


def _answered(answers: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(answers.select(["answers", "output_tokens", "output_logprobs"]))
    assert isinstance(frame, pl.DataFrame)
    stripped = pl.col("answers").list.eval(pl.element().str.strip_chars())
    return frame.with_columns(
        answers=stripped,
        empty_answers=stripped.list.eval(pl.element() == "").list.sum().cast(pl.Int32),
        distinct_answers=stripped.list.n_unique().cast(pl.Int32),
        answer_tokens=pl.col("output_tokens").list.mean(),
    )


def _spread(vectors: NDArray[np.float32]) -> pl.DataFrame:
    scores = DEMO.divergence_scores
    spread = answer_divergence(vectors, noise_floor=scores.noise_floor, mode_distance=scores.mode_distance, threads=1)
    rounded, rows = spread.rounded(scores.decimals), len(vectors)
    lists = {
        name: pl.Series(getattr(rounded, name).reshape(rows, -1)).arr.to_list().cast(pl.List(inner))
        for name, inner in LISTS.items()
    }
    return pl.DataFrame({"dispersion": rounded.dispersion, "anisotropy": rounded.anisotropy, **lists})


def _scored(losses: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(losses.drop_columns(["example_id", "status", "reason", "state"]))
    assert isinstance(frame, pl.DataFrame)
    return frame


def _write_arrays(path: Path, made: Signals) -> None:
    with path.open("wb") as file:
        np.savez(file, vectors=made.vectors)
