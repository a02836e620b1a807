"""New images for a board, over the web: large, wrong, slow, and from clients that leave."""

import hashlib
import json
import random
import re
import socket
import struct
import subprocess
import sys
import threading
import time

from board import ROOT, Board
from gallery import ask, connect
from network_checks import check_idle, in_use, wait_until

SLOT = 2 * 1024 * 1024
MAKE = ROOT / "examples/firmware_update/make_image"
BOUNDARY = "----WebKitFormBoundaryOfThisTest"


def image(version, size):
    """An image of `size` bytes, header and all."""
    return subprocess.run([MAKE, version], input=random.Random(version).randbytes(size - 32), stdout=subprocess.PIPE,
                          check=True).stdout


def form(content):
    return (f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="image.bin"\r\n'
            f"Content-Type: application/octet-stream\r\n\r\n").encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()


def install(board, content, timeout=60):
    connection = connect(board)
    connection.timeout = timeout
    connection.request("POST", "/update", form(content), {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"})
    response = connection.getresponse()
    answer = response.status, response.read().decode()
    connection.close()
    return answer


def status(board):
    connection = connect(board)
    code, text = ask(connection, "/status")
    connection.close()
    assert code == 200
    return json.loads(text)


def active(board):
    connection = connect(board)
    connection.timeout = 30
    connection.request("GET", "/image")
    content = connection.getresponse().read()
    connection.close()
    return hashlib.sha256(content).hexdigest()


class Watch:
    """`with Watch(board) as watch:` asks for the status again and again; `watch.seen` is how much was in the flash."""

    def __init__(self, board):
        self.seen = []
        self._board = board
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._stop.wait(0.25):
            now = status(self._board)
            if now["state"] == "receiving":
                self.seen.append(now["written"])

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


def leave(board, content, sent, pause=0.0, piece=None):
    """Sends the beginning of an update, in pieces, and is gone."""
    body = form(content)
    head = (f"POST /update HTTP/1.1\r\nHost: board\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode()
    with socket.create_connection(("127.0.0.1", board.port), timeout=60) as client:
        client.sendall(head)
        for at in range(0, sent, piece or sent):
            client.sendall(body[at : min(at + (piece or sent), sent)])
            time.sleep(pause)
        if sent == len(body):
            return client.recv(1000).decode()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return None


def check_update(folder):
    with Board(folder, "firmware_update") as board:
        connection = connect(board)
        assert ask(connection, "/image")[0] == 404
        connection.close()
        wait_until(lambda: board.status().connections == 0, 10, "no connections")
        idle = in_use(board)
        assert status(board)["version"] == "none"

        # As large as may be, while somebody watches. Each sector takes 200 ms.
        whole = image("1.0.0", SLOT)
        start = time.monotonic()
        with Watch(board) as watch:
            assert install(board, whole) == (200, "installed: 1.0.0\n")
        seconds = time.monotonic() - start
        assert seconds > 32 * 0.2, seconds
        assert watch.seen == sorted(watch.seen) and len(set(watch.seen)) > 10, watch.seen
        wanted = hashlib.sha256(whole).hexdigest()
        assert active(board) == wanted

        # What is no image, and what was damaged on its way: the old one stays.
        damaged = bytearray(image("1.0.1", 200_000))
        damaged[100_000] ^= 1
        short = image("1.0.2", 100_000)
        for content, reason in [(b"\x7fELF" + bytes(100_000), "no image"), (b"", "no image"),
                                (damaged, "an image with a wrong checksum"),
                                (short[:-1], "an image of another size than it says"),
                                (short + b"x", "an image of another size than it says"),
                                (struct.pack("<4sII20s", b"MDFW", SLOT, 0, b"9") + bytes(1000), "an image that is too large")]:
            assert install(board, content) == (422, f"refused: {reason}\n"), reason
            assert status(board)["version"] == "1.0.0", reason
        assert active(board) == wanted

        # Who leaves in mid-file, and a second one meanwhile.
        half = image("1.0.3", SLOT)
        leaving = threading.Thread(target=leave, args=[board, half, 700_000, 0.02, 10_000])
        leaving.start()
        wait_until(lambda: status(board)["written"] > 200_000, 20, "it is written")
        assert install(board, short)[0] == 409
        leaving.join()
        wait_until(lambda: status(board)["state"] == "refused", 40, lambda: str(status(board)))
        assert status(board)["reason"] == "the upload ended early"
        assert status(board)["version"] == "1.0.0"
        assert active(board) == wanted

        # A slow client, that sends a file as it is; then the new one is in use.
        small = image("2.0.0", 50_000)
        answer = leave(board, small, len(form(small)), 0.02, 500)
        assert answer.endswith("installed: 2.0.0\n"), answer
        assert active(board) == hashlib.sha256(small).hexdigest()
        connection = connect(board)
        assert ask(connection, "/image", "PUT", image("2.1.0", 5000)) == (200, "installed: 2.1.0\n")
        arena = int(re.search(r"^microdot_arena_high_water_bytes (\d+)", ask(connection, "/metrics")[1], re.M)[1])
        connection.close()
        at_last = board.status()
        check_idle(board, idle)
        print(f"  {folder:26} update: {SLOT // 1024} KiB in {seconds:.1f} s, 32 sectors of 200 ms each, the same SHA-256; {arena} bytes of "
              f"the arena, {at_last.stack} of {at_last.stack_size} bytes of stack; wrong ones, a slow client, one that left")


if __name__ == "__main__":
    for board_folder in sys.argv[1:] or ["mps2-an385"]:
        check_update(board_folder)
