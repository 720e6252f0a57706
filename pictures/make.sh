#!/usr/bin/env bash
# Makes the pictures of README.md anew, from a real run: the screen while it goes on, its report afterwards.
#
#   pictures/make.sh [path of the fleetsim program]
#
# Writes pictures/screen.svg and pictures/report.png. What is missing is installed with apt-get (as root): tmux and
# chromium.
set -euo pipefail
cd "$(dirname "$0")/.."

program=${1:-}
if [ -z "$program" ]; then
    cargo build --release --locked
    program=target/release/fleetsim
fi
program=$(realpath "$program")

source tests/script.sh
need tmux tmux
need chromium chromium fonts-dejavu-core

folder=$(mktemp -d)
terminal() { tmux -u -L "fleetsim-pictures-$$" -f /dev/null "$@"; }
end() {
    terminal kill-server 2>/dev/null || true
    rm -rf "$folder"
}
trap end EXIT

# Four minutes of two groups that behave differently: enough for a heat map that has something to show.
cat >"$folder/rehearsal.yaml" <<'EOF'
version: 1
name: night-update
groups:
  mains-gateways:
    count: 500
    behavior: { delay: { lognormal: { p50: 60ms, p99: 400ms } }, outcomes: { failed: 1% } }
  cellular-sensors:
    count: 2000
    behavior:
      delay: { lognormal: { p50: 350ms, p99: 3s } }
      outcomes: { failed: 3%, rejected: 1%, no_answer: 0.5% }
workloads:
  update:
    command: { name: update, timeout: 8s }
    load: { arrival_rate: { stages: [{ rate: 60/s, ramp_to: 240/s, duration: 90s }, { rate: 240/s, duration: 90s }] } }
timeline:
  - { at: 75s, do: disconnect, groups: [cellular-sensors], share: 60%, for: 4s }
thresholds:
  - expect: p99(latency{group=mains-gateways}) < 1s
  - expect: rate(succeeded) >= 95%
EOF

terminal new-session -d -s run -x 118 -y 32
terminal send-keys -t run "clear; COLORTERM=truecolor '$program' run '$folder/rehearsal.yaml' --seed 42 --tui on \
--html '$folder/report.html'; echo the end" Enter

screen() { terminal capture-pane -p -t run; }
await() { # a pattern, and how many tenths of a second it may take
    for _ in $(seq "$2"); do
        if screen | grep -q -E "$1"; then return; fi
        sleep 0.1
    done
    screen >&2
    echo "this never came: $1" >&2
    exit 1
}
await 'MEASURING 02:[0-9][0-9]' 2400
terminal capture-pane -e -p -t run | python3 pictures/terminal.py >"$folder/screen.svg"
await 'the end' 2400

chromium --headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking \
    --disable-component-update --disable-sync --user-data-dir="$folder/browser" --hide-scrollbars \
    --force-device-scale-factor=1 --window-size=1200,1500 --virtual-time-budget=5000 \
    --screenshot="$folder/report.png" "file://$folder/report.html" 2>/dev/null

mv "$folder/screen.svg" pictures/screen.svg
mv "$folder/report.png" pictures/report.png
ls -l pictures/screen.svg pictures/report.png
