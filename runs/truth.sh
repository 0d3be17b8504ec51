#!/usr/bin/env bash
# Tables and pictures of docs/truth.md: hours; goes on where it was stopped.
set -euo pipefail
cd "$(dirname "$0")/.."
make truth
