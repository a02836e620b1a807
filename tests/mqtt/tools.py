"""What the cases share: brokers, programs under test, and the broker's own clients."""

import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

SERVER = os.environ["MQTT_SERVER"]


class Failed(Exception):
    pass


def check(condition, *words):
    if not condition:
        raise Failed(" ".join(str(word) for word in words))


def eventually(condition, *words, seconds=5.0):
    """Waits until `condition()` is true, and returns what it gave."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"not within {seconds} s: " + " ".join(str(word() if callable(word) else word) for word in words))
        time.sleep(0.02)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class World:
    """What one case has started; all of it ends with the case."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="microdot-mqtt-"))
        self.closers = []

    def __enter__(self):
        return self

    def __exit__(self, *what):
        for close in reversed(self.closers):
            close()
        if "--keep" in sys.argv:
            print("kept:", self.folder)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def broker(self, *lines, **options):
        broker = Broker(self.folder, lines, **options)
        self.closers.append(broker.kill)
        broker.start()
        return broker

    def program(self, prefix=(), **arguments):
        program = Program(self.folder, arguments, prefix)
        self.closers.append(program.kill)
        return program

    def listener(self, serve):
        """A broker of another kind: `serve(connection)` for each that comes, in a thread."""
        import threading
        listener = socket.create_server(("127.0.0.1", 0))
        connections = []

        def accept():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                connections.append(connection)
                threading.Thread(target=quiet, args=(connection,), daemon=True).start()

        def quiet(connection):
            try:
                serve(connection)
            except OSError:
                pass

        def close():
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            for connection in connections:
                connection.close()

        threading.Thread(target=accept, daemon=True).start()
        self.closers.append(close)
        return listener.getsockname()[1]


class Broker:
    def __init__(self, folder, lines, port=None):
        self.port = port or free_port()
        self.config = folder / f"broker-{self.port}.conf"
        self.log = folder / f"broker-{self.port}.log"
        self.process = None
        self.config.write_text("\n".join([
            f"listener {self.port} 127.0.0.1", f"log_dest file {self.log}", "log_type all",
            *(lines or ["allow_anonymous true"])]) + "\n")
        if os.geteuid() == 0:  # or it would become another user, who may not read what lies here
            self.config.write_text("user root\n" + self.config.read_text())

    def start(self):
        self.process = subprocess.Popen(["mosquitto", "-c", self.config], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        eventually(self.listens, "the broker does not start", lambda: self.log.read_text()[-500:])

    def listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def send(self, number):
        self.process.send_signal(number)

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        self.process.wait(10)

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()

    def publish(self, topic, payloads, *options, qos=2):
        """By the broker's own client: returns when the broker has them all."""
        done = subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(self.port), "-t", topic, "-q", str(qos), "-l",
                               *options], input="".join(f"{one}\n" for one in payloads), text=True,
                              capture_output=True, timeout=30, check=False)
        check(done.returncode == 0, "mosquitto_pub:", done.stderr)

    def remember(self, client, filter, qos=2):
        """Lets the broker keep what comes for `client`, who is not there."""
        done = subprocess.run([*self.sub(client, filter, qos), "-E"], capture_output=True, text=True, timeout=10,
                              check=False)
        check(done.returncode == 0, "mosquitto_sub:", done.stderr)

    def collect(self, client, filter, count, qos=2, seconds=120):
        """What was kept for `client`: (topic, payload) of each; `count`, and what else comes within a second."""
        # Not to be ended in mid-message: what it has not acknowledged would come again.
        with subprocess.Popen(self.sub(client, filter, qos), stdout=subprocess.PIPE) as process:
            got = b""
            end = time.monotonic() + seconds
            while (left := min(end - time.monotonic(), 1 if got.count(b"\n") >= count else seconds)) > 0:
                if not select.select([process.stdout], [], [], left)[0]:
                    break
                got += os.read(process.stdout.fileno(), 1 << 20)
            process.terminate()
        return [tuple(line.split(" ", 1)) for line in got.decode().splitlines()]

    def sub(self, client, filter, qos):
        return ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.port), "-c", "-i", client, "-t", filter, "-q", str(qos),
                "-F", "%t %p"]


class Program:
    def __init__(self, folder, arguments, prefix):
        self.output = folder / f"program-{time.monotonic_ns()}"
        self.prefix = list(prefix)
        with open(self.output, "w") as out:
            self.process = subprocess.Popen([*prefix, SERVER, *(f"{name}={value}" for name, value in arguments.items())],
                                            stdout=out, stderr=out)
        self.port = eventually(self.started, "the program does not start:", self.said, seconds=15)

    def started(self):
        for line in self.said().splitlines():
            if line.startswith("listening on ") and line[13:].isdigit():
                return int(line[13:])
        check(self.process.poll() is None, "the program ended:", self.said())
        return None

    def said(self):
        return self.output.read_text(errors="replace")

    def request(self, method, path, body=None, **query):
        url = f"http://127.0.0.1:{self.port}{path}" + ("?" + urllib.parse.urlencode(query) if query else "")
        if self.prefix:
            done = subprocess.run([*self.prefix, "curl", "-s", "--max-time", "5", "-X", method, url], capture_output=True,
                                  text=True, check=False)
            return done.stdout
        request = urllib.request.Request(url, data=None if body is None else str(body).encode(), method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.read().decode(errors="replace")
        except urllib.error.HTTPError as error:
            return error.read().decode()
        except OSError as error:
            raise Failed(f"{method} {path}: {error}; the program said: {self.said()[-1500:]}") from error

    def get(self, path, **query):
        return self.request("GET", path, **query)

    def post(self, path, body="", **query):
        return self.request("POST", path, body, **query)

    def publish(self, topic, body, **query):
        check(self.post("/publish", body, topic=topic, **query) == "ok", "publish", topic)

    def subscribe(self, filter, qos=0):
        check(self.post("/subscribe", filter=filter, qos=qos) == "ok", "subscribe", filter)

    def received(self, topic=""):
        return self.get("/received", topic=topic).splitlines()

    def state(self):
        return json.loads(self.get("/state"))

    def connected(self, seconds=5):
        eventually(lambda: self.state()["connected"], "no connection:", self.said, seconds=seconds)

    def reason(self, seconds=5):
        """Why there is no connection."""
        return eventually(lambda: self.state()["reason"], "no reason", self.said, seconds=seconds)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def resident(self):
        """Kilobytes of memory."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise Failed("no VmRSS")

    def has_sanitizer(self):
        """One that keeps for a while what was freed."""
        return "libasan" in pathlib.Path(f"/proc/{self.process.pid}/maps").read_text()

    def processor(self):
        """Hundredths of a second of processor time used so far."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    def send(self, number):
        self.process.send_signal(number)

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(15)
        check(code == 0, "the program ended with", code, self.said()[-2000:])

    def kill(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
