#!/usr/bin/env bash
# Plans of docs/plan.md beside what the runs took: runs/plan.sh alpaca_cleaned.json (of yahma/alpaca-cleaned), which writes to .plan/.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH" HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1
pool="$(realpath "$1")"

planned() { # arm, folder
  export ADG_DATA_DIR="$PWD/.plan/$2/data" DAGSTER_HOME="$PWD/.plan/$2/dagster"
  adg plan --arm "$1"
  adg run --arm "$1"
  adg plan --arm "$1" --took
}

export ADG_CONFIG=adg_pipeline/demo/settings.yaml
mkdir -p .plan/demo/data/pool
python -c 'import sys; from pathlib import Path; from adg_pipeline.demo.pool import write_pool; write_pool(Path(sys.argv[1]), 4, 400)' .plan/demo/data/pool
planned adg_grounded demo
adg probe --examples 200

unset ADG_CONFIG
ADG_DATA_DIR="$PWD/.plan/alpaca/data" adg pool add "$pool" --limit 2000 --rows-per-shard 500
planned ifd alpaca
