"""More clients than a board has connections."""

import time

from board import Board
from gallery import Browsers, gallery_files
from network_checks import check_idle, in_use, wait_until

CLIENTS = 24  # twice Limits::device().connections
LONGEST_PAUSE = 4  # seconds in which nobody gets anything


def check_crowd(folder, seconds=10):
    """Twice as many clients as there are connections, each of which asks for the next file at once: all take their turns,
    nobody is cut off with a request under way, and the board never stalls.
    """
    with Board(folder, "gallery") as board:
        files = gallery_files(board, folder)
        wait_until(lambda: board.status().connections == 0, 10, "no connections")
        idle = in_use(board)
        with Browsers(board, files, CLIENTS) as browsers:
            start = last = time.monotonic()
            loaded = pause = 0
            while time.monotonic() < start + seconds:
                time.sleep(0.1)
                now = time.monotonic()
                if sum(browsers.loaded) > loaded:
                    loaded, last = sum(browsers.loaded), now
                pause = max(pause, now - last)
            cut_off = sum(browsers.cut_off)
        assert not browsers.wrong, browsers.wrong
        print(f"  {folder:26} crowd: {CLIENTS} clients on 12 connections: {loaded} files in {seconds} s, nothing for {pause:.1f} s at "
              f"most, {cut_off} cut off, {sum(not count for count in browsers.loaded)} got nothing, 0 wrong")
        assert pause < LONGEST_PAUSE, pause
        assert cut_off <= loaded / 100, cut_off
        check_idle(board, idle)
