"""The cases of tests/mqtt/run. Each has brokers and programs of its own, on 127.0.0.1 or in a namespace of its own."""

import collections
import concurrent.futures
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import time
import traceback

from tools import Failed, World, check, eventually, free_port

LONG = "--long" in sys.argv
CASES = []


class Skipped(Exception):
    pass


def case(function):
    CASES.append(function)
    return function


def lines_of(world, name, *commands):
    """Runs openssl in the world's folder."""
    for command in commands:
        done = subprocess.run(["openssl", *command.split()], cwd=world.folder, capture_output=True, text=True, check=False)
        check(done.returncode == 0, name, command, done.stderr)


# ---- Messages ------------------------------------------------------------------------------------------------

@case
def publishes_and_receives(world):
    broker = world.broker()
    program = world.program(port=broker.port)
    broker.remember("checker", "out/#")
    program.subscribe("in/+/set", 2)
    program.subscribe("deep/#", 1)
    program.connected()
    eventually(lambda: broker.log.read_text().count("Sending SUBACK") >= 3, "no SUBACK")
    for qos in (0, 1, 2):
        program.publish(f"out/{qos}", f"to you {qos}", qos=qos)
        broker.publish(f"in/{qos}/set", [f"to me {qos}", "ü 🙂"], qos=qos)
    broker.publish("in/other", ["not for me"])
    broker.publish("deep/in/the/tree", ["leaf"])
    program.publish("out/large", "x" * 50_000, qos=1)
    eventually(lambda: len(program.received()) >= 7, lambda: program.received())
    check(sorted(program.received()) == sorted(
        [f"in/{qos}/set {qos} {text}" for qos in (0, 1, 2) for text in (f"to me {qos}", "ü 🙂")] +
        ["deep/in/the/tree 1 leaf"]), program.received())
    got = broker.collect("checker", "out/#", 3)
    check(sorted(got) == [("out/1", "to you 1"), ("out/2", "to you 2"), ("out/large", "x" * 50_000)], got)
    state = program.state()
    check(state["acknowledged"] == state["published"] == 4 and state["outbox"] == 0, state)
    program.end()
    check("Received DISCONNECT" in broker.log.read_text(), "no DISCONNECT")


@case
def retained_messages_come_later(world):
    broker = world.broker()
    first = world.program(port=broker.port)
    first.publish("state/lamp", "on", qos=1, retain=1)
    eventually(lambda: first.state()["acknowledged"] == 1)
    second = world.program(port=broker.port)
    second.subscribe("state/#", 1)
    eventually(lambda: second.received() == ["state/lamp 1 retained on"], second.received)
    first.publish("state/lamp", "off", qos=1, retain=1)
    eventually(lambda: second.received()[1:] == ["state/lamp 1 off"], second.received)


@case
def the_will_comes_when_the_client_is_killed(world):
    broker = world.broker()
    watcher = world.program(port=broker.port)
    watcher.subscribe("will/#", 1)
    watcher.connected()
    for end in ("politely", "killed"):
        mortal = world.program(port=broker.port, will=f"will/{end}", id="mortal", clean=0)
        mortal.connected()
        mortal.end() if end == "politely" else mortal.kill()
    eventually(lambda: watcher.received() == ["will/killed 1 gone"], watcher.received)


def full_inbox(world, qos):
    broker = world.broker("allow_anonymous true", "max_queued_messages 0", "max_inflight_messages 5")
    program = world.program(port=broker.port, keep_alive=5)
    check(program.post("/inbox", filter="in/#", qos=qos) == "ok")
    program.connected()
    eventually(lambda: "SUBACK" in broker.log.read_text(), "no SUBACK")
    texts = [f"{i:200}" for i in range(200)]
    broker.publish("in/x", texts, qos=1)
    eventually(lambda: program.state()["inbox"] > 2000, program.state)
    return program, texts


@case
def a_full_inbox_makes_the_broker_wait_and_stays_connected(world):
    program, texts = full_inbox(world, qos=1)
    began = time.monotonic()
    used = program.processor()
    while time.monotonic() - began < 17:  # the broker would drop it after 7.5 s without a sign of life
        check(program.state()["connected"] and program.state()["losses"] == 0, program.said())
        time.sleep(0.5)
    check(program.processor() - used < 100, "it spins while it does not read")
    check(program.post("/take") == "ok")
    eventually(lambda: len(program.received("in/x")) + program.state()["inbox_dropped"] >= 200, program.state)
    state = program.state()
    check(state["losses"] == 0 and state["inbox_dropped"] == 0, state)
    check([line.strip() for line in program.received("in/x")] == [text.strip() for text in texts], "not the same")


@case
def a_full_inbox_keeps_acknowledgments_back_for_a_while_only(world):
    program, _ = full_inbox(world, qos=0)
    program.publish("out", "mine", qos=1)
    eventually(lambda: program.state()["acknowledged"] == 1, program.state, seconds=15)
    state = program.state()
    check(state["losses"] == 0 and state["inbox_dropped"] > 0, state)
    check("an inbox is full" in program.said(), program.said())


# ---- Brokers that refuse -------------------------------------------------------------------------------------

@case
def wrong_passwords_and_rights_are_told_in_words(world):
    passwords = world.folder / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "hub", "secret"], check=True, capture_output=True)
    rights = world.folder / "rights"
    rights.write_text("user hub\ntopic readwrite mine/#\n")
    broker = world.broker("allow_anonymous false", f"password_file {passwords}", f"acl_file {rights}")
    world.program(port=broker.port, user="hub", password="secret").connected()
    for user, password in (("hub", "wrong"), ("nobody", "secret"), ("", "")):
        program = world.program(port=broker.port, user=user, password=password)
        reason = program.reason()
        check(reason in ("not authorized", "wrong user name or password"), reason)
        check(not program.state()["connected"] and program.get("/") == "Hello")


@case
def tls_trusts_whom_it_is_told_to(world):
    authority = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={0} -keyout {0}.key -out {0}.pem"
    host = ["req -newkey rsa:2048 -nodes -subj /CN={0} -keyout {0}.key -out {0}.csr",
            "x509 -req -in {0}.csr -CA ours.pem -CAkey ours.key -CAcreateserial -days 2 -out {0}.pem -extfile {0}.ext"]
    (world.folder / "here.ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    (world.folder / "elsewhere.ext").write_text("subjectAltName=DNS:elsewhere.example\n")
    lines_of(world, "certificates", authority.format("ours"), authority.format("theirs"),
             *(line.format(name) for name in ("here", "elsewhere") for line in host))
    folder = world.folder

    def broker(name):
        return world.broker("allow_anonymous true", f"certfile {folder}/{name}.pem", f"keyfile {folder}/{name}.key")

    here = broker("here")
    for name in ("localhost", "127.0.0.1"):
        program = world.program(port=here.port, host=name, ca=folder / "ours.pem", keep_alive=5)
        program.connected()
        program.subscribe("echo", 2)
        program.post("/load", topic="echo", qos=2, count=300, every=0)
        eventually(lambda: program.received("echo") == [str(i) for i in range(1, 301)], program.state)
        program.publish("echo", "y" * 60_000, qos=1)
        eventually(lambda: len(program.received("echo")) == 301, program.state)
        program.end()
    elsewhere = broker("elsewhere")
    plain = world.broker()
    silent = world.listener(lambda connection: connection.recv(10) and time.sleep(30))
    hangs_up = world.listener(lambda connection: connection.recv(10) and connection.close())
    for port, ca, expected in ((here.port, "theirs", "the broker's certificate is not trusted"),
                               (elsewhere.port, "ours", "the broker's certificate is for another host"),
                               (plain.port, "ours", "the broker ended the connection before TLS was there"),
                               (silent, "ours", "no answer to CONNECT"),
                               (hangs_up, "ours", "the broker ended the connection before TLS was there")):
        program = world.program(port=port, ca=folder / f"{ca}.pem")
        check(program.reason() == expected, program.reason(), "instead of", expected)
        used = program.processor()
        time.sleep(0.5)
        check(program.processor() - used < 20, "it spins:", expected)
        check(not program.state()["connected"])
    world.program(port=elsewhere.port, ca=folder / "ours.pem", check=0).connected()
    # A client that speaks no TLS to a broker that does.
    check(world.program(port=here.port).reason() != "")


@case
def hosts_that_are_not_there(world):
    program = world.program(host="no.such.host.invalid", port=1883)
    reason = program.reason(10)
    check(reason in ("no such host", "the host's name can't be looked up now", "no answer to CONNECT"), reason)
    check(program.get("/") == "Hello")
    program.end()
    program = world.program(port=free_port())
    check(program.reason() == "connection refused", program.reason())
    program.end()
    program = world.program(host="localhost", port=free_port())
    check(program.reason() == "connection refused", program.reason())


@case
def a_broker_that_accepts_and_never_answers(world):
    port = world.listener(lambda connection: connection.recv(1000) and time.sleep(60))
    program = world.program(port=port)
    check(program.reason() == "no answer to CONNECT", program.reason())
    eventually(lambda: program.state()["failures"] >= 3, program.state, seconds=10)
    check(program.descriptors() < 20, program.descriptors(), "descriptors")


@case
def a_network_that_swallows_everything(world):
    name = f"microdot-mqtt-{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode != 0:
        raise Skipped("no right to make a network namespace")
    world.closers.append(lambda: subprocess.run(["ip", "netns", "del", name], check=False))
    # The cable's other end is nobody; the neighbour is known, so that nobody asks for it in vain.
    for command in ("link set lo up", "link add hole type veth peer name end", "link set hole up",
                    "link set end up", "addr add 10.78.0.1/24 dev hole",
                    "neigh add 10.78.0.2 lladdr 02:00:00:00:00:02 dev hole"):
        subprocess.run(["ip", "-n", name, *command.split()], check=True)
    program = world.program(prefix=["ip", "netns", "exec", name], host="10.78.0.2", backoff=200)
    check(program.reason(5) == "no answer to CONNECT", program.reason())
    before = program.descriptors()
    eventually(lambda: program.state()["failures"] >= 5, program.state, seconds=12)
    check(program.get("/") == "Hello")
    eventually(lambda: program.descriptors() <= before + 1, before, "became", program.descriptors, "descriptors")
    program.end()


@case
def a_broker_that_falls_silent_is_noticed(world):
    broker = world.broker()
    program = world.program(port=broker.port, keep_alive=5)
    program.connected()
    broker.send(signal.SIGSTOP)
    began = time.monotonic()
    eventually(lambda: not program.state()["connected"], program.state, seconds=12)
    check(program.state()["reason"] == "the broker is silent", program.state())
    check(5 < time.monotonic() - began < 10, time.monotonic() - began, "s")
    broker.send(signal.SIGCONT)
    program.connected()


@case
def nonsense_closes_with_a_reason(world):
    connack = b"\x20\x02\x00\x00"
    dice = random.Random(7)
    nonsense = [
        b"\xff" * 100, b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00" * 50,
        b"\x20\x02\x00\x06", b"\x20\x02\x00\xff", b"\x20\x01\x00", b"\x20\x00",  # CONNACK: unknown code, cut
        connack + connack, connack + b"\x30\x00", connack + b"\x30\x02\x00\x05", connack + b"\x36\x05\x00\x01a\x00\x01",
        connack + b"\x32\x05\x00\x01a\x00\x00", connack + b"\x90\x02\x00\x01", connack + b"\x90\x03\x00\x00\x00",
        connack + b"\x62\x02\x00\x00", connack + b"\x60\x02\x00\x01", connack + b"\x30\xff\xff\xff\xff\xff",
        connack + b"\x40\x01\x00", connack + b"\x40\x02\x00\x00", connack + b"\xf0\x00", connack + b"\x10\x00",
        connack + b"\x82\x02\x00\x01", connack + b"\x30\x05\x00\x03\xff\xfea", b"\x30\x04\x00\x01ab", b"\x40\x02\x00\x01",
    ]
    for _ in range(300 if LONG else 60):
        size = dice.randrange(1, 60)
        nonsense.append((connack if dice.random() < 0.7 else b"") +
                        bytes(dice.choice((0x20, 0x30, 0x32, 0x34, 0x40, 0x50, 0x62, 0x70, 0x90, 0xb0, 0xd0)) if i % 7 == 0
                              else dice.choice((0, 1, 2, 3, 5, 40, 127, 128, 255, dice.randrange(256))) for i in range(size)))
    served = 0

    def serve(connection):
        nonlocal served
        connection.recv(1000)
        connection.sendall(nonsense[served % len(nonsense)])
        served += 1
        # What may be the beginning of a longer packet: so it ends.
        connection.settimeout(0.05)
        try:
            while connection.recv(1000):
                pass
        except TimeoutError:
            connection.close()

    port = world.listener(serve)
    program = world.program(port=port, backoff=1, timeout=500)
    program.subscribe("a/#", 2)
    program.post("/load", topic="b", qos=1, count=10**6, every=2000)
    reasons = collections.Counter()

    def all_served():
        state = program.state()
        reasons[state["reason"]] += 1
        return served >= len(nonsense)

    eventually(all_served, program.state, seconds=60 + len(nonsense))
    check(program.process.poll() is None and program.get("/") == "Hello", program.said()[-2000:])
    check("the broker sent what is no MQTT" in reasons, dict(reasons))
    check(set(reasons) <= {"", "the broker sent what is no MQTT", "the connection was lost", "not authorized",
                           "wrong user name or password", "the broker is not available now", "the broker refuses MQTT 3.1.1",
                           "the broker refuses the client id", "the broker ended the connection without an answer"},
          dict(reasons))


def packets(connection):
    """The packets that a client sends: (type and flags, the rest)."""
    data = b""
    while True:
        while len(data) >= 2 and len(data) >= 2 + data[1]:
            yield data[0], data[2:2 + data[1]]
            data = data[2 + data[1]:]
        more = connection.recv(4096)
        if not more:
            return
        data += more


def take(stream, kind):
    """Waits for a packet of this type."""
    for header, rest in stream:
        if header >> 4 == kind:
            return rest
    raise OSError("gone")


CONNACK, CONNACK_PRESENT, PUBREL, PUBREC = b"\x20\x02\x00\x00", b"\x20\x02\x01\x00", b"\x62\x02", b"\x50\x02"
PUBLISH, PUBCOMP = 3, 7


def publish_2(number, text, again=False):
    body = b"\x00\x01a" + struct.pack(">H", number) + text
    return bytes([0x3c if again else 0x34, len(body)]) + body


@case
def a_message_of_qos_2_comes_once_whatever_is_sent_again(world):
    """The broker did not see the PUBREC and sends it anew; then it does not see the PUBCOMP and releases it anew."""
    for another in (False, True):  # that waits for its release meanwhile
        expected = ["once", "another"] if another else ["once", "with its id"]
        got = sent_again(world, another)
        check(got == expected, got, "instead of", expected)


def sent_again(world, another):
    step = []
    release = PUBREL + b"\x00\x07"

    def serve(connection):
        stream = packets(connection)
        take(stream, 1)
        step.append(len(step))
        connection.sendall(CONNACK if step[-1] == 0 else CONNACK_PRESENT)
        if step[-1] == 0:
            number = take(stream, 8)[:2]
            connection.sendall(b"\x90\x03" + number + b"\x02" + (publish_2(8, b"another") if another else b"") +
                               publish_2(7, b"once"))
            for _ in range(1 + another):
                take(stream, 5)
            return connection.close()
        if step[-1] == 1:
            connection.sendall(publish_2(7, b"once", again=True))
            take(stream, 5)
            connection.sendall(release)
            take(stream, PUBCOMP)
            return connection.close()
        connection.sendall(release)
        take(stream, PUBCOMP)
        if another:
            connection.sendall(PUBREL + b"\x00\x08")
        else:
            connection.sendall(publish_2(7, b"with its id"))
            take(stream, 5)
            connection.sendall(release)
        take(stream, PUBCOMP)
        step.append("done")
        take(stream, 14)

    program = world.program(port=world.listener(serve), id="hub", clean=0, backoff=50)
    program.subscribe("a", 2)
    eventually(lambda: "done" in step, step, program.state)
    return program.received("a")


@case
def a_message_that_is_released_by_a_broker_that_goes_is_not_lost(world):
    """The release and the end of the connection (a reset) are there at once: nothing can be answered any more."""
    step = []
    program = None

    def serve(connection):
        stream = packets(connection)
        take(stream, 1)
        step.append(len(step))
        connection.sendall(CONNACK if step[-1] == 0 else CONNACK_PRESENT)
        if step[-1] == 0:
            number = take(stream, 8)[:2]
            connection.sendall(b"\x90\x03" + number + b"\x02" + b"".join(publish_2(i, str(i).encode()) for i in range(1, 9)))
            for _ in range(8):
                take(stream, 5)
            program.send(signal.SIGSTOP)
            connection.sendall(b"".join(PUBREL + struct.pack(">H", i) for i in range(1, 9)))
            time.sleep(0.05)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
            return program.send(signal.SIGCONT)
        connection.sendall(b"".join(PUBREL + struct.pack(">H", i) for i in range(1, 9)))
        for _ in range(8):
            take(stream, PUBCOMP)
        step.append("done")
        take(stream, 14)

    port = world.listener(serve)
    program = world.program(port=port, id="hub", clean=0, backoff=50)
    program.subscribe("a", 2)
    eventually(lambda: "done" in step, step, program.state)
    check(sorted(program.received("a")) == [str(i) for i in range(1, 9)], program.received("a"))


@case
def a_message_that_a_broker_has_forgotten_is_sent_anew(world):
    """It was received (PUBREC) in a session that the broker has no more: a release alone would say nothing."""
    got = []

    def serve(connection):
        stream = packets(connection)
        take(stream, 1)
        connection.sendall(CONNACK)
        for header, rest in stream:
            got.append(header >> 4)
            if header >> 4 == PUBLISH:
                connection.sendall(PUBREC + rest[3:5])
                if got.count(PUBLISH) == 1:
                    return connection.close()
            elif header >> 4 == 6:
                connection.sendall(bytes([PUBCOMP << 4, 2]) + rest[:2])

    program = world.program(port=world.listener(serve), id="hub", clean=0, backoff=50)
    program.publish("a", "once", qos=2)
    eventually(lambda: program.state()["acknowledged"] == 1, program.state, got)
    check(got.count(PUBLISH) == 2 and got[-2:] == [PUBLISH, 6], got)


# ---- Brokers that go and come back ---------------------------------------------------------------------------

def restarts(world, rounds, number, *lines, strict=True, messages=30, load=400):
    """Ends the broker again and again, in the middle of messages both ways. Returns what was lost and doubled."""
    broker = world.broker("allow_anonymous true", "persistence true", f"persistence_location {world.folder}/",
                          "max_queued_messages 0", "max_queued_bytes 0",
                          # When it restarts, this broker forgets of more than so many which were received (PUBREC), and
                          # sends them anew.
                          "max_inflight_messages 1000", *lines)
    program = world.program(port=broker.port, id="hub", clean=0, backoff=300)
    program.subscribe("in/1", 1)
    program.subscribe("in/2", 2)
    program.connected()
    broker.remember("checker", "out/#")
    eventually(lambda: broker.log.read_text().count("Sending SUBACK") >= 3, "no SUBACK")
    count = rounds * load
    for qos in (1, 2):
        program.post("/load", topic=f"out/{qos}", qos=qos, count=count, every=1500)
    dice = random.Random(rounds)
    for round in range(rounds):
        # What comes for a program that stands still lies ready; then both go at once.
        program.send(signal.SIGSTOP)
        for qos in (1, 2):
            broker.publish(f"in/{qos}", range(round * messages, (round + 1) * messages), qos=qos)
        program.send(signal.SIGCONT)
        time.sleep(dice.random() * 0.008)
        broker.end(number)
        connects = program.state()["connects"]
        broker.start()
        eventually(lambda: program.state()["connected"] and program.state()["connects"] > connects, program.said, seconds=10)
    eventually(lambda: (lambda s: s["acknowledged"] + s["dropped"] == s["published"] >= 2 * count)(program.state()),
               program.state, seconds=60)
    found = {}
    got = broker.collect("checker", "out/#", 2 * count, seconds=120 if strict else 10)
    for qos in (1, 2):
        texts = [text for topic, text in got if topic == f"out/{qos}"]
        found[f"published, QoS {qos}"] = compare(texts, [str(i) for i in range(1, count + 1)])
    expected = [str(i) for i in range(rounds * messages)]
    try:
        eventually(lambda: all(set(program.received(f"in/{qos}")) == set(expected) for qos in (1, 2)), seconds=5)
    except Failed:
        pass
    for qos in (1, 2):
        found[f"received, QoS {qos}"] = compare(program.received(f"in/{qos}"), expected)
    if strict:
        for what, (lost, doubled) in found.items():
            check(lost == 0 and (doubled == 0 or what.endswith("1")), found, doubles(program.received("in/2")))
    state = program.state()
    check(state["dropped"] == 0 and state["losses"] >= rounds, state)
    program.end()
    return "; ".join(f"{what}: {lost} lost, {doubled} doubled" for what, (lost, doubled) in found.items())


def doubles(got):
    return [one for one, count in collections.Counter(got).items() if count > 1]


def compare(got, expected):
    counts = collections.Counter(got)
    return (sum(1 for one in expected if counts[one] == 0), sum(one - 1 for one in counts.values()))


@case
def the_broker_restarts_under_load(world):
    notes = [restarts(world, 20, signal.SIGTERM)]
    for _ in range(4 if LONG else 0):
        with World() as another:
            notes.append(restarts(another, 20, signal.SIGTERM))
    return " / ".join(notes)


@case
def a_clean_session_restarts_under_load(world):
    """Nothing is kept for the client; but what comes is what was sent, once, and subscriptions are back."""
    broker = world.broker()
    program = world.program(port=broker.port, backoff=300)
    program.subscribe("in/#", 2)
    program.connected()
    sent = 0
    for round in range(6):
        eventually(lambda: (broker.publish("probe/in", ["x"]), broker.publish("in/probe", [f"p{round}"]),
                            f"p{round}" in program.received("in/probe"))[-1], program.said)
        program.send(signal.SIGSTOP)
        broker.publish("in/2", range(sent, sent + 30))
        sent += 30
        program.send(signal.SIGCONT)
        time.sleep(0.001 * round)
        broker.end(signal.SIGKILL)
        broker.start()
    got = program.received("in/2")
    check(len(got) == len(set(got)), "doubled:", got)


@case
def killed_brokers(world):
    """No promise of ours: what a broker loses that is killed. Figures."""
    if not LONG:
        raise Skipped("only with --long")
    return restarts(world, 10, signal.SIGKILL, "autosave_on_changes true", "autosave_interval 1", strict=False, load=50)


# ---- No broker at all ----------------------------------------------------------------------------------------

@case
def without_a_broker_nothing_grows_and_all_is_delivered(world):
    broker = world.broker("allow_anonymous true", "max_queued_messages 0", "persistence true",
                          f"persistence_location {world.folder}/")
    broker.remember("checker", "out")
    broker.end()
    program = world.program(port=broker.port, backoff=200)
    seconds = 120 if LONG else 12
    count = int(seconds / 0.05)
    program.post("/load", topic="out", qos=1, count=count, every=50_000)
    eventually(lambda: program.state()["failures"] >= 3, program.state)
    time.sleep(1)
    descriptors, resident = program.descriptors(), program.resident()
    end = time.monotonic() + seconds
    worst = 0.0
    while time.monotonic() < end:
        began = time.monotonic()
        check(program.get("/") == "Hello")
        worst = max(worst, time.monotonic() - began)
        # Some for requests that have been answered just now.
        check(program.descriptors() <= descriptors + 8, descriptors, "became", program.descriptors(), "descriptors")
        time.sleep(0.05)
    eventually(lambda: program.descriptors() <= descriptors + 1, descriptors, "became", program.descriptors, "descriptors")
    grown = program.resident() - resident
    check(grown < 1024 or program.has_sanitizer(), f"{grown} KiB grown")
    failures = program.state()["failures"]
    broker.start()
    program.connected()
    eventually(lambda: program.state()["acknowledged"] == count, program.state, seconds=30)
    got = [text for _, text in broker.collect("checker", "out", count, seconds=10)]
    check(got == [str(i) for i in range(1, count + 1)], len(got), got[:5], got[-5:])
    return f"{failures} attempts, {grown} KiB grown, slowest request {worst * 1000:.1f} ms"


def main():
    names = [name for name in sys.argv[1:] if not name.startswith("--")]
    chosen = [one for one in CASES if not names or one.__name__ in names]
    failures = 0

    def play(one):
        began = time.monotonic()
        try:
            with World() as world:
                note, state = one(world) or "", "ok"
        except Skipped as reason:
            note, state = str(reason), "skipped"
        except Failed as reason:
            note, state = str(reason), "FAILED"
        except Exception:  # noqa: BLE001
            note, state = traceback.format_exc(), "FAILED"
        print(f"{state:8} {one.__name__.replace('_', ' ')}, {time.monotonic() - began:.1f} s{': ' if note else ''}{note}",
              flush=True)
        return state != "FAILED"

    # They wait more than they work.
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        failures = sum(not fine for fine in pool.map(play, sorted(chosen, key=lambda one: "restart" not in one.__name__)))
    if failures:
        print(f"{failures} of {len(chosen)} cases failed", file=sys.stderr)
    return 1 if failures else 0


sys.exit(main())
