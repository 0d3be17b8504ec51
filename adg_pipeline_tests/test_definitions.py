"""The code location: complete, explained, and light to load."""

import json
import os
import subprocess
import sys

import dagster as dg
import pytest

from adg_pipeline.definitions import build_defs
from adg_pipeline.settings.loading import Settings

HEAVY = (
    "torch",
    "vllm",
    "transformers",
    "sentence_transformers",
    "trl",
    "peft",
    "sklearn",
    "matplotlib",
    "lancedb",
    "lm_eval",
    "evaluate",
)


@pytest.fixture(scope="module")
def defs() -> dg.Definitions:
    return build_defs(Settings())


def specs(defs: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}


def test_the_graph_is_the_one_that_is_promised(defs: dg.Definitions) -> None:
    edges = {name: sorted(dep.asset_key.to_user_string() for dep in spec.deps) for name, spec in specs(defs).items()}
    assert edges == {
        "raw_pool": [],
        "fingerprints": ["raw_pool"],
        "token_counts": ["raw_pool"],
        "generations": ["raw_pool"],
        "reference_losses": ["generations", "raw_pool"],
        "answer_embeddings": ["generations", "raw_pool"],
        "instruction_embeddings": ["raw_pool"],
        "divergence_scores": ["answer_embeddings", "generations", "raw_pool"],
        "semantic_bins": ["instruction_embeddings"],
        "query_states": [],
        "selected_subset": [
            "divergence_scores",
            "fingerprints",
            "query_states",
            "raw_pool",
            "reference_losses",
            "semantic_bins",
            "token_counts",
        ],
        "finetuned_checkpoint": ["selected_subset"],
        "benchmark_results": ["finetuned_checkpoint"],
        "comparison_report": ["benchmark_results"],
    }


def test_every_asset_explains_itself(defs: dg.Definitions) -> None:
    for name, spec in specs(defs).items():
        assert spec.description, name
        assert len(spec.description) > 80, name
        assert spec.owners, name
        assert spec.kinds, name
        assert spec.group_name not in (None, "default"), name
        assert spec.code_version, name


def test_every_knob_has_a_description_and_bounds() -> None:
    for section, field in Settings.model_fields.items():
        if section == "arms":  # they set knobs of selected_subset
            continue
        for name, knob in field.annotation.model_fields.items():  # type: ignore[union-attr]
            assert knob.description, f"{section}.{name}"
            if knob.annotation in (int, float):
                assert knob.metadata, f"{section}.{name} has no bounds"


def test_gpu_steps_name_their_concurrency_pool_and_carry_launcher_tags(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    on_gpu = {
        "generations", "reference_losses", "answer_embeddings", "instruction_embeddings", "query_states",
        "finetuned_checkpoint", "benchmark_results",
    }  # fmt: skip
    pools = {key.to_user_string(): graph.get(key).pools for key in graph.get_all_asset_keys()}
    assert {name for name, names in pools.items() if names and "gpu" in names} == on_gpu
    for assets in defs.assets or []:
        if isinstance(assets, dg.AssetsDefinition) and assets.key.to_user_string() in on_gpu:
            limits = assets.op.tags["dagster-k8s/config"]
            assert "nvidia.com/gpu" in json.dumps(limits)


def test_loading_the_definitions_imports_no_model_library() -> None:
    code = "import sys, adg_pipeline.definitions; print([name for name in sys.argv[1:] if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code, *HEAVY], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_step_processes_are_forked_from_reads_nothing_of_an_object_store() -> None:
    """A forked process lacks the threads that talk to an object store, and would wait for them for ever."""
    code = """
import importlib, sys
from adg_pipeline.orchestration.step_processes import _loaded
for module in _loaded():
    importlib.import_module(module)
print("adg_pipeline.assets.graph" in sys.modules, "adg_pipeline.definitions" in sys.modules, "obstore" in sys.modules)
"""
    there = {**os.environ, "ADG_DATA_DIR": "s3://nowhere/at-all", "ADG_CONFIG": "/nowhere.yaml"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=there)
    assert done.stdout.strip() == "True False False"


def test_the_command_line_answers_without_loading_dagster() -> None:
    code = "import sys, adg_pipeline.cli.main; print([name for name in sys.argv[1:] if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code, "dagster", "polars", "torch"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
