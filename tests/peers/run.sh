#!/usr/bin/env bash
# Drives `fleetsim backend` with clients that are not ours: mosquitto_pub and mosquitto_sub, and paho-mqtt
# from PyPI, each as MQTT 3.1.1 and 5. Prints a line per check; the exit code is the number of failures.
# rumqttc, the third one, is in tests/it/peers.rs.
#
#   tests/peers/run.sh [path of the fleetsim program]
#
# What is missing is installed: mosquitto-clients with apt-get (as root), paho-mqtt into target/peers.
set -euo pipefail
cd "$(dirname "$0")/../.."

source tests/script.sh
program=$(program_to_test "${1:-}")

need mosquitto_sub mosquitto-clients

python=target/peers/bin/python
if ! "$python" -c 'import paho.mqtt' 2>/dev/null; then
    python3 -m venv target/peers
    "$python" -m pip install --quiet --disable-pip-version-check 'paho-mqtt==2.1.0'
fi

exec "$python" tests/peers/peers.py "$program"
