"""Embedders: unit vectors of sampled answers and of instructions, behind one interface.

`SentenceTransformerEmbedder` reads each text alone; `HiddenStateEmbedder` is the paper's pooling of the backbone's
hidden states. Model libraries are imported when a model is loaded, not before.
"""

from adg_pipeline.resources.embedders.base import Embedder
from adg_pipeline.resources.embedders.hidden_state import HiddenStateEmbedder
from adg_pipeline.resources.embedders.sentence_transformer import SentenceTransformerEmbedder
from adg_pipeline.settings.sections import EmbeddingConfig


def open_embedder(config: EmbeddingConfig, backbone: str, backbone_revision: str | None = None) -> Embedder:
    """The embedder that a configuration names, to be used as a context manager.

    Args:
        config: which embedder, and how it pools.
        backbone: what ``model: auto`` stands for with hidden_state; a directory, a hub name, or 'embedded'.
        backbone_revision: the backbone's revision, if it is a hub model.
    """
    model, revision = (None, None) if config.model == "auto" else (config.model, config.revision)
    if config.embedder == "sentence_transformer":
        return SentenceTransformerEmbedder(
            model,
            revision=revision,
            long_texts=config.long_texts,
            batch_size=config.batch_size,
            device=config.device,
            dtype=config.dtype,
        )
    return HiddenStateEmbedder(
        model or backbone,
        layers=config.layers,
        pool=config.pool,
        revision=revision if model else backbone_revision,
        max_tokens=config.max_tokens,
        long_texts=config.long_texts,
        batch_size=config.batch_size,
        device=config.device,
        dtype=config.dtype,
    )


__all__ = ["Embedder", "HiddenStateEmbedder", "SentenceTransformerEmbedder", "open_embedder"]
