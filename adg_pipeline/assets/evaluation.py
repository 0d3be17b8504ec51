"""benchmark_results: what an arm's checkpoint answers to the benchmarks."""

import dagster as dg

from adg_pipeline import report
from adg_pipeline.assets.asked import asked
from adg_pipeline.errors import EndAsked, PipelineError, SettingsError
from adg_pipeline.host.gpu_leases import GpuLeaseResource
from adg_pipeline.lineage.recipes import CODE_VERSIONS
from adg_pipeline.lineage.trials import evaluation_job
from adg_pipeline.orchestration.compute import GPU_POOL, gpu_op_tags
from adg_pipeline.orchestration.partitions import arm_and_seed, arm_seeds
from adg_pipeline.orchestration.runs import STOPPED
from adg_pipeline.resources.evaluator import EvaluationFailed, evaluate, require_evaluable
from adg_pipeline.settings.launchpad import launchpad_schema
from adg_pipeline.settings.sections import EvaluationConfig
from adg_pipeline.store import Store
from adg_pipeline.store.checkpoints import read_training_manifest
from adg_pipeline.store.kept import SHARED
from adg_pipeline.store.results import read_results

DESCRIPTION = """Benchmarks of an arm's checkpoint: lm-evaluation-harness in a process of its own.

Every question's mark is kept (`samples.parquet`), so that arms can be compared question by question, and the record says
how they were got: results that were got in different ways are never compared. An evaluation that was interrupted goes on.

**To evaluate**, choose arms and seeds under *Materialize*, or in a terminal:

```
adg benchmarks prepare --from FOLDER     # once: the benchmarks' data
adg evaluate --arm adg --limit 20        # a quick look at 20 questions a task
adg evaluate --arm adg
```

**Settings** stand under `benchmark_results` in adg.yaml, or in the launchpad: `suite` (paper, embedded, or a file of your
own), `backend` (hf or vllm), `limit`, `batch_size`. Programs that the model writes are run only with `run_code` and
HF_ALLOW_CODE_EVAL=1 in the environment. `docs/evaluation.md` has the rest.
"""


def build(defaults: EvaluationConfig) -> dg.AssetsDefinition:
    @dg.asset(
        description=DESCRIPTION,
        deps=["finetuned_checkpoint"],
        partitions_def=arm_seeds,
        config_schema=launchpad_schema(defaults),
        pool=GPU_POOL,
        op_tags=gpu_op_tags(defaults.gpus_needed),
        code_version=CODE_VERSIONS["benchmark_results"],
        group_name="evaluation",
        kinds={"huggingface", "parquet"},
        owners=["team:ml"],
    )
    def benchmark_results(
        context: dg.AssetExecutionContext, store: Store, gpus: GpuLeaseResource
    ) -> dg.MaterializeResult:
        config, kept = asked(context, store, EvaluationConfig)
        arm, seed = arm_and_seed(context)
        try:
            require_evaluable(config, store.benchmark_data)
            trained = read_training_manifest(store.checkpoint_dir(arm, seed))
            if trained is None:
                raise PipelineError(f"there is no checkpoint of {arm} with seed {seed} in {store.root}: train it first")
            job = evaluation_job(store, arm, seed, config, trained["job_fingerprint"])
            with gpus.lease(config.gpus_needed) as devices:
                evaluate(job, context.log.info, devices or None)
        except EndAsked as error:
            raise dg.Failure(STOPPED, allow_retries=False) from error
        except EvaluationFailed as error:
            raise dg.Failure(str(error)) from error
        except (PipelineError, SettingsError) as error:
            # It would come again.
            raise dg.Failure(str(error), allow_retries=False) from error
        store.kept.keep(SHARED, ["benchmark_results"], kept)
        results = read_results(job.published)
        assert results is not None
        return dg.MaterializeResult(metadata=report.benchmarks(results))

    return benchmark_results
