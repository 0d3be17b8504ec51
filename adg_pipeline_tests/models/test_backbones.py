"""Backbones as files."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from adg_pipeline.models.backbones import ModelNotFound, hub_commit, resolve_backbone
from adg_pipeline.models.devices import choose_dtype
from adg_pipeline.models.fingerprints import model_fingerprint


@pytest.fixture
def backbone(shared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shared / "goldens" / "tiny-llama", tmp_path / "backbone"))


def test_fingerprint_is_the_same_wherever_the_folder_lies(backbone: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(backbone, tmp_path / "elsewhere" / "renamed"))
    assert model_fingerprint(str(moved))["content"] == model_fingerprint(str(backbone))["content"]


def test_fingerprint_ignores_what_decides_nothing(backbone: Path) -> None:
    before = model_fingerprint(str(backbone))
    (backbone / "README.md").write_text("A backbone.")
    (backbone / "trainer_state.json").write_text("{}")
    assert model_fingerprint(str(backbone)) == before


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "chat_template.jinja"])
def test_fingerprint_changes_with_weights_tokenizer_and_chat_template(backbone: Path, name: str) -> None:
    before = model_fingerprint(str(backbone))
    with (backbone / name).open("ab") as stream:
        stream.write(b" ")
    assert model_fingerprint(str(backbone)) != before


def test_fingerprint_of_a_large_file_sees_both_ends_and_the_size(backbone: Path) -> None:
    shard = backbone / "model-00001-of-00001.safetensors"
    size = 65 * 2**20

    def fingerprint(head: bytes, tail: bytes, size: int) -> str | None:
        with shard.open("wb") as stream:
            stream.write(head)
            stream.truncate(size)
            stream.seek(-len(tail), 2)
            stream.write(tail)
        return model_fingerprint(str(backbone))["content"]

    contents = [fingerprint(b"a", b"z", size), fingerprint(b"b", b"z", size)]
    contents += [fingerprint(b"a", b"y", size), fingerprint(b"a", b"z", size + 1)]
    assert len(set(contents)) == 4


def test_pickled_weights_are_refused(backbone: Path) -> None:
    (backbone / "model.safetensors").rename(backbone / "pytorch_model.bin")
    with pytest.raises(ModelNotFound, match=r"pickled weights only \(pytorch_model.bin\)"):
        resolve_backbone(str(backbone))


def test_folder_of_adapters_is_no_backbone(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 16}))
    with pytest.raises(ModelNotFound, match="give a merged checkpoint"):
        resolve_backbone(str(tmp_path))


def test_missing_directory_is_named() -> None:
    with pytest.raises(
        ModelNotFound, match="there is no directory /no/such/folder, and '/no/such/folder' is no hub name"
    ):
        resolve_backbone("/no/such/folder")


def test_hub_model_out_of_reach_is_named() -> None:
    with pytest.raises(ModelNotFound, match=r"'someone/no-such-model' \(revision main\).* HF_HUB_OFFLINE=1 forbids"):
        resolve_backbone("someone/no-such-model")


@pytest.mark.parametrize(
    "name", ["./llama", "../llama", "~/llama", "/llama", "models/llama", "models/meta/llama", "a/b/c"]
)
def test_a_name_that_reads_as_a_path_is_not_asked_for_on_the_hub(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adg_pipeline.models.backbones.hub_commit", lambda *_: pytest.fail("the hub was asked"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    with pytest.raises(ModelNotFound, match="there is no directory"):
        resolve_backbone(name)


def test_a_hub_that_gives_no_answer_is_asked_once() -> None:
    """Its own client would try for half a minute. Nothing listens on port 9 of this machine."""
    script = (
        "from adg_pipeline.models.backbones import *\n"
        "try: resolve_backbone('someone/no-such-model')\n"
        "except ModelNotFound as error: print(error)"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60)
    assert "the hub gave no answer" in done.stdout
    assert done.stderr == ""  # where the client tells of its retries


def test_commit_stands_for_itself() -> None:
    assert hub_commit("someone/model", "0" * 40) == "0" * 40


def test_small_model_on_a_cpu_runs_in_float64() -> None:
    import torch

    assert choose_dtype("auto", "cpu", 1_000_000) == torch.float64
    assert choose_dtype("auto", "cpu", 8_000_000_000) is None
    assert choose_dtype("auto", "cuda", 1_000_000) is None
    assert choose_dtype("bfloat16", "cpu", 1_000_000) == torch.bfloat16
