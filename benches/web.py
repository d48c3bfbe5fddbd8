#!/usr/bin/env python3
"""What the web sink costs: time to the first byte of each view over ten years of history, memory, and
whether watchers disturb live capture; and whether Prometheus accepts what it scrapes.

    cargo build --release && cargo build --release --workspace --examples
    sudo python3 benches/web.py [SECONDS]

SECONDS is for how long capture runs under load, 15 by default; Prometheus always scrapes for a minute.
Root makes the network in namespaces. Mosquitto, VictoriaMetrics and Prometheus must be installed.
"""

import datetime
import http.client
import json
import os
import selectors
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from lab import EDDI, LIVE, TARGET, Network, all_sinks, cpu, demand_root, gateway, memory, running, servers

PORT = 8088
FRAMES_PER_SECOND = 20_000
CLIENTS = 64
REQUESTS_PER_SECOND = 50
# The last day of the history that `sqlite_ten_years` makes.
LAST = datetime.date(2026, 6, 30)


def ten_years(folder):
    """Ten years of history, with its last day's minutes again as those of the last 24 hours."""
    path = folder / "energi.db"
    subprocess.run([TARGET / "examples/sqlite_ten_years", path], stdout=subprocess.DEVNULL, check=True)
    with sqlite3.connect(path) as database:
        names = [row[1] for row in database.execute("PRAGMA table_info(minute_sum)")]
        newest = database.execute("SELECT max(time) FROM minute_sum").fetchone()[0]
        later = (int(time.time() * 1000) - newest) // 60_000 * 60_000
        columns = ", ".join(f"time + {later}" if name == "time" else name for name in names)
        database.execute(
            f"INSERT INTO minute_sum SELECT {columns} FROM minute_sum WHERE time > ?", [newest - 86_400_000]
        )
    return path


def views():
    """The page and the API, with the longest spans that they give."""
    week = f"from={LAST - datetime.timedelta(days=7)}T00:00:00Z&to={LAST}T00:00:00Z"
    past = f"device={EDDI}&to={LAST}"
    return {
        "page, days": f"/?{past}",
        "page, months": f"/?{past}&show=month",
        "page, years": f"/?{past}&show=year",
        "last 24 hours": f"/fragments/day?device={EDDI}",
        "devices": "/api/v1/devices",
        "energy by day, ten years": f"/api/v1/energy?step=day&from=2016-07-01&to={LAST}",
        "energy by month, ten years": f"/api/v1/energy?step=month&from=2016-07-01&to={LAST}",
        "energy by year, ten years": f"/api/v1/energy?step=year&from=2016-07-01&to={LAST}",
        "minutes, a week": f"/api/v1/minutes?serial={EDDI}&key=grid_pwr&{week}",
        "metrics": "/metrics",
        "OpenAPI": "/api/v1/openapi.json",
    }


def first_byte(path):
    """Seconds to the first byte of an answer, on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
    begun = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    took = time.perf_counter() - begun
    body = answer.read()
    connection.close()
    assert answer.status == 200, f"{path}: {answer.status} {body[:200]}"
    return took


def until_ready():
    for _ in range(200):
        try:
            first_byte("/readyz")
            return
        except (OSError, AssertionError):
            time.sleep(0.1)
    sys.exit("the web sink does not answer")


def web(history):
    return {"type": "web", "listen": f"127.0.0.1:{PORT}", "history": str(history)}


def answers(history):
    with tempfile.TemporaryDirectory() as folder:
        sinks = [{"type": "sqlite", "path": str(history), "retention": {"samples": "36500d"}}, web(history)]
        command = gateway(Path(folder), {"type": "simulator"}, sinks)
        with running(command, stderr=subprocess.DEVNULL) as process:
            until_ready()
            load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
            print(f"load average {load}; on a processor: what the gateway itself took for an answer\n")
            print("| view | p50 | p99 | on a processor, p50 | p99 |\n|---|---|---|---|---|")
            for name, path in views().items():
                first_byte(path)
                times, worked = [], []
                for _ in range(200):
                    before = cpu(process.pid)
                    times.append(first_byte(path) * 1000)
                    worked.append((cpu(process.pid) - before) * 1000)
                figures = [f"{sorted(figures)[at]:.1f} ms" for figures in (times, worked) for at in (99, 197)]
                print(f"| {name} | {' | '.join(figures)} |", flush=True)


def resident(network, with_web):
    """What is resident with the card's sinks, 40 s after the start, at two frames a second."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        with servers(network, folder) as (mqtt, influxdb):
            sinks = all_sinks(folder, mqtt, influxdb) + ([web(folder / "energi.db")] if with_web else [])
            command = gateway(folder, LIVE, sinks)
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            with running(command, **quiet) as process, running(network.sender(2, 1_000_000), **quiet):
                time.sleep(40)
                return memory(process.pid)


class Watchers(threading.Thread):
    """Clients of server-sent events, half of the page's and half of the API's; they read what comes."""

    def __init__(self, count):
        super().__init__(daemon=True)
        self.selector, self.bytes, self.done = selectors.DefaultSelector(), 0, False
        for number in range(count):
            client = follow("/live" if number % 2 else "/api/v1/stream")
            client.setblocking(False)
            self.selector.register(client, selectors.EVENT_READ)

    def run(self):
        while not self.done:
            for key, _ in self.selector.select(0.2):
                received = key.fileobj.recv(1 << 20)
                self.bytes += len(received)
                if not received:
                    self.selector.unregister(key.fileobj)


def follow(path):
    client = socket.create_connection(("127.0.0.1", PORT))
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    status = client.recv(12)
    assert status == b"HTTP/1.1 200", status
    return client


STOPPED = f"""
import socket, time
client = socket.create_connection(("127.0.0.1", {PORT}))
client.sendall(b"GET /api/v1/stream HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\n\\r\\n")
print(client.recv(12), flush=True)
time.sleep(1000)
"""


class Visitors(threading.Thread):
    """Asks for history at a steady rate."""

    def __init__(self):
        super().__init__(daemon=True)
        self.times, self.done = [], False
        self.paths = [path for name, path in views().items() if name not in ("devices", "metrics", "OpenAPI")]

    def run(self):
        due = time.perf_counter()
        while not self.done:
            self.times.append(first_byte(self.paths[len(self.times) % len(self.paths)]) * 1000)
            due += 1 / REQUESTS_PER_SECOND
            time.sleep(max(0, due - time.perf_counter()))


def under_load(network, history, seconds):
    count = FRAMES_PER_SECOND * seconds
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        sinks = [{"type": "stdout"}, {"type": "sqlite", "path": str(folder / "new.db")}, web(history)]
        command = gateway(folder, LIVE, sinks, "keep")
        with running(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            until_ready()
            watchers, visitors = Watchers(CLIENTS - 1), Visitors()
            with running([sys.executable, "-c", STOPPED], stdout=subprocess.PIPE) as stopped:
                stopped.stdout.readline()
                stopped.send_signal(signal.SIGSTOP)
                watchers.start()
                visitors.start()
                sender = subprocess.Popen(network.sender(FRAMES_PER_SECOND, count), stdout=subprocess.PIPE)
                peak = 0
                while sender.poll() is None:
                    peak = max(peak, memory(process.pid))
                    time.sleep(0.2)
                visitors.done = True
                time.sleep(7)
                watchers.done = True
                process.send_signal(signal.SIGTERM)
                said = process.communicate(timeout=60)[1]
                stopped.send_signal(signal.SIGCONT)
    times = sorted(visitors.times)
    print(
        f"\n{FRAMES_PER_SECOND:,} frames/s for {seconds} s beside {CLIENTS} clients, one of them stopped, and "
        f"{len(times) / seconds:.0f} requests/s:\n"
        f"- {count:,} frames sent\n"
        f"- resident at most {peak:.1f} MB; {watchers.bytes / 1e6:.0f} MB of events read\n"
        f"- first byte: p50 {statistics.median(times):.1f} ms, p99 {times[int(len(times) * 0.99)]:.1f} ms"
    )
    # Readings and frames dropped by the kernel; what each sink received and delivered.
    print("\n".join(said.splitlines()[-2:]))


def scraped(network, history):
    """Whether Prometheus accepts every sample of a minute."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        jobs = [{"job_name": "gateway", "static_configs": [{"targets": [f"127.0.0.1:{PORT}"]}]}]
        jobs += [{"job_name": "itself", "static_configs": [{"targets": ["127.0.0.1:9090"]}]}]
        settings = {"global": {"scrape_interval": "2s", "scrape_timeout": "2s"}, "scrape_configs": jobs}
        (folder / "prometheus.yml").write_text(json.dumps(settings))
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        prometheus = [
            "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            "--web.listen-address=127.0.0.1:9090",
        ]
        with running(gateway(folder, LIVE, [web(history)]), **quiet):
            until_ready()
            with running(network.sender(2, 1_000_000), **quiet), running(prometheus, **quiet):
                time.sleep(66)

                def ask(query):
                    connection = http.client.HTTPConnection("127.0.0.1", 9090, timeout=10)
                    connection.request("GET", f"/api/v1/query?query={query}")
                    return json.load(connection.getresponse())["data"]["result"]

                def value(query):
                    return sum(float(series["value"][1]) for series in ask(query))

                print(
                    f"\nPrometheus, a minute: {value('count_over_time(up{job=%22gateway%22}[1m])'):.0f} scrapes, "
                    f"all up: {value('min_over_time(up{job=%22gateway%22}[1m])') == 1}; "
                    f"{value('sum_over_time(scrape_samples_scraped{job=%22gateway%22}[1m])'):.0f} samples, refused: "
                    f"{value('sum({__name__=~%22prometheus_target_scrapes_sample_.*_total%22})'):.0f}"
                )


def main(seconds):
    demand_root()
    with Network() as network, tempfile.TemporaryDirectory() as folder:
        network.move_home()
        history = ten_years(Path(folder))
        answers(history)
        without, beside = (resident(network, with_web) for with_web in (False, True))
        print(f"\nresident: {without:.1f} MB, with the web sink {beside:.1f} MB")
        under_load(network, history, seconds)
        scraped(network, history)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
