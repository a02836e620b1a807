"""What a board does when its network goes and comes back."""

import re
import time

from board import Board
from gallery import Browsers, ask, connect, gallery_files
from wire import Wire


def sees_its_link(folder):
    """QEMU's model of the other board's Ethernet controller has no PHY."""
    return folder.startswith("mps2-an385")


def wait_until(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what() if callable(what) else what}"
        time.sleep(0.1)


def in_use(board):
    """What connections take of lwIP."""
    return board.status()._replace(cycles=0, idle=0, stack=0, dropped=0)


def check_idle(board, idle, seconds=20):
    """Everything that was taken has been given back: lwIP is as it was when `idle` was `in_use`, and so is the App."""
    wait_until(lambda: in_use(board) == idle, seconds, lambda: f"{idle}, but {in_use(board)}")
    connection = connect(board)
    status, metrics = ask(connection, "/metrics")
    connection.close()
    assert status == 200
    used = {name: int(re.search(rf"^microdot_{name} (\d+)", metrics, re.M)[1])
            for name in ("connections", "exchanges", "queue", "tasks_of_requests")}
    assert used == {"connections": 1, "exchanges": 1, "queue": 0, "tasks_of_requests": 0}, used  # this request's


def check_link(folder, outages=(0.5, 3)):
    """The cable is pulled out while browsers load the gallery's page, and plugged in again."""
    with Board(folder, "gallery") as board:
        files = gallery_files(board, folder)
        wait_until(lambda: board.status().connections == 0, 10, "no connections")
        idle = in_use(board)
        back = []
        with Browsers(board, files) as browsers:
            for outage in outages:
                before = list(browsers.loaded)
                wait_until(lambda: all(now > then + 5 for now, then in zip(browsers.loaded, before)), 20, "files are loaded")
                board.plug(False)
                time.sleep(0.2)  # what came through is on its way to the browsers
                before = list(browsers.loaded)
                time.sleep(outage)
                assert browsers.loaded == before, "files came without a cable"
                board.plug(True)
                start = time.monotonic()
                wait_until(lambda: all(now > then for now, then in zip(browsers.loaded, before)), 20, "all are served again")
                back.append(time.monotonic() - start)
                if sees_its_link(folder):
                    board.expect("port 80: the network is lost")
                    board.expect("port 80: the network is back")
        assert not browsers.wrong, browsers.wrong
        check_idle(board, idle)
        print(f"  {folder:26} link: off for {' and '.join(f'{outage:g}' for outage in outages)} s amid {browsers.COUNT} downloads; "
              f"all went on after {' and '.join(f'{seconds:.1f}' for seconds in back)} s, {sum(browsers.cut_off)} of them anew; "
              f"{sum(browsers.loaded)} files, 0 wrong")


def check_long_outage(folder):
    """The cable stays out until the App has given up everybody; then all is as before, and newcomers are served."""
    with Board(folder, "gallery") as board:
        files = gallery_files(board, folder)
        wait_until(lambda: board.status().connections == 0, 10, "no connections")
        idle = in_use(board)
        with Browsers(board, files) as browsers:
            wait_until(lambda: all(browsers.loaded), 20, "files are loaded")
            board.plug(False)
            start = time.monotonic()
            time.sleep(0.2)
            before = list(browsers.loaded)
            wait_until(lambda: in_use(board) == idle, 60, lambda: f"{idle} without a cable, but {in_use(board)}")
            seconds = time.monotonic() - start
            board.plug(True)
            wait_until(lambda: all(now > then for now, then in zip(browsers.loaded, before)), 30, "all are served again")
        assert not browsers.wrong, browsers.wrong
        check_idle(board, idle)
        print(f"  {folder:26} link: off amid {browsers.COUNT} downloads, after {seconds:.0f} s nothing was left of them; on: "
              f"all served again, 0 wrong")


LARGE = "".join(chr(ord("a") + i % 26) for i in range(20_000)).encode()  # the probe's


def told_last(board):
    """By the probe's hooks: "lost" or "back"."""
    return [line.split()[-1] for line in board.lines if line.startswith("probe: the network is ")][-1]


def check_address(folder):
    """The DHCP server gives another address: when the board renews its lease, and when it is plugged in elsewhere. The first
    takes a minute, which is what lwIP counts leases in.
    """
    moves = ["10.0.2.50", "10.0.2.60"] if sees_its_link(folder) else ["10.0.2.50"]
    with Wire(["10.0.2.40", *moves]) as wire, Board(folder, "probe", *wire.options, alone=True) as board:
        assert board.address == "10.0.2.40", board.address
        board.port = wire.ports[board.address]
        ask(connect(board), "/arguments")
        wait_until(lambda: board.status().connections == 0, 20, "no connections")
        idle = in_use(board)
        assert wire.renewing.wait(90), "the lease was not renewed"
        dropped = 0
        for move in moves:
            kept = [connect(board) for _ in range(3)]
            for connection in kept:
                assert ask(connection, "/sleep") == (200, "slept")
            with Browsers(board, {"/large": LARGE}) as browsers:
                wait_until(lambda: all(browsers.loaded), 20, "all are served")
                board.port = wire.ports[move]
                elsewhere = move != moves[0]
                if elsewhere:
                    board.plug(False)
                wire.move(move)
                board.expect("probe: the network is lost")
                if elsewhere:
                    board.plug(True)
                board.expect(f"address: {move}")
                wait_until(lambda: told_last(board) == "back", 10, "the network is back")
                before = list(browsers.loaded)
                wait_until(lambda: all(now > then for now, then in zip(browsers.loaded, before)), 20, "all are served again")
            assert not browsers.wrong, browsers.wrong
            dropped += sum(browsers.cut_off)
            for connection in kept:
                connection.close()
            check_idle(board, idle)
        assert "address: 192.168.1.200" not in board.lines, board.lines
        assert dropped >= len(moves) * browsers.COUNT, dropped
        print(f"  {folder:26} address: {' and '.join(moves)} instead of 10.0.2.40 amid {browsers.COUNT} downloads: {dropped} "
              "cut off, all served at the new address, 0 wrong")
