#!/usr/bin/env python3
"""Whole-program figures, each taken in one run on this machine.

    cargo build --release --examples --bins && python3 benches/figures.py

The decoder that the Rust one is compared with does what the script `mqtt-energi` did for each
frame (slices and int.from_bytes, into a dictionary), written anew for this comparison.
"""

import gzip
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
GATEWAY = TARGET / "energi-gateway"
DAY = ROOT / "examples/captures/eddi-day.pcapng.gz"


def frames(path):
    """The packets of a little-endian pcapng file."""
    data = gzip.open(path).read()
    at, packets = 0, []
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        if kind == 6:
            (length,) = struct.unpack_from("<I", data, at + 20)
            packets.append(data[at + 28 : at + 28 + length])
        at += size
    return packets


def bits(byte):
    return [1 if byte & (1 << (7 - n)) else 0 for n in range(8)]


def decode(p):
    """As the script did with its debug output off: unconfirmed fields are read, not published."""
    kind = p[0x18]
    if kind == 0x1F:
        serial = int.from_bytes(p[0x1E:0x22], "little")
        frequency = int.from_bytes(p[0x22:0x24], "little")
        diverted = int.from_bytes(p[0x2C:0x2E], "little")
        voltage = int.from_bytes(p[0x32:0x34], "little")
        return {"serial": serial, "frequency": frequency / 100, "voltage": voltage / 10, "diverted_kWh": diverted / 100}
    elif kind == 0x20:
        serial = int.from_bytes(p[0x1E:0x22], "little")
        diverted = int.from_bytes(p[0x2C:0x2E], "little")
        power = int.from_bytes(p[0x34:0x36], "little")
        _current = int.from_bytes(p[0x36:0x38], "little")
        _rating = int.from_bytes(p[0x26:0x28], "little")
        heaters, stopped, boost = bits(p[0x2F]), bits(p[0x25]), bits(p[0x2E])
        return {"serial": serial, "diverted_kWh": diverted / 100, "divert_pwr": power, "heater1": heaters[7], "heater2": heaters[6], "stopped": stopped[0], "boost": boost[3]}
    elif kind == 0x2B:
        _fields = (
            int.from_bytes(p[0x1E:0x22], "little"),
            int.from_bytes(p[0x22:0x24], "little"),
            int.from_bytes(p[0x2C:0x2E], "little"),
            int.from_bytes(p[0x3C:0x3E], "little", signed=True),
            int.from_bytes(p[0x34:0x36], "little", signed=True),
            int.from_bytes(p[0x41:0x43], "little", signed=True),
            int.from_bytes(p[0x41:0x43], "little", signed=True),
        )
    elif kind == 0x22:
        generation = int.from_bytes(p[0x22:0x24], "little", signed=True)
        grid = int.from_bytes(p[0x1E:0x20], "little", signed=True)
        power = int.from_bytes(p[0x32:0x34], "little", signed=True)
        serial = int.from_bytes(p[0x2E:0x32], "little")
        return {"serial": serial, "gen_pwr": generation, "grid_pwr": grid, "divert_pwr": power}
    elif kind == 0x27:
        _fields = (
            int.from_bytes(p[0x1E:0x22], "little"),
            int.from_bytes(p[0x22:0x24], "little"),
            int.from_bytes(p[0x2C:0x2E], "little"),
            int.from_bytes(p[0x38:0x3A], "little", signed=True),
            int.from_bytes(p[0x36:0x38], "little", signed=True),
            int.from_bytes(p[0x3D:0x3E], "little", signed=True),
            int.from_bytes(p[0x3C:0x3D], "little", signed=True),
            int.from_bytes(p[0x3A:0x3C], "little", signed=True),
            int.from_bytes(p[0x34:0x36], "little", signed=True),
            int.from_bytes(p[0x32:0x34], "little", signed=True),
            int.from_bytes(p[0x30:0x32], "little", signed=True),
            int.from_bytes(p[0x2E:0x30], "little", signed=True),
        )
    elif kind == 0x37:
        _fields = (
            int.from_bytes(p[0x1E:0x22], "little"),
            int.from_bytes(p[0x4D:0x4F], "little", signed=True),
            int.from_bytes(p[0x3C:0x3D], "little", signed=True),
            int.from_bytes(p[0x3A:0x3C], "little", signed=True),
            int.from_bytes(p[0x34:0x36], "little", signed=True),
            int.from_bytes(p[0x32:0x34], "little", signed=True),
            int.from_bytes(p[0x30:0x32], "little", signed=True),
            int.from_bytes(p[0x2E:0x30], "little", signed=True),
        )
    elif kind == 0x36:
        _fields = (
            int.from_bytes(p[0x4A:0x4E], "little"),
            int.from_bytes(p[0x1C:0x1E], "little", signed=True),
            int.from_bytes(p[0x1E:0x20], "little", signed=True),
            int.from_bytes(p[0x20:0x22], "little", signed=True),
            int.from_bytes(p[0x22:0x24], "little", signed=True),
            int.from_bytes(p[0x24:0x26], "little", signed=True),
            int.from_bytes(p[0x30:0x32], "little", signed=True),
            int.from_bytes(p[0x34:0x36], "little", signed=True),
            int.from_bytes(p[0x36:0x38], "little", signed=True),
            int.from_bytes(p[0x38:0x3A], "little", signed=True),
            int.from_bytes(p[0x3A:0x3C], "little", signed=True),
            int.from_bytes(p[0x3C:0x3E], "little", signed=True),
            int.from_bytes(p[0x3E:0x40], "little", signed=True),
            int.from_bytes(p[0x40:0x42], "little", signed=True),
            int.from_bytes(p[0x42:0x44], "little", signed=True),
            int.from_bytes(p[0x44:0x46], "little", signed=True),
            int.from_bytes(p[0x46:0x48], "little", signed=True),
            int.from_bytes(p[0x48:0x4A], "little", signed=True),
        )
    elif kind == 0x38:
        _fields = (
            int.from_bytes(p[0x1E:0x22], "little"),
            int.from_bytes(p[0x20:0x22], "little", signed=True),
            int.from_bytes(p[0x22:0x24], "little", signed=True),
            int.from_bytes(p[0x24:0x26], "little", signed=True),
            int.from_bytes(p[0x26:0x28], "little", signed=True),
            int.from_bytes(p[0x28:0x2A], "little", signed=True),
            int.from_bytes(p[0x2A:0x2C], "little", signed=True),
            int.from_bytes(p[0x2C:0x2E], "little", signed=True),
            int.from_bytes(p[0x2E:0x30], "little", signed=True),
            int.from_bytes(p[0x30:0x32], "little", signed=True),
            int.from_bytes(p[0x32:0x34], "little", signed=True),
            int.from_bytes(p[0x34:0x36], "little", signed=True),
            int.from_bytes(p[0x36:0x38], "little", signed=True),
            int.from_bytes(p[0x38:0x3A], "little", signed=True),
            int.from_bytes(p[0x3A:0x3C], "little", signed=True),
            int.from_bytes(p[0x3C:0x3E], "little", signed=True),
            int.from_bytes(p[0x3E:0x40], "little", signed=True),
        )
    elif kind == 0x3A:
        _fields = (
            int.from_bytes(p[0x1E:0x22], "little"),
            int.from_bytes(p[0x22:0x24], "little", signed=True),
            int.from_bytes(p[0x24:0x26], "little", signed=True),
            int.from_bytes(p[0x26:0x28], "little", signed=True),
            int.from_bytes(p[0x28:0x2A], "little", signed=True),
            int.from_bytes(p[0x2A:0x2C], "little", signed=True),
            int.from_bytes(p[0x2C:0x2E], "little", signed=True),
            int.from_bytes(p[0x2E:0x30], "little", signed=True),
            int.from_bytes(p[0x30:0x32], "little", signed=True),
            int.from_bytes(p[0x32:0x34], "little", signed=True),
            int.from_bytes(p[0x34:0x36], "little", signed=True),
            int.from_bytes(p[0x36:0x38], "little", signed=True),
            int.from_bytes(p[0x38:0x3A], "little", signed=True),
            int.from_bytes(p[0x44:0x46], "little", signed=True),
            int.from_bytes(p[0x42:0x44], "little", signed=True),
        )
    return {}


def python_rate(packets):
    rounds, started = 0, time.perf_counter()
    while time.perf_counter() - started < 2:
        for frame in packets:
            header, payload = frame[:14], frame[14:]
            destination, source, ethertype = struct.unpack("!6s6sH", header)
            if ethertype == 0x88B5 and struct.unpack("4B", payload[:4]) == (0xCB, 0xDA, 0xE9, 0xF8):
                decode(payload)
        rounds += 1
    return rounds * len(packets) / (time.perf_counter() - started)


def configuration(folder, capture, sinks):
    path = folder / "config.yaml"
    path.write_text(json.dumps({"timezone": "Europe/London", "capture": capture, "sinks": sinks}))
    return path


def replay(folder):
    sinks = [{"type": "stdout"}, {"type": "sqlite", "path": str(folder / "energi.db")}]
    config = configuration(folder, {"type": "replay", "path": str(DAY)}, sinks)
    with open(folder / "lines", "wb") as lines:
        started = time.perf_counter()
        subprocess.run([GATEWAY, "run", "-c", config], stdout=lines, stderr=subprocess.DEVNULL, check=True)
        return time.perf_counter() - started


def live(folder, seconds):
    """Resident memory, CPU and time to the first reading, a household simulated in real time."""
    sinks = [{"type": "stdout"}, {"type": "sqlite", "path": str(folder / "live.db")}]
    config = configuration(folder, {"type": "simulator", "speed": 1}, sinks)
    started = time.perf_counter()
    process = subprocess.Popen([GATEWAY, "run", "-c", config], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        process.stdout.readline()
        first = time.perf_counter() - started
        time.sleep(2)
        before = cpu(process.pid)
        time.sleep(seconds)
        share = (cpu(process.pid) - before) / seconds
        status = Path(f"/proc/{process.pid}/status").read_text()
        (rss,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
        return first, share, int(rss) / 1024
    finally:
        process.terminate()
        process.wait()


def cpu(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main():
    packets = frames(DAY)
    ours = float(subprocess.check_output([TARGET / "examples/decode_speed", DAY]))
    python = python_rate(packets)
    print(f"decode, one core: {ours / 1e6:.1f} million frames/s, {ours / python:.0f} times Python's {python / 1e6:.3f}")
    with tempfile.TemporaryDirectory() as folder:
        best = min(replay(Path(tempfile.mkdtemp(dir=folder))) for _ in range(5))
        print(f"replay of {len(packets)} frames to SQLite and stdout, best of 5: {best:.3f} s")
        seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
        first, share, rss = live(Path(folder), seconds)
        print(f"start to first reading (the household's own first frame included): {first * 1000:.0f} ms")
        print(f"CPU over {seconds} s at the rates of one device: {share:.2%} of one core")
        print(f"resident memory then: {rss:.1f} MB")


main()
