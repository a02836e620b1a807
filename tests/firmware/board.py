"""An image that runs in QEMU, for the scripts of this folder."""

import collections
import json
import pathlib
import queue
import re
import socket
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


# What an image says of itself: cycles and those of them it slept; bytes of stack; frames that found no buffer; TCP
# connections; and what is in use of lwIP's heap (bytes) and pools.
Status = collections.namedtuple(
    "Status", "cycles idle stack stack_size dropped connections heap frames segments references")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def image_file(folder, image):
    """Of an image of the build; one of another place is a path."""
    return image if isinstance(image, pathlib.Path) else ROOT / "build/firmware" / folder / "firmware" / f"{image}.elf"


def command(folder, image, port, *options):
    """Starts an image in QEMU; see firmware/qemu. Without a port it is alone."""
    return [ROOT / "firmware/qemu", folder, image_file(folder, image), str(port or "none"), *options]


class Board:
    """`with Board("mps2-an385", "hello") as board:` runs the image, once it has an address, which is `board.address`;
    `board.port` leads to its port 80, `board.lines` are those of its UART so far. `alone`: nobody else is on its network,
    but for what `options` (QEMU's) connect to hub 0.
    """

    def __init__(self, folder, image, *options, alone=False):
        self.port = None if alone else free_port()
        self.lines = []
        self._new = queue.Queue()
        control, other_end = socket.socketpair()
        options = ["-chardev", f"socket,id=control,fd={other_end.fileno()}", "-mon", "chardev=control,mode=control", *options]
        self._qemu = subprocess.Popen(command(folder, image, self.port, *options), text=True, stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, errors="replace",
                                      pass_fds=[other_end.fileno()])
        other_end.close()
        self._control = control.makefile("rw")
        control.close()
        threading.Thread(target=self._read, daemon=True).start()
        try:
            self._command("qmp_capabilities")
            self.address = self.expect("address: ")
        except AssertionError:
            self.__exit__()
            raise

    def _read(self):
        for line in self._qemu.stdout:
            self.lines.append(line.rstrip())
            self._new.put(line.rstrip())
        self._new.put(None)

    def expect(self, text, seconds=30):
        """Waits for a line of the UART that begins with `text`; returns what follows it there."""
        end = time.monotonic() + seconds
        while True:
            try:
                line = self._new.get(timeout=max(0, end - time.monotonic()))
            except queue.Empty:
                line = None
            assert line is not None, f"no line '{text}…' on the UART, but: {self.lines[:20]}"
            if line.startswith(text):
                return line[len(text):]

    def status(self):
        """What the image says of itself, a `Status`."""
        self._qemu.stdin.write("\n")
        self._qemu.stdin.flush()
        return Status(*map(int, re.findall(r"\d+", self.expect("status: "))))

    def plug(self, in_):
        """Plugs the network's cable in, or pulls it out."""
        self._command("set_link", name="n0", up=in_)

    def _command(self, command, **arguments):
        """Tells QEMU's monitor (QMP)."""
        json.dump({"execute": command, "arguments": arguments}, self._control)
        self._control.flush()
        answer = {}
        while "return" not in answer:  # but a greeting or an event
            answer = json.loads(self._control.readline())
            assert "error" not in answer, answer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._qemu.terminate()
        self._qemu.wait()
        self._control.close()
