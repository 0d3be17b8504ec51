"""The code location on a Ray cluster: each step is a Ray job, which gets one core, and the GPUs that its tags name.

A run's own job holds no core: where it did, runs could fill a cluster that has none left for their steps.
https://danielgafni.github.io/dagster-ray
"""

from dagster_ray import ray_executor

from adg_pipeline.definitions import build_defs

# As in dagster.yaml.
VARIABLES = ["RAY_API_SERVER_ADDRESS", "DAGSTER_HOME", "ADG_DATA_DIR", "ADG_CONFIG", "HF_HUB_OFFLINE"]

# Not num_gpus: here it would hold for every step, before what its tags name.
on_ray = ray_executor.configured({"ray": {"num_cpus": 1, "env_vars": VARIABLES}})

defs = build_defs(executor=on_ray)
