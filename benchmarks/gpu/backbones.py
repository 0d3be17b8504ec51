"""Backbones of real shape with random weights, and a tokenizer trained on the pool: so no hub is needed.

Their speed is that of the real ones, since no kernel looks at a weight's value. Rows of the output layer that stand for no
token of the tokenizer, or for the end of a turn, are zero: top-k never takes them, so every answer is as long as it may be.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

END = "</s>"
MOST_TOKENS = 32_000

LLAMA_8B: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256, "max_position_embeddings": 8192,
    "rope_parameters": {"rope_type": "default", "rope_theta": 500000.0}, "tie_word_embeddings": False,
}  # fmt: skip
SHAPES: dict[str, dict[str, Any]] = {
    "llama3-8b": LLAMA_8B,
    "qwen2.5-7b": {
        "model_type": "qwen2", "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
        "num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": 152064, "max_position_embeddings": 32768,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0}, "tie_word_embeddings": False,
    },
    "llama-1b": {
        **LLAMA_8B, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "head_dim": 64,
        "tie_word_embeddings": True,
    },
    "tiny": {
        **LLAMA_8B, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 5, "num_attention_heads": 2,
        "num_key_value_heads": 1, "vocab_size": 2048, "max_position_embeddings": 2048,
    },
}  # fmt: skip


def make(folder: Path, shape: str, texts: Iterable[str]) -> Path:
    """The backbone of a shape in `folder`; what is there already is kept."""
    if folder.is_dir():
        return folder
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

    unfinished = folder.with_name(f"{folder.name}.unfinished")
    config = AutoConfig.for_model(**SHAPES[shape])
    tokenizer = _tokenizer(texts, min(config.vocab_size, MOST_TOKENS))
    config.eos_token_id = config.pad_token_id = tokenizer.eos_token_id
    config.bos_token_id = None
    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    with torch.no_grad():
        rows = model.get_output_embeddings().weight
        rows[len(tokenizer) :] = 0
        rows[tokenizer.eos_token_id] = 0
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id)
    model.save_pretrained(unfinished)
    tokenizer.save_pretrained(unfinished)
    return unfinished.rename(folder)


def matrix_parameters(shape: str, layers: int | None = None) -> int:
    """Weights in the matrices of so many layers (all if None), each used once for every token."""
    of = SHAPES[shape]
    head = of.get("head_dim") or of["hidden_size"] // of["num_attention_heads"]
    attention = of["hidden_size"] * head * (2 * of["num_attention_heads"] + 2 * of["num_key_value_heads"])
    feed_forward = 3 * of["hidden_size"] * of["intermediate_size"]
    return (attention + feed_forward) * (of["num_hidden_layers"] if layers is None else layers)


def _tokenizer(texts: Iterable[str], vocabulary: int) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    backend.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocabulary, special_tokens=[END], initial_alphabet=alphabet, show_progress=False
        ),
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=END, pad_token=END)
