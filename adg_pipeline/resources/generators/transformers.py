"""Generator on Hugging Face transformers: the embedded default, on a CPU or one GPU."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from adg_pipeline.host.signals import nothing_more
from adg_pipeline.models.backbones import context_length, loading_revision, resolve_backbone
from adg_pipeline.models.devices import SMALL_MODEL_PARAMETERS, choose_dtype, hardware, pick_device
from adg_pipeline.models.fingerprints import model_fingerprint
from adg_pipeline.models.templates import Prompt
from adg_pipeline.resources.generators.base import Answer, AnswerRequest, Generator, Outcome, Passage, Scored, T
from adg_pipeline.resources.generators.decoding import Sampling, decode_batch
from adg_pipeline.resources.generators.endings import LENGTH, STOP
from adg_pipeline.resources.generators.interleave import interleave
from adg_pipeline.resources.generators.scoring import in_batches, token_scores
from adg_pipeline.settings.sections import GenerationConfig

logger = logging.getLogger(__name__)

# A small model's operations are too short to be shared between threads: on two cores that others use too, two threads
# for each operation took 12 times as long as one. Instead each core decodes a batch of its own, up to so many.
_MOST_WORKERS = 4

# Tokens at an answer's end that may add nothing to a stop text: special ones, or a part of the character before it.
_UNSEEN_TOKENS = 8


class TransformersGenerator(Generator):
    """Samples with a loop of its own, since ``generate`` draws all rows of a batch from one random stream."""

    def __init__(self, config: GenerationConfig) -> None:
        super().__init__(config)
        self._model: Any = None
        self._workers = 1
        self._threads: int | None = None

    def open(self) -> None:
        import torch
        from transformers import AutoModelForCausalLM

        path = resolve_backbone(self.config.backbone, self.config.revision)
        self.fingerprint = model_fingerprint(path, self.config.revision)
        self.open_template(path)
        model: Any = AutoModelForCausalLM.from_pretrained(
            path,
            revision=loading_revision(path, self.config.revision),
            use_safetensors=True,
            dtype="auto" if self.config.dtype == "auto" else getattr(torch, self.config.dtype),
        )
        device = pick_device(self.config.device)
        self.hardware = hardware(device)
        self._model = model.to(device, choose_dtype(self.config.dtype, device, model.num_parameters())).eval()
        self.context_length = context_length(path, self.config.revision)
        if device == "cpu" and model.num_parameters() < SMALL_MODEL_PARAMETERS:
            self._threads = torch.get_num_threads()
            self._workers = min(self._threads, _MOST_WORKERS)
            torch.set_num_threads(1)
        self.reproducibility = (
            "Each sample has a random stream of its own. In float64 its answer is the same whatever shares its batch."
            if self._model.dtype == torch.float64
            else f"Each sample has a random stream of its own, but in {self._model.dtype} the rounding of a batch can "
            "change a draw: ask in the same order and batch size, or set `dtype: float64`."
        )

    def close(self) -> None:
        if self._model is None:
            return
        import torch

        self._model = None
        if self._threads:
            torch.set_num_threads(self._threads)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def generate(self, requests: Sequence[AnswerRequest]) -> Iterator[Outcome]:
        """Prompts of like length share a batch, so that little of it is padding."""
        prompts = list(dict.fromkeys(request.prompt for request in requests))
        assert self.template is not None
        token_ids = dict(zip(prompts, self.template.encode(prompts), strict=True))
        samples: dict[Prompt, list[AnswerRequest]] = {prompt: [] for prompt in prompts}
        for request in requests:
            samples[request.prompt].append(request)
        prompts.sort(key=lambda prompt: len(token_ids[prompt]))
        size = max(1, min(self.config.batch_size, len(prompts)) // self._workers)
        batches = [
            [request for prompt in prompts[start : start + size] for request in samples[prompt]]
            for start in range(0, len(prompts), size)
        ]
        yield from interleave([self._generate_batch(batch, token_ids) for batch in batches], self._workers)

    def _generate_batch(self, batch: Sequence[AnswerRequest], token_ids: dict[Prompt, list[int]]) -> Iterator[Outcome]:
        """One batch; where the device's memory doesn't hold it, what is left of it in halves."""
        import torch

        if nothing_more():
            return
        prompts = list(dict.fromkeys(request.prompt for request in batch))
        place = {prompt: index for index, prompt in enumerate(prompts)}
        ended = set()
        try:
            for row, tokens, logprob in decode_batch(
                self._model,
                [token_ids[prompt] for prompt in prompts],
                [place[request.prompt] for request in batch],
                [request.seed for request in batch],
                self._sampling,
            ):
                ended.add(row)
                yield batch[row], self._answer(tokens, len(token_ids[batch[row].prompt]), logprob)
            return
        except torch.OutOfMemoryError:
            if len(batch) == 1:
                raise
            logger.warning("out of memory with %d answers in a batch: halving it; lower batch_size", len(batch))
        torch.cuda.empty_cache()
        left = [request for row, request in enumerate(batch) if row not in ended]
        middle = (len(left) + 1) // 2
        yield from self._generate_batch(left[:middle], token_ids)
        yield from self._generate_batch(left[middle:], token_ids)

    def score(self, passages: Sequence[Passage], batch_size: int) -> Iterator[Scored]:
        """Each batch of like lengths is one forward pass; where the device's memory doesn't hold it, halves of it."""
        return self.forward(passages, batch_size, token_scores)

    def forward(
        self, passages: Sequence[Passage], batch_size: int, work: Callable[[Any, Sequence[Passage]], list[T]]
    ) -> Iterator[tuple[int, T]]:
        return in_batches(self._model, passages, batch_size, work, self._workers)

    def _answer(self, tokens: list[int], prompt_tokens: int, logprob: float) -> Answer:
        ended = tokens[-1] in self.end_tokens
        text = self._text(tokens[:-1] if ended else tokens)
        # Rounded far above what float64 differs by with the shape of a batch.
        return self.ended(Answer(text, STOP if ended else LENGTH, len(tokens), prompt_tokens, round(logprob, 6)))

    def _text(self, tokens: list[int]) -> str:
        text: str = self.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def _is_stopped(self, tokens: list[int]) -> bool:
        """Whether an answer so far holds a stop text. Looked for at its end first: it is asked after every token."""
        end = tokens[-self.stops.reach - _UNSEEN_TOKENS :]
        return self.stops.cut(self._text(end)) is not None and self.stops.cut(self._text(tokens)) is not None

    @property
    def _sampling(self) -> Sampling:
        config = self.config
        return Sampling(
            config.temperature,
            config.top_k,
            config.top_p,
            config.max_new_tokens,
            self.end_tokens,
            self._is_stopped if self.stops else None,
        )
