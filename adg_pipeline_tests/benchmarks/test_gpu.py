"""What runs on a GPU runs here at a tiny size, so that nothing but the device is new there."""

from pathlib import Path

from benchmarks.gpu import embedding, released
from benchmarks.gpu.backbones import SHAPES, matrix_parameters
from benchmarks.gpu.place import Place


def test_stages_run_at_a_tiny_size_and_note_what_they_find(tmp_path: Path) -> None:
    place = Place(tmp_path, None, "tiny", "tiny", examples=16, new_tokens=4, steps=2)
    released.run(place)
    embedding.run(place)
    found = {result.name: result for result in place.results()}
    assert found["the released way to sample"].unit == "tokens/s"
    batched = found["HiddenStateEmbedder, 32 a batch"]
    assert batched.limit is not None
    assert batched.baseline == found["the released way to embed"].figure


def test_weights_in_matrices_are_those_of_the_published_shape() -> None:
    """Llama-3-8B has 8.03 billion weights, 1.05 of them in its two vocabulary matrices."""
    shape = SHAPES["llama3-8b"]
    assert round(matrix_parameters("llama3-8b") / 1e9, 2) == round(8.03 - 2 * shape["vocab_size"] * 4096 / 1e9, 2)
