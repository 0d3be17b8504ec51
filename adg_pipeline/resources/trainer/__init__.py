"""Supervised fine-tuning of the backbone, in a process of its own under Dagster Pipes.

Read `job` for what a training is, `launch` for how an asset starts one. The rest runs in the training process:
`script` is its entry, `fit` the training itself, `examples` its data, `checkpoints` what a crash resumes from, and
`publish` how the result gets to its place.
"""

from adg_pipeline.resources.trainer.job import TrainingJob, TrainingManifest, plan_training
from adg_pipeline.resources.trainer.launch import TrainingResult, train

__all__ = ["TrainingJob", "TrainingManifest", "TrainingResult", "plan_training", "train"]
