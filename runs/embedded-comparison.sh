#!/usr/bin/env bash
# Figures of docs/comparison.md, "What it said of the embedded world", and docs/pictures/comparison-*.png.
# Four arms, three training seeds each, on a pool of 1,600 made-up examples: 11 minutes of one core, no GPU, no hub.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH" HF_HUB_OFFLINE=1
export ADG_CONFIG="$PWD/adg_pipeline/demo/settings.yaml"
export ADG_DATA_DIR="${ADG_DATA_DIR:-$PWD/.runs/embedded/data}" DAGSTER_HOME="${DAGSTER_HOME:-$PWD/.runs/embedded/dagster}"

python - "$ADG_DATA_DIR/pool" <<'PYTHON'
import sys
from pathlib import Path

from adg_pipeline.demo.pool import write_pool

write_pool(Path(sys.argv[1]), shards=4, rows_per_shard=400)
PYTHON

adg compare --arms adg_grounded,reference_probability,adg,random --seeds 3 --suite embedded "$@"
