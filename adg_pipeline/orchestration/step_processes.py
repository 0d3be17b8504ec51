"""Where steps run: in processes of their own, so that a model's memory is freed for certain when its step ends.

They are forked from a server that has loaded the definitions, and no model: a step starts in a moment instead of some
seconds, and adg.yaml counts as it was when the run's first step began. The server ends with the run's worker, and its steps
with it.
"""

from typing import Any

import dagster as dg

from adg_pipeline.store import default_data_dir


def _loaded() -> list[str]:
    """The modules that the server loads.

    Over an object store it makes no definitions, since these read the settings that are kept there: the threads that talk to
    the store don't come along into a forked process, which would wait for them for ever. Each step then reads adg.yaml anew.
    """
    modules = ["adg_pipeline.assets.graph", "adg_pipeline.orchestration.step_server"]
    return modules if "://" in default_data_dir() else ["adg_pipeline.definitions", *modules]


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
    return {"max_concurrent": config["max_concurrent"], "start_method": {"forkserver": {"preload_modules": _loaded()}}}
