"""The sentence-transformers embedder, and the choice between the two by configuration."""

import subprocess
import sys

import numpy as np

from adg_pipeline.resources.embedders import HiddenStateEmbedder, SentenceTransformerEmbedder, open_embedder
from adg_pipeline.settings.sections import EmbeddingConfig


def test_answers_get_unit_vectors_in_the_order_given(embedder: SentenceTransformerEmbedder) -> None:
    answers = [["A red apple.", "A long story about " + "trains and " * 40, "42"], ["Yes", "", "A red apple."]]
    vectors = embedder.embed_answers(["one", "two"], answers)
    assert (vectors.shape, vectors.dtype) == ((2, 3, 384), np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=2), [[1, 1, 1], [1, 0, 1]], atol=1e-5)
    assert (vectors[0, 0] == vectors[1, 2]).all()
    np.testing.assert_allclose(vectors[1, 0], embedder.embed_instructions(["Yes"])[0], atol=1e-5)


def test_near_meanings_are_nearer(embedder: SentenceTransformerEmbedder) -> None:
    cat, kitten, tax = embedder.embed_instructions(["a cat sleeps", "a kitten is asleep", "tax law of 1984"])
    assert cat @ kitten > cat @ tax + 0.3


def test_no_instructions_give_no_vectors(embedder: SentenceTransformerEmbedder) -> None:
    assert embedder.embed_answers([], []).shape == (0, 0, 384)
    assert embedder.embed_instructions([]).shape == (0, 384)


def test_configuration_chooses_the_embedder_and_its_model() -> None:
    chosen = open_embedder(EmbeddingConfig(), "embedded")
    assert isinstance(chosen, SentenceTransformerEmbedder)
    assert chosen.fingerprint()["embedder"] == "sentence_transformer"
    config = EmbeddingConfig(embedder="hidden_state", layers=[-2], pool="sequence", max_tokens=64)
    hidden = open_embedder(config, "embedded")
    assert isinstance(hidden, HiddenStateEmbedder)
    assert hidden.fingerprint()["model"]["id"] == "embedded"
    assert hidden.fingerprint()["layers"] == [-2]


def test_importing_embedders_loads_no_model_library() -> None:
    code = "import sys, adg_pipeline.resources.embedders; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
