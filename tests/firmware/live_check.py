"""WebSockets and Server-Sent Events on a board."""

import os
import socket
import struct
import time

from board import Board
from gallery import ask, connect
from network_checks import wait_until

MESSAGE_BYTES = 512  # Limits::device().ws_message_bytes


class WebSocket:
    """A client's end, as small as it can be; `receive_buffer` bytes are taken without being read."""

    def __init__(self, port, path, receive_buffer=None):
        self._socket = socket.socket()
        self._socket.settimeout(30)
        if receive_buffer:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.connect(("127.0.0.1", port))
        self._socket.sendall(f"GET {path} HTTP/1.1\r\nHost: board\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode())
        self._file = self._socket.makefile("rb")
        self.status = int(self._file.readline().split()[1])
        while self._file.readline() != b"\r\n":
            pass

    def send(self, payload, opcode=2):
        mask = os.urandom(4)
        size = len(payload)
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | size) if size < 126 else struct.pack("!BBH", 0x80 | opcode, 0xfe, size)
        self._socket.sendall(head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload)))

    def receive(self):
        """The next frame: (opcode, payload). Pings are answered."""
        first, size = self._file.read(2)
        if size == 126:
            size, = struct.unpack("!H", self._file.read(2))
        payload = self._file.read(size)
        if first & 15 != 9:
            return first & 15, payload
        self.send(payload, opcode=10)
        return self.receive()

    def close(self):
        self._file.close()
        self._socket.close()


def streams(board):
    connection = connect(board)
    status, body = ask(connection, "/streams")
    connection.close()
    assert status == 200
    return [int(number) for number in body.split()]


def check_echo(board):
    ws = WebSocket(board.port, "/echo")
    assert ws.status == 101
    for size in [0, 1, 125, 126, 127, MESSAGE_BYTES] + list(range(1, MESSAGE_BYTES, 37)):
        payload = os.urandom(size)
        ws.send(payload)
        assert ws.receive() == (2, payload), size
    for i in range(100):  # all at once
        ws.send(b"%d" % i)
    for i in range(100):
        assert ws.receive() == (2, b"%d" % i)
    ws.send(b"ping", opcode=9)
    assert ws.receive() == (10, b"ping")
    ws.send(bytes(MESSAGE_BYTES + 1))
    opcode, payload = ws.receive()
    assert (opcode, payload[:2]) == (8, struct.pack("!H", 1009)), payload
    ws.close()


def check_broadcast(board, seconds):
    """Messages for three clients beside one that is sent far more and never reads: they get theirs, in order. How many they
    miss is told, not asserted: a host that stands still makes them slow, too. (Between the board and a client QEMU keeps
    megabytes, so the one is sent what it can't be, as fast as the board can.)
    """
    slow = WebSocket(board.port, "/flood", receive_buffer=2048)
    readers = [WebSocket(board.port, "/ticks") for _ in range(2)]
    events = connect(board)
    events.request("GET", "/events")
    answer = events.getresponse()
    assert answer.headers["Content-Type"] == "text/event-stream"
    refused = WebSocket(board.port, "/ticks")
    assert refused.status == 503, "a fifth stream"
    refused.close()
    last = {reader: None for reader in readers}
    missed = count = 0
    worst = 0.0
    start = before = time.monotonic()
    while time.monotonic() < start + seconds:
        for reader in readers:
            opcode, payload = reader.receive()
            assert opcode == 1
            number = int(payload.split()[1])
            assert last[reader] is None or number > last[reader], (last[reader], number)
            missed += 0 if last[reader] is None else number - last[reader] - 1
            last[reader] = number
            count += 1
        lines = [answer.readline(), answer.readline()]
        assert lines[0].startswith(b"data: tick ") and lines[1] == b"\n", lines
        worst = max(worst, time.monotonic() - before)
        before = time.monotonic()
    rate = count / len(readers) / (before - start)
    used, sent, dropped, memory = streams(board)
    for ws in [slow, *readers]:
        ws.close()
    events.close()
    return rate, missed, worst, used, dropped, memory


def check_live(folder, seconds=5):
    with Board(folder, "probe") as board:
        check_echo(board)
        rate, missed, worst, used, dropped, memory = check_broadcast(board, seconds)
        wait_until(lambda: streams(board)[0] == 0, 10, "no streams")
        status = board.status()
        print(f"  {folder:26} live: echoes; 4 streams, 1 never reads: the others got {rate:.0f} messages a second, {missed} missed, "
              f"{worst * 1000:.0f} ms between two at most; {dropped} dropped for the one; {memory} bytes of a stream's memory; "
              f"{status.stack} of {status.stack_size} bytes of stack")
        assert used == 4
        assert rate > 10, rate
        assert dropped > 0, "nothing was dropped for the client that never reads"
