"""Every knob of the pipeline, one section per stage: types, units, defaults and bounds.

A section is a `dagster.Config`, so the launchpad shows its fields with their descriptions; the same section is read
from ``adg.yaml`` (see `adg_pipeline.settings.loading`). Defaults are those of the paper where it names one.

Fields listed in a section's ``RECIPE`` decide what the stage computes. They enter the provenance of what is stored: a
change makes it stale. The others (batch sizes, devices, time limits) may change without recomputing anything.

This module imports no model library and nothing of the pipeline.
"""

from typing import Annotated, Any, ClassVar, Literal

from dagster import Config
from pydantic import AfterValidator, ConfigDict, Field, field_validator

PoolFormat = Literal[
    "auto", "alpaca", "messages", "sharegpt", "prompt_completion", "preference", "tree", "self_instruct", "flan_cot",
    "canonical",
]  # fmt: skip

# What `raw_pool.columns` may give a key's meaning: the names that the shapes know these fields by.
MAPPABLE = (
    "id", "source", "instruction", "input", "output", "system", "history", "messages", "tools", "reasoning", "chosen",
    "rejected", "label",
)  # fmt: skip
IdScope = Literal["auto", "global", "local"]
Engine = Literal["transformers", "vllm", "endpoint"]
Template = Literal["alpaca", "chat"]
Device = str
DType = Literal["auto", "float64", "float32", "bfloat16", "float16"]

# Names that transformers' apply_chat_template takes for itself.
_NOT_TEMPLATE_OPTIONS = {
    "conversation", "messages", "tools", "chat_template", "add_generation_prompt", "continue_final_message", "tokenize",
    "padding", "truncation", "max_length", "return_tensors", "return_dict", "return_assistant_tokens_mask",
    "tokenizer_kwargs",
}  # fmt: skip


def _the_templates_own(options: dict[str, Any]) -> dict[str, Any]:
    if ours := sorted(_NOT_TEMPLATE_OPTIONS & options.keys()):
        raise ValueError(f"{', '.join(ours)} is decided by the pipeline, not by an option of the template")
    if unset := sorted(name for name, given in options.items() if given is None):
        raise ValueError(f"{', '.join(unset)} has no value: leave it out")
    return options


TemplateOptions = Annotated[dict[str, Any], AfterValidator(_the_templates_own)]


class Section(Config):
    """A stage's configuration. ``recipe()`` is the part that decides its result."""

    # A misspelt key must not pass for a default.
    model_config = ConfigDict(extra="forbid")

    RECIPE: ClassVar[tuple[str, ...]] = ()

    #: Part of the recipe only where they differ from their default, which is what was done before they existed: so
    #: they make nothing stale that was stored without them.
    RECIPE_IF_SET: ClassVar[tuple[str, ...]] = ()

    def recipe(self) -> dict[str, Any]:
        """The fields that decide what the stage computes, as plain JSON values."""
        values = self.model_dump(mode="json")
        defaults = {
            name: known.get_default(call_default_factory=True) for name, known in type(self).model_fields.items()
        }
        given = [name for name in self.RECIPE_IF_SET if getattr(self, name) != defaults[name]]
        return {name: values[name] for name in (*self.RECIPE, *given)}


class RawPoolConfig(Section):
    """How a pool file is read into the canonical schema."""

    RECIPE = ("format", "max_record_mib")
    RECIPE_IF_SET = ("columns", "ids")

    format: PoolFormat = Field(
        default="auto", description="Format of the pool files; auto detects it from their content."
    )
    ids: IdScope = Field(
        default="auto",
        description="Whether the files' own ids are unique beyond their file. Those that aren't (local) are told apart by "
        "content; auto takes numbers for local and all others for global.",
    )
    max_record_mib: float = Field(
        default=16.0, gt=0, le=1024, description="A record larger than this (MiB of text) is rejected with its place."
    )
    columns: dict[str, str] = Field(
        default={},
        description="Keys of the pool files by what they mean, for files with names that aren't known: "
        "`{instruction: question_text, output: best}`. May be mapped: " + ", ".join(MAPPABLE) + ".",
    )

    @field_validator("columns")
    @classmethod
    def columns_have_a_meaning(cls, columns: dict[str, str]) -> dict[str, str]:
        unknown = [name for name in columns if name not in MAPPABLE]
        if unknown:
            raise ValueError(f"{', '.join(unknown)} is no field of an example; may be mapped: {', '.join(MAPPABLE)}")
        blank = [name for name, key in columns.items() if not key.strip()]
        if blank:
            raise ValueError(f"{', '.join(blank)} is mapped to no key: name the key of the pool files")
        return columns


class VllmOptions(Config):
    """Options of the in-process vLLM engine (one GPU host)."""

    model_config = ConfigDict(extra="forbid")

    tensor_parallel: int = Field(default=1, ge=1, le=64, description="GPUs that one model is spread over.")
    gpu_memory_utilization: float = Field(
        default=0.9, gt=0, le=1, description="Share of each GPU's memory vLLM may take."
    )
    max_model_len: int | None = Field(
        default=None, ge=16, description="Context length in tokens; the model's own if not set."
    )
    enforce_eager: bool = Field(default=False, description="Skip CUDA graphs: starts faster, generates slower.")
    batch_invariant: bool = Field(
        default=False,
        description="vLLM's batch-invariant mode: the same answers whatever shares a batch, at some cost in speed.",
    )


class EndpointOptions(Config):
    """Options of an OpenAI-compatible server: `vllm serve`, llama.cpp, Ollama, a hosted API."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(default="http://127.0.0.1:8000/v1", description="Base URL of the API, up to and including /v1.")
    model: str | None = Field(default=None, description="Model name the server knows; the backbone's name if not set.")
    api_key_env: str = Field(
        default="ADG_ENDPOINT_API_KEY",
        description="Environment variable that holds the API key. The key itself is not stored.",
    )
    concurrency: int = Field(
        default=32, ge=1, le=4096, description="Most requests in flight; lowered while the server is slow."
    )
    max_attempts: int = Field(default=6, ge=1, le=100, description="Attempts per request before it counts as failed.")
    timeout_seconds: float = Field(default=300.0, gt=0, description="Time limit of one attempt, in seconds.")


class GenerationConfig(Section):
    """K stochastic answers per instruction, drawn from the backbone."""

    RECIPE = (
        "engine", "backbone", "revision", "template", "samples", "temperature", "top_p", "top_k", "max_new_tokens",
        "seed", "dtype",
    )  # fmt: skip
    RECIPE_IF_SET = ("system_text", "template_options", "stop")

    engine: Engine = Field(
        default="transformers", description="What runs the backbone: transformers, vllm or endpoint."
    )
    backbone: str = Field(
        default="embedded",
        description="The model to be tuned: a directory, a hub name, or 'embedded' for the packaged one.",
    )
    revision: str | None = Field(
        default=None, description="Revision of a hub model; pin it, so that a run can be repeated."
    )
    template: Template = Field(
        default="alpaca", description="Prompt: the Alpaca template, or the tokenizer's chat template."
    )
    template_options: TemplateOptions = Field(
        default={},
        description="Switches of the chat template, such as {enable_thinking: false}; training uses them too.",
    )
    system_text: Literal["template", "fold"] = Field(
        default="template",
        description="chat: fold puts system text before the first user turn, for a template that refuses a system turn.",
    )
    stop: list[str] = Field(
        default=[],
        description="Texts that end an answer, which is cut before them; auto: where the template's next turn begins.",
    )
    samples: int = Field(default=5, ge=2, le=64, description="K, answers per instruction.")
    temperature: float = Field(default=1.4, gt=0, le=10, description="Sampling temperature.")
    top_p: float = Field(
        default=0.9, gt=0, le=1, description="Nucleus sampling: keep the smallest set with this probability."
    )
    top_k: int = Field(default=50, ge=0, le=1_000_000, description="Keep the k likeliest tokens; 0 keeps all.")
    max_new_tokens: int = Field(default=256, ge=1, le=32_768, description="Longest answer, in tokens.")
    seed: int = Field(default=42, ge=0, lt=2**31, description="Seed from which every sample's own seed is derived.")
    batch_size: int = Field(default=64, ge=1, le=65_536, description="Instructions handed to the engine at a time.")
    device: Device = Field(
        default="auto", description="Device of the transformers engine: auto, cpu, cuda, cuda:1, mps."
    )
    dtype: DType = Field(
        default="auto", description="Weights' type; auto: float64 for small models on CPU, else the model's."
    )
    max_failed_share: float = Field(
        default=0.05, ge=0, le=1, description="Share of a shard's instructions that may fail before the shard does."
    )
    vllm: VllmOptions = Field(default=VllmOptions(), description="Options of the vllm engine.")
    endpoint: EndpointOptions = Field(default=EndpointOptions(), description="Options of the endpoint engine.")

    @property
    def backbone_is_known(self) -> bool:
        """Whether somebody said which model an endpoint serves: its default, the packaged one, is for other engines."""
        default = type(self).model_fields["backbone"].default
        return self.engine != "endpoint" or "backbone" in self.model_fields_set or self.backbone != default

    @field_validator("stop", mode="before")
    @classmethod
    def one_stop_is_a_list_of_one(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("stop")
    @classmethod
    def stops_are_texts(cls, value: list[str]) -> list[str]:
        if "" in value:
            raise ValueError("an empty text would end every answer before it begins")
        return list(dict.fromkeys(value))


class ReferenceLossConfig(Section):
    """How likely each reference is under the backbone."""

    RECIPE = ("model", "revision", "plain")
    RECIPE_IF_SET = ("states", "noisy_copies", "ranker")

    model: str = Field(
        default="backbone",
        description="What scores: the backbone of the generations, or a directory or hub name (SuperFiltering's small "
        "model).",
    )
    revision: str | None = Field(default=None, description="Revision of a hub model.")
    engine: Literal["same", "transformers", "vllm"] = Field(
        default="same",
        description="What runs it: the engine of the generations, or one of these. A server scores only the backbone: "
        "another model then runs on transformers.",
    )
    plain: bool = Field(
        default=False,
        description="Also score references after the bare instruction and alone, without a template: what superfiltering "
        "reads. Two passes more.",
    )
    states: bool = Field(
        default=False,
        description="Also keep the hidden states of prompt and reference, their mean weighted by position: what rds_plus "
        "reads. A pass more; transformers only.",
    )
    noisy_copies: int = Field(
        default=0,
        ge=0,
        le=64,
        description="Also score references in so many copies with noise in the embeddings: what t_shirt reads (its source "
        "takes 30). Two passes more for each; transformers only.",
    )
    ranker: str | None = Field(
        default=None,
        description="Folder of a SCAR ranker (config.json, tokenizer.json, model.safetensors): also keep its score of each "
        "reference, which scar reads.",
    )
    batch_size: int = Field(default=32, ge=1, le=65_536, description="Texts per forward pass.")
    max_failed_share: float = Field(
        default=0.05, ge=0, le=1, description="Share of a shard's examples that may fail before the shard does."
    )

    def scorer(self, generation: GenerationConfig) -> GenerationConfig:
        """What scores: the generator that answers, as it is; the same on another engine; or one of the model that is named
        instead, which no server serves."""
        engine = generation.engine if self.engine == "same" else self.engine
        if self.model == "backbone" and engine == generation.engine:
            return generation
        changes: dict[str, Any] = {"engine": engine, "stop": []}
        if self.model != "backbone":
            whole_context = generation.vllm.model_copy(update={"max_model_len": None})
            changes |= {"backbone": self.model, "revision": self.revision, "vllm": whole_context}
            changes["engine"] = "transformers" if engine == "endpoint" else engine
        return generation.model_copy(update=changes)


class EmbeddingConfig(Section):
    """Unit vectors of the sampled answers and of the instructions."""

    RECIPE = ("embedder", "model", "revision", "layers", "pool", "max_tokens", "long_texts", "dtype")

    embedder: Literal["sentence_transformer", "hidden_state"] = Field(
        default="sentence_transformer",
        description="sentence_transformer, or hidden_state: the paper's pooling of the backbone.",
    )
    model: str = Field(
        default="auto",
        description="Directory or hub name; auto is the packaged all-MiniLM-L6-v2, or for hidden_state the backbone.",
    )
    revision: str | None = Field(default=None, description="Revision of a hub model.")
    layers: list[int] = Field(
        default=[-4, -3, -2], description="hidden_state: layers that are averaged, counted from the last."
    )
    pool: Literal["answer", "sequence"] = Field(
        default="answer",
        description="hidden_state: pool over the answer's tokens, or over instruction and answer (released code).",
    )
    max_tokens: int = Field(
        default=1024, ge=8, le=131_072, description="hidden_state: tokens that are read at a time, a window."
    )
    long_texts: Literal["windows", "cut"] = Field(
        default="windows",
        description="A text longer than the embedder reads at a time: read in windows, whose mean is its vector, or cut.",
    )
    batch_size: int = Field(default=32, ge=1, le=4096, description="Texts per forward pass.")
    device: Device = Field(default="auto", description="auto, cpu, cuda, cuda:1, mps.")
    dtype: DType = Field(default="auto", description="Weights' type; auto: float32 on CPU, the model's own on a GPU.")
    max_failed_share: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="Share of a shard's examples whose vectors may be NaN or infinite before the shard fails.",
    )
    max_unknown_share: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Share of a shard's examples that may be in signs the embedder has no tokens for before the shard fails.",
    )


class ScoreConfig(Section):
    """Dispersion and anisotropy of each instruction's K answers."""

    RECIPE = ("noise_floor", "decimals", "mode_distance")

    noise_floor: float = Field(
        default=1e-9, ge=0, lt=1, description="Dispersion below this is rounding of equal answers: counted as 0."
    )
    decimals: int = Field(default=4, ge=3, le=12, description="Decimals kept of each score, above float noise.")
    mode_distance: float = Field(
        default=0.3, gt=0, le=2, description="Answers closer than this (Euclidean, unit vectors) count as one mode."
    )
    max_indistinct_share: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Share of a shard's examples whose answers may differ and yet have D = 0 before the shard fails.",
    )


class BinConfig(Section):
    """Semantic bins: k-means over instruction embeddings."""

    RECIPE = ("bins", "examples_per_bin", "seed", "n_init", "max_iter", "fit_sample")

    bins: int = Field(default=1000, ge=1, le=100_000, description="Most bins.")
    examples_per_bin: int = Field(
        default=50, ge=1, description="Fewest examples per bin on average: a small pool gets fewer bins (pool / this)."
    )
    seed: int = Field(default=42, ge=0, lt=2**31, description="Seed of k-means.")
    n_init: int = Field(default=3, ge=1, le=100, description="Starts of k-means; the best is kept.")
    max_iter: int = Field(default=100, ge=1, le=10_000, description="Passes over the data at most.")
    fit_sample: int = Field(
        default=500_000,
        ge=1000,
        description="Vectors that centroids are fitted on; a larger pool is sampled by example id.",
    )
    refit: bool = Field(default=False, description="Fit new centroids now. Otherwise they stay while the pool grows.")
    refit_drift: float = Field(
        default=0.15,
        gt=0,
        description="Refit when the mean squared distance of examples to their centroid has grown by this share.",
    )
    refit_growth: float = Field(
        default=2.0, gt=1, description="Refit when the pool has grown by this factor since the centroids were fitted."
    )


class SelectionConfig(Section):
    """Which examples make the subset."""

    RECIPE = (
        "budget", "weight", "rank", "quota", "seed",
        "max_empty_answers", "min_distinct_answers", "min_output_chars", "max_output_chars",
    )  # fmt: skip
    RECIPE_IF_SET = ("selector", "bins", "length_control", "reach", "first_answers", "queries")

    budget: int = Field(
        default=10_000,
        ge=1,
        description="Examples to select. One that is set may not exceed the pool; the default may.",
    )
    selector: str = Field(default="adg", description="How examples are chosen; `adg arms` names each arm's.")
    weight: float = Field(default=0.4, ge=0, le=1, description="λ: weight of anisotropy; dispersion has 1 - λ.")
    rank: Literal["top", "middle", "bottom"] = Field(
        default="top", description="Which part of each bin's ranking to take."
    )
    quota: Literal["largest_remainder", "released"] = Field(
        default="largest_remainder",
        description="largest_remainder meets the budget exactly; released floors as the paper's code.",
    )
    seed: int = Field(default=42, ge=0, lt=2**31, description="Seed of selectors that draw at random.")
    bins: Literal["semantic", "random", "none"] = Field(
        default="semantic",
        description="Quotas by semantic bin, by random bins of the same sizes (a control), or one ranking of the pool.",
    )
    length_control: bool = Field(
        default=False,
        description="Rank by what of the score the length of the sampled answers doesn't explain (least squares).",
    )
    reach: float | None = Field(
        default=None,
        le=0,
        description="Keep examples whose reference is about as likely to the backbone as its own answers: mean token "
        "log-probability of the reference, less that of the answers, at least this. All if not set.",
    )
    first_answers: int | None = Field(
        default=None, ge=2, le=64, description="Score the first so many of the K answers; all if not set."
    )
    queries: str | None = Field(
        default=None,
        description="dsir, rds_plus: a pool file (any format) of examples that the subset is meant to help with.",
    )
    max_empty_answers: int = Field(
        default=0, ge=0, le=64, description="Examples with more empty answers than this are not selected."
    )
    min_distinct_answers: int = Field(
        default=1, ge=1, le=64, description="Examples with fewer distinct answers than this are not selected."
    )
    min_output_chars: int = Field(default=1, ge=0, description="Shortest reference output, in characters.")
    max_output_chars: int | None = Field(
        default=None, ge=1, description="Longest reference output, in characters; none if not set."
    )
    stability_examples: int = Field(
        default=100_000,
        ge=0,
        description="Examples of which a manifest's `stability` is worked out: of a larger pool so many are drawn. 0 leaves "
        "it out, and with it the reading of all answers' cosines.",
    )
    history: int = Field(
        default=10, ge=0, le=1000, description="Replaced subsets that are kept per arm (`adg subset list`)."
    )


class TrainingConfig(Section):
    """Supervised fine-tuning of the backbone on the subset, loss on the answer only."""

    RECIPE = (
        "method", "merge", "template", "epochs", "max_steps", "learning_rate", "scheduler", "warmup_ratio",
        "weight_decay", "batch_size", "gradient_accumulation", "max_length", "packing", "precision", "seed",
        "lora_rank", "lora_alpha", "lora_dropout", "lora_targets", "processes",
    )  # fmt: skip
    RECIPE_IF_SET = ("template_options", "system_text", "assistant_turns")

    method: Literal["full", "lora"] = Field(default="full", description="Tune all weights, or low-rank adapters.")
    merge: bool = Field(
        default=True, description="lora: merge the adapters into the checkpoint; otherwise keep them apart."
    )
    template: Literal["same", "alpaca", "chat"] = Field(
        default="same", description="Prompt template; same: the one that answers were sampled with."
    )
    template_options: TemplateOptions | None = Field(
        default=None, description="Switches of the chat template; those that answers were sampled with if not set."
    )
    system_text: Literal["same", "template", "fold"] = Field(
        default="same", description="chat: where system text goes; same: where it went when answers were sampled."
    )
    assistant_turns: Literal["last", "all"] = Field(
        default="last",
        description="What is learnt of a conversation: its last answer, or all that aren't marked as not to be learnt.",
    )
    epochs: float = Field(default=5.0, gt=0, le=1000, description="Passes over the subset.")
    max_steps: int = Field(default=-1, ge=-1, description="Optimizer steps; -1: as many as the epochs need.")
    learning_rate: float = Field(default=1e-5, gt=0, le=1, description="Peak learning rate.")
    scheduler: Literal["cosine", "linear", "constant", "constant_with_warmup"] = Field(
        default="cosine", description="Learning-rate schedule."
    )
    warmup_ratio: float = Field(default=0.03, ge=0, lt=1, description="Share of the steps spent on warm-up.")
    weight_decay: float = Field(default=0.0, ge=0, le=1, description="Weight decay.")
    batch_size: int = Field(default=2, ge=1, le=4096, description="Examples per device and step.")
    gradient_accumulation: int = Field(default=8, ge=1, le=4096, description="Steps gathered before each update.")
    max_length: int = Field(
        default=2048, ge=16, description="Longest prompt and answer together, in tokens; longer ones are left out."
    )
    packing: bool = Field(default=False, description="Pack several examples into one sequence.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="auto: bfloat16 where the GPU has it."
    )
    gradient_checkpointing: bool | None = Field(
        default=None, description="Trade time for memory; on for GPUs if not set."
    )
    seed: int = Field(default=42, ge=0, lt=2**31, description="Seed of data order, adapters and dropout.")
    lora_rank: int = Field(default=16, ge=1, le=1024, description="lora: rank.")
    lora_alpha: int = Field(default=32, ge=1, le=4096, description="lora: alpha.")
    lora_dropout: float = Field(default=0.0, ge=0, lt=1, description="lora: dropout.")
    lora_targets: str = Field(
        default="all-linear", description="lora: modules, as PEFT names them, separated by commas."
    )
    processes: int = Field(default=1, ge=1, le=1024, description="Processes (GPUs) under accelerate launch.")
    accelerate_config: str | None = Field(
        default=None,
        description="Configuration file of accelerate launch, for FSDP or DeepSpeed with several processes.",
    )
    threads: int | None = Field(default=None, ge=1, description="CPU threads of the training process; all if not set.")
    save_steps: int = Field(default=200, ge=1, description="Steps between the checkpoints that a crash resumes from.")
    logging_steps: int = Field(default=10, ge=1, description="Steps between reported losses.")

    def asked_as(self, generation: GenerationConfig) -> dict[str, Any]:
        """template, template_options and system_text: this section's own where it names them, else the generations'."""
        return {
            "template": generation.template if self.template == "same" else self.template,
            "template_options": generation.template_options if self.template_options is None else self.template_options,
            "system_text": generation.system_text if self.system_text == "same" else self.system_text,
        }


class EvaluationConfig(Section):
    """Benchmarks that a checkpoint is asked, by lm-evaluation-harness."""

    RECIPE = (
        "suite",
        "tasks",
        "limit",
        "backend",
        "batch_size",
        "dtype",
        "max_length",
        "max_new_tokens",
        "chat_template",
    )

    suite: str = Field(
        default="paper",
        description="Which benchmarks: paper, embedded (the demo's world), or the path of a suite's YAML file.",
    )
    tasks: list[str] = Field(default=[], description="Tasks of the suite; all of them if empty.")
    limit: int | None = Field(
        default=None,
        ge=1,
        description="A quick look: the first so many questions of each task and subtask. All if not set.",
    )
    backend: Literal["hf", "vllm"] = Field(default="hf", description="What runs the model: transformers, or vLLM.")
    batch_size: int = Field(
        default=8, ge=1, le=4096, description="hf: questions per forward pass. (vLLM makes its own batches.)"
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="Weights' type; auto: the model's own."
    )
    max_length: int | None = Field(
        default=None, ge=16, description="Context length in tokens; the model's own if not set."
    )
    max_new_tokens: int | None = Field(
        default=None, ge=1, le=32_768, description="Longest answer, in tokens; each task's own if not set."
    )
    chat_template: bool = Field(
        default=False, description="Ask in the model's chat template; otherwise as plain text, as the paper did."
    )
    run_code: bool = Field(
        default=False,
        description="Run programs that the model writes, where a task asks for them. HF_ALLOW_CODE_EVAL=1 must stand in "
        "the environment as well.",
    )
    data: str | None = Field(
        default=None,
        description="Folder that `adg benchmarks prepare` filled; benchmark_data in the data directory if not set.",
    )
    device: Device = Field(default="auto", description="hf: device of the model: auto, cpu, cuda, cuda:1, mps.")
    gpus: int = Field(default=1, ge=1, le=64, description="GPUs that the model is spread over.")
    gpu_memory_utilization: float = Field(
        default=0.9, gt=0, le=1, description="vllm: share of each GPU's memory it may take."
    )
    threads: int | None = Field(default=None, ge=1, description="CPU threads of the evaluation; all if not set.")

    @field_validator("tasks", mode="before")
    @classmethod
    def one_task_is_a_list_of_one(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


class ComparisonConfig(Section):
    """Arms against each other on benchmarks, with how sure that is."""

    arms: list[str] = Field(
        default=[],
        description="Arms to compare; if empty, all that have results of every seed, the baseline among them.",
    )
    seeds: int = Field(
        default=3,
        ge=1,
        le=100,
        description="Trainings per arm: the seed of finetuned_checkpoint and those after it. Fewer than three tell little.",
    )
    baseline: str = Field(default="random", description="Arm that the others are compared with.")
    level: float = Field(default=0.95, gt=0, lt=1, description="Share of such intervals that hold the truth.")

    @field_validator("arms", mode="before")
    @classmethod
    def one_arm_is_a_list_of_one(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


class SensorConfig(Section):
    """How the pool is watched."""

    interval_seconds: int = Field(default=10, ge=1, le=86_400, description="Seconds between two looks of a sensor.")
    settle_seconds: float = Field(
        default=3.0, ge=0, description="A file is taken once it hasn't changed for this long and between two looks."
    )
    max_shards_per_run: int = Field(
        default=8, ge=1, le=10_000, description="Shards per run: the model is opened once for all of them."
    )
    arms: list[str] = Field(default=["adg"], description="Arms renewed when the scores have changed.")
