"""The code location on Kubernetes: each step is a Job of its own, which gets the GPUs that its tags name.

A run's own pod holds no GPU: it starts the pods of its steps, and waits. https://docs.dagster.io/integrations/libraries/k8s
"""

from dagster_k8s import k8s_job_executor

from adg_pipeline.definitions import build_defs

# Of every step: those that read, score and select take what they need of it, those with a model need it.
REQUESTS = {"cpu": "4", "memory": "24Gi"}

in_pods = k8s_job_executor.configured(
    {"step_k8s_config": {"container_config": {"resources": {"requests": REQUESTS}}}, "enable_owner_references": True}
)

defs = build_defs(executor=in_pods)
