#!/usr/bin/env bash
# Validates the JUnit files of runs that pass, fail and cannot begin against a schema of the form that
# CI systems read.
#
#   tests/junit/run.sh [path of the fleetsim program]
#
# What is missing is installed: xmllint, of the package libxml2-utils, with apt-get (as root).
set -euo pipefail
cd "$(dirname "$0")/../.."

source tests/script.sh
program=$(program_to_test "${1:-}")

need xmllint libxml2-utils

out=target/junit
rm -rf "$out" && mkdir -p "$out"

# NAME EXIT ARGUMENT…: a run that ends so, and its file.
validate() {
    local name=$1 expected=$2 code=0
    shift 2
    "$program" run scenarios/quickstart.yaml --seed 1 --quiet --summary none --junit "$out/$name.xml" "$@" || code=$?
    if [ "$code" -ne "$expected" ]; then
        echo "the run \"$name\" ended with $code instead of $expected" >&2
        exit 1
    fi
    xmllint --noout --schema tests/junit/junit.xsd "$out/$name.xml"
}

validate passed 0 --virtual-time
validate failed 99 --virtual-time --set 'thresholds=[{ expect: "p99(latency) < 1ms" }, { expect: "count(failed) == 1", info: true }]'
validate error 69 --set 'target={ embedded: { mqtt: "192.0.2.1:1" } }'
