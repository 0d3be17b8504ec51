"""A sample of the pool is answered, embedded and scored with a watch on each stage: what a plan and a probe are made from.

It asks the engine for the sample's answers alone, and they aren't lost: they lie with the answers that no shard holds, where
the run that needs them finds them. Nothing else is stored. GPUs are leased as a step does.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from adg_pipeline.algorithms.costs import ANSWERS, INSTRUCTIONS, REFERENCES, SAMPLING, SCORES, Profile
from adg_pipeline.algorithms.draws import uniform_draws
from adg_pipeline.errors import PipelineError
from adg_pipeline.host.gpu_leases import GpuLeaseResource
from adg_pipeline.orchestration.planning.embedding import Embedded, embed
from adg_pipeline.orchestration.planning.stored import BYTES_OF_IDS, BYTES_PER_FLOAT
from adg_pipeline.orchestration.planning.watch import Watch, opened
from adg_pipeline.progress import ProgressLog
from adg_pipeline.resources.factories import GeneratorFactory
from adg_pipeline.resources.generators.base import Generator
from adg_pipeline.resources.generators.journal import AnswerJournal
from adg_pipeline.resources.generators.paid import find_answers
from adg_pipeline.resources.generators.schema import OK, PROMPT_TOO_LONG
from adg_pipeline.resources.generators.shard import GenerationCounts, generate_shard
from adg_pipeline.resources.losses.examples import tokenized
from adg_pipeline.resources.losses.shard import score_references
from adg_pipeline.settings.loading import Settings
from adg_pipeline.store import Store

# Examples that an engine does before the watch starts: what comes first waits for caches and compilers.
WARM_UP = 2

Say = Callable[[str], None]


@dataclass
class Measured:
    """A sample and what it took.

    examples: rows of raw_pool. answers: their generations. cosines: (N, K, K) of the answers of those that have all K, in
    the order of `answered`. profile: what was measured. cut: the answers of `answered`, cut to so many tokens each; empty
    where the tokenizer isn't at hand.
    """

    examples: pl.DataFrame
    answers: pl.DataFrame
    cosines: np.ndarray
    profile: Profile
    counts: GenerationCounts
    cut: Mapping[int, list[list[str]]] = field(default_factory=dict)

    @property
    def answered(self) -> pl.DataFrame:
        """The examples that have all answers, with these."""
        return answered_rows(self.examples, self.answers)


def draw_examples(store: Store, shards: Sequence[str], count: int) -> pl.DataFrame:
    """So many examples of the shards' raw_pool tables, drawn by a hash of their ids, each id once; with their shard."""
    columns = ["example_id"]
    ids = pl.concat(
        [_frame(store.read_table("raw_pool", shard, columns)).with_columns(shard=pl.lit(shard)) for shard in shards]
    ).unique("example_id", keep="first", maintain_order=True)
    if ids.is_empty():
        raise PipelineError("the pool has no example to look at: see `adg pool list` for what was rejected")
    drawn = ids.with_columns(draw=pl.Series(uniform_draws(ids["example_id"], 0))).sort("draw").head(count)
    parts = [
        _frame(store.read_table("raw_pool", str(shard))).join(rows.select("example_id", "shard"), on="example_id")
        for (shard,), rows in drawn.group_by("shard", maintain_order=True)
    ]
    whole = pl.concat(parts, how="diagonal_relaxed")
    order = drawn.select("example_id").with_row_index("place")
    return whole.join(order, on="example_id").sort("place").drop("place")


def measure(
    store: Store,
    settings: Settings,
    examples: pl.DataFrame,
    say: Say,
    *,
    references: bool,
    cuts: Sequence[int] = (),
) -> Measured:
    """Answer, embed and score the examples. references: also score the references, as arms that read them need it. cuts:
    lengths in tokens to which the answers are also to be had."""
    generation, watch = settings.generations, Watch()
    gpus = GpuLeaseResource()
    raw = examples.drop("shard").to_arrow()
    generators = GeneratorFactory(gpus=gpus)
    with opened(generators.open(generation), watch, SAMPLING) as generator:
        table, counts = _answer(store, generator, raw, settings, watch, say)
        answers = _frame(table)
        answered = answered_rows(examples, answers)
        cut = {longest: _cut(generator, answered, longest) for longest in cuts if generator.template is not None}
        reference_tokens = _mean_reference(generator, raw)
        scored = not references
        if references and settings.reference_losses.scorer(generation) == generation:
            _score_references(generator, raw, table, settings, watch)
            scored = True
    if not scored:
        with opened(generators.open(settings.reference_losses.scorer(generation)), watch, REFERENCES) as scorer:
            _score_references(scorer, raw, table, settings, watch, REFERENCES)
    if answered.is_empty():
        raise PipelineError(f"none of the {examples.height} examples looked at has all its answers: {_first(answers)}")
    embedded = embed(settings, settings.embeddings, answered, watch, say)
    tokens = [[one for one in row if one is not None] for row in answered["output_tokens"].to_list()]
    prompts = [one for one in answers["prompt_tokens"].to_list() if one is not None]
    profile = Profile(
        measured=f"{examples.height} examples of the pool",
        examples=examples.height,
        max_new_tokens=generation.max_new_tokens,
        answer_tokens=tokens,
        prompt_tokens=float(np.mean(prompts)) if prompts else 0.0,
        reference_tokens=reference_tokens,
        unanswerable_share=answers.filter(status=PROMPT_TOO_LONG).height / answers.height,
        rates=watch.rates,
        bytes_per_unit={**_sizes(table, counts, embedded), **watch.bytes},
    )
    return Measured(examples, answers, embedded.cosines, profile, counts, cut)


def answered_rows(examples: pl.DataFrame, answers: pl.DataFrame) -> pl.DataFrame:
    """The examples that have all answers, with these; in the order of the examples."""
    whole = answers.filter(pl.col("status") == OK).drop("status", "reason")
    return examples.join(whole, on="example_id", how="inner", maintain_order="left")


def _answer(
    store: Store, generator: Generator, raw: pa.Table, settings: Settings, watch: Watch, say: Say
) -> tuple[pa.Table, GenerationCounts]:
    # A plan isn't refused for what a run refuses: it tells the share.
    config = settings.generations.model_copy(update={"max_failed_share": 1.0})
    places = [store.table_path("generations", shard) for shard in store.shards("generations")]
    places += [store.journal_path(shard) for shard in store.unfinished()] + store.kept_answers.files()

    def paid(requests: Any) -> Mapping[str, Any]:
        return find_answers([place for place in places if place.exists()], requests)

    with AnswerJournal(store.kept_answers.new_journal("sample")) as journal:
        generate_shard(raw.slice(0, WARM_UP), generator, config, journal, elsewhere=paid)
        began = time.monotonic()
        progress = ProgressLog(say, "answering the sample", "answers")
        table, counts = generate_shard(raw, generator, config, journal, elsewhere=paid, progress=progress)
        seconds = time.monotonic() - began
        if not len(journal):
            journal.discard()
    watch.note(SAMPLING, counts.asked_output_tokens, seconds, generator.hardware, SAMPLING)
    return table, counts


def _score_references(
    scorer: Generator, raw: pa.Table, answers: pa.Table, settings: Settings, watch: Watch, opened_by: str = ""
) -> None:
    config = settings.reference_losses.model_copy(update={"max_failed_share": 1.0})
    score_references(raw.slice(0, WARM_UP), answers.slice(0, WARM_UP), scorer, config)
    began = time.monotonic()
    table, _ = score_references(raw, answers, scorer, config)
    seconds = time.monotonic() - began
    watch.bytes[REFERENCES] = _bytes(table) / table.num_rows
    scored = [one for one in table["reference_tokens"].to_pylist() if one is not None]
    prompts = [one for one in answers["prompt_tokens"].to_pylist() if one is not None]
    watch.note(REFERENCES, sum(scored) + sum(prompts), seconds, scorer.hardware, opened_by)


def _mean_reference(generator: Generator, raw: pa.Table) -> float | None:
    """Mean tokens of a reference; None where the tokenizer isn't at hand."""
    if generator.template is None:
        return None
    lengths = [len(example.reference) for example in tokenized(raw.to_pylist(), generator.template)]
    return float(np.mean(lengths))


def _cut(generator: Generator, answered: pl.DataFrame, longest: int) -> list[list[str]]:
    """The answers, each cut to so many tokens of its text."""
    template = generator.template
    assert template is not None

    def cut(text: str) -> str:
        ids = template.encode_answer(text)
        return text if len(ids) <= longest else str(generator.tokenizer.decode(ids[:longest], skip_special_tokens=True))

    return [[cut(text) for text in row] for row in answered["answers"].to_list()]


def _sizes(table: pa.Table, counts: GenerationCounts, embedded: Embedded) -> dict[str, float]:
    """Bytes on the disk per unit, see `Profile.bytes_per_unit`."""
    answers = _bytes(table) / max(1, counts.asked + counts.reused)
    vector = float(embedded.dimension * BYTES_PER_FLOAT + BYTES_OF_IDS)
    k = embedded.cosines.shape[1]
    return {SAMPLING: answers, ANSWERS: vector, INSTRUCTIONS: vector, SCORES: 4.0 * k * k + 8 * k + 100}


def _bytes(table: pa.Table) -> int:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        pq.write_table(table, path, compression="zstd")
        return path.stat().st_size


def _first(answers: pl.DataFrame) -> str:
    reasons = answers["reason"].drop_nulls()
    return str(reasons[0]) if len(reasons) else "no reason was told"


def _frame(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame
