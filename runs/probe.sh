#!/usr/bin/env bash
# The table of docs/plan.md, "Is it right?".
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/python -m benchmarks.probe "$@"
