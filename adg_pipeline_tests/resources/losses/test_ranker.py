"""SCAR's ranker: a tiny one of the same build, with weights drawn at random."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from adg_pipeline.errors import PipelineError
from adg_pipeline.models.backbones import EMBEDDED_FOLDER
from adg_pipeline.resources.losses.ranker import Ranker, ranker_content, require_ranker
from adg_pipeline_tests.resources.losses.rankers import LINEAR, write_ranker

PAIRS = [("Add two and two.", "Four."), ("Say hi.", "Hi there, and a good day to you."), ("Reverse a b.", "b a")]


@pytest.fixture(scope="module")
def ranker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranker")
    write_ranker(folder)
    return folder


def by_hand(folder: Path, instruction: str, answer: str) -> float:
    """The same in numpy, from the encoder's states on."""
    import torch
    from safetensors.numpy import load_file
    from transformers import AutoTokenizer, RobertaConfig, RobertaModel

    weights = load_file(folder / "model.safetensors")
    encoder = RobertaModel(RobertaConfig.from_pretrained(folder / "encoder")).eval()
    encoder.load_state_dict(
        {
            name.removeprefix("encoder."): torch.from_numpy(value)
            for name, value in weights.items()
            if "encoder." in name
        },
        strict=False,
    )
    tokenizer = AutoTokenizer.from_pretrained(EMBEDDED_FOLDER)

    def read(text: str) -> tuple[np.ndarray, np.ndarray]:
        output = encoder(torch.tensor([tokenizer(text).input_ids]))
        return output.pooler_output[0].detach().numpy(), output.last_hidden_state[0].detach().numpy()

    def network(name: str, values: np.ndarray) -> np.ndarray:
        inner = np.maximum(weights[f"{name}.0.weight"] @ values + weights[f"{name}.0.bias"], 0)
        outer: np.ndarray = weights[f"{name}.2.weight"] @ inner + weights[f"{name}.2.bias"]
        return outer

    (asked, _), (answered, states) = read(instruction), read(answer)
    style = network("relation_network", np.concatenate([asked, answered]))
    return float(network("output_layer", np.concatenate([style, states.max(axis=0)]))[0])


def test_scores_are_those_of_the_networks_by_hand_whatever_shares_a_batch(ranker: Path) -> None:
    loaded = Ranker(str(ranker), "cpu")
    expected = [by_hand(ranker, *pair) for pair in PAIRS]
    assert loaded.scores(PAIRS, 3) == pytest.approx(expected, abs=1e-3)
    assert loaded.scores(PAIRS[::-1], 1)[::-1] == loaded.scores(PAIRS, 3)


def test_what_is_missing_is_named(ranker: Path, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"there is no folder .*nowhere"):
        require_ranker(str(tmp_path / "nowhere"))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(PipelineError, match="pickled weights only"):
        require_ranker(str(tmp_path))
    shutil.copy(ranker / "model.safetensors", tmp_path)
    with pytest.raises(PipelineError, match=r"tokenizer\.json missing"):
        require_ranker(str(tmp_path))
    shutil.copy(ranker / "tokenizer.json", tmp_path)
    with pytest.raises(PipelineError, match="names no encoder"):
        require_ranker(str(tmp_path))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"encoder_name": "nowhere/to-be-found"}, "its encoder nowhere/to-be-found can't be built here"),
        ({"linear_dim": LINEAR + 1}, "don't fit"),
    ],
)
def test_one_that_cannot_be_built_is_refused_by_name(
    ranker: Path, tmp_path: Path, change: dict[str, object], told: str
) -> None:
    shutil.copytree(ranker, tmp_path, dirs_exist_ok=True)
    config = json.loads((ranker / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(PipelineError, match=f"reference_losses.ranker: .*{told}"):
        Ranker(str(tmp_path), "cpu")


def test_weights_without_a_network_are_refused(ranker: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(ranker, tmp_path, dirs_exist_ok=True)
    weights = load_file(ranker / "model.safetensors")
    save_file(
        {name: value for name, value in weights.items() if "output" not in name or "encoder" in name},
        tmp_path / "model.safetensors",
    )
    with pytest.raises(PipelineError, match="differ in output_layer"):
        Ranker(str(tmp_path), "cpu")


def test_what_identifies_it_covers_the_configuration_that_its_encoder_is_built_of(ranker: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(ranker, folder)
    assert ranker_content(str(folder)) == ranker_content(str(ranker))
    (folder / "README.md").write_text("ours")
    assert ranker_content(str(folder)) == ranker_content(str(ranker))

    config = json.loads((folder / "encoder" / "config.json").read_text())
    (folder / "encoder" / "config.json").write_text(json.dumps({**config, "layer_norm_eps": 0.1}))
    changed = ranker_content(str(folder))
    assert changed != ranker_content(str(ranker))
    assert Ranker(str(folder), "cpu").scores(PAIRS, 3) != Ranker(str(ranker), "cpu").scores(PAIRS, 3)

    # A folder beside the ranker instead of one within it.
    (folder / "encoder").rename(tmp_path / "encoder")
    own = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**own, "encoder_name": str(tmp_path / "encoder")}))
    elsewhere = ranker_content(str(folder))
    (tmp_path / "encoder" / "config.json").write_text(json.dumps(config))
    assert ranker_content(str(folder)) != elsewhere
