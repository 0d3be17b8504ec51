#!/usr/bin/env bash
# Figures of README.md (the demo) and docs/pictures/demo.png: about four minutes on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."
make demo
