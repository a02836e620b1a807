"""See `run`. Each phase says what it measured; what must not be ends it, with the logs."""

import argparse
import http.client
import multiprocessing
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from clients import RECONNECT, Pool

WEBSOCKETS = 1000
EVENT_STREAMS = 50
LOADERS = 6
AWAY = RECONNECT + 1  # seconds; a busy machine takes its time to connect a thousand
NAMES = ("a", "b")


def fail(text):
    raise AssertionError(text)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Machines:
    """What would be machines: a broker, two nodes, HAProxy."""

    def __init__(self, node, config, folder):
        self.node, self.config, self.folder = node, config, pathlib.Path(folder)
        self.port, self.broker, *ports = free_ports(4)
        self.ports = dict(zip(NAMES, ports))
        self.processes = {}
        text = (f"listener {self.broker} 127.0.0.1\nallow_anonymous true\npersistence true\n"
                f"persistence_location {self.folder}/\nmax_queued_messages 10000\n")
        if os.getuid() == 0:
            text += "user root\n"
        (self.folder / "mosquitto.conf").write_text(text)

    def launch(self, name, *command, **env):
        with open(self.folder / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | env)

    def launch_broker(self):
        self.launch("broker", "mosquitto", "-c", str(self.folder / "mosquitto.conf"))
        self.await_port("broker", self.broker)

    def launch_node(self, name):
        self.launch(name, self.node, "--port", str(self.ports[name]), "--broker", f"127.0.0.1:{self.broker}", "--name", name)
        self.await_port(name, self.ports[name])

    def launch_proxy(self):
        self.launch("proxy", "haproxy", "-db", "-f", self.config, PORT=str(self.port), NODE_A=str(self.ports["a"]),
                    NODE_B=str(self.ports["b"]))
        self.await_port("proxy", self.port)

    def await_port(self, name, port):
        for _ in range(500):
            if self.processes[name].poll() is not None:
                break
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.02)
        fail(f"{name} did not start")

    def stop(self, name, by=signal.SIGTERM, drive=None):
        """Ends one; `drive` is called meanwhile."""
        process = self.processes.pop(name)
        process.send_signal(by)
        for _ in range(1500):
            if process.poll() is not None:
                if by == signal.SIGTERM and name in NAMES and process.returncode != 0:
                    fail(f"node {name} ended with {process.returncode}")
                return
            drive(0.01) if drive else time.sleep(0.01)
        fail(f"{name} does not end")

    def stop_all(self):
        for name in ("proxy", *NAMES, "broker"):
            if name in self.processes:
                self.processes[name].kill()
                self.processes[name].wait()

    def get(self, port, path="/node"):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", path)
        text = connection.getresponse().read().decode()
        connection.close()
        return text

    def rss(self, name):
        status = pathlib.Path(f"/proc/{self.processes[name].pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024


def load(port, name, ended, results):
    """GET and, one in two hundred (each is a broadcast), POST, as fast as it goes on one connection; never again what failed."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    count = posts = 0
    failures = []
    slowest = 0
    while not ended.is_set():
        began = time.monotonic()
        try:
            if count % 200 == 199:
                posts += 1
                connection.request("POST", "/lines", body=f"{name} {posts} 0")
            else:
                connection.request("GET", "/node")
            response = connection.getresponse()
            response.read()
            if response.status not in (200, 204):
                failures.append(f"{response.status} {response.reason}")
        except (OSError, http.client.HTTPException) as error:
            failures.append(repr(error))
            connection.close()
        slowest = max(slowest, time.monotonic() - began)
        count += 1
    results.put((count, posts, failures, slowest))


class Test:
    def __init__(self, machines):
        self.machines = machines
        self.pool = Pool()
        self.said = dict.fromkeys(NAMES, 0)
        self.rounds = 0

    def check(self):
        if self.pool.faults:
            fail(f"{len(self.pool.faults)} faults, among them: " + "; ".join(self.pool.faults[:5]))

    def say(self, name):
        self.said[name] += 1
        self.talkers[name].send(f"{name} {self.said[name]} {time.monotonic():.6f}".encode())

    def all_heard(self):
        wanted = {name.encode(): number for name, number in self.said.items()}
        return all(client.last.get(name) == number for client in self.pool.clients for name, number in wanted.items())

    def await_all_heard(self, seconds=10):
        if not self.pool.run(seconds, self.all_heard):
            self.check()
            late = sum(any(c.last.get(n.encode()) != self.said[n] for n in NAMES) for c in self.pool.clients)
            fail(f"{late} clients have not heard all")
        self.check()

    def await_all_here(self, seconds=10):
        if not self.pool.run(seconds, self.pool.all_here):
            fail(f"{sum(c.node is None for c in self.pool.clients)} clients are not here")
        self.check()

    def await_proxy(self, name):
        """Until HAProxy sends requests to this node: it does so first to the one with the fewest connections."""
        until = time.monotonic() + 10
        while not self.machines.get(self.machines.port).startswith(name + ":"):
            if time.monotonic() > until:
                fail(f"HAProxy does not find node {name}")
            self.pool.run(0.05)

    def took_away(self):
        away = sorted(t for client, t in self.pool.away if client.port == self.machines.port)
        self.pool.away.clear()
        if not away:
            return "nobody was away"
        if away[-1] > AWAY:
            fail(f"somebody was away for {away[-1]:.2f} s")
        return f"{len(away)} clients were away, p50 {statistics.median(away):.2f} s, at most {away[-1]:.2f} s"

    # ---- Phases ----

    def connect(self):
        m, pool = self.machines, self.pool
        began = time.monotonic()
        for i in range(WEBSOCKETS + EVENT_STREAMS):
            pool.add(m.port, "ws" if i < WEBSOCKETS else "sse")
            if i % 50 == 49:
                pool.run(0.02)
        self.talkers = {name: pool.add(m.ports[name]) for name in NAMES}
        self.await_all_here(20)
        at = {name: sum(c.node == name for c in pool.clients) for name in NAMES}
        if min(at.values()) < WEBSOCKETS / 4:
            fail(f"they are not spread: {at}")
        print(f"connected: {WEBSOCKETS} WebSockets and {EVENT_STREAMS} SSE clients in {time.monotonic() - began:.1f} s; {at}; "
              f"nodes take {m.rss('a'):.0f} and {m.rss('b'):.0f} MB")

    def broadcast(self):
        self.pool.delays = []
        for i in range(80):
            self.say(NAMES[i % 2])
            self.pool.run(0.05)
        self.await_all_heard()
        delays, self.pool.delays = sorted(self.pool.delays), None
        of = lambda part: delays[int(len(delays) * part)] * 1000
        print(f"broadcast: 80 lines, {len(delays)} deliveries, all once and in order; p50 {of(.5):.1f} ms, p99 {of(.99):.1f} ms, "
              f"at most {delays[-1] * 1000:.1f} ms (the client's own time included)")
        for _ in range(12):  # less than what waits for a client, at once
            for name in NAMES:
                self.say(name)
        self.await_all_heard()

    def kill(self):
        """The node with the most clients; the other one goes on."""
        killed = max(NAMES, key=lambda name: sum(c.node == name for c in self.pool.clients))
        other = NAMES[1 - NAMES.index(killed)]
        self.machines.stop(killed, signal.SIGKILL)
        for _ in range(20):
            self.say(other)
            self.pool.run(0.05)
        self.pool.run(5, lambda: all(c.node for c in self.pool.clients if c is not self.talkers[killed]))
        self.machines.launch_node(killed)
        self.await_proxy(killed)
        self.await_all_here()
        print(f"node {killed} killed: {self.took_away()}")
        for name in NAMES:
            self.say(name)
        self.await_all_heard()

    def restart_broker(self):
        losses = self.pool.losses
        self.machines.stop("broker", drive=self.pool.run)
        began = time.monotonic()
        self.pool.delays = []
        for _ in range(10):
            for name in NAMES:
                self.say(name)
            self.pool.run(0.1)
        local = len(self.pool.delays)
        slowest = max(self.pool.delays)
        if local < 10 * WEBSOCKETS or slowest > 0.5:
            fail(f"without a broker: {local} lines, after up to {slowest:.2f} s")
        self.pool.delays = None
        self.machines.launch_broker()
        self.await_all_heard(15)
        if self.pool.losses != losses:
            fail("clients were lost with the broker")
        print(f"broker away for 1 s: a node's own clients heard its 10 lines after {slowest * 1000:.0f} ms at most, all had all 20 in "
              f"order {time.monotonic() - began:.1f} s after it went; no client was lost")

    def roll(self):
        m = self.machines
        self.rounds += 1
        ended, results = multiprocessing.Event(), multiprocessing.Queue()
        loaders = [multiprocessing.Process(target=load, args=(m.port, f"post{self.rounds}.{i}", ended, results), daemon=True)
                   for i in range(LOADERS)]
        for loader in loaders:
            loader.start()
        began = time.monotonic()
        self.pool.run(0.5)
        for name in NAMES:
            m.stop(name, drive=self.pool.run)
            m.launch_node(name)
            self.await_proxy(name)
            self.await_all_here()
        self.pool.run(0.5)
        took = time.monotonic() - began
        ended.set()
        got = [results.get(timeout=15) for _ in loaders]
        for loader in loaders:
            loader.join()
        count, posts = sum(g[0] for g in got), sum(g[1] for g in got)
        failures = [failure for g in got for failure in g[2]]
        slowest = max(g[3] for g in got)
        print(f"rolling restart: {count} requests in {took:.1f} s, {posts} of them POST, {len(failures)} failed, the slowest took "
              f"{slowest * 1000:.0f} ms; {self.took_away()}")
        if failures:
            fail("failed requests: " + "; ".join(sorted(set(failures))))
        if slowest > 1:
            fail("a request waited for HAProxy to try another node: it was not told in time that this one ends")
        for name in NAMES:
            self.say(name)
        self.await_all_heard()

    def end(self):
        for name in NAMES:
            print("node", self.machines.get(self.machines.ports[name]), end="")
        self.pool.close()
        for name in NAMES:
            self.machines.stop(name)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--node", required=True)
    arguments.add_argument("--config", required=True)
    arguments.add_argument("--rounds", type=int, default=1)
    options = arguments.parse_args()
    signal.alarm(60 + 40 * options.rounds)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        machines = Machines(options.node, options.config, folder)
        try:
            machines.launch_broker()
            for name in NAMES:
                machines.launch_node(name)
            machines.launch_proxy()
            test = Test(machines)
            test.connect()
            test.broadcast()
            for _ in range(options.rounds):
                test.kill()
                test.restart_broker()
                test.roll()
            test.end()
        except AssertionError as error:
            print(f"FAILED: {error}")
            for log in sorted(pathlib.Path(folder).glob("*.log")):
                print(f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-15:]))
            return 1
        finally:
            machines.stop_all()
    print(f"passed in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
