"""Benchmarks of a checkpoint by lm-evaluation-harness, in a process of its own.

Read `suite` for what is asked, `prepare` for where the questions come from, `job` for what an evaluation is, and `launch`
for how one is started. The rest runs in the evaluation process: `script` is its entry, `harness` the only place that
knows lm-eval, `answers` what a killed evaluation goes on from, `sandbox` where programs run that a model wrote, and
`summary` makes figures of samples.
"""

from adg_pipeline.resources.evaluator.job import (
    EvaluationError,
    EvaluationJob,
    find_model,
    plan_evaluation,
    require_evaluable,
)
from adg_pipeline.resources.evaluator.launch import EvaluationFailed, evaluate
from adg_pipeline.resources.evaluator.suite import Suite, load_suite, suites

__all__ = [
    "EvaluationError",
    "EvaluationFailed",
    "EvaluationJob",
    "Suite",
    "evaluate",
    "find_model",
    "load_suite",
    "plan_evaluation",
    "require_evaluable",
    "suites",
]
