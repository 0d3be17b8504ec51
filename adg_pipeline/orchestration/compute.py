"""The GPU contract in one leaf: concurrency pools, op tags, priorities and retry policies of the assets.

A *concurrency pool* is Dagster's limit on ops that run at once; it has nothing to do with the instruction pool. It
counts ops, not devices: which devices an op gets is decided by the leases of `adg_pipeline.host.gpu_leases`.
Limits are set in ``dagster.yaml``. https://docs.dagster.io/guides/operate/managing-concurrency
"""

from typing import Any

import dagster as dg

# Steps that hold a model: one at a time per GPU host unless the limit is raised.
GPU_POOL = "gpu"
# Fitting bins and writing a selection: one at a time, so that two reselections never overlap.
SELECTION_POOL = "selection"


def gpu_op_tags(count: int) -> dict[str, Any]:
    """Tags of a step that needs so many GPUs, for launchers past one host; a single machine ignores them.

    They are those of the settings that the code location was loaded with. Without a GPU there are none, so that a step which
    asks a server, or works on the CPU, waits for no device.
    """
    if count == 0:
        return {}
    return {
        "dagster-k8s/config": {
            "container_config": {"resources": {"limits": {"nvidia.com/gpu": str(count)}}},
            # Nodes with GPUs are mostly kept free of what needs none.
            "pod_spec_config": {
                "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
            },
        },
        "dagster-ray/config": {"num_gpus": count},
    }


# A higher number starts earlier. A waiting reselection is short and users look at it; old shards can wait.
RESELECTION_PRIORITY = {"dagster/priority": "10"}
GROWTH_PRIORITY = {"dagster/priority": "0"}

# For faults that pass by themselves (a busy disk, a network file system): finished requests and shards are kept, so a
# retry costs only what was in flight. Permanent faults raise Failure(allow_retries=False) and are not retried.
SHARD_RETRIES = dg.RetryPolicy(max_retries=2, delay=10, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
