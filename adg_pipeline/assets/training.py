"""finetuned_checkpoint: the backbone, tuned on an arm's subset."""

import dagster as dg

from adg_pipeline import report
from adg_pipeline.assets.asked import asked, generation_asked
from adg_pipeline.assets.draws import subset_for
from adg_pipeline.errors import SettingsError
from adg_pipeline.host.gpu_leases import GpuLeaseResource
from adg_pipeline.lineage.recipes import CODE_VERSIONS
from adg_pipeline.lineage.trials import training_job
from adg_pipeline.orchestration.compute import GPU_POOL, gpu_op_tags
from adg_pipeline.orchestration.partitions import arm_and_seed, arm_seeds
from adg_pipeline.orchestration.preflight import unnamed_backbone
from adg_pipeline.resources.trainer import train
from adg_pipeline.settings.launchpad import launchpad_schema
from adg_pipeline.settings.sections import GenerationConfig, TrainingConfig
from adg_pipeline.store import Store
from adg_pipeline.store.kept import SHARED

DESCRIPTION = """The backbone fine-tuned on the subset: TRL's SFTTrainer in a process of its own, loss on the answer only.

Loss and tokens per second are logged while it runs. It resumes from its last checkpoint after a crash. Weights are
published as safetensors with the tokenizer and a manifest that leads back to the selection.

**To train**, choose an arm under *Materialize*, or in a terminal:

```
adg run --train                      # on the subset of adg
adg run --train --arm random         # on the one to compare with
adg run --train --set finetuned_checkpoint.method=lora
```

The partition's seed is that of the training, whatever `seed` says in the settings: several seeds of an arm are kept side by
side, and a backfill over arms and seeds trains them all. Of an arm that draws at random every seed learns from its own draw.

**Settings** stand under `finetuned_checkpoint` in adg.yaml, or in the launchpad: `method` (full or lora), `epochs`,
`learning_rate`, `batch_size` × `gradient_accumulation` × `processes` examples an update, `max_length`. The backbone is
`generations.backbone`. One of 8B parameters needs a GPU; `docs/gpu-host.md` has the settings for several.
"""


def build(defaults: TrainingConfig, generation: GenerationConfig) -> dg.AssetsDefinition:
    """generation: whose backbone is tuned, and whose prompt template is used unless training names its own."""

    @dg.asset(
        description=DESCRIPTION,
        deps=[dg.AssetDep("selected_subset", partition_mapping=dg.MultiToSingleDimensionPartitionMapping("arm"))],
        partitions_def=arm_seeds,
        config_schema=launchpad_schema(defaults),
        pool=GPU_POOL,
        op_tags=gpu_op_tags(defaults.processes),
        code_version=CODE_VERSIONS["finetuned_checkpoint"],
        group_name="training",
        kinds={"huggingface", "pytorch"},
        owners=["team:ml"],
    )
    def finetuned_checkpoint(
        context: dg.AssetExecutionContext, store: Store, gpus: GpuLeaseResource
    ) -> dg.MaterializeResult:
        config, kept = asked(context, store, TrainingConfig)
        sampled = generation_asked(context, store, generation)
        if not sampled.backbone_is_known:
            raise SettingsError(f"generations.backbone: {unnamed_backbone(sampled)}")
        arm, seed = arm_and_seed(context)
        config = config.model_copy(update={"seed": seed})
        subset, selection = subset_for(store, arm, seed)
        job = training_job(subset, selection, config, sampled, store.new_checkpoint_dir(arm, seed))
        with gpus.lease(config.processes) as devices:
            result = train(context, job, devices=devices or None)
        store.kept.keep(SHARED, ["finetuned_checkpoint"], kept)
        return dg.MaterializeResult(metadata=report.checkpoint(result))

    return finetuned_checkpoint
