"""Background tasks beside a server that gives all it can."""

import re
import time

from board import Board
from gallery import Browsers, ask, connect, gallery_files

SHIFT = {"mps2-an385": 5, "lm3s6965evb": 6}  # 2^n ns for each instruction: about a cycle of the board's clock
LATEST = 20_000  # microseconds


def lateness(board):
    """Of each task, since it was asked last: how many times it ran, and how late at worst (microseconds)."""
    connection = connect(board)
    status, text = ask(connection, "/lateness")
    connection.close()
    assert status == 200
    return [(name, int(times), int(worst)) for name, times, worst in re.findall(r"(\w+) (\d+) (\d+)", text)]


def check_period(folder, seconds=8):
    """A blinking LED and a sensor keep their period while browsers load the gallery's page. The board's time is that of its
    instructions (QEMU's -icount) as long as it does not sleep, which it has no time for: so what else the machine does
    makes nobody late.
    """
    shift = next(value for name, value in SHIFT.items() if folder.startswith(name))
    with Board(folder, "periodic", "-icount", f"shift={shift},align=off,sleep=on") as board:
        files = gallery_files(board, folder)
        with Browsers(board, files) as browsers:
            time.sleep(1)
            lateness(board)
            before = board.status()
            time.sleep(seconds)
            after = board.status()
            tasks = lateness(board)
        assert not browsers.wrong, browsers.wrong
        busy = 1 - (after.idle - before.idle) / (after.cycles - before.cycles)
        assert busy > 0.95, f"{busy:.1%} busy: no storm"
        told = ", ".join(f"{name} {times} times, at worst {worst / 1000:.1f} ms late" for name, times, worst in tasks)
        print(f"  {folder:26} periodic: {told}, amid {browsers.COUNT} downloads ({sum(browsers.loaded)} files, {busy:.1%} busy)")
        assert all(times > 10 and worst <= LATEST for _, times, worst in tasks), tasks
