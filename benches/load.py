#!/usr/bin/env python3
"""Live capture at rising rates until frames are lost: the gateway beside a Python packet socket.

    cargo build --release && cargo build --release --example send_frames
    sudo python3 benches/load.py [SECONDS]

Both listen on the same cable, a veth between two namespaces, by turns at each rate, to the same
frames of the example day, SECONDS (3) of them. The gateway decodes, gates and writes a line of JSON
for each reading; Python decodes as `mqtt-energi` did and prints the dictionary; both to /dev/null. A
rate is without loss when every reading came out at the other end, in one of three tries: what else
the machine does only makes it worse.
"""

import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from lab import DAY, LIVE, ROOT, Network, cpu, demand_root, gateway, makes_reading, running
from mqtt_energi import frames

RATES = [
    10_000,
    20_000,
    30_000,
    50_000,
    75_000,
    100_000,
    150_000,
    200_000,
    250_000,
    300_000,
    350_000,
    400_000,
    500_000,
    600_000,
]
TRIES = 3


class Taken(NamedTuple):
    """One try: what was lost, as a share, the CPU of each frame in µs, and the rate that was kept."""

    lost: float
    cpu: float
    rate: float


class Gateway:
    def command(self, folder):
        return gateway(folder, LIVE, [{"type": "stdout"}], "keep")

    def came_out(self, said):
        """How many readings its stdout sink has written."""
        return int(re.findall(r"stdout: \d+ received, (\d+) delivered", said)[-1])

    def expected(self, readings, _frames):
        return readings


class Python:
    def command(self, _folder):
        return [sys.executable, ROOT / "benches/mqtt_energi.py", "-i", "eth0"]

    def came_out(self, said):
        """How many frames it has read."""
        return int(said.split()[-1])

    def expected(self, _readings, frames):
        return frames


def settle(pid):
    """Waits until a process has nothing to do any more."""
    before = -1
    while cpu(pid) - before > 0.005:
        before = cpu(pid)
        time.sleep(0.3)


def take(network, listener, rate, count, readings):
    with tempfile.TemporaryDirectory() as folder:
        command = network.at_home(listener.command(Path(folder)))
        with running(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            settle(process.pid)
            before, begun = cpu(process.pid), time.perf_counter()
            sent = int(subprocess.check_output(network.sender(rate, count)).split()[-1])
            took = time.perf_counter() - begun
            settle(process.pid)
            used = cpu(process.pid) - before
            process.send_signal(signal.SIGTERM)
            came_out = listener.came_out(process.communicate(timeout=30)[1])
    return Taken(1 - came_out / listener.expected(readings, count), used / sent * 1e6, sent / took)


def best(network, listener, *load):
    tries = []
    while len(tries) < TRIES and not (tries and tries[-1].lost == 0):
        tries.append(take(network, listener, *load))
    return min(tries)


def cells(taken):
    if taken is None:
        return ["", ""]
    return ["none" if taken.lost == 0 else f"{taken.lost:.2%}", f"{taken.cpu:.2f} µs"]


def main(seconds):
    demand_root()
    day = list(map(makes_reading, frames(DAY)))
    print("| frames/s | gateway: lost | CPU a frame | Python: lost | CPU a frame |\n|---|---|---|---|---|")
    listeners = [Gateway(), Python()]
    with Network() as network:
        for rate in RATES:
            count = rate * seconds
            readings = sum(day) * (count // len(day)) + sum(day[: count % len(day)])
            taken = [it and best(network, it, rate, count, readings) for it in listeners]
            print(f"| {' | '.join([f'{rate:,}', *sum(map(cells, taken), [])])} |", flush=True)
            listeners = [
                it if result and result.lost == 0 else None
                for it, result in zip(listeners, taken, strict=True)
            ]
            if not any(listeners):
                break
            if (slowest := min(result.rate for result in taken if result)) < rate / 2:
                print(f"The sender did not keep up: {slowest:,.0f} frames/s.")
                break


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
