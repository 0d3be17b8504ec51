"""Chat templates in the manner of models that people tune, from their documented shape, on a small tokenizer."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers.processors import TemplateProcessing

from adg_pipeline.models.tokenizers import load_tokenizer

FOLDER = Path(__file__).parent / "chat_templates"


@dataclass(frozen=True)
class Family:
    """A kind of models.

    eos: of its base model's tokenizer. end: what its chat template ends an answer with. special, added: tokens of its
    tokenizer, which are skipped in decoding or not. adds_bos: whether the tokenizer puts BOS before every text.
    """

    name: str
    eos: str
    end: str
    special: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    bos: str | None = None
    adds_bos: bool = False
    system: bool = True
    tools: bool = True

    def tokenizer(self, base: Path) -> Any:
        """The tokenizer of a small model, made over to this family's tokens and template."""
        tokenizer = load_tokenizer(str(base))
        tokenizer.add_special_tokens({"eos_token": self.eos, "bos_token": self.bos or self.eos})
        tokenizer.add_special_tokens({"extra_special_tokens": list(self.special)})
        tokenizer.add_tokens(list(self.added))
        if self.bos is None:
            tokenizer.bos_token = None
        if self.adds_bos:
            known = [(self.bos, tokenizer.bos_token_id)]
            tokenizer.backend_tokenizer.post_processor = TemplateProcessing(f"{self.bos} $A", special_tokens=known)
        tokenizer.chat_template = (FOLDER / f"{self.name}.jinja").read_text("utf-8")
        return tokenizer


_IM = ("<|im_start|>", "<|im_end|>")
FAMILIES = [
    Family("chatml", "<|endoftext|>", "<|im_end|>", _IM, tools=False),
    Family("qwen2_5", "<|endoftext|>", "<|im_end|>", _IM, ("<tool_call>", "</tool_call>")),
    Family("qwen3", "<|endoftext|>", "<|im_end|>", _IM, ("<think>", "</think>", "<tool_call>", "</tool_call>")),
    Family(
        "llama3", "<|end_of_text|>", "<|eot_id|>", ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        bos="<|begin_of_text|>", adds_bos=True,
    ),
    Family(
        "gemma", "<eos>", "<end_of_turn>", ("<start_of_turn>", "<end_of_turn>"),
        bos="<bos>", adds_bos=True, system=False, tools=False,
    ),
    Family(
        "mistral", "</s>", "</s>",
        ("[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]"),
        bos="<s>", adds_bos=True,
    ),
]  # fmt: skip
