"""An evaluation outside a run of the graph: of a model that is no arm's checkpoint."""

from collections.abc import Callable
from pathlib import Path

from adg_pipeline.errors import EndAsked
from adg_pipeline.host.gpu_leases import GpuLeases
from adg_pipeline.resources.evaluator import EvaluationJob, evaluate


def evaluate_here(job: EvaluationJob, say: Callable[[str], None]) -> Path:
    """Evaluate on GPUs that are leased for it, and return the folder of the results. Raises PipelineError."""
    with GpuLeases().acquire(job.config.gpus_needed, progress=say) as devices:
        try:
            return evaluate(job, say, devices or None)
        except EndAsked as asked:
            raise KeyboardInterrupt from asked
