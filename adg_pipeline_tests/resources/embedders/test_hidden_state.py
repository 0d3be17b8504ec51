"""The hidden-state embedder: the released pooling in batches, with one result whatever the batching."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from adg_pipeline.algorithms.divergence import answer_divergence
from adg_pipeline.models.backbones import EMBEDDED_FOLDER
from adg_pipeline.resources.embedders import HiddenStateEmbedder
from adg_pipeline.resources.embedders.token_weights import token_weight

INSTRUCTIONS = ["Name a colour.", "Reverse: abc", "Add 12 and 7, then explain in one sentence what you did."]
ANSWERS = [
    ["Red.", "Blue, I think.", "red"],
    ["cba", "", "c b a"],
    ["19", "12 + 7 = 19, since ten and nine make nineteen. " * 4, "?!"],
]


def open_embedded(**options: Any) -> HiddenStateEmbedder:
    return HiddenStateEmbedder("embedded", device="cpu", **options)


def reference(instruction: str, answer: str, layers: Sequence[int]) -> NDArray[np.float32]:
    """Vector of an answer in its context: one text, no padding, all layers, offsets looked at one by one."""
    import torch
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast.from_pretrained(str(EMBEDDED_FOLDER))
    model: Any = AutoModelForCausalLM.from_pretrained(str(EMBEDDED_FOLDER), dtype=torch.float32)
    encoded = tokenizer(f"{instruction} {answer}", add_special_tokens=False, return_offsets_mapping=True)
    with torch.inference_mode():
        states = model(torch.tensor([encoded["input_ids"]]), output_hidden_states=True).hidden_states
    hidden = torch.stack([states[layer][0] for layer in layers]).mean(0).numpy()
    weights = [
        token_weight(str(tokenizer.decode([token]))) if end > len(instruction) + 1 else 0.0
        for token, (_, end) in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
    ]
    pooled = np.array(weights, np.float32) @ hidden
    return pooled / np.linalg.norm(pooled)


@pytest.mark.parametrize("backbone", ["llama", "qwen2"])
@pytest.mark.parametrize("batch_size", [1, 16])
def test_pooling_over_the_sequence_reproduces_the_released_code(shared: Path, backbone: str, batch_size: int) -> None:
    golden = np.load(shared / "goldens" / f"hidden_state_{backbone}.npz")
    texts = json.loads((shared / "goldens" / "hidden_state_texts.json").read_text())
    instructions = [text["instruction"] for text in texts]
    model = str(shared / "goldens" / f"tiny-{backbone}")
    with HiddenStateEmbedder(model, pool="sequence", batch_size=batch_size, device="cpu") as embedder:
        answers = embedder.embed_answers(instructions, [text["generated_answers"] for text in texts])
        alone = embedder.embed_instructions(instructions)
    np.testing.assert_allclose(answers, golden["sequence_embeddings"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(alone, golden["instruction_embeddings"], rtol=0, atol=1e-4)
    scores = answer_divergence(answers)
    np.testing.assert_allclose(scores.dispersion, golden["dispersion"], rtol=0, atol=1e-3)
    np.testing.assert_allclose(scores.anisotropy, golden["anisotropy"], rtol=0, atol=1e-3)


@pytest.mark.parametrize("layers", [(-4, -3, -2), (-1,), (0, 2)])
def test_answers_are_pooled_over_their_own_tokens_read_in_context(layers: tuple[int, ...]) -> None:
    with open_embedded(layers=layers) as embedder:
        vectors = embedder.embed_answers(INSTRUCTIONS, ANSWERS)
    for row, column in ((0, 1), (1, 2), (2, 1)):
        expected = reference(INSTRUCTIONS[row], ANSWERS[row][column], layers)
        np.testing.assert_allclose(vectors[row, column], expected, atol=1e-5)


@pytest.mark.parametrize("pool", ["answer", "sequence"])
def test_vectors_do_not_depend_on_the_batch_or_on_the_order(pool: Any) -> None:
    with open_embedded(pool=pool, batch_size=1) as single, open_embedded(pool=pool, batch_size=4) as batched:
        one_by_one = single.embed_answers(INSTRUCTIONS, ANSWERS)
        np.testing.assert_allclose(batched.embed_answers(INSTRUCTIONS, ANSWERS), one_by_one, atol=1e-5)
        backwards = batched.embed_answers(INSTRUCTIONS[::-1], [drawn[::-1] for drawn in ANSWERS[::-1]])
        np.testing.assert_allclose(backwards[::-1, ::-1], one_by_one, atol=1e-5)
        assert one_by_one.dtype == np.float32
        assert one_by_one.shape == (3, 3, single.dimension)


def test_empty_answers_and_bare_punctuation_are_zero_vectors_and_all_else_unit_vectors() -> None:
    with open_embedded() as embedder:
        lengths = np.linalg.norm(embedder.embed_answers(INSTRUCTIONS, ANSWERS), axis=2)
        blank = embedder.embed_answers(["Say"], [["", " \n"]])
        instructions = embedder.embed_instructions(["  ", "Say"])
    np.testing.assert_allclose(lengths, [[1, 1, 1], [1, 0, 1], [1, 1, 0]], atol=1e-5)
    assert not blank.any()
    np.testing.assert_allclose(np.linalg.norm(instructions, axis=1), [0, 1], atol=1e-5)


def test_an_empty_answer_is_its_instruction_when_pooling_over_the_sequence() -> None:
    with open_embedded(pool="sequence") as embedder:
        vectors = embedder.embed_answers(["Say", ""], [["", "so"], ["", "so"]])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=2), [[1, 1], [0, 1]], atol=1e-5)


def test_equal_answers_have_equal_vectors_to_the_last_bit() -> None:
    with open_embedded(batch_size=2) as embedder:
        vectors = embedder.embed_answers(["Say"], [["yes", "no", "yes", "maybe so", "yes"]])[0]
    assert (vectors[0] == vectors[2]).all()
    assert (vectors[0] == vectors[4]).all()


def test_an_answer_still_counts_after_an_instruction_that_fills_the_context() -> None:
    with open_embedded(max_tokens=32) as embedder:
        vectors = embedder.embed_answers(["word " * 200], [["yes", "no", "a long answer " * 50]])[0]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-3


def test_overflow_gives_nan_in_its_own_row_only(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file
    from transformers import PreTrainedTokenizerFast

    folder = shutil.copytree(EMBEDDED_FOLDER, tmp_path / "broken")
    broken_token = PreTrainedTokenizerFast.from_pretrained(str(folder)).encode("~", add_special_tokens=False)[0]
    weights = load_file(folder / "model.safetensors")
    weights["model.embed_tokens.weight"][broken_token] = float("inf")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with HiddenStateEmbedder(str(folder), device="cpu") as embedder:
        vectors = embedder.embed_answers(["Say", "Say"], [["yes", "~ yes"], ["a much longer answer", "no"]])
    assert np.isnan(vectors).any(axis=2).tolist() == [[False, True], [False, False]]


def test_a_layer_that_the_model_does_not_have_is_named() -> None:
    with pytest.raises(ValueError, match=r"there is no -40 \(see `layers`\)"):
        open_embedded(layers=(-2, -40)).open()


def test_unknown_pooling_and_ragged_answers_are_refused() -> None:
    with pytest.raises(ValueError, match="choose answer or sequence"):
        open_embedded(pool="mean")
    with pytest.raises(ValueError, match="row 1 has 1 answers, row 0 has 2"):
        open_embedded().embed_answers(["a", "b"], [["x", "y"], ["x"]])


def test_fingerprint_names_the_model_by_content_and_how_it_is_pooled() -> None:
    fingerprint = open_embedded(layers=(-1,), pool="sequence").fingerprint()
    assert fingerprint["model"]["content"].startswith("sha256:")
    assert (fingerprint["layers"], fingerprint["pool"], fingerprint["max_tokens"]) == ([-1], "sequence", 1024)


def test_the_model_is_freed_on_leaving_and_loaded_again_at_need() -> None:
    embedder = open_embedded()
    with embedder:
        first = embedder.embed_instructions(["Say"])
    assert embedder._model is None
    np.testing.assert_array_equal(embedder.embed_instructions(["Say"]), first)


@pytest.mark.parametrize(
    ("text", "weight"),
    [("word", 1.0), (" 7th", 1.3), ("%", 1.3), ("9°", 1.3), (" ...", 0.0), ("", 0.0), (" \n", 0.0), ("don't", 1.0)],
)
def test_tokens_weigh_by_what_they_hold(text: str, weight: float) -> None:
    assert token_weight(text) == weight
