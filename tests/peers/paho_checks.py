"""paho-mqtt as a peer: what the mosquitto tools cannot be made to do."""

import itertools
import json
import queue
import socket
import time

from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5, MQTTv311
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from harness import PATIENCE_S, Backend, Failed, check, equal, within

NUMBERS = itertools.count()

# How long nothing must come before it counts as nothing: only where no later event proves it.
QUIET_S = 0.3


def fresh(word):
    """A name that no other check uses."""
    return f"paho-{word}-{next(NUMBERS)}"


def properties(packet, **values):
    """Properties of MQTT 5 for a packet, by paho's names."""
    made = Properties(getattr(PacketTypes, packet))
    for name, value in values.items():
        setattr(made, name, value)
    return made


class Peer:
    """A paho client that is connected when made; what happens to it is awaited one event at a time."""

    def __init__(self, backend, version, client_id="", clean=True, expiry_s=0, will=None, manual_ack=False, **connect):
        self.version = version
        self.events = {name: queue.Queue() for name in ["connect", "disconnect", "message", "publish", "subscribe"]}
        self.client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=clean if version == 4 else None,
            protocol=MQTTv311 if version == 4 else MQTTv5,
            reconnect_on_failure=False,
            manual_ack=manual_ack,
        )
        self.client.on_connect = lambda _, __, *what: self.events["connect"].put(what)
        self.client.on_disconnect = lambda _, __, *what: self.events["disconnect"].put(what)
        self.client.on_message = lambda _, __, message: self.events["message"].put(message)
        self.client.on_publish = lambda _, __, *what: self.events["publish"].put(what)
        self.client.on_subscribe = lambda _, __, *what: self.events["subscribe"].put(what)
        if will:
            self.client.will_set(**will)
        more = {}
        if version == 5:
            asked = properties("CONNECT", SessionExpiryInterval=expiry_s, **connect)
            more = {"clean_start": clean, "properties": asked}
        self.client.connect("127.0.0.1", backend.port, **more)
        self.client.loop_start()
        self.flags, self.reason, self.connack = self.wait("connect")

    def wait(self, event, what=None):
        try:
            return self.events[event].get(timeout=PATIENCE_S)
        except queue.Empty:
            raise Failed(f"{what or event}: nothing came in {PATIENCE_S} s") from None

    def message(self, what="a message"):
        return self.wait("message", what)

    def quiet(self, what):
        """Nothing comes."""
        try:
            message = self.events["message"].get(timeout=QUIET_S)
        except queue.Empty:
            return
        raise Failed(f"{what}: expected nothing, came {message.topic} {message.payload!r}")

    def subscribe(self, filter, qos=1, **options):
        """Returns the number in the SUBACK."""
        if self.version == 5:
            self.client.subscribe(filter, options=SubscribeOptions(qos=qos, **options))
        else:
            self.client.subscribe(filter, qos)
        return self.wait("subscribe")[1][0].value

    def publish(self, topic, payload=b"", qos=1, retain=False, **values):
        """Returns the reason in the PUBACK; 0 for QoS 0."""
        made = properties("PUBLISH", **values) if self.version == 5 else None
        self.client.publish(topic, payload, qos, retain, properties=made)
        return self.wait("publish", f"PUBACK for {topic}")[1].value

    def end(self):
        """The number in the DISCONNECT, or of what paho makes of a closed connection."""
        _, reason, _ = self.wait("disconnect")
        return reason.value

    def go(self):
        self.client.disconnect()
        self.client.loop_stop()

    def die(self):
        """Ends without a DISCONNECT."""
        self.client.socket().shutdown(socket.SHUT_RDWR)
        self.client.loop_stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.disconnect()
        self.client.loop_stop()


def all_expired(backend):
    """Waits until an execution of one second, begun now, has timed out."""
    command, device = fresh("command"), fresh("device")
    backend.create_command(command)
    with Peer(backend, 4) as watcher:
        watcher.subscribe("$aws/events/commandExecution/+/TIMED_OUT")
        execution = backend.start_execution(command, device, timeout_s=1)
        while json.loads(watcher.message("the time-out").payload)["executionId"] != execution:
            pass


@check("CONNACK says what the broker offers", versions=[5])
def connack(backend, version):
    with Peer(backend, version) as peer:
        offered = peer.connack
        equal(peer.reason.value, 0, "reason")
        equal(offered.MaximumQoS, 1, "Maximum QoS")
        equal(offered.SubscriptionIdentifierAvailable, 0, "subscription identifiers")
        equal(getattr(offered, "SharedSubscriptionAvailable", 1), 1, "shared subscriptions")
        equal(getattr(offered, "RetainAvailable", 1), 1, "retained messages")
        within(offered.MaximumPacketSize, 128 * 1024, 256 * 1024, "Maximum Packet Size")
        within(offered.TopicAliasMaximum, 1, 65535, "Topic Alias Maximum")
        equal(len(offered.AssignedClientIdentifier) > 0, True, "an assigned identifier")


@check("a subscription at QoS 2 is granted QoS 1")
def granted(backend, version):
    with Peer(backend, version) as peer:
        equal(peer.subscribe(fresh("topic"), qos=2), 1, "granted QoS")


@check("a share without a filter is refused; in MQTT 5 it ends the connection with 0x8F")
def malformed_share(backend, version):
    with Peer(backend, version) as peer:
        if version == 4:
            equal(peer.subscribe("$share/group"), 0x80, "the SUBACK")
        else:
            peer.client.subscribe("$share/group", options=SubscribeOptions(qos=1))
            equal(peer.end(), 0x8F, "reason")


@check("a PUBLISH of QoS 2 ends the connection: with 0x9B in MQTT 5")
def qos_2(backend, version):
    with Peer(backend, version) as peer:
        peer.client.publish(fresh("topic"), b"x", 2)
        reason = peer.end()
        equal(reason, 0x9B if version == 5 else reason, "reason")


@check("a kept session is present again, with what waited and its remaining time; the expired never arrives")
def kept(backend, version):
    topic, client_id = fresh("topic"), fresh("client")
    arguments = {"client_id": client_id, "clean": False, "expiry_s": 300}
    with Peer(backend, version, **arguments) as peer:
        equal(peer.flags.session_present, False, "session present at first")
        peer.subscribe(topic)
        peer.go()
    with Peer(backend, 5) as sender:
        sender.publish(topic, b"short", MessageExpiryInterval=1)
        sender.publish(topic, b"long", MessageExpiryInterval=100)
        sender.publish(topic, b"forever")
        all_expired(backend)
    with Peer(backend, version, **arguments) as peer:
        equal(peer.flags.session_present, True, "session present")
        for expected, longest in [(b"long", 99), (b"forever", None)]:
            message = peer.message(f"the queued message {expected}")
            equal((message.payload, message.qos, message.dup), (expected, 1, False), "the queued message")
            if version == 5 and longest:
                within(message.properties.MessageExpiryInterval, 60, longest, "remaining seconds")
        peer.quiet("behind the queue")


@check("a session that is not kept is gone")
def not_kept(backend, version):
    topic, client_id = fresh("topic"), fresh("client")
    with Peer(backend, version, client_id=client_id, clean=True) as peer:
        peer.subscribe(topic)
        peer.go()
    with Peer(backend, version) as sender, Peer(backend, version, client_id=client_id, clean=False) as peer:
        equal(peer.flags.session_present, False, "session present")
        sender.publish(topic, b"x")
        peer.quiet("without a subscription")


@check("what was not acknowledged comes again with DUP, before anything new")
def redelivery(backend, version):
    topic, will, client_id = fresh("topic"), fresh("will"), fresh("client")
    arguments = {"client_id": client_id, "clean": False, "expiry_s": 300, "manual_ack": True, "will": {"topic": will}}
    with Peer(backend, version) as sender, Peer(backend, version, **arguments) as peer:
        sender.subscribe(will)
        peer.subscribe(topic)
        for text in [b"1", b"2"]:
            sender.publish(topic, text)
        first = [peer.message() for _ in range(2)]
        peer.client.ack(first[0].mid, 1)
        # The acknowledgement has arrived when this, sent behind it, is answered.
        peer.subscribe(fresh("topic"))
        peer.die()
        # Now the broker knows: what comes next is not sent to the connection that has died.
        equal(sender.message("the will").topic, will, "the will")
        sender.publish(topic, b"3")
        with Peer(backend, version, **arguments) as again:
            found = [(again.message(), expected) for expected in [(b"2", True), (b"3", False)]]
            for message, expected in found:
                equal((message.payload, message.dup), expected, "payload and DUP")
            equal(found[0][0].mid, first[1].mid, "identifier of the redelivered message")


@check("receive maximum 1: the second message follows the acknowledgement of the first", versions=[5])
def receive_maximum(backend, version):
    topic = fresh("topic")
    with Peer(backend, version, manual_ack=True, ReceiveMaximum=1) as peer, Peer(backend, version) as sender:
        peer.subscribe(topic)
        for text in [b"1", b"2", b"3"]:
            sender.publish(topic, text)
        for text in [b"1", b"2", b"3"]:
            message = peer.message()
            equal(message.payload, text, "payload")
            peer.quiet("before the acknowledgement")
            peer.client.ack(message.mid, 1)


@check("a client's maximum packet size is obeyed: larger messages are left out", versions=[5])
def maximum_packet_size(backend, version):
    topic = fresh("topic")
    with Peer(backend, version, MaximumPacketSize=100) as peer, Peer(backend, version) as sender:
        peer.subscribe(topic)
        for text in [b"x" * 200, b"small"]:
            sender.publish(topic, text)
        equal(peer.message().payload, b"small", "the first message")


@check("a topic alias stands for its topic", versions=[5])
def topic_alias(backend, version):
    topic = fresh("topic")
    with Peer(backend, version) as peer, Peer(backend, version) as sender:
        peer.subscribe(topic)
        sender.publish(topic, b"1", TopicAlias=1)
        sender.publish("", b"2", TopicAlias=1)
        for text in [b"1", b"2"]:
            message = peer.message()
            equal((message.topic, message.payload), (topic, text), "topic and payload")


@check("a topic alias over the maximum ends the connection with 0x94", versions=[5])
def topic_alias_over(backend, version):
    with Peer(backend, version) as peer:
        made = properties("PUBLISH", TopicAlias=peer.connack.TopicAliasMaximum + 1)
        peer.client.publish(fresh("topic"), b"x", 1, properties=made)
        equal(peer.end(), 0x94, "reason")


@check("a subscription identifier is refused with 0xA1", versions=[5])
def subscription_identifier(backend, version):
    with Peer(backend, version) as peer:
        asked = properties("SUBSCRIBE", SubscriptionIdentifier=7)
        peer.client.subscribe(fresh("topic"), options=SubscribeOptions(qos=1), properties=asked)
        equal(peer.end(), 0xA1, "reason")


@check("a delayed will waits, is cancelled by a reconnect, and is published at last", versions=[5])
def will_delay(backend, version):
    topic, client_id = fresh("topic"), fresh("client")

    def client(text, delay_s):
        delay = properties("WILLMESSAGE", WillDelayInterval=delay_s)
        will = {"topic": topic, "payload": text, "qos": 1, "properties": delay}
        return Peer(backend, version, client_id=client_id, clean=False, expiry_s=300, will=will)

    with Peer(backend, version) as watcher:
        watcher.subscribe(topic)
        # The second connection comes before the delay of the first has passed, even on a busy machine.
        client("cancelled", 10).die()
        client("published", 2).die()
        died_at = time.monotonic()
        equal(watcher.message("the will").payload, b"published", "the will")
        within(time.monotonic() - died_at, 2, PATIENCE_S, "seconds from its client's death")


@check("DISCONNECT 0x04 publishes the will", versions=[5])
def disconnect_with_will(backend, version):
    topic = fresh("topic")
    with Peer(backend, version) as watcher:
        watcher.subscribe(topic)
        with Peer(backend, version, will={"topic": topic, "payload": "on purpose"}) as client:
            client.client.disconnect(ReasonCode(PacketTypes.DISCONNECT, "Disconnect with will message"))
            equal(watcher.message("the will").payload, b"on purpose", "the will")


@check("no local, retain as published and retain handling do what they say", versions=[5])
def subscribe_options(backend, version):
    topic, other = fresh("topic"), fresh("topic")
    with Peer(backend, version) as peer, Peer(backend, version) as sender:
        sender.publish(topic, b"kept", retain=True)
        peer.subscribe(topic, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND, retainAsPublished=True)
        sender.publish(topic, b"live", retain=True)
        message = peer.message()
        equal((message.payload, message.retain), (b"live", True), "as published, nothing retained before it")
        for expected in [b"live", None]:
            peer.subscribe(f"{topic}/#", retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB)
            if expected:
                message = peer.message("the retained message for a new subscription")
                equal((message.payload, message.retain), (expected, True), "for a new subscription")
        peer.subscribe(other, noLocal=True)
        peer.publish(other, b"own")
        sender.publish(other, b"of another")
        equal(peer.message().payload, b"of another", "with no local")


@check("a retained message expires", versions=[5])
def retained_expires(backend, version):
    topic = fresh("topic")
    with Peer(backend, version) as peer:
        peer.publish(f"{topic}/short", b"x", retain=True, MessageExpiryInterval=1)
        peer.publish(f"{topic}/long", b"y", retain=True, MessageExpiryInterval=100)
        all_expired(backend)
        peer.subscribe(f"{topic}/+")
        message = peer.message()
        equal(message.payload, b"y", "the retained message")
        within(message.properties.MessageExpiryInterval, 60, 99, "remaining seconds")
        peer.quiet("besides")


@check("PUBACK says whether anybody subscribed, and 0x87 for a reserved topic", versions=[5])
def puback(backend, version):
    topic = fresh("topic")
    with Peer(backend, version) as peer:
        equal(peer.publish(topic), 0x10, "without subscribers")
        peer.subscribe(topic)
        equal(peer.publish(topic), 0, "with one")
        equal(peer.publish("$aws/events/commandExecution/c/SUCCEEDED"), 0x87, "to a reserved topic")
        equal(peer.publish("$SYS/x"), 0x87, "to another $ topic")


@check("user and other properties of a will and a message arrive in their order", versions=[5])
def user_properties(backend, version):
    topic = fresh("topic")
    pairs = [("b", "1"), ("a", "2"), ("b", "3")]
    made = properties("WILLMESSAGE", ContentType="text/plain", UserProperty=pairs)
    will = {"topic": topic, "payload": "will", "properties": made}
    with Peer(backend, version) as watcher, Peer(backend, version, will=will) as client:
        watcher.subscribe(topic)
        client.publish(topic, b"x", UserProperty=pairs, CorrelationData=b"\x00\xff", ResponseTopic="r")
        message = watcher.message()
        equal(message.properties.UserProperty, pairs, "user properties")
        equal((message.properties.CorrelationData, message.properties.ResponseTopic), (b"\x00\xff", "r"), "the others")
        client.die()
        message = watcher.message("the will")
        equal((message.properties.UserProperty, message.properties.ContentType), (pairs, "text/plain"), "the will's")


@check("a take-over ends the first connection (0x8E in MQTT 5) and keeps the session")
def takeover(backend, version):
    topic, client_id = fresh("topic"), fresh("client")
    arguments = {"client_id": client_id, "clean": False, "expiry_s": 300}
    with Peer(backend, version, **arguments) as first, Peer(backend, version) as sender:
        first.subscribe(topic)
        with Peer(backend, version, **arguments) as second:
            reason = first.end()
            equal(reason, 0x8E if version == 5 else reason, "reason")
            equal(second.flags.session_present, True, "session present")
            sender.publish(topic, b"x")
            equal(second.message().payload, b"x", "payload")


@check("a session moves between versions with its subscriptions and its queue")
def between_versions(backend, version):
    topic, client_id = fresh("topic"), fresh("client")
    arguments = {"client_id": client_id, "clean": False, "expiry_s": 300}
    with Peer(backend, version, **arguments) as peer:
        peer.subscribe(topic)
        peer.go()
    with Peer(backend, version) as sender:
        sender.publish(topic, b"x")
    with Peer(backend, 9 - version, **arguments) as peer:
        equal(peer.flags.session_present, True, "session present")
        equal(peer.message().payload, b"x", "payload")


@check("a device of a client target answers, is accepted, and too late is rejected")
def device(backend, version):
    client_id, command = fresh("device"), fresh("command")
    backend.create_command(command)
    front = f"$aws/commands/clients/{client_id}/executions"
    with Peer(backend, version, client_id=client_id) as peer:
        for suffix in ["request/json", "response/accepted/json", "response/rejected/json"]:
            peer.subscribe(f"{front}/+/{suffix}")
        execution = backend.start_execution(command, client_id, timeout_s=10, kind="client")
        request = peer.message("the request")
        equal((request.topic, request.payload), (f"{front}/{execution}/request/json", b"{}"), "the request")
        if version == 5:
            equal(request.properties.ContentType, "application/json", "content type")
            within(request.properties.MessageExpiryInterval, 5, 9, "remaining seconds of 10")
        result = {"status": "SUCCEEDED", "result": {"battery": {"s": "50 percent"}}}
        for update, reply in [(result, "accepted"), ({"status": "FAILED"}, "rejected")]:
            peer.publish(f"{front}/{execution}/response/json", json.dumps(update))
            message = peer.message("the reply")
            equal(message.topic, f"{front}/{execution}/response/{reply}/json", "topic of the reply")
        equal(json.loads(message.payload)["error"], "TerminalStateReached", "error")
        equal(backend.status(execution, client_id, kind="client"), "SUCCEEDED", "the record")


@check("with --limits aws a client is told of them and held to them", versions=[5])
def limited(backend, version):
    own = Backend(backend.program, "--limits", "aws")
    try:
        with Peer(own, version, client_id="c", expiry_s=10_000_000, clean=False) as peer:
            equal(peer.connack.ReceiveMaximum, 100, "Receive Maximum")
            equal(peer.connack.SessionExpiryInterval, 604_800, "Session Expiry Interval")
            found = [peer.subscribe(f"t/{number}") for number in range(51)]
            equal(found, [1] * 50 + [0x97], "51 subscriptions")
            # As many as take five seconds at the allowed rate.
            for _ in range(600):
                peer.client.publish("unheard", b"x", 1)
            reasons = [peer.wait("publish")[1].value for _ in range(600)]
            equal(reasons[:100], [0x10] * 100, "the first 100 messages")
            equal(0x97 in reasons, True, "quota exceeded among 600 messages at once")
            peer.client.publish("1/2/3/4/5/6/7/8/9", b"x", 1)
            equal(peer.end(), 0x90, "reason for a topic with eight slashes")
    finally:
        own.stop()


@check("with --isolate a client acts for its own identifier only")
def isolated(backend, version):
    own = Backend(backend.program, "--isolate")
    try:
        with Peer(own, version, client_id="t1") as peer:
            refused = 0x87 if version == 5 else 0x80
            for filter, expected in [
                ("$aws/commands/things/t1/executions/+/request/#", 1),
                ("$aws/commands/clients/t1/executions/+/request/#", 1),
                ("plain/#", 1),
                ("$aws/commands/things/t2/executions/+/request/#", refused),
                ("$aws/commands/things/+/executions/+/request/#", refused),
                ("$aws/events/commandExecution/+/#", refused),
            ]:
                equal(peer.subscribe(filter), expected, filter)
            if version == 5:
                foreign = "$aws/commands/things/t2/executions/e1/response/json"
                equal(peer.publish(foreign, b"{}"), 0x87, "an update for another device")
    finally:
        own.stop()
