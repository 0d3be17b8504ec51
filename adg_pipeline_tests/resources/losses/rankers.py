"""A tiny ranker of SCAR's build, with weights drawn at random."""

import json
from pathlib import Path

from adg_pipeline.models.backbones import EMBEDDED_FOLDER

HIDDEN, LINEAR = 16, 24


def write_ranker(folder: Path) -> None:
    """Write one with RoBERTa's build as the encoder, as in one of the authors' own, and the embedded backbone's tokenizer."""
    import torch
    from safetensors.torch import save_file
    from transformers import AutoTokenizer, RobertaConfig, RobertaModel

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(EMBEDDED_FOLDER)
    config = RobertaConfig(
        vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, hidden_size=HIDDEN, num_hidden_layers=1,
        num_attention_heads=2, intermediate_size=32, max_position_embeddings=600,
    )  # fmt: skip
    config.save_pretrained(folder / "encoder")
    weights = {f"encoder.{name}": value for name, value in RobertaModel(config).state_dict().items()}
    for network, width in (("relation_network", HIDDEN), ("output_layer", 1)):
        weights |= {
            f"{network}.0.weight": torch.randn(LINEAR, 2 * HIDDEN), f"{network}.0.bias": torch.randn(LINEAR),
            f"{network}.2.weight": torch.randn(width, LINEAR), f"{network}.2.bias": torch.randn(width),
        }  # fmt: skip
    save_file({name: value.contiguous() for name, value in weights.items()}, folder / "model.safetensors")
    given = {"model_type": "style_ranker", "encoder_name": "encoder", "hidden_dim": HIDDEN, "linear_dim": LINEAR}
    (folder / "config.json").write_text(json.dumps(given))
    tokenizer.save_pretrained(folder)
