"""Instruction pools of the embedded world: known and barely known skills, open-ended instructions, and noise.

``source`` of a record names its kind and skill (``known/reverse``), so that a report can tell what was selected. No
stage of the pipeline reads it.
"""

import json
import random
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from adg_pipeline.demo.questions import (
    Question,
    garbled_question,
    open_ended_question,
    skill_question,
    wrong_answer_question,
)
from adg_pipeline.demo.skills import ALL_SKILLS, BARELY_KNOWN, KNOWN

SHARES: dict[str, float] = {"known": 0.55, "barely-known": 0.25, "open-ended": 0.1, "noise": 0.1}
_BLOCK = 20  # records in which the shares hold exactly


def pool_records(seed: int) -> Iterator[dict[str, str]]:
    """An endless pool of Alpaca records with ``id`` and ``source``, the same for the same seed.

    Every 20 records hold the kinds in exactly `SHARES`, in random order.
    """
    stream = random.Random(f"pool/{seed}")
    number = 0
    while True:
        kinds = [kind for kind, share in SHARES.items() for _ in range(round(share * _BLOCK))]
        stream.shuffle(kinds)
        for kind in kinds:
            number += 1
            question = _question(kind, stream)
            yield {
                "id": f"{question.skill}-{number:06d}",
                "source": f"{kind}/{question.skill}",
                "instruction": question.instruction,
                "input": question.input,
                "output": question.output,
            }


def write_pool(folder: Path, *, shards: int, rows_per_shard: int, seed: int = 0, first_shard: int = 1) -> list[Path]:
    """Write ``shards`` JSONL files named ``skills-01.jsonl`` and on, and return their paths.

    Shard n holds the same records whatever is written with it, so that a later shard can be added by ``first_shard``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    records = islice(pool_records(seed), (first_shard - 1) * rows_per_shard, None)
    paths = [folder / f"skills-{number:02d}.jsonl" for number in range(first_shard, first_shard + shards)]
    for path in paths:
        _write_jsonl(path, islice(records, rows_per_shard))
    return paths


def _question(kind: str, stream: random.Random) -> Question:
    if kind == "known":
        return skill_question(stream.choice(KNOWN), stream)
    if kind == "barely-known":
        return skill_question(stream.choice(BARELY_KNOWN), stream)
    if kind == "open-ended":
        return open_ended_question(stream)
    if stream.random() < 0.5:
        return garbled_question(stream)
    return wrong_answer_question(stream.choice(ALL_SKILLS), stream)


def _write_jsonl(path: Path, records: Iterable[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
