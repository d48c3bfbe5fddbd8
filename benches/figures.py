#!/usr/bin/env python3
"""The figures of docs/performance.md, each taken on this machine, as a table for that page.

    cargo build --release && cargo build --release --workspace --examples
    sudo python3 benches/figures.py [SECONDS]

SECONDS is for how long the live gateway is watched, 60 by default. Root makes the network that it
listens on, in namespaces. Mosquitto and VictoriaMetrics must be installed.
"""

import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lab import (
    DAY,
    GATEWAY,
    LIVE,
    TARGET,
    Network,
    all_sinks,
    best_of,
    cpu,
    demand_root,
    gateway,
    makes_reading,
    memory,
    running,
    servers,
)
from mqtt_energi import frames, read


def python_rate(packets):
    begun, rounds = time.process_time(), 0
    while time.process_time() - begun < 2:
        for frame in packets:
            read(frame)
        rounds += 1
    return rounds * len(packets) / (time.process_time() - begun)


def decoding():
    """Frames a second on one core, ours and Python's by turns."""
    packets = frames(DAY)
    turns = [
        (float(subprocess.check_output([TARGET / "examples/decode_speed", DAY])), python_rate(packets))
        for _ in range(3)
    ]
    ours, python = (max(rates) for rates in zip(*turns, strict=True))
    return ours, python


def replay(folder):
    """How long the example day takes to SQLite and stdout. Fails where something is lost."""
    sinks = [{"type": "stdout"}, {"type": "sqlite", "path": str(folder / "energi.db")}]
    command = gateway(folder, {"type": "replay", "path": str(DAY)}, sinks)
    with open(folder / "lines", "wb") as lines:
        begun = time.perf_counter()
        subprocess.run(command, stdout=lines, stderr=subprocess.DEVNULL, check=True)
        took = time.perf_counter() - begun
    readings = [json.loads(line) for line in (folder / "lines").read_text().splitlines()]
    assert len(readings) == sum(map(makes_reading, frames(DAY))), "a line for each reading"
    stored = sqlite3.connect(folder / "energi.db").execute("SELECT count(*) FROM sample").fetchone()[0]
    assert stored == sum(len(reading["fields"]) for reading in readings), "a row for each value"
    return took


def first_reading(network, sinks):
    """From the start of the process to the first line on standard output, frames coming all the time."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running(network.sender(1000, 1_000_000), stdout=subprocess.PIPE) as sender,
    ):
        command = gateway(Path(folder), LIVE, sinks(Path(folder)))
        sender.stdout.readline()
        begun = time.perf_counter()
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        with running(command, **pipes, preexec_fn=network.move_home) as process:
            process.stdout.readline()
            return time.perf_counter() - begun


def live(network, sinks, folder, seconds):
    """The share of a core at 2 frames/s, and what is resident then, an hour's frames after the start."""
    command = network.at_home(gateway(folder, LIVE, sinks(folder)))
    with running(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        time.sleep(1)
        subprocess.run(network.sender(200, 6000), stdout=subprocess.DEVNULL, check=True)
        with running(network.sender(2, 1_000_000), stdout=subprocess.DEVNULL):
            time.sleep(15)
            before, begun = cpu(process.pid), time.perf_counter()
            time.sleep(seconds)
            share = (cpu(process.pid) - before) / (time.perf_counter() - begun)
            return share, memory(process.pid)


def ten_years(folder):
    """The size of the file in MB, and how long a daily report of all of it takes."""
    database = folder / "energi.db"
    subprocess.run([TARGET / "examples/sqlite_ten_years", database], stdout=subprocess.DEVNULL, check=True)
    size = sum(file.stat().st_size for file in folder.glob("energi.db*")) / 1e6

    def report(_):
        begun = time.perf_counter()
        subprocess.run([GATEWAY, "report", "daily", "--db", database], stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - begun

    return size, best_of(5, report)


def row(what, least, measured):
    print(f"| {what} | {least} | {measured} |", flush=True)


def main(seconds):
    demand_root()
    print("| what | at least | measured |\n|---|---|---|")
    ours, python = decoding()
    row(
        "decode, one core",
        "40 times Python, 20 million frames/s",
        f"{ours / python:.0f} times Python's {python / 1e6:.3f} million, {ours / 1e6:.1f} million frames/s",
    )
    row(
        "replay of a day to SQLite and stdout",
        "under 0.3 s, nothing lost",
        f"{best_of(10, replay):.3f} s, nothing lost",
    )
    with (
        Network() as network,
        tempfile.TemporaryDirectory() as folder,
        servers(network, Path(folder)) as (mqtt, influxdb),
    ):

        def sinks(folder):
            return all_sinks(folder, mqtt, influxdb)

        starts = [first_reading(network, sinks) for _ in range(10)]
        share, resident = live(network, sinks, Path(folder), seconds)
    row("resident memory, live, all sinks", "15 MB", f"{resident:.1f} MB")
    row("CPU, live at 2 frames/s, all sinks", "0.2 % of one core", f"{share:.2%}")
    row(
        "start to first reading, all sinks",
        "50 ms",
        f"{min(starts) * 1000:.0f} ms (median {statistics.median(starts) * 1000:.0f} ms)",
    )
    with tempfile.TemporaryDirectory() as folder:
        size, report = ten_years(Path(folder))
    row(
        "ten years of history, one device: file; daily report",
        "400 MB; 50 ms",
        f"{size:.0f} MB; {report * 1000:.0f} ms",
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 60)
