"""Many WebSocket and SSE clients in one thread. Each comes again RECONNECT seconds after it has lost its connection, as a
browser's page does, and keeps what it was told."""

import base64
import heapq
import os
import selectors
import socket
import time

RECONNECT = 1.0


class Client:
    def __init__(self, pool, port, kind):
        self.pool, self.port, self.kind = pool, port, kind
        self.sock = None
        self.node = None  # where it is; None while it is away
        self.lost_at = None
        self.last = {}  # sender -> number of its last line
        self.posted = set()
        self.may_miss = set()  # senders of which it missed some while it was away
        self.connect()

    def connect(self):
        self.buffer = b""
        self.head_read = False
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.connect_ex(("127.0.0.1", self.port))
        self.pool.selector.register(self.sock, selectors.EVENT_WRITE, self)

    def request(self):
        if self.kind == "sse":
            return b"GET /events HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n"
        key = base64.b64encode(os.urandom(16))
        return (b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + b"\r\n\r\n")

    def on_event(self, mask):
        try:
            if mask & selectors.EVENT_WRITE:
                error = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if error:
                    return self.lose()
                self.sock.send(self.request())
                self.pool.selector.modify(self.sock, selectors.EVENT_READ, self)
                return
            data = self.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            return self.lose()
        if not data:
            return self.lose()
        self.buffer += data
        self.parse()

    def lose(self):
        now = time.monotonic()
        if self.node is not None:
            self.node = None
            self.lost_at = now
            self.pool.losses += 1
        elif not self.pool.closing:
            self.pool.attempts_failed += 1
        self.drop()
        heapq.heappush(self.pool.due, (now + RECONNECT, id(self), self))

    def drop(self):
        if self.sock is not None:
            self.pool.selector.unregister(self.sock)
            self.sock.close()
            self.sock = None

    def parse(self):
        if not self.head_read:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            if self.buffer[9:12] != (b"200" if self.kind == "sse" else b"101"):
                return self.lose()
            self.head_read = True
            self.buffer = self.buffer[end + 4:]
        if self.kind == "sse":
            self.parse_events()
        else:
            self.parse_frames()

    def parse_frames(self):
        buffer, at = self.buffer, 0
        while len(buffer) >= at + 2:
            opcode, size, begin = buffer[at] & 15, buffer[at + 1], at + 2
            if size == 126:
                if len(buffer) < at + 4:
                    break
                size, begin = int.from_bytes(buffer[at + 2:at + 4], "big"), at + 4
            if len(buffer) < begin + size:
                break
            payload = buffer[begin:begin + size]
            at = begin + size
            if opcode == 1:
                self.on_line(payload)
            elif opcode == 8:
                return self.lose()
            elif opcode == 9:
                self.send(payload, 10)
        self.buffer = buffer[at:]

    def parse_events(self):
        """HAProxy passes chunks on; an event is one chunk here, or several lines of some."""
        *events, self.buffer = self.buffer.split(b"\n\n")
        for event in events:
            for line in event.replace(b"\r\n", b"\n").split(b"\n"):
                if line.startswith(b"data: "):
                    self.on_line(line[6:])

    def on_line(self, line):
        if self.node is None:  # the first says where it is
            self.node = line.split()[-1].decode()
            if self.lost_at is not None:
                self.pool.away.append((self, time.monotonic() - self.lost_at))
                self.lost_at = None
                self.may_miss.update(self.last)
            return
        self.pool.on_line(self, line)

    def send(self, payload, opcode=1):
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        self.sock.send(bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + masked)


class Pool:
    def __init__(self):
        self.selector = selectors.EpollSelector()
        self.clients = []
        self.due = []  # who comes again, and when
        self.away = []  # each time that somebody was: who, and seconds
        self.losses = self.attempts_failed = 0
        self.closing = False
        self.faults = []
        self.lines = 0
        self.delays = None  # seconds from sender to client, while they are measured

    def add(self, port, kind="ws"):
        client = Client(self, port, kind)
        self.clients.append(client)
        return client

    def on_line(self, client, line):
        sender, number, sent = line.split(b" ")[:3]
        number = int(number)
        last = client.last.get(sender, number - 1)
        # Posted lines go through any node, and only those of one node have an order.
        if number <= last and not sender.startswith(b"post"):
            self.faults.append(f"{sender} {number} came after {last}")
        if number != last + 1 and sender not in client.may_miss and not sender.startswith(b"post"):
            self.faults.append(f"{sender} {number} came after {last}: some are missing")
        client.may_miss.discard(sender)
        client.last[sender] = number
        if sender.startswith(b"post"):
            if (sender, number) in client.posted:
                self.faults.append(f"{sender} {number} came twice")
            client.posted.add((sender, number))
        self.lines += 1
        if self.delays is not None:
            self.delays.append(time.monotonic() - float(sent))

    def run(self, seconds=None, until=None):
        """Drives all clients for a time, or until something is so; then gives whether it is."""
        end = time.monotonic() + seconds
        while True:
            now = time.monotonic()
            if until is not None and until():
                return True
            if now >= end:
                return until is None
            while self.due and self.due[0][0] <= now:
                heapq.heappop(self.due)[2].connect()
            wait = min(end, self.due[0][0] if self.due else end) - now
            for key, mask in self.selector.select(max(0, min(wait, 0.02))):
                if key.data.sock is key.fileobj:
                    key.data.on_event(mask)

    def all_here(self):
        return all(client.node is not None for client in self.clients)

    def close(self):
        self.closing = True
        for client in self.clients:
            client.drop()
