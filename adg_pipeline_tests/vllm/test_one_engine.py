"""vLLM takes its GPU's memory for as long as it is open: answers and references of a run share one engine."""

from pathlib import Path

import dagster as dg
import pytest

from adg_pipeline_tests.assets.one_shard import SHARD, Shard, noted
from adg_pipeline_tests.workbench import records

VLLM = {
    "engine": "vllm", "max_new_tokens": 8, "samples": 2, "vllm": {"max_model_len": 256, "enforce_eager": True},
}  # fmt: skip


def test_the_step_that_answers_scores_too_while_its_engine_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADG_CONFIG", str(tmp_path / "adg.yaml"))
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("pool_shards", [SHARD])
        shard = Shard(tmp_path, instance, VLLM)
        shard.write(records(4))
        # Of each example two answers; its reference given the prompt and alone.
        assert shard.compute() == (8, 8)
        assert noted.count("opened") == 1
        assert shard.losses["reference_logprob"].null_count() == 0
        assert shard.losses["answer_logprob"].null_count() == 0
        assert shard.compute() == (0, 0)
        assert "opened" not in noted
