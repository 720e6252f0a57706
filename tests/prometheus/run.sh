#!/usr/bin/env bash
# Lets a real Prometheus scrape a run, with classic and with native histograms, and compares what it then says with
# the run's result. promtool looks at the text, and every query of the dashboards is evaluated.
#
#   tests/prometheus/run.sh [path of the fleetsim program]
#
# What is missing is installed: the package prometheus with apt-get (as root).
set -euo pipefail
cd "$(dirname "$0")/../.."

program=${1:-}
if [ -z "$program" ]; then
    cargo build --locked
    program=target/debug/fleetsim
fi

if ! command -v prometheus >/dev/null || ! command -v promtool >/dev/null; then
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        echo "prometheus is missing: install the package prometheus" >&2
        exit 127
    fi
    apt-get update -qq && apt-get install -qq -y --no-install-recommends prometheus >/dev/null
fi

exec python3 tests/prometheus/check.py "$program"
