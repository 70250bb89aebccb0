#!/usr/bin/env bash
# From nothing to a result: sets the machine up, builds, runs the main job (scripts/main_job.py), shows where its picture is.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh build attnc
/usr/bin/python3 scripts/main_job.py --attnc build/bin/attnc --out out "$@"
