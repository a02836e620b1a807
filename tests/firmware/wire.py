"""The wire between a board and the rest of its network, with a DHCP server of its own on it."""

import ipaddress
import selectors
import socket
import struct
import threading

from board import free_port

SERVER = ipaddress.ip_address("10.0.2.2").packed  # QEMU's gateway
SERVER_MAC = bytes.fromhex("525500000202")
DISCOVER, OFFER, REQUEST, ACK, NAK = 1, 2, 3, 5, 6


class Wire:
    """`with Wire(addresses) as wire, Board(…, *wire.options, alone=True):` the board gets the first of these addresses of
    10.0.2.0/24, and after `move` another one of them; port 80 of `address` is 127.0.0.1:`wire.ports[address]`.

    A lease is for two minutes. A request to renew it waits for the next `move`, as `renewing` (an Event) tells.
    """

    def __init__(self, addresses):
        self.ports = {address: free_port() for address in addresses}
        self.renewing = threading.Event()
        self._address = ipaddress.ip_address(addresses[0]).packed
        self._renewal = None
        self._to_board, board_options = self._end("board", 0)
        self._to_world, world_options = self._end("world", 1)
        forwards = "".join(f",hostfwd=tcp:127.0.0.1:{port}-{address}:80" for address, port in self.ports.items())
        self.options = [*board_options, *world_options, "-netdev", f"user,id=world{forwards}",
                        "-netdev", "hubport,id=world_hub,hubid=1,netdev=world"]
        self._stop, self._stopped = socket.socketpair()
        self._thread = threading.Thread(target=self._run)

    @staticmethod
    def _end(name, hub):
        """A socket whose datagrams are the frames of QEMU's hub, and the options that make it so."""
        end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        end.bind(("127.0.0.1", 0))
        there = free_port()
        end.connect(("127.0.0.1", there))
        # What makes it readable may be an error (nobody is there), and a send may have been told of it first.
        end.setblocking(False)
        return end, ["-netdev", f"socket,id={name}_wire,udp=127.0.0.1:{end.getsockname()[1]},localaddr=127.0.0.1:{there}",
                     "-netdev", f"hubport,id={name}_wire_hub,hubid={hub},netdev={name}_wire"]

    @staticmethod
    def _send(end, frame):
        """What was sent before may have met nobody; the next send is told of that, and sends nothing."""
        try:
            end.send(frame)
        except ConnectionRefusedError:
            end.send(frame)

    def move(self, address):
        """From now on the board's address is this one: what it has is refused, at once if it has asked already."""
        self._address = ipaddress.ip_address(address).packed
        if self._renewal is not None:
            self._answer_dhcp(self._renewal, NAK)
            self._renewal = None

    def _run(self):
        with selectors.DefaultSelector() as selector:
            for end in (self._to_board, self._to_world, self._stopped):
                selector.register(end, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._stopped:
                        return
                    try:
                        frame = key.fileobj.recv(2048)
                        if key.fileobj is self._to_world:
                            self._send(self._to_board, frame)
                        elif frame[12:14] == b"\x08\x00" and frame[23] == 17 and frame[36:38] == b"\x00\x43":
                            self._take_dhcp(frame[42:])
                        else:
                            self._send(self._to_world, frame)
                    except (ConnectionRefusedError, BlockingIOError):  # QEMU is not there yet, or no more
                        pass

    def _take_dhcp(self, message):
        options, at = {}, 240
        while message[at] != 255:
            options[message[at]] = message[at + 2:at + 2 + message[at + 1]]
            at += 2 + message[at + 1]
        renewed, kind = message[12:16], options[53][0]
        if kind == DISCOVER:
            self._answer_dhcp(message, OFFER)
        elif kind == REQUEST and any(renewed):
            self._renewal = message
            self.renewing.set()
        elif kind == REQUEST:
            self._answer_dhcp(message, ACK if options.get(50) == self._address else NAK)

    def _answer_dhcp(self, request, kind):
        """RFC 2131, section 2; RFC 2132 for the options."""
        message = struct.pack("!4s4s4s4s4s4s4s16s192x4s", b"\2\1\6\0", request[4:8], bytes(4), bytes(4),
                              bytes(4) if kind == NAK else self._address, SERVER, bytes(4), request[28:44],
                              b"\x63\x82\x53\x63")
        message += bytes([53, 1, kind, 54, 4]) + SERVER
        if kind != NAK:
            message += bytes([51, 4, 0, 0, 0, 120, 1, 4, 255, 255, 255, 0, 3, 4]) + SERVER
        message += b"\xff" + bytes(60)
        udp = struct.pack("!HHHH", 67, 68, 8 + len(message), 0) + message
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, SERVER, b"\xff\xff\xff\xff")
        total = sum(struct.unpack("!10H", head))
        head = head[:10] + struct.pack("!H", ~(total % 0xFFFF) & 0xFFFF) + head[12:]
        self._send(self._to_board, b"\xff" * 6 + SERVER_MAC + b"\x08\x00" + head + udp)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.send(b"x")
        self._thread.join()
        for end in (self._to_board, self._to_world, self._stop, self._stopped):
            end.close()
