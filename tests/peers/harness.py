"""A backend to talk to, its HTTP API, and a list of checks. Nothing here knows an MQTT client."""

import json
import queue
import subprocess
import tempfile
import threading
import traceback
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

# Waiting for an event never takes it whole; it only bounds how long a failure takes on a busy machine.
PATIENCE_S = 20

ACCOUNT = "arn:aws:iot:us-east-1:123456789012"


class Backend:
    """`fleetsim backend` on free ports, and its API as an AWS SDK calls it."""

    def __init__(self, program, *arguments):
        self.folder = tempfile.TemporaryDirectory()
        ready = Path(self.folder.name) / "ready.json"
        command = [program, "backend", "--mqtt", "127.0.0.1:0", "--http", "127.0.0.1:0", "--ready-file", str(ready)]
        self.process = subprocess.Popen([*command, *arguments], stderr=subprocess.PIPE, text=True)
        said = []
        # The last line of its greeting comes after the ready file.
        for line in self.process.stderr:
            said.append(line)
            if "Ctrl-C stops" in line:
                break
        else:
            raise SystemExit(f"{program} backend did not start:\n{''.join(said)}")
        addresses = json.loads(ready.read_text())
        self.http = addresses["http"]
        self.port = urllib.parse.urlsplit(addresses["mqtt"]).port

    def stop(self):
        self.process.terminate()
        code = self.process.wait(PATIENCE_S)
        self.folder.cleanup()
        equal(code, 0, "exit code of the backend")

    def call(self, service, method, path, body=None):
        scope = f"Credential=K/20261122/us-east-1/{service}/aws4_request"
        request = urllib.request.Request(
            self.http + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"authorization": f"AWS4-HMAC-SHA256 {scope}, Signature=0", "content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as reply:
                return json.loads(reply.read() or b"null")
        except urllib.error.HTTPError as error:
            raise Failed(f"{method} {path}: HTTP {error.code} {error.read().decode(errors='replace')}") from None

    def create_command(self, name, content="e30=", content_type="application/json"):
        """Stores a command; `content` is base64."""
        payload = {"content": content, "contentType": content_type}
        self.call("iot", "PUT", f"/commands/{name}", {"payload": payload})

    def start_execution(self, command, device, timeout_s=60, kind="thing"):
        """Starts a command on a device; returns the execution's id."""
        body = {
            "commandArn": f"{ACCOUNT}:command/{command}",
            "targetArn": f"{ACCOUNT}:{kind}/{device}",
            "executionTimeoutSeconds": timeout_s,
        }
        return self.call("iot-jobs-data", "POST", "/command-executions", body)["executionId"]

    def status(self, execution, device, kind="thing"):
        target = urllib.parse.quote(f"{ACCOUNT}:{kind}/{device}", safe="")
        return self.call("iot", "GET", f"/command-executions/{execution}?targetArn={target}")["status"]


class Failed(Exception):
    """What was expected, and what came."""


def equal(found, expected, what):
    if found != expected:
        raise Failed(f"{what}: expected {expected!r}, came {found!r}")


def within(found, low, high, what):
    if not (isinstance(found, (int, float)) and low <= found <= high):
        raise Failed(f"{what}: expected {low} to {high}, came {found!r}")


class Lines:
    """The lines a process prints, awaited one at a time."""

    def __init__(self, process):
        self.process = process
        self.lines = queue.Queue()
        self.kept = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def next(self, what):
        """The next line; `None` once the process has ended."""
        if self.kept:
            return self.kept.pop(0)
        try:
            return self.lines.get(timeout=PATIENCE_S)
        except queue.Empty:
            raise Failed(f"{what}: nothing came in {PATIENCE_S} s") from None

    def until(self, wanted, what, keep=None):
        """The first line that contains `wanted`; those before are skipped, but what begins with `keep`
        stays for the next call."""
        seen = []
        while (line := self.next(what)) is not None:
            if wanted in line:
                for kept in seen if keep else []:
                    if kept.startswith(keep):
                        self.kept.append(kept)
                return line
            seen.append(line)
        raise Failed(f"{what}: expected a line with {wanted!r}, came {seen!r} and the end")


CHECKS = []


def check(sentence, versions=(4, 5)):
    """Registers a check that runs once per protocol version: `function(backend, version)`."""

    def register(function):
        client = function.__module__.removesuffix("_checks")
        CHECKS.extend((f"{client} {'3.1.1' if v == 4 else '5':5}  {sentence}", function, v) for v in versions)
        return function

    return register


def run_all(backend):
    """Runs every check, prints a line for each, and returns how many failed."""
    failures = 0
    for name, function, version in CHECKS:
        try:
            function(backend, version)
        except Failed as failure:
            failures += 1
            print(f"FAIL  {name}\n      {failure}", flush=True)
        except Exception:
            failures += 1
            print(f"FAIL  {name}\n{traceback.format_exc()}", flush=True)
        else:
            print(f"ok    {name}", flush=True)
    print(f"{len(CHECKS) - failures} of {len(CHECKS)} checks passed", flush=True)
    return failures
