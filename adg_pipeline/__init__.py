"""Instruction-data selection by answer divergence, as a Dagster asset graph."""
