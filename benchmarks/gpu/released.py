"""The released code's way to sample: transformers' `generate`, a batch at a time, which waits for its longest answer."""

import time
from typing import Any

from adg_pipeline.models.templates import open_prompt_template
from adg_pipeline.models.tokenizers import load_tokenizer
from benchmarks.gpu.place import Place

BATCH, BATCHES, K = 8, 2, 5


def run(place: Place) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    path = place.backbone()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = load_tokenizer(path)
    template = open_prompt_template(path, None, "alpaca", {}, False)
    prompts = [template.prompt(row).text for row in place.raw.slice(0, BATCH * BATCHES).to_pylist()]
    model: Any = AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16).to(device).eval()

    def sample(texts: list[str], new_tokens: int) -> None:
        batch = tokenizer(texts, return_tensors="pt", padding=True, padding_side="left").to(device)
        batch.pop("token_type_ids", None)
        model.generate(
            **batch, do_sample=True, temperature=1.4, top_p=0.9, top_k=50, num_return_sequences=K,
            max_new_tokens=new_tokens, pad_token_id=tokenizer.pad_token_id,
        )  # fmt: skip
        if device == "cuda":
            torch.cuda.synchronize()

    sample(prompts[:BATCH], 4)
    started = time.perf_counter()
    for start in range(0, len(prompts), BATCH):
        sample(prompts[start : start + BATCH], place.new_tokens)
    seconds = time.perf_counter() - started
    place.found(
        name="the released way to sample", figure=len(prompts) * K * place.new_tokens / seconds, unit="tokens/s",
        note=f"transformers' generate, {BATCH} prompts x {K} a batch; {len(prompts) / seconds:.2f} examples/s",
    )  # fmt: skip
