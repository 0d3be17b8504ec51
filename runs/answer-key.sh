#!/usr/bin/env bash
# What an answer key gets of the six benchmarks, docs/evaluation.md: runs/answer-key.sh FOLDER (the benchmarks' own files). Hours.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH" HF_ALLOW_CODE_EVAL=1
adg benchmarks prepare --from "$1" --out .runs/benchmark_data
python -m benchmarks.evaluation --data .runs/benchmark_data "${@:2}"
