#!/usr/bin/env bash
# What a real browser makes of a report and of the live page of a going run: tests/browser/run.sh [path of the fleetsim program]
#
# Brings Chromium (Debian's) and a driver for it (playwright-core, which brings no browser) where they are missing.
# Pictures stay in target/browser/*.png.
set -euo pipefail
cd "$(dirname "$0")/../.."
source tests/script.sh
program=$(program_to_test "${1:-}")
out=$PWD/target/browser
mkdir -p "$out"

need chromium chromium fonts-dejavu-core
need node nodejs
need npm npm
if [ ! -d "$out/node_modules/playwright-core" ]; then
    npm install --silent --no-audit --no-fund --no-save --prefix "$out" playwright-core@1.56.1
fi
cp tests/browser/look.mjs "$out/look.mjs" # beside the driver, where it is found
node "$out/look.mjs" "$program" "$PWD/tests/browser" "$out"
