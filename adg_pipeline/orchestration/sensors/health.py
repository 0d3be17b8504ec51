"""run_health_sensor: ends runs that were killed without a word, so that nothing waits for them."""

import dagster as dg

from adg_pipeline.orchestration.run_health import end_dead_runs


def build_run_health_sensor(interval_seconds: int) -> dg.SensorDefinition:
    @dg.sensor(
        name="run_health_sensor",
        minimum_interval_seconds=max(interval_seconds, 10),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Marks runs as failed whose processes are gone, and frees their slots in the concurrency pools.",
    )
    def run_health_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        ended = end_dead_runs(context.instance, beside_workers=True)
        if not ended:
            return dg.SkipReason("every run in flight is alive")
        return dg.SkipReason(f"ended {len(ended)} killed runs: {', '.join(run.run_id for run in ended)}")

    return run_health_sensor
