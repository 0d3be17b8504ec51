"""The packaged embedder, loaded once for all tests of this folder."""

from collections.abc import Iterator

import pytest

from adg_pipeline.resources.embedders import SentenceTransformerEmbedder


@pytest.fixture(scope="session")
def embedder() -> Iterator[SentenceTransformerEmbedder]:
    with SentenceTransformerEmbedder(device="cpu", batch_size=4) as opened:
        yield opened
