import json
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from adg_pipeline.demo.evaluate import held_out_questions
from adg_pipeline.demo.pool import SHARES, pool_records, write_pool
from adg_pipeline.demo.skills import ALL_SKILLS, BARELY_KNOWN, KNOWN
from adg_pipeline.demo.topics import TOPICS

NAMES = {"known": {skill.name for skill in KNOWN}, "barely-known": {skill.name for skill in BARELY_KNOWN}}


def records_of(seed: int, number: int) -> list[dict[str, str]]:
    return list(islice(pool_records(seed), number))


def test_the_same_seed_gives_the_same_pool_and_another_seed_another() -> None:
    assert records_of(3, 200) == records_of(3, 200)
    assert records_of(3, 200) != records_of(4, 200)


def test_kinds_stand_in_exactly_the_promised_shares() -> None:
    records = records_of(0, 400)
    kinds = Counter(record["source"].partition("/")[0] for record in records)
    assert kinds == {kind: round(share * 400) for kind, share in SHARES.items()}


def test_ids_are_unique_and_name_the_skill() -> None:
    records = records_of(0, 400)
    assert len({record["id"] for record in records}) == 400
    for record in records:
        assert record["id"].rpartition("-")[0] == record["source"].partition("/")[2]


def test_skill_records_carry_the_right_answer() -> None:
    skills = {skill.name: skill for skill in ALL_SKILLS}
    for record in records_of(1, 400):
        kind, _, name = record["source"].partition("/")
        if kind in NAMES:
            assert name in NAMES[kind]
            text = record["input"] or record["instruction"].rpartition(" is ")[2]
            assert record["output"] == skills[name].solve(text)


def test_every_skill_meets_many_topics() -> None:
    """Bins that follow topics then hold every skill, so that quotas by bin don't undo the score."""
    labels = {label: topic.name for topic in TOPICS for label in topic.labels}
    topics: dict[str, set[str]] = {}
    for record in records_of(0, 4000):
        kind, _, name = record["source"].partition("/")
        if kind in NAMES:
            found = {topic for label, topic in labels.items() if f"the {label}" in record["instruction"]}
            topics.setdefault(name, set()).update(found)
    assert all(len(of_skill) >= 20 for of_skill in topics.values())


@pytest.mark.parametrize("seed", [0, 1, 99])
def test_no_held_out_question_appears_in_a_pool(seed: int) -> None:
    texts = {record["input"] or record["instruction"].rpartition(" is ")[2] for record in records_of(seed, 4000)}
    for question in held_out_questions(per_skill=40):
        assert (question.input or question.instruction.rpartition(" is ")[2]) not in texts


def test_a_shard_that_arrives_later_continues_the_pool(tmp_path: Path) -> None:
    at_once = write_pool(tmp_path / "a", shards=3, rows_per_shard=40)
    write_pool(tmp_path / "b", shards=2, rows_per_shard=40)
    (later,) = write_pool(tmp_path / "b", shards=1, rows_per_shard=40, first_shard=3)
    assert [path.name for path in at_once] == ["skills-01.jsonl", "skills-02.jsonl", "skills-03.jsonl"]
    assert later.read_bytes() == at_once[2].read_bytes()
    ids = [json.loads(line)["id"] for path in at_once for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(set(ids)) == 120
