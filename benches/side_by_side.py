#!/usr/bin/env python3
"""Whole programs side by side: each reads the example day and prints its readings, by turns.

    cargo build --release && python3 benches/side_by_side.py

tshark must be installed.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lab import DAY, GATEWAY, ROOT, gateway
from mqtt_energi import frames

DISSECTOR = ROOT / "docs/wireshark/myenergi.lua"


def tshark():
    """The values that the confirmed decoders read, by the project's own dissector."""
    metrics = ["serial", "frequency", "voltage", "diverted_kWh", "divert_pwr", "grid_pwr", "gen_pwr"]
    metrics += ["max_power", "divert_cur", "heater1", "heater2", "stopped", "boost"]
    fields = ["frame.time_epoch", *(f"myenergi.{metric}" for metric in metrics)]
    shown = [argument for field in fields for argument in ("-e", field)]
    return ["tshark", "-X", f"lua_script:{DISSECTOR}", "-r", DAY, "-T", "fields", *shown]


def seconds(command):
    begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - begun, used


def main():
    day = {"type": "replay", "path": str(DAY)}
    with tempfile.TemporaryDirectory() as folder:
        programs = {
            "`energi-gateway decode`": [GATEWAY, "decode", DAY],
            "`energi-gateway run`, stdout sink": gateway(Path(folder), day, [{"type": "stdout"}]),
            "the decoder of mqtt-energi, Python": [sys.executable, ROOT / "benches/mqtt_energi.py", DAY],
            "tshark with the dissector of this project": tshark(),
        }
        rounds = [[seconds(command) for command in programs.values()] for _ in range(5)]
    best = [min(taken) for taken in zip(*rounds, strict=True)]
    count = len(frames(DAY))
    print("| program | seconds | of CPU | frames/s | times as long |\n|---|---|---|---|---|")
    for name, (took, used) in zip(programs, best, strict=True):
        print(f"| {name} | {took:.3f} | {used:.3f} | {count / took:,.0f} | {took / best[0][0]:.1f} |")


main()
