"""What stored shards tell of how fast stages are; with real runs: `adg_pipeline_tests.cli.test_plan`."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from adg_pipeline.lineage.recipes import wanted_recipes
from adg_pipeline.orchestration.planning.stored import gpus_of, profile_of_store
from adg_pipeline.settings.loading import Settings
from adg_pipeline.store import Store
from adg_pipeline.store.provenance import Provenance, make_provenance

SETTINGS = Settings()


@pytest.mark.parametrize(
    ("hardware", "gpus"),
    [
        ("CPU, 2 cores", 0), ("a server's", 0), ("not known", 0), ("NVIDIA L4", 1), ("4 × NVIDIA L4", 4),
        ("2 × NVIDIA L4 and NVIDIA H100", 3),
    ],
)  # fmt: skip
def test_gpus_are_counted_as_the_record_of_a_shard_names_them(hardware: str, gpus: int) -> None:
    assert gpus_of(hardware) == gpus


def test_rates_are_those_of_the_machine_that_was_used_last(tmp_path: Path) -> None:
    store = Store(data_dir=str(tmp_path))
    wanted = wanted_recipes(SETTINGS)
    recipe = wanted["generations"]
    for shard, made_at, hardware, seconds in (
        ("a", "2026-01-01T00:00:00+00:00", "CPU, 2 cores", 1000.0),
        ("b", "2026-01-02T00:00:00+00:00", "2 × NVIDIA L4", 2.0),
        ("c", "2026-01-03T00:00:00+00:00", "2 × NVIDIA L4", 3.0),
    ):
        facts = {
            "asked": 10, "reused": 0, "asked_output_tokens": 100, "prompt_too_long": 0, "seconds": seconds,
            "hardware": hardware,
        }  # fmt: skip
        stored = make_provenance(recipe, shard, {}, 2, facts=facts)
        dated = Provenance.from_json(json.dumps({**json.loads(stored.to_json()), "created_at": made_at}))
        table = {"output_tokens": [[10] * 5] * 2, "prompt_tokens": [7, 9]}
        store.write_table(pa.table(table), dated)
    profile = profile_of_store(store, wanted, 256)
    assert profile is not None
    rate = profile.rates["generations"]
    assert (rate.per_second, rate.gpus, rate.hardware) == (40.0, 2, "2 × NVIDIA L4")
    assert (profile.tokens_per_answer(), profile.prompt_tokens) == (10, 8)

    other = wanted_recipes(Settings.model_validate({"generations": {"temperature": 1.0}}))
    assert profile_of_store(store, other, 256) is None
    more = wanted_recipes(Settings.model_validate({"generations": {"samples": 9}}))
    assert profile_of_store(store, more, 256) is not None  # K changes nothing about how fast a token is
