#!/usr/bin/env bash
# Lets a real Prometheus scrape a run, with classic and with native histograms, and compares what it then says with
# the run's result. promtool looks at the text, and every query of the dashboards is evaluated.
#
#   tests/prometheus/run.sh [path of the fleetsim program]
#
# What is missing is installed: the package prometheus with apt-get (as root).
set -euo pipefail
cd "$(dirname "$0")/../.."

source tests/script.sh
program=$(program_to_test "${1:-}")

need prometheus prometheus

exec python3 tests/prometheus/check.py "$program"
