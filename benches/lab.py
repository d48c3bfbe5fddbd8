"""What the figures are taken with: networks of their own, servers, and the gateway in between."""

import ctypes
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mqtt_energi import read

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
GATEWAY = TARGET / "energi-gateway"
SENDER = TARGET / "examples/send_frames"
DAY = ROOT / "examples/captures/eddi-day.pcapng.gz"
EDDI = 17589669


LIBC = ctypes.CDLL(None, use_errno=True)


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


def demand_root():
    if os.geteuid() != 0:
        sys.exit("live capture is measured in network namespaces, which takes root")


class Network:
    """Two namespaces with a cable between them, `eth0` on both ends: the gateway's machine, and the
    devices'. Nothing that is sent in there leaves it."""

    def __enter__(self):
        demand_root()
        self.home, self.world = (f"energi-{os.getpid()}-{side}" for side in ("home", "world"))
        with ExitStack() as stack:
            for name in (self.home, self.world):
                ip("netns", "add", name)
                stack.callback(ip, "netns", "del", name)
            peer = ["type", "veth", "peer", "name", "eth0", "netns", self.world]
            ip("-n", self.home, "link", "add", "eth0", *peer)
            ip("-n", self.home, "link", "set", "lo", "up")
            for name in (self.home, self.world):
                ip("-n", name, "link", "set", "eth0", "up")
            # Whole: until then a failure takes back what is there.
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def at_home(self, command):
        return ["ip", "netns", "exec", self.home, *map(str, command)]

    def move_home(self):
        """Moves the calling process to the gateway's machine."""
        with open(f"/run/netns/{self.home}") as namespace:
            if LIBC.setns(namespace.fileno(), 0) != 0:
                raise OSError(ctypes.get_errno(), "setns")

    def sender(self, rate, count):
        """Frames of the example day, as a command in the devices' namespace."""
        return ["ip", "netns", "exec", self.world, *map(str, [SENDER, "eth0", rate, count, DAY])]


def makes_reading(frame):
    """Whether the gateway makes a reading of a frame of the example day: where Python does, and it is the
    eddi's. Python takes records of the zappi for an eddi's."""
    return read(frame).get("serial") == EDDI


@contextmanager
def running(command, **options):
    """A process that ends with the block."""
    process = subprocess.Popen(command, **options)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


@contextmanager
def servers(network, folder):
    """A Mosquitto and a VictoriaMetrics on the gateway's machine: their addresses."""
    with ExitStack() as stack:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        (folder / "mosquitto.conf").write_text("listener 1883 127.0.0.1\nallow_anonymous true\n")
        mosquitto = ["mosquitto", "-c", folder / "mosquitto.conf"]
        stack.enter_context(running(network.at_home(mosquitto), **quiet))
        victoria = [
            "victoria-metrics",
            "-httpListenAddr=127.0.0.1:8428",
            f"-storageDataPath={folder / 'victoria'}",
        ]
        stack.enter_context(running(network.at_home([*victoria, "-retentionPeriod=100y"]), **quiet))
        for port in (1883, 8428):
            until_open(network, port)
        yield "mqtt://127.0.0.1:1883", "http://127.0.0.1:8428"


def until_open(network, port):
    probe = f"import socket; socket.create_connection(('127.0.0.1', {port}))"
    for _ in range(200):
        tried = subprocess.run(network.at_home([sys.executable, "-c", probe]), stderr=subprocess.DEVNULL)
        if tried.returncode == 0:
            return
        time.sleep(0.1)
    sys.exit(f"nothing listens on port {port}")


def all_sinks(folder, mqtt, influxdb):
    return [
        {"type": "stdout"},
        {"type": "sqlite", "path": str(folder / "energi.db")},
        {"type": "mqtt", "url": mqtt},
        {
            "type": "influxdb",
            "url": influxdb,
            "org": "home",
            "bucket": "energy",
            "queue": {"path": str(folder / "queue.db")},
        },
    ]


def configuration(folder, capture, sinks, plausibility):
    path = folder / "config.yaml"
    settings = {"timezone": "Europe/London", "capture": capture, "sinks": sinks}
    path.write_text(json.dumps({**settings, "decoders": {"plausibility": plausibility}}))
    return path


def gateway(folder, capture, sinks, plausibility="withhold"):
    """The command that runs the gateway. A day's frames within seconds are implausible: a load keeps
    their values, so that every reading comes out."""
    return [GATEWAY, "run", "-c", configuration(folder, capture, sinks, plausibility)]


LIVE = {"type": "live", "interface": "eth0"}


def cpu(pid):
    """What a process has had of the CPU so far, in seconds, to the nanosecond."""
    return time.clock_gettime(~pid << 3 | 2)  # as clock_getcpuclockid(3) has it


def memory(pid, what="VmRSS"):
    """What of a process is resident, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{what}:\s+(\d+) kB$", status, re.MULTILINE)[1]) * 1024 / 1e6


def best_of(times, take):
    """The best of so many tries, each with a folder of its own: what else the machine does only
    makes them worse."""
    taken = []
    for _ in range(times):
        with tempfile.TemporaryDirectory() as folder:
            taken.append(take(Path(folder)))
    return min(taken)
