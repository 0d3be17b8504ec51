"""What measures speed. Run one with ``python -m benchmarks.divergence``, all with ``python -m benchmarks``."""
