"""The device hub on a board: who is at the broker and who is at its page see the same, and each can switch."""

import json
import pathlib
import signal
import statistics
import tempfile
import threading
import time

from board import Board, image_file
from gallery import ask, connect
from live_check import WebSocket
from mqtt_check import Broker
from network_checks import wait_until


class Page:
    """What the page would show: the states that come as events, each with the broker's."""

    def __init__(self, board):
        self.states = []  # (when it came, state)
        self._connection = connect(board)
        self._connection.request("GET", "/events")
        self._events = self._connection.getresponse()
        assert self._events.headers["Content-Type"] == "text/event-stream"
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self._events:
            if line.startswith(b"data: "):
                self.states.append((time.monotonic(), json.loads(line[6:])))

    @property
    def last(self):
        return self.states[-1][1]

    def shows(self, **wanted):
        """In what comes from now on."""
        before = len(self.states)
        wait_until(lambda: any(wanted.items() <= state.items() for _, state in self.states[before:]), 10,
                   lambda: f"the page shows {wanted}, but {self.states[-1:]}")

    def samples_per_second(self):
        (began, first), *_, (ended, last) = self.states
        return (last["samples"] - first["samples"]) / (ended - began)


def image_with_broker(folder, port, work):
    """The image, with that port of this machine among its arguments."""
    program = image_file(folder, "device_hub").read_bytes()
    usual = b"10.0.2.2:01883\0"
    assert program.count(usual) == 1
    image = pathlib.Path(work) / "device_hub.elf"
    image.write_bytes(program.replace(usual, b"10.0.2.2:%05d\0" % port))
    return image


def check_hub(folder):
    with tempfile.TemporaryDirectory() as work, Broker("hub/1/#") as broker, \
            Board(folder, image_with_broker(folder, broker.port, work)) as board:
        def states():
            return [json.loads(payload) for _, _, payload in broker.of("hub/1/state")]

        def tells(**wanted):
            """At the broker, from now on."""
            before = len(states())
            wait_until(lambda: any(wanted.items() <= state.items() for state in states()[before:]), 10,
                       lambda: f"a state with {wanted}, but {states()[-1:]}")

        page = Page(board)
        connection = connect(board)
        status, text = ask(connection, "/")
        connection.close()
        assert status == 200 and "Device hub" in text
        wait_until(lambda: len(states()) >= 3, 10, "it says its state each second")
        for state in states():
            assert list(state) == ["temperature", "humidity", "actuator", "samples"] and state["actuator"] is False, state
        samples = [state["samples"] for state in states()]
        apart = statistics.median(later - earlier for earlier, later in zip(samples, samples[1:]))
        assert 9 <= apart <= 11, f"a state each second is one for ten samples: {samples}"
        assert broker.of("hub/1/online") == [("hub/1/online", 1, "true")], broker.messages
        page.shows(broker="connected", actuator=False)

        broker.publish("hub/1/set", "on", 1)
        page.shows(actuator=True)
        tells(actuator=True)
        commands = WebSocket(board.port, "/commands")
        commands.send(b"off", opcode=1)
        page.shows(actuator=False)
        tells(actuator=False)

        broker.stop(by=signal.SIGKILL)
        wait_until(lambda: page.last["broker"] != "connected", 10, "the page says that the broker is gone")
        commands.send(b"toggle", opcode=1)  # and goes on
        page.shows(actuator=True)
        said = page.last["broker"]
        broker.start()
        start = time.monotonic()
        tells(actuator=True)
        back = time.monotonic() - start
        broker.publish("hub/1/set", '{"actuator": false}', 1)
        page.shows(broker="connected", actuator=False)
        commands.close()

        rate = page.samples_per_second()
        status = board.status()
        print(f"  {folder:26} device hub: switched at the broker and at the page, which says \"{said}\" while that is killed; its state "
              f"comes {back:.1f} s after the return; {rate:.2f} samples a second throughout; "
              f"{status.stack} of {status.stack_size} bytes of stack")
        assert 9 <= rate <= 11, rate
        assert not [line for line in board.lines if line.startswith("!")], board.lines
