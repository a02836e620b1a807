"""What a broker that can't be reached costs the web server beside the client: bench/run mqtt [--seconds N] [--pairs N].

Requests of wrk to tests/mqtt/mqtt_server, which publishes each second; with a broker, and with none at its port, in turn.
Prints the p99 of each run and the medians, and fails if the median without is above 1.5 times that with, and 1 ms.
"""

import argparse
import os
import pathlib
import re
import statistics
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parents[1]
parser = argparse.ArgumentParser()
parser.add_argument("--seconds", type=int, default=4)
parser.add_argument("--pairs", type=int, default=5)
parser.add_argument("--build", default=root / "build/release")
options = parser.parse_args()

os.environ["MQTT_SERVER"] = str(pathlib.Path(options.build) / "tests/mqtt_server")
sys.path.insert(0, str(root / "tests/mqtt"))
from tools import World, free_port  # noqa: E402

UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


def measure(with_broker):
    """The p99 in milliseconds, and requests each second."""
    with World() as world:
        port = world.broker().port if with_broker else free_port()
        program = world.program(port=port)
        if with_broker:
            program.connected()
        program.post("/load", topic="readings", qos=1, count=10_000, every=1_000_000)
        out = subprocess.run(["wrk", "-t1", "-c16", f"-d{options.seconds}s", "--latency", f"http://127.0.0.1:{program.port}/"],
                             capture_output=True, text=True, check=True).stdout
        state = program.state()
        assert state["connected"] == with_broker and (with_broker or state["failures"] > 2), state
        number, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", out).groups()
        return float(number) * UNITS[unit], float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])


runs = {True: [], False: []}
print("pair  p99 with a broker  without    requests/s with  without")
for pair in range(options.pairs):
    for with_broker in (True, False) if pair % 2 == 0 else (False, True):
        runs[with_broker].append(measure(with_broker))
    print(f"{pair + 1:4}  {runs[True][-1][0]:14.3f} ms  {runs[False][-1][0]:4.3f} ms  {runs[True][-1][1]:15.0f}  {runs[False][-1][1]:7.0f}",
          flush=True)
there, gone = (statistics.median(p99 for p99, _ in runs[kind]) for kind in (True, False))
print(f"median p99: {there:.3f} ms with a broker, {gone:.3f} ms without; at most {1.5 * there + 1:.3f} ms")
sys.exit(gone > 1.5 * there + 1)
