"""Runs all checks against one backend; see run.sh."""

import sys

import harness
import mosquitto_checks  # noqa: F401, registers its checks
import paho_checks  # noqa: F401, registers its checks


def main():
    program = sys.argv[1]
    backend = harness.Backend(program)
    backend.program = program
    try:
        failures = harness.run_all(backend)
    finally:
        backend.stop()
    sys.exit(min(failures, 100))


if __name__ == "__main__":
    main()
