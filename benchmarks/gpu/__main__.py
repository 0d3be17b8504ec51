"""`make bench-gpu`: sampling, scoring, embedding and tuning at real shapes, each in a process of its own.

A stage that fails is told and the others go on. Results: a line of JSON each in WORK/results.jsonl, and with --keep in
benchmarks/results/gpu.json, of which ``python -m benchmarks.page`` makes docs/speed.md.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.gpu import backbones
from benchmarks.gpu.place import Place
from benchmarks.result import run_each
from benchmarks.results import GPU, keep


def _sampling(place: Place, runner: str) -> None:
    os.environ["VLLM_USE_V2_MODEL_RUNNER"] = "1" if runner == "v2" else "0"  # read when vLLM is imported
    from benchmarks.gpu import sampling

    sampling.run(place, runner)


def _stage(name: str, place: Place) -> None:
    from importlib import import_module

    import_module(f"benchmarks.gpu.{name}").run(place)


STAGES: dict[str, Callable[[Place], None]] = {
    "released": partial(_stage, "released"),
    "sampling-v2": partial(_sampling, runner="v2"),
    "sampling-v1": partial(_sampling, runner="v1"),
    "embedding": partial(_stage, "embedding"),
    "training": partial(_stage, "training"),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/gpu"), help="folder for models (16 GB) and results")
    parser.add_argument(
        "--pool", type=Path, help="a pool file, such as alpaca_cleaned; the demo's records if not given"
    )
    parser.add_argument("--shape", choices=backbones.SHAPES, default="llama3-8b")
    parser.add_argument("--tuned-shape", choices=backbones.SHAPES, default="llama-1b")
    parser.add_argument("--examples", type=int, default=410, help="of the pool, 5 answers each (default: %(default)s)")
    parser.add_argument("--new-tokens", type=int, default=256, help="tokens of an answer (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=30, help="of tuning (default: %(default)s)")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--keep", action="store_true", help=f"write what comes out to {GPU}")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)  # in this process
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    place = Place(
        options.work, options.pool, options.shape, options.tuned_shape, options.examples, options.new_tokens,
        options.steps,
    )  # fmt: skip
    if options.here:
        for stage in options.stages:
            STAGES[stage](place)
        return 0

    def run(stage: str) -> bool:
        # The last --stages counts.
        command = [sys.executable, "-m", "benchmarks.gpu", *sys.argv[1:], "--here", "--stages", stage]
        known = len(place.results())
        if subprocess.run(command, check=False).returncode:
            return False
        if options.keep:
            keep(GPU, stage, place.results()[known:])
        return True

    return run_each(options.stages, run)


if __name__ == "__main__":
    sys.exit(main())
