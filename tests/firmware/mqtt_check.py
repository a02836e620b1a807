"""MQTT on a board, with mosquitto as the broker on this machine."""

import collections
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time

from board import Board, free_port
from gallery import ask, connect
from network_checks import wait_until

Stats = collections.namedtuple("Stats", "connects losses acknowledged received dropped refused reason")


class Broker:
    """mosquitto on a port of 127.0.0.1, and somebody who listens to what the board publishes under these topics."""

    def __init__(self, *topics):
        self.port = free_port()
        self._topics = topics
        self.messages = []  # (topic, QoS, payload)
        self._folder = tempfile.TemporaryDirectory()
        self._config = os.path.join(self._folder.name, "mosquitto.conf")
        with open(self._config, "w") as file:
            file.write(f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\n")

    def start(self):
        self._mosquitto = subprocess.Popen(["mosquitto", "-c", self._config], stdin=subprocess.DEVNULL,
                                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self._answers, 10, "mosquitto runs")
        topics = [word for topic in self._topics for word in ("-t", topic)]
        self._listener = subprocess.Popen([*self._client("sub"), "-q", "2", *topics, "-F", "%t %q %p"],
                                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        threading.Thread(target=self._read, args=[self._listener], daemon=True).start()

    def stop(self, by=signal.SIGTERM):
        self._listener.kill()  # not asked to end: mosquitto_sub's signal handler may wait for a lock that it holds
        self._mosquitto.send_signal(by)
        for process in (self._listener, self._mosquitto):
            process.wait()

    def stand_still(self, on):
        self._mosquitto.send_signal(signal.SIGSTOP if on else signal.SIGCONT)

    def publish(self, topic, payload, qos):
        subprocess.run([*self._client("pub"), "-q", str(qos), "-t", topic, "-m", payload], check=True, timeout=10)

    def of(self, topic):
        return [message for message in self.messages if message[0] == topic]

    def _client(self, name):
        return [f"mosquitto_{name}", "-h", "127.0.0.1", "-p", str(self.port)]

    def _answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _read(self, listener):
        for line in listener.stdout:
            topic, qos, payload = line.rstrip("\n").split(" ", 2)
            self.messages.append((topic, int(qos), payload))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stand_still(False)
        self.stop()
        self._folder.cleanup()


def stats(board):
    connection = connect(board)
    status, body = ask(connection, "/stats")
    connection.close()
    assert status == 200
    fields = body.split(" ", 6)
    return Stats(*map(int, fields[:6]), fields[6])


def counts_on(broker):
    """The board's task has published something new."""
    before = len(broker.of("board/count"))
    wait_until(lambda: len(broker.of("board/count")) > before + 2, 10, "the board publishes")


def slowest_answer(board, seconds):
    """Asks the web server all the time; the longest it took for an answer, in milliseconds."""
    worst, end = 0.0, time.monotonic() + seconds
    connection = connect(board)
    while time.monotonic() < end:
        start = time.monotonic()
        assert ask(connection, "/") == (200, "Hello, World!\n")
        worst = max(worst, time.monotonic() - start)
    connection.close()
    return worst * 1000


def check_mqtt(folder, restarts=3):
    with Board(folder, "mqtt") as board, Broker("board/done/#", "board/count", "board/gone") as broker:
        connection = connect(board)
        assert ask(connection, f"/start/{broker.port}")[0] == 200
        connection.close()
        counts_on(broker)
        for qos in (0, 1, 2):  # there and back
            for size in (0, 1, 300):
                payload = "x" * size
                broker.publish(f"board/do/{qos}/{size}", payload, qos)
                wanted = (f"board/done/{qos}/{size}", qos, payload)
                wait_until(lambda: wanted in broker.messages, 10, wanted)
        for _ in range(restarts):
            connects = stats(board).connects
            broker.stop()
            wait_until(lambda: stats(board).losses == connects, 10, "the loss is noticed")
            broker.start()
            wait_until(lambda: stats(board).connects > connects, 10, "it is connected again")
            counts_on(broker)
        broker.publish("board/do/again", "x", 2)  # it has subscribed anew
        wait_until(lambda: ("board/done/again", 2, "x") in broker.messages, 10, "subscribed anew")
        echoed = collections.Counter(message for message in broker.messages if message[0].startswith("board/done/"))
        assert len(echoed) == 10 and set(echoed.values()) == {1}, echoed

        broker.stop()  # refuses
        refused = slowest_answer(board, 1)
        broker.start()
        counts_on(broker)
        broker.stand_still(True)  # takes all and says nothing
        silent = slowest_answer(board, 1)
        broker.stand_still(False)
        counts_on(broker)
        last = stats(board)
        assert last.dropped == 0 and last.refused == 0, last

        connection = connect(board)
        assert ask(connection, "/stop") == (200, "stopped")
        connection.close()
        broker.publish("board/done/end", "x", 2)  # comes behind all that came before
        wait_until(lambda: broker.of("board/done/end"), 10, "the end")
        assert not broker.of("board/gone"), "the will is for those who say no goodbye"
        counts = [int(payload) for _, _, payload in broker.of("board/count")]
        once = list(dict.fromkeys(counts))  # what was not acknowledged before a restart came again
        assert once == sorted(once), counts
        status = board.status()
        assert not [line for line in board.lines if line.startswith("!")], board.lines
        print(f"  {folder:26} mqtt: each QoS there and back, {restarts} restarts of the broker; the web server beside it answers within "
              f"{refused:.0f} ms while the broker refuses, {silent:.0f} ms while it is silent; "
              f"{status.stack} of {status.stack_size} bytes of stack")
