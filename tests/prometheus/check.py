"""A real Prometheus against a run of fleetsim; see run.sh. The exit code is the number of failed checks."""

import glob
import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

PROGRAM = sys.argv[1]
WORK = pathlib.Path("target/prometheus")
SCENARIO = "tests/headless.yaml"
failures = 0


def check(what, is_so, details=""):
    global failures
    failures += not is_so
    print(f"{'ok    ' if is_so else 'FAILED'} {what}{'' if is_so else f': {details}'}", flush=True)


def get(url, accept="*/*"):
    request = urllib.request.Request(url, headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Prometheus:
    """A server that scrapes the run every second."""

    def __init__(self, name, target, flags):
        self.folder = WORK / name
        self.folder.mkdir(parents=True)
        self.base = f"http://127.0.0.1:{free_port()}"
        config = {
            "global": {"scrape_interval": "1s"},
            "scrape_configs": [{"job_name": "fleetsim", "static_configs": [{"targets": [target]}]}],
        }
        # JSON is YAML.
        (self.folder / "prometheus.yml").write_text(json.dumps(config))
        log = (self.folder / "log").open("wb")
        self.process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={self.folder}/prometheus.yml",
                f"--storage.tsdb.path={self.folder}/data",
                f"--web.listen-address={self.base.removeprefix('http://')}",
                *flags,
            ],
            stdout=log,
            stderr=log,
        )

    def query(self, expression):
        url = f"{self.base}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        try:
            return json.loads(get(url))["data"]["result"]
        except urllib.error.HTTPError as error:
            raise ValueError(f"{expression}: {error.read().decode()}") from error

    def value(self, expression):
        """The one figure of an expression."""
        found = self.query(expression)
        return float(found[0]["value"][1]) if len(found) == 1 else None

    def await_value(self, expression, expected, until):
        """The figure, once it is what is expected or the time is over."""
        while True:
            try:
                value = self.value(expression)
            except (OSError, ValueError) as error:
                value = str(error)
            if value == expected or time.monotonic() > until:
                return value
            time.sleep(0.25)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=30)


def promtool(what, text):
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    said = (done.stdout + done.stderr).decode()
    check(f"promtool accepts {what}", done.returncode == 0 and not said.strip(), said)


def dashboards():
    """Every query of the dashboards, with its variables filled in."""
    values = {"job": ".*", "scenario": ".*", "workload": ".*", "group": ".*", "__rate_interval": "10s"}
    for path in sorted(glob.glob("dashboards/*.json")):
        for panel in json.loads(pathlib.Path(path).read_text())["panels"]:
            for target in panel.get("targets", []):
                for histograms in ("1", "2"):
                    filled = {**values, "histograms": histograms}
                    expression = re.sub(r"\$(\w+)", lambda name: filled[name[1]], target["expr"])
                    yield pathlib.Path(path).stem, panel["title"], expression


def main():
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    run = subprocess.Popen(
        [PROGRAM, "run", SCENARIO, "--tui", "off", "--metrics", "127.0.0.1:0", "--metrics-hold", "60s"]
        + ["--out-dir", str(WORK / "out")],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    address = None
    for line in run.stderr:
        if found := re.search(r"metrics at (http://([^/]+)/metrics)", line):
            url, address = found[1], found[2]
            break
    assert address, "the run did not say where its metrics are"
    # Somebody has to read the rest, or the run would wait.
    said = []
    reader = threading.Thread(target=lambda: said.extend(run.stderr))
    reader.start()
    classic = Prometheus("classic", address, [])
    native = Prometheus("native", address, ["--enable-feature=native-histograms"])
    try:
        until = time.monotonic() + 60
        text = b""
        while b"fleetsim_command_latency_seconds_count" not in text and time.monotonic() < until:
            time.sleep(0.25)
            try:
                text = get(url)
            except urllib.error.HTTPError:
                continue
        promtool("the metrics of a run that goes on", text)
        result_path = WORK / "out" / "result.json"
        while not result_path.exists() and time.monotonic() < until + 120:
            time.sleep(0.25)
        promtool("metrics.prom", (WORK / "out" / "metrics.prom").read_bytes())
        compare(json.loads(result_path.read_text()), classic, native)
    finally:
        run.terminate()
        code = run.wait(timeout=60)
        reader.join()
        classic.stop()
        native.stop()
    check("the run passed, and a signal ended the hold", code == 0, f"exit {code}: {''.join(said)}")


def compare(result, classic, native):
    until = time.monotonic() + 20
    for status, count in result["totals"]["measured"]["classes"].items():
        expression = f'sum(fleetsim_executions_total{{status="{status}"}})'
        value = classic.await_value(expression, count, until)
        check(f"executions_total of {status} is {count}", value == count, value)
    spans = [s for s in result["spans"] if s["span"] == "latency" and s["outcome"] == "succeeded"]
    count = sum(span["count"] for span in spans)
    total = sum(span["count"] * span["percentiles"]["mean"] for span in spans) / 1e6
    p99 = max(span["percentiles"]["p99"] for span in spans) / 1e6
    selector = '{outcome="succeeded"}'
    latency = "fleetsim_command_latency_seconds"
    value = classic.value(f"sum({latency}_count{selector})")
    check(f"classic histograms count {count}", value == count, value)
    value = classic.value(f'sum({latency}_bucket{{outcome="succeeded",le="+Inf"}})')
    check("the last classic bucket has all", value == count, value)
    value = classic.value(f"sum({latency}_sum{selector})")
    check(f"their sum is {total:.3f} s within 0.2 %", abs(value - total) < total * 0.002, value)
    value = native.await_value(f"histogram_count(sum({latency}{selector}))", count, until)
    check(f"native histograms count {count}", value == count, value)
    value = native.value(f"histogram_quantile(0.99, sum({latency}{selector}))")
    check(f"their p99 is {p99:.3f} s within 10 %", abs(value - p99) < p99 * 0.1, value)
    devices = sum(group["devices"] for group in result["groups"].values())
    value = classic.value("sum(fleetsim_devices)")
    check(f"there are {devices} devices", value == devices, value)
    for threshold in result["thresholds"]:
        found = classic.query("fleetsim_threshold_ok")
        values = [one["value"][1] for one in found if one["metric"]["expect"] == threshold["expect"]]
        expected = [str(int(threshold["passed"]))]
        check(f"threshold_ok of `{threshold['expect']}` is {expected}", values == expected, values)
    filled = 0
    for board, panel, expression in dashboards():
        for server in (classic, native):
            try:
                filled += bool(server.query(expression))
            except (OSError, ValueError) as error:
                check(f"{board}, {panel}", False, error)
    check("the queries of the dashboards are valid, and many have figures", filled > 20, filled)
    print(f"       {filled} of them had figures")


main()
sys.exit(min(failures, 100))
