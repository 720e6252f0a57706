#!/usr/bin/env bash
# Drives the screen of a run in a real terminal (tmux): keys, what they show, and that the terminal is afterwards
# as it was before, however the run ended. Prints a line per check; the exit code is 1 if any failed.
#
#   tests/tmux/run.sh [path of the fleetsim program]
#
# tmux is installed with apt-get where it is missing (as root).
set -euo pipefail
cd "$(dirname "$0")/../.."

source tests/script.sh
program=$(program_to_test "${1:-}")

need tmux tmux

# How often a screen is looked at before it counts as wrong, a tenth of a second apart: a minute, for busy machines.
patience=600
failures=0
folder=$(mktemp -d)
export LC_ALL=C.UTF-8
# A server of its own, in UTF-8 whatever the locale, without anybody's configuration.
terminal() { tmux -u -L "fleetsim-$$" -f /dev/null "$@"; }
end() {
    terminal kill-server 2>/dev/null || true
    rm -rf "$folder"
}
trap end EXIT

# Ten minutes of load, none of which has to pass.
cat >"$folder/screen.yaml" <<'EOF'
version: 1
name: screen
groups:
  near: { count: 15, behavior: { delay: 20ms..80ms } }
  far: { count: 5, behavior: { delay: 100ms..400ms, outcomes: { failed: 5% } } }
workloads:
  ping:
    command: { name: ping, timeout: 2s }
    load: { arrival_rate: { stages: [{ rate: 20/s, duration: 10m }] } }
thresholds:
  - expect: p99(latency) < 1s
EOF

screen() { terminal capture-pane -p -t run; }
keys() { terminal send-keys -t run "$@"; }
flag() { terminal display-message -p -t run "#{$1}"; }

report() { # ok or FAILED, and what
    printf '%-6s %s\n' "$1" "$2"
    if [ "$1" = FAILED ]; then
        failures=$((failures + 1))
        screen | sed 's/^/    | /'
    fi
}

# Looks again and again until the condition holds, as long as patience lasts.
until_true() {
    local left=$patience
    until "$@"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        read -r -t 0.1 <>"$folder/nothing" || true
    done
}

shows() { screen | grep -qF -- "$1"; }
hides() { ! shows "$1"; }
is() { [ "$(flag "$1")" = "$2" ]; }
check() { # what, then a condition that must come true
    local what=$1
    shift
    if until_true "$@"; then report ok "$what"; else report FAILED "$what"; fi
}

# Processor time of the thread that draws, in hundredths of a second, and seconds since the run began. What it costs
# on a machine that does other things is told and not judged.
ticks() {
    local task
    for task in /proc/"$(cat "$folder/pid")"/task/*; do
        if [ "$(cat "$task/comm")" = fleetsim-screen ]; then
            awk '{ sub(/.*\) /, ""); print $12 + $13 }' "$task/stat"
        fi
    done
}
elapsed() { echo $((SECONDS - begun)); }
screen_cpu() {
    local seconds
    seconds=$(elapsed)
    awk -v ticks="$(ticks)" -v hertz="$(getconf CLK_TCK)" -v seconds="${seconds/#0/1}" \
        'BEGIN { printf "%.1f%%", 100 * ticks / hertz / seconds }'
}

# Starts a run by typing it into a shell, as people do.
start() {
    rm -f "$folder"/{before,after,pid,code}
    keys 'clear' Enter
    check "$1: a shell waits" hides screen.yaml
    keys "stty -a > before; sh -c 'echo \$\$ > pid; exec $program run screen.yaml --seed 1 --tui on --grace 5s'; echo \$? > code; stty -a > after; echo 'code:' \$(cat code)" Enter
    begun=$SECONDS
    check "$1: the load is shown" shows MEASURING
    check "$1: on the alternate screen" is alternate_on 1
    check "$1: the mouse is ours" is mouse_any_flag 1
}

# After a run: everything as before, the summary on the usual screen.
ended() { # what, the exit code
    check "$1: it ends with exit code $2" shows "code: $2"
    check "$1: the alternate screen is left" is alternate_on 0
    check "$1: the mouse is let go" is mouse_any_flag 0
    check "$1: the cursor is back" is cursor_flag 1
    check "$1: the summary is on the usual screen" shows "STOPPED"
    check "$1: the terminal is as it was" cmp -s "$folder/before" "$folder/after"
    keys "echo is-it-echoed" Enter
    check "$1: what is typed is echoed" shows "echo is-it-echoed"
}

mkfifo "$folder/nothing"
terminal new-session -d -s run -x 118 -y 40 -c "$folder" "env -u CI PS1='> ' bash --norc --noprofile"

start keys
check "the first pane is the overview" shows "[1 Overview]"
keys '?'
check "? shows the help" shows "any key closes it"
keys 'x'
check "any key closes the help" hides "any key closes it"
keys 'Space'
check "space pauses" shows "PAUSED"
check "the pause is in force" hides "PAUSED…"
keys 'Space'
check "space goes on" hides "PAUSED"
check "a run that was paused says that it was steered" shows "steered"
keys '2'
check "2 shows the latency" shows "[2 Latency]"
check "the heat map has latencies" shows "few ░▒▓█ many"
keys '4'
check "a pane that this run does not have is refused in words" shows "neither a rollout nor a capacity search"
keys '3'
keys '/' 'fa' 'Enter'
check "a filter leaves one of two groups" shows "1 of 2"
keys 'S'
check "S says where it saved" shows "saved"
check "S saves the picture and its figures" test -s "$folder/$(cd "$folder" && ls fleetsim-screen-*.json 2>/dev/null | head -n 1)"
echo "       the screen's thread used $(screen_cpu) of a core for $(elapsed) s"
keys 'q'
check "q asks" shows "Stop sending and drain?"
keys 'q'
ended keys 105

start SIGTERM
kill -TERM "$(cat "$folder/pid")"
ended SIGTERM 105

start SIGHUP
kill -HUP "$(cat "$folder/pid")"
ended SIGHUP 105

start "Ctrl-C twice"
keys C-c C-c
ended "Ctrl-C twice" 105

if [ "$failures" -gt 0 ]; then
    echo "$failures checks failed"
    exit 1
fi
echo "all checks passed"
