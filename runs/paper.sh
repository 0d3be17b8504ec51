#!/usr/bin/env bash
# The paper's comparison with intervals (docs/reproduce.md): one pool, one backbone, three arms, three training seeds.
# Four GPUs of 80 GB, the model hub, and the days that docs/reproduce.md estimates. Not run by us.
#
#   POOL=alpaca-gpt4|wizardlm|cot PRESET=paper-llama3-8b|paper-qwen2.5-7b runs/paper.sh [--plan] [--limit 20]
set -euo pipefail
cd "$(dirname "$0")/.."
POOL="${POOL:-alpaca-gpt4}" PRESET="${PRESET:-paper-llama3-8b}"
export PATH="$PWD/.venv/bin:$PATH" HF_HUB_OFFLINE=0 HF_ALLOW_CODE_EVAL=1
export ADG_DATA_DIR="${ADG_DATA_DIR:-$PWD/.runs/$PRESET-$POOL/data}" DAGSTER_HOME="${DAGSTER_HOME:-$PWD/.runs/$PRESET-$POOL/dagster}"
mkdir -p "$ADG_DATA_DIR" "$DAGSTER_HOME"

# Which sets these are is not said by the paper; docs/reproduce.md says how sure each name is.
case "$POOL" in
  alpaca-gpt4) pool=hf:vicgalle/alpaca-gpt4 ;;
  wizardlm) pool=hf:WizardLMTeam/WizardLM_evol_instruct_70k ;;
  cot)
    hf download QingyiSi/Alpaca-CoT --repo-type dataset --include 'Chain-of-Thought/*' --local-dir .runs/alpaca-cot
    pool=.runs/alpaca-cot/Chain-of-Thought ;;
  *) echo "POOL is alpaca-gpt4, wizardlm or cot, not $POOL" >&2; exit 2 ;;
esac

adg pool add "$pool" --rows-per-shard 1000
adg benchmarks prepare
adg compare --arms adg,adg_grounded,random --seeds 3 --preset "$PRESET" --set benchmark_results.run_code=true "$@"
