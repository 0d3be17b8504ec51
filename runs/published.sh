#!/usr/bin/env bash
# The authors' own checkpoints evaluated, their D and I set against ours, and their subset as an arm (docs/reproduce.md).
# Needs the model hub and a GPU of 80 GB, for the last part four, and the store of runs/paper.sh. Not run by us.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH" HF_HUB_OFFLINE=0 HF_ALLOW_CODE_EVAL=1
export ADG_DATA_DIR="${ADG_DATA_DIR:-$PWD/.runs/paper-llama3-8b-alpaca-gpt4/data}"
export DAGSTER_HOME="${DAGSTER_HOME:-$PWD/.runs/paper-llama3-8b-alpaca-gpt4/dagster}"
mkdir -p "$ADG_DATA_DIR" "$DAGSTER_HOME"

adg benchmarks prepare
for checkpoint in ADG-Alpaca-GPT4-LLaMa3-8B ADG-CoT-LLaMa3-8B ADG-WizardLM-Qwen2.5-7B; do
  adg evaluate "WisdomShell/$checkpoint" --preset published --run-code
done

hf download WisdomShell/ADG-LLaMa3-Alpaca-GPT4 --repo-type dataset --local-dir .runs/published
given=$(find .runs/published -name '*.json' | head -n 1)
python -m benchmarks.published_scores "$given" --settings adg_pipeline/settings/presets/paper-llama3-8b.yaml
adg compare --arms given,adg,random --seeds 3 --preset paper-llama3-8b \
  --set benchmark_results.run_code=true --set "selected_subset.given=$given"
