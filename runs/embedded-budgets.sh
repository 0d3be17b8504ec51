#!/usr/bin/env bash
# The curve over budgets of docs/comparison.md: three arms, 80 and 160 examples, three seeds, in the embedded world.
set -euo pipefail
cd "$(dirname "$0")/.."
export ADG_DATA_DIR="${ADG_DATA_DIR:-$PWD/.runs/embedded/data}" DAGSTER_HOME="${DAGSTER_HOME:-$PWD/.runs/embedded/dagster}"
runs/embedded-comparison.sh --arms adg_grounded,adg,random --budget 80,160 "$@"
