#!/usr/bin/env bash
# The table of docs/arms.md, "On a real pool", and docs/pictures/arms.png: runs/arms.sh alpaca_cleaned.json (of yahma/alpaca-cleaned).
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/python -m benchmarks.arms --pool "$1" "${@:2}"
