"""An image that runs in QEMU, for the scripts of this folder."""

import pathlib
import queue
import re
import socket
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def command(folder, image, port, *options):
    """Starts an image in QEMU; see firmware/qemu. Without a port it is alone."""
    path = ROOT / "build/firmware" / folder / "firmware" / f"{image}.elf"
    return [ROOT / "firmware/qemu", folder, path, str(port or "none"), *options]


class Board:
    """`with Board("mps2-an385", "hello") as board:` runs the image, once it has an address, which is `board.address`;
    `board.port` leads to its port 80, `board.lines` are those of its UART so far. `alone`: nobody else is on its network.
    """

    def __init__(self, folder, image, *options, alone=False):
        self.port = None if alone else free_port()
        self.lines = []
        self._new = queue.Queue()
        self._qemu = subprocess.Popen(command(folder, image, self.port, *options), text=True, stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, errors="replace")
        threading.Thread(target=self._read, daemon=True).start()
        try:
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
        """What the image says of itself: cycles, idle cycles, bytes of stack used and there, frames dropped."""
        self._qemu.stdin.write("\n")
        self._qemu.stdin.flush()
        return [int(word) for word in re.findall(r"\d+", self.expect("status: "))]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._qemu.terminate()
        self._qemu.wait()
