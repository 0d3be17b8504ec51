"""Everything that is Dagster but not an asset: partitions, jobs, runs, sensors, the instance, the runner."""
