#!/usr/bin/env bash
# docs/comparison.md, "Does divergence find disagreement in real answers?": runs/gsm8k-answers.sh FILE (four models' answers).
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/python -m benchmarks.gsm8k_answers "$1"
