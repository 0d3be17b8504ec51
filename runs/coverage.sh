#!/usr/bin/env bash
# How often intervals hold the truth: docs/comparison.md, "How sure it is", every row in benchmarks/coverage.md.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/python -m benchmarks.coverage "$@"
