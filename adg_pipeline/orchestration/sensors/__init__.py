"""Sensors: each a pure decision function, tested by itself, and a thin sensor that feeds and obeys it.

https://docs.dagster.io/guides/automate/sensors
"""

from adg_pipeline.orchestration.sensors.growth import build_pool_growth_sensor
from adg_pipeline.orchestration.sensors.health import build_run_health_sensor
from adg_pipeline.orchestration.sensors.reselection import build_reselection_sensor

__all__ = ["build_pool_growth_sensor", "build_reselection_sensor", "build_run_health_sensor"]
