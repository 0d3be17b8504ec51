"""Where steps run: in processes of their own, so that a model's memory is freed for certain when its step ends.

They are forked from a server that has loaded the graph's modules, and no model: a step starts in a moment instead of some
seconds. The server ends with the run's worker, and its steps with it. It makes no definitions, which read the settings that
are kept in the store: the threads that talk to an object store don't come along into a forked process.
"""

from typing import Any

import dagster as dg

_SERVER = {"forkserver": {"preload_modules": ["adg_pipeline.assets.graph", "adg_pipeline.orchestration.step_server"]}}


@dg.configured(
    dg.multiprocess_executor,
    config_schema={
        "max_concurrent": dg.Field(
            dg.IntSource,
            default_value=0,
            description="Most steps of one run at once; 0: as many as there are cores. Pools limit GPU steps besides.",
        )
    },
)
def steps_in_processes(config: dict[str, Any]) -> dict[str, Any]:
    """Dagster's multiprocess executor with the settings that this project relies on."""
    return {"max_concurrent": config["max_concurrent"], "start_method": _SERVER}
