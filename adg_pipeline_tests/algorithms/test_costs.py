"""A plan's arithmetic, on numbers that can be followed by hand."""

import numpy as np
import pytest

from adg_pipeline.algorithms.costs import (
    ANSWERS,
    REFERENCES,
    SAMPLING,
    TRAINING,
    Planned,
    Prices,
    Profile,
    Rate,
    Work,
    planned,
    total_seconds,
)

PROFILE = Profile(
    measured="two examples",
    examples=2,
    max_new_tokens=100,
    answer_tokens=[[10, 30], [100, 60]],
    prompt_tokens=20.0,
    reference_tokens=40.0,
    unanswerable_share=0.1,
    rates={
        SAMPLING: Rate(per_second=90.0, open_seconds=7.0, gpus=2, hardware="2 × NVIDIA L4"),
        REFERENCES: Rate(per_second=600.0),
        ANSWERS: Rate(per_second=450.0, shard_seconds=2.0),
    },
    bytes_per_unit={SAMPLING: 5.0},
)
WORK = Work(
    pool=1000,
    examples={SAMPLING: 100, REFERENCES: 100, ANSWERS: 100},
    answers=500,
    samples=5,
    max_new_tokens=100,
    shards={ANSWERS: 3},
)


def by_stage(work: Work, profile: Profile = PROFILE) -> dict[str, Planned]:
    return {stage.stage: stage for stage in planned(profile, work)}


def test_each_stage_is_paid_by_its_own_unit() -> None:
    stages = by_stage(WORK)
    # 50 tokens an answer on average; a tenth of the prompts leave no room for one.
    assert stages[SAMPLING].tokens == pytest.approx(500 * 0.9 * 50)
    assert stages[SAMPLING].seconds == pytest.approx(500 * 0.9 * 50 / 90 + 7)
    assert stages[SAMPLING].bytes == pytest.approx(2500)
    assert stages[SAMPLING].gpu_hours == pytest.approx(2 * 257 / 3600)
    assert stages[REFERENCES].seconds == pytest.approx(100 * 60 / 600)
    assert stages[ANSWERS].seconds == pytest.approx(500 * 0.9 * 50 / 450 + 3 * 2)
    assert total_seconds(list(stages.values())) == pytest.approx(257 + 10 + 56)


def test_fewer_and_shorter_answers_cost_less() -> None:
    fewer = WORK.with_samples(2)
    assert (fewer.answers, fewer.samples) == (200, 2)
    assert by_stage(fewer)[SAMPLING].tokens == pytest.approx(200 * 0.9 * 50)
    # At 40 tokens the answers have 10, 30, 40 and 40.
    assert PROFILE.tokens_per_answer(40) == 30
    shorter = Work(1000, WORK.examples, 500, 5, max_new_tokens=40)
    assert by_stage(shorter)[SAMPLING].tokens == pytest.approx(500 * 0.9 * 30)


def test_answers_that_are_had_are_not_sampled_again_but_embedded() -> None:
    had = Work(1000, {SAMPLING: 100, ANSWERS: 100}, answers=0, samples=5, max_new_tokens=100)
    assert set(by_stage(had)) == {ANSWERS}


def test_a_training_is_planned_by_the_tokens_that_it_reads() -> None:
    work = Work(1000, {}, 0, 5, 100, budget=10, epochs=3.0, trainings=2)
    (training,) = planned(PROFILE, work)
    assert (training.tokens, training.seconds) == (10 * 3 * 2 * 60, None)  # how fast it is isn't known
    rates = {TRAINING: Rate(per_second=100.0)}
    (training,) = planned(PROFILE.model_copy(update={"rates": rates}), work)
    assert training.seconds == pytest.approx(36)


def test_what_a_sample_cannot_know_of_the_pool_is_told() -> None:
    draw = np.random.default_rng(0)
    pool = draw.gamma(2.0, 30.0, (4000, 1)).astype(int) + 1
    inside = 0
    for _ in range(200):
        sample = pool[draw.choice(len(pool), 60, replace=False)].tolist()
        profile = PROFILE.model_copy(update={"answer_tokens": sample, "max_new_tokens": 10_000})
        spread = profile.tokens_spread(len(pool))
        inside += abs(profile.tokens_per_answer() / pool.mean() - 1) <= spread
    assert 180 <= inside <= 199  # of 95 in a hundred such intervals; with the pool's own mean beside them
    assert PROFILE.tokens_spread(2) == 0  # all of the pool was measured


def test_a_server_that_counts_no_tokens_has_no_price_and_no_time() -> None:
    silent = PROFILE.model_copy(update={"answer_tokens": [[], []]})
    stage = by_stage(WORK, silent)[SAMPLING]
    assert (stage.tokens, stage.seconds) == (None, None)
    assert Prices(per_million=(1.0, 2.0)).of(stage, silent, WORK) is None


def test_money_is_by_the_hour_of_each_gpu_or_by_a_servers_tokens() -> None:
    stages = by_stage(WORK)
    hourly = Prices(per_hour=3.0)
    assert hourly.of(stages[SAMPLING], PROFILE, WORK) == pytest.approx(2 * 3 * 257 / 3600)
    assert hourly.of(stages[REFERENCES], PROFILE, WORK) == pytest.approx(3 * 10 / 3600)  # a processor is one machine
    # Each of 450 answers pays for its prompt of 20 tokens.
    served = Prices(per_million=(1.0, 2.0))
    assert served.of(stages[SAMPLING], PROFILE, WORK) == pytest.approx((450 * 20 * 1 + 450 * 50 * 2) / 1e6)
    assert served.of(stages[REFERENCES], PROFILE, WORK) is None
