"""The recipe that the settings ask for, stage by stage: what stored tables are compared with.

`CODE_VERSIONS` is raised by hand when a stage's code gives other results for the same input and configuration.
"""

from typing import Any

from adg_pipeline.algorithms.duplicates import ALGORITHM
from adg_pipeline.settings.loading import Settings
from adg_pipeline.settings.sections import (
    EmbeddingConfig,
    FingerprintConfig,
    GenerationConfig,
    RawPoolConfig,
    ReferenceLossConfig,
    ScoreConfig,
)
from adg_pipeline.store.provenance import Recipe

CODE_VERSIONS = {
    "raw_pool": "3",
    "generations": "1",
    "reference_losses": "1",
    "fingerprints": "1",
    "token_counts": "1",
    "answer_embeddings": "2",
    "instruction_embeddings": "2",
    "divergence_scores": "3",
    "semantic_bins": "2",
    "query_states": "1",
    "selected_subset": "1",
    "finetuned_checkpoint": "1",
    "benchmark_results": "1",
    "comparison_report": "1",
}


def raw_pool_recipe(config: RawPoolConfig) -> Recipe:
    return Recipe("raw_pool", CODE_VERSIONS["raw_pool"], config.recipe())


def generations_recipe(config: GenerationConfig) -> Recipe:
    """The backbone counts by its content, not by where it lies; an endpoint's by the name it is asked for.

    What was mended for some models or engines only stands here for these only: what is stored of the others stays
    current. Answers that are the same as before are found again by their requests.
    """
    values = config.recipe()
    if config.template == "chat":
        values["turns"] = "end where the template ends them"
    if config.engine == "endpoint":
        values["unfinished_answers"] = "refused"
        values["backbone"] = {"id": config.endpoint.model or config.backbone, "served": True}
    else:
        values["backbone"] = _fingerprint(config.backbone, config.revision)
        if _ends_every_text(config):
            values["prompt_end"] = "the tokenizer's end token is taken off"
        if config.engine == "vllm":
            values["batch_invariant"] = config.vllm.batch_invariant
    return Recipe("generations", CODE_VERSIONS["generations"], values)


def instruction_embeddings_recipe(config: EmbeddingConfig, backbone: str, revision: str | None) -> Recipe:
    model = _embedder(config, backbone, revision)
    return Recipe("instruction_embeddings", CODE_VERSIONS["instruction_embeddings"], model)


def answer_embeddings_recipe(
    config: EmbeddingConfig, backbone: str, revision: str | None, generations: Recipe
) -> Recipe:
    """Takes the recipe that the answers at hand were made with, so that vectors tell how their answers came to be."""
    model = _embedder(config, backbone, revision)
    return Recipe(
        "answer_embeddings", CODE_VERSIONS["answer_embeddings"], model, {"generations": generations.id}
    )  # fmt: skip


def divergence_scores_recipe(config: ScoreConfig, answer_embeddings: Recipe) -> Recipe:
    """Takes the recipe that the vectors at hand were made with, so that scores tell how their vectors came to be."""
    upstream = {"answer_embeddings": answer_embeddings.id}
    return Recipe("divergence_scores", CODE_VERSIONS["divergence_scores"], config.recipe(), upstream)


def reference_losses_recipe(config: ReferenceLossConfig, generation: GenerationConfig) -> Recipe:
    """The scorer counts by its content, like a backbone; what it reads by the template of the generations."""
    scorer = config.scorer(generation)
    its = generations_recipe(scorer).config
    read_by = ("template", "template_options", "system_text", "dtype")
    values = {**config.recipe(), "model": its["backbone"], **{name: its[name] for name in read_by if name in its}}
    if scorer.engine != "transformers":
        values["entropies"] = "not told"
    if config.ranker is not None:
        from adg_pipeline.resources.losses.ranker import ranker_content

        values["ranker"] = ranker_content(config.ranker)
    return Recipe("reference_losses", CODE_VERSIONS["reference_losses"], values)


def fingerprints_recipe(config: FingerprintConfig) -> Recipe:
    """Signatures of other versions of the hash don't compare. Benchmarks count by what they hold, wherever they lie."""
    values = {**config.recipe(), "algorithm": ALGORITHM}
    if config.benchmarks:
        # With it come the readers of every format, which `adg status` needn't load.
        from adg_pipeline.lineage.benchmark_items import items_digest

        values["benchmarks"] = [items_digest(place) for place in config.benchmarks]
    return Recipe("fingerprints", CODE_VERSIONS["fingerprints"], values)


def token_counts_recipe(generation: GenerationConfig) -> Recipe:
    """Tokens count by the backbone that is named, also where a server answers, and by how the template writes an example."""
    read_here = generation.model_copy(update={"engine": "transformers"})
    its = generations_recipe(read_here).config
    read_by = ("backbone", "template", "template_options", "system_text", "prompt_end", "turns")
    values = {name: its[name] for name in read_by if name in its}
    return Recipe("token_counts", CODE_VERSIONS["token_counts"], values)


def query_states_recipe(reference_losses: Recipe) -> Recipe:
    """Takes the recipe of the references that the queries are compared with: both are read in the same way."""
    upstream = {"reference_losses": reference_losses.id}
    return Recipe("query_states", CODE_VERSIONS["query_states"], {}, upstream)


def wanted_recipes(
    settings: Settings, *, references: bool = False, fingerprints: bool = False, tokens: bool = False
) -> dict[str, Recipe]:
    """The recipe of every shard asset under these settings, in the data's order.

    references, fingerprints, tokens: whether those are wanted: only arms that read them pay for them.
    """
    backbone, revision = settings.generations.backbone, settings.generations.revision
    generations = generations_recipe(settings.generations)
    answers = answer_embeddings_recipe(settings.embeddings, backbone, revision, generations)
    return {
        "raw_pool": raw_pool_recipe(settings.raw_pool),
        **({"fingerprints": fingerprints_recipe(settings.fingerprints)} if fingerprints else {}),
        **({"token_counts": token_counts_recipe(settings.generations)} if tokens else {}),
        "generations": generations,
        **(
            {"reference_losses": reference_losses_recipe(settings.reference_losses, settings.generations)}
            if references
            else {}
        ),
        "instruction_embeddings": instruction_embeddings_recipe(settings.embeddings, backbone, revision),
        "answer_embeddings": answers,
        "divergence_scores": divergence_scores_recipe(settings.divergence_scores, answers),
    }


def _embedder(config: EmbeddingConfig, backbone: str, revision: str | None) -> dict[str, Any]:
    values = config.recipe()
    if config.embedder == "sentence_transformer":
        # Layers and pooling belong to the other embedder: changing them changes nothing here.
        values = {key: value for key, value in values.items() if key not in ("layers", "pool", "max_tokens")}
        if config.model == "auto":
            values["model"] = {"id": "all-MiniLM-L6-v2", "packaged": True}
            return values
    name, its_revision = (backbone, revision) if config.model == "auto" else (config.model, config.revision)
    values["model"] = _fingerprint(name, its_revision)
    return values


def _ends_every_text(config: GenerationConfig) -> bool:
    from adg_pipeline.models.backbones import resolve_backbone
    from adg_pipeline.models.tokenizers import ends_every_text

    return ends_every_text(resolve_backbone(config.backbone, config.revision), config.revision)


def _fingerprint(name: str, revision: str | None) -> dict[str, Any]:
    from adg_pipeline.models.backbones import resolve_backbone
    from adg_pipeline.models.fingerprints import model_fingerprint

    fingerprint = model_fingerprint(resolve_backbone(name, revision), revision)
    # Not the name: a folder that is moved holds the same model.
    return {key: fingerprint[key] for key in ("revision", "content")}
