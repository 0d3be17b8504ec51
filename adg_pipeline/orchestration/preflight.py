"""What is refused before anything is computed, although each setting by itself is within its bounds."""

from collections.abc import Iterator
from pathlib import Path

from adg_pipeline.errors import PipelineError, SettingsError
from adg_pipeline.settings.loading import Origins, Settings


def require_paths(settings: Settings, origins: Origins) -> None:
    """Raise SettingsError, naming the setting and where it comes from, for a model or file that isn't there."""
    from adg_pipeline.models.backbones import resolve_backbone

    for name, model, revision in _models(settings):
        try:
            resolve_backbone(model, revision)
        except PipelineError as error:
            raise SettingsError(f"{origins.of(name)}: {name}: {error}") from error
    accelerate = settings.finetuned_checkpoint.accelerate_config
    if accelerate is not None and not Path(accelerate).is_file():
        name = "finetuned_checkpoint.accelerate_config"
        raise SettingsError(f"{origins.of(name)}: {name}: there is no file {accelerate}")


def _models(settings: Settings) -> Iterator[tuple[str, str, str | None]]:
    """Setting, name and revision of each model that is to be loaded here."""
    generation, embedding = settings.generations, settings.embeddings
    backbone_embeds = embedding.embedder == "hidden_state" and embedding.model == "auto"
    if generation.engine != "endpoint" or backbone_embeds:
        yield "generations.backbone", generation.backbone, generation.revision
    if embedding.model != "auto":
        yield "embeddings.model", embedding.model, embedding.revision
