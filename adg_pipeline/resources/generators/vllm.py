"""Generator on vLLM in this process: one host, one or several GPUs. vLLM's CPU build serves too."""

import gc
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from adg_pipeline.host.gpu_devices import visible_gpus
from adg_pipeline.host.signals import until_told
from adg_pipeline.models.backbones import loading_revision, resolve_backbone
from adg_pipeline.models.devices import VLLM_ON_CPU, cpu, several
from adg_pipeline.models.fingerprints import model_fingerprint
from adg_pipeline.resources.generators.base import (
    Answer,
    AnswerError,
    AnswerRequest,
    Generator,
    GeneratorError,
    Outcome,
    Passage,
    Scored,
    TokenScores,
)
from adg_pipeline.resources.generators.endings import LENGTH, STOP
from adg_pipeline.settings.sections import GenerationConfig

# In the checkout; the one place that says how, which the documentation is tested against.
INSTALL_VLLM = ".venv/bin/python -m pip install -e '.[vllm]'"

# Requests in the engine, of what it runs at once.
_WAITING = 2


class VllmGenerator(Generator):
    """Keeps the engine filled: as requests finish others take their place, so that no batch waits for its longest."""

    def __init__(self, config: GenerationConfig) -> None:
        super().__init__(config)
        self._llm: Any = None

    def open(self) -> None:
        if self.config.dtype == "float64":
            raise GeneratorError("vLLM has no float64: set `dtype` to auto, float32, bfloat16 or float16")
        path = resolve_backbone(self.config.backbone, self.config.revision)
        revision = loading_revision(path, self.config.revision)
        self.fingerprint = model_fingerprint(path, self.config.revision)
        self.open_template(path)
        device = self._prepare()

        from vllm import LLM

        options = self.config.vllm
        on_cpu = device == "cpu"
        # The driver is asked: CUDA, started here, would keep vLLM's own process from starting.
        gpus = [] if on_cpu else visible_gpus()[: options.tensor_parallel]
        self.hardware = several(gpu.name for gpu in gpus) or cpu()
        # vLLM's own auto turns float32 weights into half precision, which a CPU gains nothing from.
        dtype = "float32" if on_cpu and self.config.dtype == "auto" else self.config.dtype
        self._llm = LLM(
            path,
            revision=revision,
            tokenizer_revision=revision,
            dtype=dtype,
            load_format="safetensors",
            trust_remote_code=False,
            tensor_parallel_size=options.tensor_parallel,
            gpu_memory_utilization=options.gpu_memory_utilization,
            max_model_len=options.max_model_len,
            logprobs_mode="raw_logprobs",
            enforce_eager=options.enforce_eager,
            # After a prompt's first part vLLM rewinds the sample's random stream, which a CPU's generator can't.
            enable_chunked_prefill=False if on_cpu else None,
        )
        self.context_length = self._llm.llm_engine.model_config.max_model_len
        self.reproducibility = (
            "Each sample has its own seed, and vLLM's batch-invariant mode gives it the same answer in any batch."
            if options.batch_invariant
            else "Each sample has its own seed, but the rounding of a batch can change a draw: set `vllm.batch_invariant` "
            "on a GPU that has it, for the same answers in any batch."
        )

    def close(self) -> None:
        if self._llm is None:
            return
        self._llm.llm_engine.engine_core.shutdown()
        self._llm = None
        gc.collect()

        from vllm.distributed import cleanup_dist_env_and_memory

        cleanup_dist_env_and_memory()

    @property
    def identity(self) -> dict[str, Any]:
        return {**super().identity, "batch_invariant": self.config.vllm.batch_invariant}

    def generate(self, requests: Sequence[AnswerRequest]) -> Iterator[Outcome]:
        assert self.template is not None
        asked = {request.request_id: request for request in requests}
        prompts = self.template.encode([request.prompt for request in requests])
        jobs = (
            (request.request_id, ids, self._sampling(request.seed))
            for request, ids in zip(requests, prompts, strict=True)
        )
        for output in self._outputs(until_told(jobs), self.config.batch_size * self.config.samples):
            yield asked[output.request_id], self._outcome(output)

    def _outputs(self, jobs: Iterator[tuple[str, Sequence[int], Any]], at_least: int) -> Iterator[Any]:
        """What the engine makes of (name, prompt, sampling), `at_least` of them in it at a time while there are as many.

        An engine decides by itself how many it runs at once, a thousand on a large GPU: there must always be some waiting.
        """
        from vllm import TokensPrompt

        engine = self._llm.llm_engine
        room = max(at_least, _WAITING * engine.vllm_config.scheduler_config.max_num_seqs)
        in_flight: set[str] = set()
        try:
            while True:
                # The condition order matters: `next` must not take a job that has no room.
                while len(in_flight) < room and (following := next(jobs, None)) is not None:
                    name, ids, sampling = following
                    in_flight.add(name)
                    engine.add_request(name, TokensPrompt(prompt_token_ids=list(ids)), sampling)
                if not in_flight:
                    return
                for output in engine.step():
                    if output.finished:
                        in_flight.remove(output.request_id)
                        yield output
        finally:
            engine.abort_request(list(in_flight))

    def score(self, passages: Sequence[Passage], batch_size: int) -> Iterator[Scored]:
        """From the engine's log-probabilities of the prompt, a passage being one. Entropies it doesn't tell."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        # A token must be drawn as well: there has to be room for it.
        settings = SamplingParams(
            max_tokens=1,
            temperature=0.0,
            prompt_logprobs=0,
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        jobs = []
        for place, passage in enumerate(passages):
            if not passage.scored:
                yield place, TokenScores(np.zeros(0))
            elif len(passage) >= (self.context_length or 0):
                reason = f"{len(passage)} tokens leave no room in vLLM's context of {self.context_length}"
                yield place, AnswerError(reason, status="prompt_too_long")
            else:
                jobs.append((str(place), [*passage.context, *passage.scored], settings))
        for output in self._outputs(iter(jobs), batch_size):
            place = int(output.request_id)
            passage = passages[place]
            # None for the first token, which nothing stands before.
            told = output.prompt_logprobs[len(passage.context) :]
            own = [known[token].logprob for token, known in zip(passage.scored, told, strict=True) if known]
            yield place, TokenScores(np.array(own))

    def _sampling(self, seed: int) -> Any:
        """Sampling of one answer. With n > 1 vLLM would seed the samples with seed, seed + 1, …: neighbours share them."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        return SamplingParams(
            n=1,
            seed=seed,
            temperature=self.config.temperature,
            top_p=self.config.top_p,
            top_k=self.config.top_k or -1,
            max_tokens=self.config.max_new_tokens,
            logprobs=0,  # of the drawn token only, and before temperature, top-k and top-p
            detokenize=self._engine_writes,
            stop=self.stops.texts,
            stop_token_ids=sorted(self.end_tokens),
            output_kind=RequestOutputKind.FINAL_ONLY,
        )

    def _outcome(self, output: Any) -> Answer | AnswerError:
        completion = output.outputs[0]
        if completion.finish_reason not in (STOP, LENGTH):
            return AnswerError(f"vLLM ended the request with {completion.finish_reason!r}")
        prompt_tokens = len(output.prompt_token_ids)
        tokens = len(completion.token_ids)
        told = completion.cumulative_logprob
        logprob = told / tokens if tokens and told is not None else None
        text = completion.text if self._engine_writes else self._text(output)
        return self.ended(Answer(text, completion.finish_reason, tokens, prompt_tokens, logprob))

    @property
    def _engine_writes(self) -> bool:
        """Whether vLLM turns tokens into text as they come, which only stop texts need. Where log-probabilities are asked for
        it then also decodes every token by itself, and that costs it more than all else that it does for a token."""
        return bool(self.stops) or not self.tokenizer.is_fast

    def _text(self, output: Any) -> str:
        """The answer as vLLM itself would write it, after its prompt: so that a first word keeps its space."""
        from tokenizers.decoders import DecodeStream

        completion = output.outputs[0]
        tokens = list(completion.token_ids)
        if completion.finish_reason == STOP:
            tokens.pop()  # what ended it is no part of it
        backend = self.tokenizer.backend_tokenizer
        written = DecodeStream(output.prompt_token_ids, skip_special_tokens=True)
        return "".join(written.step(backend, token) or "" for token in tokens)

    def _prepare(self) -> str:
        """Set vLLM's environment, which it reads when imported; return the kind of device it runs on."""
        import torch

        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
        # The engine's process must not be forked off one that has looked for a GPU, as this one is about to: it would fail
        # with "Cannot re-initialize CUDA in forked subprocess".
        os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
        if self.config.vllm.batch_invariant:
            os.environ["VLLM_BATCH_INVARIANT"] = "1"
        if not torch.cuda.is_available():
            for name, value in VLLM_ON_CPU.items():
                os.environ.setdefault(name, value)
        try:
            from vllm.platforms import current_platform
        except ImportError as error:
            raise GeneratorError(f"vLLM can't be imported ({error}): {INSTALL_VLLM}") from error
        if not current_platform.device_type:
            raise GeneratorError(
                "this vLLM is a GPU build and finds no GPU: run where there is one, use vLLM's CPU build, "
                "or set `engine` to transformers or endpoint"
            )
        return str(current_platform.device_type)
