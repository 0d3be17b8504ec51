"""Seeds and request ids."""

from hypothesis import given
from hypothesis import strategies as st

from adg_pipeline.algorithms.seeds import request_id, sample_seed

SAMPLING = {"temperature": 1.4, "top_p": 0.9, "top_k": 50, "max_new_tokens": 256}


@given(seed=st.integers(0, 2**31 - 1), example_id=st.text(), index=st.integers(0, 63))
def test_seed_fits_31_bits(seed: int, example_id: str, index: int) -> None:
    assert 0 <= sample_seed(seed, example_id, index) < 2**31


def test_seeds_are_the_same_on_every_platform() -> None:
    assert [sample_seed(42, "example", index) for index in range(3)] == [719389859, 442562923, 1161826787]


def test_neighbouring_samples_and_examples_share_no_seed() -> None:
    seeds = {sample_seed(seed, f"row-{row}", k) for seed in (42, 43) for row in range(500) for k in range(5)}
    assert len(seeds) == 5000


def test_request_id_changes_with_all_that_decides_the_answer() -> None:
    model = {"engine": "vllm", "model": "sha256:1"}
    ids = {
        request_id(model, "prompt", SAMPLING, 1),
        request_id({**model, "model": "sha256:2"}, "prompt", SAMPLING, 1),
        request_id({**model, "engine": "transformers"}, "prompt", SAMPLING, 1),
        request_id(model, "prompt ", SAMPLING, 1),
        request_id(model, "prompt", {**SAMPLING, "top_k": 0}, 1),
        request_id(model, "prompt", SAMPLING, 2),
    }
    assert len(ids) == 6


def test_request_id_takes_any_text() -> None:
    assert len(request_id({}, "\ud800 is half a pair", SAMPLING, 1)) == 32


def test_an_id_that_is_told_by_content_has_the_seed_of_the_files_own():
    assert sample_seed(0, "7@0123456789ab", 1) == sample_seed(0, "7", 1)
    assert sample_seed(0, "@0123456789ab", 1) != sample_seed(0, "", 1)
