#!/usr/bin/env python3
"""What the screen costs: the same run with and without it, in turn, at 2,000 commands a second.

    tests/tmux/cost.py PROGRAM [PAIRS]

Prints, for each pair, the p99 of `schedule_lag` without and with the screen and the share of a core that its thread
took; then the medians, and whether they are within bounds (0.5 ms more lag, 5 % of a core). Ten pairs take ten
minutes; on a machine that does other things they say little. The exit code is 1 if a median is out of bounds.
"""

import json
import os
import pathlib
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

SCENARIO = "scenarios/fleet-5000.yaml"
MORE_LAG_MS, OF_A_CORE = 0.5, 0.05
# A run takes half a minute; one that takes longer than this hangs.
PATIENCE_S = 180
SERVER = f"fleetsim-cost-{os.getpid()}"


def tmux(*arguments):
    command = ["tmux", "-u", "-L", SERVER, "-f", "/dev/null", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def screen_seconds(pid):
    """Processor time of the thread that draws; None once it is gone."""
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*"):
        try:
            if (task / "comm").read_text().strip() == "fleetsim-screen":
                fields = (task / "stat").read_text().rsplit(")", 1)[1].split()
                return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except OSError:
            return None
    return None


def lag_ms(path):
    return json.loads(path.read_text())["generator"]["schedule_lag_us_p99"] / 1_000


def without(program, folder):
    result = folder / "without.json"
    subprocess.run([program, "run", SCENARIO, "--seed", "1", "--tui", "off", "-q", "--json", result],
                   stdout=subprocess.DEVNULL, check=False)
    return lag_ms(result)


def with_screen(program, folder):
    """The lag, and the share of a core that the screen took."""
    result, pid_file = folder / "with.json", folder / "pid"
    pid_file.unlink(missing_ok=True)
    run = shlex.join([program, "run", SCENARIO, "--seed", "1", "--tui", "on", "--json", str(result)])
    begun = time.monotonic()
    tmux("new-session", "-d", "-x", "118", "-y", "32", f"echo $$ > {shlex.quote(str(pid_file))}; exec {run}")
    used, seconds = 0.0, 1.0
    while time.monotonic() - begun < PATIENCE_S:
        time.sleep(0.25)
        text = pid_file.read_text().strip() if pid_file.exists() else ""
        if text and not pathlib.Path(f"/proc/{text}").exists():
            return lag_ms(result), used / seconds
        now = screen_seconds(text) if text else None
        if now is not None:
            used, seconds = now, time.monotonic() - begun
    sys.exit("the run with the screen did not end")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    program, pairs = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 10
    os.chdir(pathlib.Path(__file__).resolve().parents[2])
    differences, shares = [], []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for pair in range(1, pairs + 1):
            # Each goes first as often as the other.
            if pair % 2:
                plain = without(program, folder)
                shown, share = with_screen(program, folder)
            else:
                shown, share = with_screen(program, folder)
                plain = without(program, folder)
            differences.append(shown - plain)
            shares.append(share)
            print(f"pair {pair}: lag p99 {plain:.3f} ms without, {shown:.3f} ms with the screen, "
                  f"which took {share:.1%} of a core", flush=True)
    more, share = statistics.median(differences), statistics.median(shares)
    print(f"median of {pairs}: {more:+.3f} ms of lag (at most +{MORE_LAG_MS} ms), {share:.1%} of a core "
          f"(at most {OF_A_CORE:.0%})")
    sys.exit(more > MORE_LAG_MS or share > OF_A_CORE)


if __name__ == "__main__":
    main()
