"""mosquitto_pub and mosquitto_sub as peers."""

import itertools
import json
import subprocess
import tempfile

from harness import PATIENCE_S, Lines, check, equal, within

NUMBERS = itertools.count()


def fresh(word):
    """A name that no other check uses."""
    return f"mosquitto-{word}-{next(NUMBERS)}"


def flags(backend, version):
    return ["-h", "127.0.0.1", "-p", str(backend.port), "-V", "mqttv311" if version == 4 else "mqttv5"]


def publish(backend, version, *arguments):
    """Runs mosquitto_pub to its end; returns what it printed, debug lines included."""
    command = ["mosquitto_pub", *flags(backend, version), "-d", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    return done.returncode, done.stdout + done.stderr


def publish_well(backend, version, *arguments):
    code, said = publish(backend, version, *arguments)
    equal(code, 0, f"exit code of mosquitto_pub {' '.join(arguments)} ({said.strip()})")


class Subscriber:
    """mosquitto_sub with debug lines, subscribed when made; messages are printed as `message|<fields>`."""

    def __init__(self, backend, version, *arguments, fields="%t|%q|%r|%p"):
        command = ["mosquitto_sub", *flags(backend, version), "-d", "-F", f"message|{fields}", *arguments]
        # Line by line, or its messages would wait in a buffer.
        self.process = subprocess.Popen(
            ["stdbuf", "-oL", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.lines = Lines(self.process)
        # What waited in a kept session comes before the SUBACK.
        self.lines.until("Subscribed (mid: 1)", "SUBACK", keep="message|")

    def message(self, what="a message"):
        return self.lines.until("message|", what).split("|")[1:]

    def go(self):
        """Ends with a DISCONNECT."""
        self.process.terminate()
        self.process.wait(PATIENCE_S)

    def die(self):
        """Ends without a word."""
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.die()


@check("messages of QoS 0 and 1 arrive at the lower of both QoS")
def both_ways(backend, version):
    for sent, granted in itertools.product("01", "01"):
        topic = fresh("topic")
        with Subscriber(backend, version, "-t", topic, "-q", granted) as subscriber:
            publish_well(backend, version, "-t", topic, "-q", sent, "-m", "größe")
            equal(subscriber.message(), [topic, min(sent, granted), "0", "größe"], f"QoS {sent} to {granted}")


@check("wildcards match, and at the front no $ topic")
def wildcards(backend, version):
    topic = fresh("topic")
    with Subscriber(backend, version, "-t", f"+/{topic}/#") as subscriber:
        for front in ["$aws", "a"]:
            publish(backend, version, "-t", f"{front}/{topic}/b", "-m", front)
        equal(subscriber.message(), [f"a/{topic}/b", "0", "0", "a"], "the first message")


@check("a retained message is kept, replaced and cleared")
def retained(backend, version):
    topic = fresh("topic")
    for text in ["old", "new"]:
        publish_well(backend, version, "-t", topic, "-q", "1", "-r", "-m", text)
    with Subscriber(backend, version, "-t", topic, "-q", "1") as subscriber:
        equal(subscriber.message(), [topic, "1", "1", "new"], "the retained message")
    publish_well(backend, version, "-t", topic, "-r", "-n")
    with Subscriber(backend, version, "-t", topic) as subscriber:
        publish_well(backend, version, "-t", topic, "-m", "live")
        equal(subscriber.message(), [topic, "0", "0", "live"], "the first message after it was cleared")


@check("a will is published when its client dies; when it says goodbye, only if it asks for it (0x04)")
def will(backend, version):
    topic = fresh("topic")
    with Subscriber(backend, version, "-t", topic) as watcher:
        for end, text in [(Subscriber.go, "went"), (Subscriber.die, "died")]:
            arguments = ["-t", fresh("other"), "--will-topic", topic, "--will-payload", text]
            with Subscriber(backend, version, *arguments) as client:
                end(client)
        # In MQTT 5 mosquitto_sub takes its leave with "disconnect with will message", in 3.1.1 it cannot.
        for text in ["went", "died"] if version == 5 else ["died"]:
            equal(watcher.message(), [topic, "0", "0", text], "the will")


def persistent(version, client_id):
    return ["-c", "-i", client_id, "-q", "1", *(["-x", "300"] if version == 5 else [])]


@check("a kept session gets its queued request with the remaining time; an expired one never arrives")
def session(backend, version):
    device, command = fresh("device"), fresh("command")
    backend.create_command(command)
    arguments = [*persistent(version, device), "-t", f"$aws/commands/things/{device}/executions/+/request/json"]
    with Subscriber(backend, version, *arguments) as client:
        client.go()
    short = backend.start_execution(command, device, timeout_s=1)
    execution = backend.start_execution(command, device, timeout_s=60)
    with Subscriber(backend, version, "-t", "$aws/events/commandExecution/+/TIMED_OUT") as events:
        while json.loads(events.message("the time-out")[3])["executionId"] != short:
            pass
    equal(backend.status(short, device), "TIMED_OUT", "status of the short one")
    fields = "%t|%p|%C|%E" if version == 5 else "%t|%p"
    with Subscriber(backend, version, *arguments, fields=fields) as client:
        topic, payload, *properties = client.message("the queued request")
    equal(topic.split("/")[5], execution, "the execution of the first request")
    equal(payload, "{}", "payload")
    if version == 5:
        equal(properties[0], "application/json", "content type")
        within(int(properties[1]), 30, 58, "remaining seconds")


@check("a command goes to a device and its answer into the record")
def end_to_end(backend, version):
    device, command = fresh("device"), fresh("command")
    backend.create_command(command, content="aGVsbG8=", content_type="text/plain")
    with (
        Subscriber(backend, version, "-q", "1", "-t", f"$aws/commands/things/{device}/executions/+/request/#") as client,
        Subscriber(backend, version, "-t", f"$aws/commands/things/{device}/executions/+/response/+/json") as replies,
    ):
        execution = backend.start_execution(command, device)
        front = f"$aws/commands/things/{device}/executions/{execution}"
        equal(client.message(), [f"{front}/request", "1", "0", "hello"], "the request")
        for status in ["IN_PROGRESS", "SUCCEEDED"]:
            update = json.dumps({"status": status})
            publish_well(backend, version, "-q", "1", "-t", f"{front}/response/json", "-m", update)
            topic, _, _, reply = replies.message(f"the reply to {status}")
            equal((topic, json.loads(reply)), (f"{front}/response/accepted/json", {"executionId": execution}), status)
            equal(backend.status(execution, device), status, "the record")


@check("reserved topics are refused: 0x87 to a client of MQTT 5, silence to one of 3.1.1")
def reserved(backend, version):
    device = fresh("device")
    topic = f"$aws/commands/things/{device}/executions/e1/request/json"
    with Subscriber(backend, version, "-t", topic, "-t", device) as client:
        code, said = publish(backend, version, "-q", "1", "-t", topic, "-m", "forged")
        if version == 5:
            equal("RC:135" in said, True, f"reason 135 in {said!r}")
        else:
            equal((code, "received PUBACK" in said), (0, True), f"an ordinary PUBACK in {said!r}")
        publish_well(backend, version, "-t", device, "-m", "allowed")
        equal(client.message()[0], device, "topic of the first message")


@check("a shared subscription gives each message to one of its members, in turn")
def shared(backend, version):
    topic = fresh("topic")
    arguments = ["-q", "1", "-t", f"$share/group/{topic}"]
    with Subscriber(backend, version, *arguments) as one, Subscriber(backend, version, *arguments) as other:
        for number in range(6):
            publish_well(backend, version, "-t", topic, "-q", "1", "-m", str(number))
        found = [[client.message()[3] for _ in range(3)] for client in (one, other)]
        equal(sorted(found), [["0", "2", "4"], ["1", "3", "5"]], "messages of both members")


@check("a message that is too large ends the connection; a client of MQTT 5 knows and does not send it")
def too_large(backend, version):
    topic = fresh("topic")
    with tempfile.NamedTemporaryFile() as file, Subscriber(backend, version, "-t", topic) as subscriber:
        file.write(b"x" * 300_000)
        file.flush()
        _, said = publish(backend, version, "-q", "1", "-t", topic, "-f", file.name)
        # The client of MQTT 5 obeys the maximum in the CONNACK and does not even send it.
        equal("received PUBACK" in said, False, f"a PUBACK in {said!r}")
        equal("sending PUBLISH" in said, version == 4, f"a PUBLISH in {said!r}")
        publish_well(backend, version, "-t", topic, "-m", "small")
        equal(subscriber.message()[3], "small", "the first message")


@check("a second connection with the same identifier takes over: 0x8E to the first in MQTT 5")
def takeover(backend, version):
    client_id = fresh("client")
    with Subscriber(backend, version, "-i", client_id, "-t", "a") as first:
        with Subscriber(backend, version, "-i", client_id, "-t", "a"):
            if version == 5:
                first.lines.until("DISCONNECT (142)", "the first one's end")
            else:
                first.lines.until("sending CONNECT", "the first one's end, after which it tries again")


@check("properties go from client to client unchanged", versions=[5])
def properties(backend, version):
    topic = fresh("topic")
    sent = {
        "content-type": "text/csv",
        "response-topic": "answer/here",
        "correlation-data": "c-1",
        "payload-format-indicator": "1",
        "message-expiry-interval": "100",
    }
    arguments = [word for name, value in sent.items() for word in ("-D", "publish", name, value)]
    arguments += ["-D", "publish", "user-property", "k", "v 1", "-D", "publish", "user-property", "k", "v 2"]
    with Subscriber(backend, version, "-q", "1", "-t", topic, fields="%C|%R|%D|%F|%E|%P") as subscriber:
        publish_well(backend, version, "-q", "1", "-t", topic, "-m", "x", *arguments)
        *found, expiry, user = subscriber.message()
        equal(found, ["text/csv", "answer/here", "c-1", "1"], "properties")
        within(int(expiry), 95, 100, "remaining seconds")
        equal(user, "k:v 1 k:v 2", "user properties")
