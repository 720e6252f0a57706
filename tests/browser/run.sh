#!/usr/bin/env bash
# What a real browser makes of a report and of the live page of a going run: tests/browser/run.sh BINARY
#
# Brings Chromium (Debian's) and a driver for it (playwright-core, which brings no browser) where they are missing.
# Pictures stay in target/browser/*.png.
set -euo pipefail
cd "$(dirname "$0")/../.."
binary=$(realpath "${1:?usage: tests/browser/run.sh BINARY}")
out=$PWD/target/browser
mkdir -p "$out"

missing=()
command -v chromium >/dev/null || missing+=(chromium fonts-dejavu-core)
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
if [ ${#missing[@]} -gt 0 ]; then
    apt-get update -q >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null
fi
if [ ! -d "$out/node_modules/playwright-core" ]; then
    npm install --silent --no-audit --no-fund --no-save --prefix "$out" playwright-core@1.56.1
fi
cp tests/browser/look.mjs "$out/look.mjs" # beside the driver, where it is found
node "$out/look.mjs" "$binary" "$PWD/tests/browser" "$out"
