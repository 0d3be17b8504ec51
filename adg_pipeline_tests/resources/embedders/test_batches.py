"""How texts are put together in batches."""

from hypothesis import given
from hypothesis import strategies as st

from adg_pipeline.resources.embedders.windows import batches


@given(st.lists(st.integers(0, 2048), max_size=200), st.integers(1, 64), st.integers(1, 8192))
def test_every_text_is_in_one_batch_with_texts_of_its_length(lengths: list[int], most: int, tokens: int) -> None:
    made = list(batches(lengths, most, tokens))
    assert sorted(place for batch in made for place in batch) == list(range(len(lengths)))
    for batch in made:
        longest = max(lengths[place] for place in batch)
        assert len(batch) <= most
        assert longest * len(batch) <= max(tokens, longest)
        assert all(2 * lengths[place] > longest for place in batch) or len(batch) == 1
