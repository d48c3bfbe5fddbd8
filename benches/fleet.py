#!/usr/bin/env python3
"""A thousand simulated sites into replicated servers of which one is killed: what arrives, and at what cost.

    cargo build --release --features postgres,nats --example fleet --bin energi-gateway
    sudo python3 benches/fleet.py [--sites 1000] [--for 300] [--kill 120] [SCENARIO...]

Scenarios: jetstream, blackout, postgres, asynchronous, victoria, mqtt, offline, rates. Servers are those of Debian, with the
files of examples/fleet/, on loopback, in folders of their own; each scenario ends what it has begun.
"""

import argparse
import base64
import contextlib
import gzip
import json
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

from lab import GATEWAY, ROOT, TARGET

FILES = ROOT / "examples/fleet"
SCHEMA = ROOT / "sinks/src/postgres/schema.sql"
POSTGRES = Path("/usr/lib/postgresql/15/bin")
SECRET = "secret"
TICK = os.sysconf("SC_CLK_TCK")
START = "2026-06-20T10:00:00Z"


def free_ports(count):
    """Ports below those that Linux gives to connections."""
    found = []
    while len(found) < count:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
    return found


def say(text):
    print(text, flush=True)


def until(what, condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.2)


def tree(pid):
    """A process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    with contextlib.suppress(OSError):
        return [pid, *map(int, children.read_text().split())]
    return []


def cpu(pid):
    """What a process, its children and those that have ended had of the CPU, in seconds."""
    total = 0
    for process in tree(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
            total += sum(map(int, fields[11:15] if process == pid else fields[11:13]))
    return total / TICK


class Lab(contextlib.ExitStack):
    """A folder, processes, and an environment for the sites' configuration."""

    def __enter__(self):
        self.folder = Path(self.enter_context(tempfile.TemporaryDirectory(prefix="energi-fleet-")))
        self.folder.chmod(0o755)
        credentials = self.folder / "credentials"
        credentials.mkdir()
        for name in ("postgres", "mqtt", "influxdb", "nats"):
            (credentials / name).write_text(SECRET)
        self.environment = {**os.environ, "RUST_LOG": "warn", "CREDENTIALS_DIRECTORY": str(credentials)}
        return self

    def start(self, command, user=None, log=None, **options):
        log = open(self.folder / f"{log or 'log'}.log", "ab")
        options.setdefault("stdout", log)
        # A group of its own: Ctrl-C ends the script, which ends its processes.
        process = subprocess.Popen([*map(str, command)], stderr=log, user=user, start_new_session=True, **options)
        log.close()
        self.callback(self.kill, process)
        return process

    @staticmethod
    def kill(process):
        """Ends a process and its children as a power cut does."""
        for pid in tree(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()

    def fleet(self, site, arguments, **environment):
        command = [TARGET / "examples/fleet", "-c", site, "--state", self.folder / "state", *arguments]
        environment = {**self.environment, **{name: str(value) for name, value in environment.items()}}
        return self.start(command, log="fleet", stdout=subprocess.PIPE, env=environment, text=True)

    def expected(self, site, arguments, file, **environment):
        """Writes what should arrive."""
        command = [TARGET / "examples/fleet", "-c", site, "--state", self.folder / "state", *arguments, "--expect"]
        environment = {**self.environment, **{name: str(value) for name, value in environment.items()}}
        with open(file, "wb") as output:
            subprocess.run([*map(str, command)], env=environment, stdout=output, check=True)


def ended(process, servers, before):
    """The report of a fleet and what the servers had of the CPU meanwhile."""
    output, _ = process.communicate()
    report = json.loads(output.strip().splitlines()[-1])
    report["servers"] = {name: round(cpu(pid) - before[name]) for name, pid in servers.items()}
    return report


def described(report):
    sink = next(iter(report["sinks"].values()))
    counts = ", ".join(f"{name} {count:,}" for name, count in sink.items() if count)
    servers = ", ".join(f"{name} {seconds} s" for name, seconds in report["servers"].items())
    return (
        f"{report['frames']:,} frames, {report['readings']:,} readings, {report['values']:,} values in "
        f"{report['seconds']} s; sinks: {counts}; latest frame {report['late_ms']} ms late; CPU: fleet "
        f"{report['cpu_seconds']} s, {servers}; fleet's memory {report['peak_memory']}"
    )


class Database:
    """PostgreSQL 15: a primary and its replica."""

    def __init__(self, lab, synchronous=True, replica=True):
        self.lab, self.synchronous = lab, synchronous and replica
        self.folder = lab.folder / "postgres"
        self.folder.mkdir()
        shutil.chown(self.folder, "postgres")
        self.ports = free_ports(2)
        self.hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        password = self.folder / "password"
        password.write_text("owner\n")
        self.program("initdb", "-D", self.data(0), "-A", "scram-sha-256", "-U", "owner", f"--pwfile={password}", "-E", "UTF8")
        self.include(0, "primary.conf")
        self.processes = [self.run(0), None]
        # The replica first: nothing is confirmed before.
        if replica:
            self.replicate()
        self.ask("CREATE DATABASE energy", database="postgres")
        self.sql(SCHEMA, FILES / "postgres/roles.sql")

    def replicate(self):
        source = f"host=127.0.0.1 port={self.ports[0]} user=owner password=owner"
        self.program("pg_basebackup", "-D", self.data(1), "-R", "-X", "stream", "-c", "fast", "-d", source)
        self.include(1, "replica.conf")
        self.processes[1] = self.run(1)
        streams = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
        streams += " AND sync_state = 'sync'" if self.synchronous else ""
        until("the replica", lambda: self.ask(streams, database="postgres") == "1")

    def data(self, index):
        return self.folder / f"data-{index}"

    def include(self, index, file):
        configuration = self.data(index) / "postgresql.conf"
        with open(configuration, "a") as output:
            output.write((FILES / "postgres" / file).read_text())
            output.write(f"listen_addresses = '127.0.0.1'\nunix_socket_directories = '{self.folder}'\n")
            if not self.synchronous:
                output.write("synchronous_standby_names = ''\n")

    def program(self, name, *arguments):
        command = [POSTGRES / name, *arguments]
        subprocess.run([*map(str, command)], user="postgres", cwd=self.folder, stdout=subprocess.DEVNULL, check=True)

    def run(self, index):
        command = [POSTGRES / "postgres", "-D", self.data(index), "-p", self.ports[index]]
        process = self.lab.start(command, user="postgres", log=f"postgres-{index}", cwd=self.folder)
        self.current = 0
        until("PostgreSQL", lambda: subprocess.run([POSTGRES / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.ports[index])]).returncode == 0)
        return process

    def psql(self, *arguments, database="energy", **options):
        command = [POSTGRES / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "owner", "-d", database]
        command += ["-p", self.ports[self.current], *arguments]
        environment = {**os.environ, "PGPASSWORD": "owner"}
        return subprocess.run([*map(str, command)], env=environment, stdout=subprocess.PIPE, check=True, text=True, **options).stdout.strip()

    def ask(self, sql, database="energy"):
        return self.psql("-c", sql, database=database)

    def sql(self, *files):
        for file in files:
            self.psql("-f", file)

    def sites(self, count):
        """A role for each site."""
        self.roles(f"site-{n:04}" for n in range(1, count + 1))

    def roles(self, names):
        """A role for each name, as site.sql makes it."""
        (create,) = re.findall(r"^CREATE ROLE .*", (FILES / "postgres/site.sql").read_text(), re.MULTILINE)
        roles = [create.replace(':"site"', f'"{name}"').replace(":'password'", f"'{SECRET}'") for name in names]
        self.psql("-1", input="\n".join(roles))

    def fail_over(self):
        """Kills the primary, and promotes the replica five seconds later, as somebody who was called does."""
        Lab.kill(self.processes[0])
        killed = time.monotonic()
        time.sleep(5)
        self.program("pg_ctl", "promote", "-w", "-D", self.data(1))
        self.current = 1
        return time.monotonic() - killed

    def compare(self, file, site=None):
        """What is missing and what is there without reason, in values; all are of `site`, if given."""
        self.ask(
            "CREATE UNLOGGED TABLE expected (serial bigint, time timestamptz, packet text, key text, "
            "value double precision, text text, site text)"
        )
        self.psql("-c", f"\\copy expected FROM '{file}'")
        if site:
            self.ask(f"UPDATE expected SET site = '{site}'")
        columns = "serial, time, packet, key, value, text, site"
        except_ = "SELECT count(*) FROM (SELECT {0} FROM {1} EXCEPT ALL SELECT {0} FROM {2}) rows"
        missing = int(self.ask(except_.format(columns, "expected", "reading")))
        surplus = int(self.ask(except_.format(columns, "reading", "expected")))
        readings = self.ask(
            "SELECT count(DISTINCT (serial, time, packet)) FROM expected e WHERE NOT EXISTS (SELECT 1 FROM reading r "
            "WHERE (r.serial, r.time, r.packet, r.key) = (e.serial, e.time, e.packet, e.key))"
        )
        self.ask("DROP TABLE expected")
        return missing, surplus, int(readings)

    def environment(self):
        return {"DATABASE_HOSTS": self.hosts, "DATABASE_SSLMODE": "disable"}


def postgres(options, synchronous=True):
    with Lab() as lab:
        database = Database(lab, synchronous)
        database.sites(options.sites)
        site, arguments = FILES / "postgres/site.yaml", options.arguments()
        servers = {f"postgres {index}": process.pid for index, process in enumerate(database.processes)}
        before = {name: cpu(pid) for name, pid in servers.items()}
        fleet = lab.fleet(site, arguments, **database.environment())
        time.sleep(options.kill)
        used = cpu(servers["postgres 0"]) - before["postgres 0"]
        if not synchronous:
            # A replica on a slow line: it is three seconds behind.
            sender = int(subprocess.check_output(["pgrep", "-P", str(servers["postgres 0"]), "-f", "walsender"]))
            os.kill(sender, signal.SIGSTOP)
            time.sleep(3)
        took = database.fail_over()
        servers.pop("postgres 0")
        report = ended(fleet, servers, before)
        report["servers"]["primary until it was killed"] = round(used)
        say(f"  {described(report)}; a primary after {took:.1f} s")
        lab.expected(site, arguments, lab.folder / "expected.tsv", **database.environment())
        missing, surplus, readings = database.compare(lab.folder / "expected.tsv")
        size = int(database.ask("SELECT pg_total_relation_size('reading')"))
        say(f"  missing {missing:,} values of {readings:,} readings; surplus {surplus:,} values; the table has {size:,} bytes")


class Metrics:
    """Two VictoriaMetrics, vmagent in front of them, vmauth in front of that."""

    def __init__(self, lab, sites):
        self.lab = lab
        self.ports = free_ports(4)
        self.replicas = [self.replica(0), self.replica(1)]
        agent = ["vmagent", f"-httpListenAddr=127.0.0.1:{self.ports[2]}", f"-remoteWrite.tmpDataPath={lab.folder}/vmagent"]
        agent += [f"-remoteWrite.url=http://127.0.0.1:{port}/api/v1/write" for port in self.ports[:2]]
        self.agent = lab.start(agent, log="vmagent")
        template = (FILES / "victoria-metrics/vmauth.yml").read_text()
        (first,) = re.findall(r"  - username: mill-lane-4\n(?:    .*\n)+", template)
        user = first.replace("change-me", SECRET).replace("127.0.0.1:8429", f"127.0.0.1:{self.ports[2]}")
        users = [user.replace("mill-lane-4", f"site-{n:04}") for n in range(1, sites + 1)]
        (lab.folder / "vmauth.yml").write_text("users:\n" + "".join(users))
        auth = ["vmauth", f"-httpListenAddr=127.0.0.1:{self.ports[3]}", f"-auth.config={lab.folder}/vmauth.yml"]
        self.auth = lab.start(auth, log="vmauth")
        for port in self.ports:
            until("VictoriaMetrics", lambda port=port: self.get(port, "/health") == b"OK")

    def replica(self, index):
        command = ["victoria-metrics", f"-httpListenAddr=127.0.0.1:{self.ports[index]}", "-retentionPeriod=100y"]
        command += [f"-storageDataPath={self.lab.folder}/victoria-{index}", "-dedup.minScrapeInterval=1ms"]
        command += ["-search.maxUniqueTimeseries=1000000", "-search.maxExportDuration=10m"]
        return self.lab.start(command, log=f"victoria-{index}")

    @staticmethod
    def get(port, target):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{target}", timeout=300) as answer:
                return answer.read()
        except OSError:
            return None

    def values(self, index):
        """What a replica holds: values by serial number, key and time, and how many of them are there twice."""
        port = self.ports[index]
        self.get(port, "/internal/force_flush")
        match = urllib.parse.urlencode({"match[]": '{__name__!=""}', "start": 0, "reduce_mem_usage": 1})
        found, doubled = {}, 0
        for line in self.get(port, f"/api/v1/export?{match}").splitlines():
            series = json.loads(line)
            metric = series["metric"]
            of = (int(metric["serial"]), metric["__name__"], metric["site"])
            for moment, value in zip(series["timestamps"], series["values"], strict=True):
                doubled += (of, moment) in found
                found[of, moment] = value
        return found, doubled

    def processes(self):
        named = {"victoria 0": self.replicas[0], "victoria 1": self.replicas[1], "vmagent": self.agent, "vmauth": self.auth}
        return {name: process.pid for name, process in named.items()}

    def environment(self):
        return {"METRICS_URL": f"http://127.0.0.1:{self.ports[3]}"}


def moment(text):
    """Milliseconds since 1970 of a time as `--expect` writes it."""
    base, fraction = text.rstrip("Z").split(".")
    return int(time.mktime(time.strptime(base, "%Y-%m-%dT%H:%M:%S")) - time.timezone) * 1000 + int(fraction[:3])


def victoria(options):
    with Lab() as lab:
        metrics = Metrics(lab, options.sites)
        site, arguments = FILES / "victoria-metrics/site.yaml", options.arguments()
        servers = metrics.processes()
        before = {name: cpu(pid) for name, pid in servers.items()}
        fleet = lab.fleet(site, arguments, **metrics.environment())
        time.sleep(options.kill)
        used = cpu(servers.pop("victoria 1")) - before["victoria 1"]
        Lab.kill(metrics.replicas[1])
        away = min(30, options.seconds / 6)
        time.sleep(away)
        metrics.replicas[1] = metrics.replica(1)
        report = ended(fleet, servers, before)
        report["servers"]["victoria 1 until it was killed"] = round(used)
        say(f"  {described(report)}; replica 1 was away for {away:.0f} s")
        time.sleep(20)  # for what vmagent holds back for the replica that was away
        expected = lab.folder / "expected.tsv"
        lab.expected(site, arguments, expected, **metrics.environment())
        wanted, readings = {}, {}
        for line in expected.read_text().splitlines():
            serial, text, packet, key, value, word, name = line.split("\t")
            if word == "\\N":
                of = ((int(serial), f"myenergi_{key}", name), moment(text))
                wanted[of] = float(value)
                readings[of] = (serial, text)
        held = [metrics.values(index) for index in (0, 1)]
        union = {**held[1][0], **held[0][0]}
        wrong = sum(union.get(of) != value for of, value in wanted.items())
        say(f"  union of both: {len(union):,} values, missing or wrong {wrong:,}, surplus {len(union.keys() - wanted.keys()):,}")
        for index, (values, doubled) in enumerate(held):
            missing = wanted.keys() - values.keys()
            lost = {readings[of] for of in missing}
            said = f"misses {len(missing):,} values of {len(lost):,} acknowledged readings, holds {doubled:,} values twice"
            say(f"  replica {index}{' (killed)' if index else ''}: {said}")


class Cluster:
    """Three nodes of NATS, with the files of a folder."""

    def __init__(self, lab, sites, kind):
        self.lab, self.kind = lab, kind
        names = ["CLIENTS", "MONITORING", "CLUSTER", *(["MQTT"] if kind == "mqtt" else [])]
        ports = iter(free_ports(3 * len(names)))
        self.ports = [{name: next(ports) for name in names} for _ in range(3)]
        accounts = (FILES / kind / "accounts.conf").read_text().replace("change-me", SECRET)
        (first,) = re.findall(r"      \{user: mill-lane-4(?:.*\n)+?.*\}\}\n", accounts)
        users = [first.replace("mill-lane-4", f"site-{n:04}") for n in range(1, sites + 1)]
        (lab.folder / "accounts.conf").write_text(accounts.replace(first, "".join(users)))
        shutil.copy(FILES / kind / "node.conf", lab.folder)
        self.routes = json.dumps([f"nats://127.0.0.1:{node['CLUSTER']}" for node in self.ports])
        self.nodes = [self.node(index) for index in range(3)]
        until("the leader of JetStream", lambda: all(map(self.has_leader, range(3))))

    def node(self, index):
        environment = {name: f"127.0.0.1:{port}" for name, port in self.ports[index].items()}
        environment |= {"NODE": f"node-{index + 1}", "ROUTES": self.routes, "STORE": str(self.lab.folder / f"store-{index}")}
        command = ["nats-server", "-c", self.lab.folder / "node.conf"]
        return self.lab.start(command, log=f"nats-{index}", env={**os.environ, **environment})

    def get(self, index, target):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[index]['MONITORING']}{target}") as answer:
                return json.load(answer)
        except OSError:
            return {}

    def has_leader(self, index):
        return bool(self.get(index, "/jsz").get("meta_cluster", {}).get("leader"))

    def sites_at(self, index):
        connections = self.get(index, "/connz?auth=1&limit=10000").get("connections", [])
        return {it["authorized_user"] for it in connections if it.get("authorized_user", "").startswith("site-")}

    def environment(self, first):
        port, variable = ("MQTT", "BROKER") if self.kind == "mqtt" else ("CLIENTS", "NODE")
        order = [self.ports[(first + turn) % 3][port] for turn in range(3)]
        return {f"{variable}_{turn + 1}": f"127.0.0.1:{port}" for turn, port in enumerate(order)}

    def processes(self):
        return {f"nats {n}": node.pid for n, node in enumerate(self.nodes)}

    def fleets(self, options, site):
        """A third of the sites with each node as their first one, and the arguments of each third."""
        shares = [(1 + options.sites * n // 3, options.sites * (n + 1) // 3) for n in range(3)]
        runs = [options.arguments(sites=last - first + 1, first=first) for first, last in shares]
        return [self.lab.fleet(site, run, **self.environment(n)) for n, run in enumerate(runs)], runs


class Operator:
    """A connection of the user who makes streams, in NATS's text protocol."""

    def __init__(self, cluster, index):
        self.stream = socket.create_connection(("127.0.0.1", cluster.ports[index]["CLIENTS"]), timeout=60)
        self.file = self.stream.makefile("rb")
        login = {"verbose": False, "pedantic": False, "user": "operator", "pass": SECRET}
        self.stream.sendall(f"CONNECT {json.dumps(login)}\r\nSUB _INBOX.bench 1\r\n".encode())

    def ask(self, subject, request=""):
        data = (request if isinstance(request, str) else json.dumps(request)).encode()
        self.stream.sendall(f"PUB $JS.API.{subject} _INBOX.bench {len(data)}\r\n".encode() + data + b"\r\n")
        while True:
            words = self.file.readline().split()
            if not words:
                raise OSError("the server hung up")
            if words[0] == b"PING":
                self.stream.sendall(b"PONG\r\n")
            elif words[0] == b"MSG":
                answer = self.file.read(int(words[-1]) + 2)
                return json.loads(answer)

    def make_stream(self):
        stream = (FILES / "nats/stream.json").read_text()
        until("the stream", lambda: "error" not in self.ask("STREAM.CREATE.energi", stream))

    def make_consumer(self, name):
        config = json.loads((FILES / "nats/consumer.json").read_text()) | {"durable_name": name}
        answer = self.ask(f"CONSUMER.DURABLE.CREATE.energi.{name}", {"stream_name": "energi", "config": config})
        assert "error" not in answer, answer

    def leader(self):
        """The number of the node that leads the stream."""
        return int(self.ask("STREAM.INFO.energi")["cluster"]["leader"].removeprefix("node-")) - 1

    def waiting(self, consumer):
        info = self.ask(f"CONSUMER.INFO.energi.{consumer}")
        return info.get("num_pending", 1) + info.get("num_ack_pending", 1)

    def frames(self):
        """The state of the stream, and the number of times that each frame is there: subject and time."""
        state = self.ask("STREAM.INFO.energi")["state"]
        found = {}
        for sequence in range(state["first_seq"], state["last_seq"] + 1):
            message = self.ask("STREAM.MSG.GET.energi", {"seq": sequence}).get("message")
            if not message:
                continue
            data, at = gzip.decompress(base64.b64decode(message["data"])), 0
            while at < len(data):
                kind, size = struct.unpack_from("<II", data, at)
                if kind == 6:
                    high, low = struct.unpack_from("<II", data, at + 12)
                    of = (message["subject"], high << 32 | low)
                    found[of] = found.get(of, 0) + 1
                at += size
        return state, found


class Subscriber(threading.Thread):
    """A reader of all topics at QoS 1, with the time of each message."""

    def __init__(self, port):
        super().__init__(daemon=True)
        until("the broker listens", lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
        self.stream = socket.create_connection(("127.0.0.1", port))
        self.file = self.stream.makefile("rb")
        self.newest, self.online, self.count, self.repeated = {}, [], 0, 0
        text = lambda word: struct.pack(">H", len(word)) + word.encode()
        connect = text("MQTT") + bytes([4, 0xC2]) + struct.pack(">H", 0) + text("reader") + text("centre") + text(SECRET)
        self.send(0x10, connect)
        assert self.packet() == (0x20, b"\0\0"), "the broker does not let the reader in"
        self.send(0x82, struct.pack(">H", 1) + text("homes/#") + b"\1")
        self.start()

    def send(self, head, body):
        length, rest = b"", len(body)
        while True:
            length += bytes([rest & 127 | (128 if rest > 127 else 0)])
            rest >>= 7
            if not rest:
                break
        self.stream.sendall(bytes([head]) + length + body)

    def packet(self):
        head, length, shift = self.file.read(1)[0], 0, 0
        while True:
            byte = self.file.read(1)[0]
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return head, self.file.read(length)

    def run(self):
        with contextlib.suppress(OSError, IndexError):
            while True:
                head, body = self.packet()
                if head & 0xF0 != 0x30:
                    continue
                end = 2 + struct.unpack_from(">H", body)[0]
                topic = body[2:end].decode()
                if head & 6:
                    self.send(0x40, body[end : end + 2])
                    end += 2
                self.count += 1
                payload = body[end:].decode()
                self.repeated += bool(head & 8)
                self.newest[topic] = payload
                if topic.endswith("/bridge/state"):
                    self.online.append((time.monotonic(), topic.split("/")[1], payload))


def mqtt(options):
    with Lab() as lab:
        brokers = Cluster(lab, options.sites, "mqtt")
        reader = Subscriber(brokers.ports[2]["MQTT"])
        site, servers = FILES / "mqtt/site.yaml", brokers.processes()
        before = {name: cpu(pid) for name, pid in servers.items()}
        fleets, runs = brokers.fleets(options, site)
        time.sleep(options.kill)
        lost = brokers.sites_at(0)
        used = cpu(servers.pop("nats 0")) - before["nats 0"]
        Lab.kill(brokers.nodes[0])
        killed = time.monotonic()
        reports = [ended(fleet, servers if n == 2 else {}, before) for n, fleet in enumerate(fleets)]
        for n, report in enumerate(reports):
            report["servers"]["nats 0 until it was killed"] = round(used)
            say(f"  fleet {n}: {described(report)}")
        # Until nothing arrives for ten seconds.
        seen = -1
        while seen != reader.count:
            seen = reader.count
            time.sleep(10)
        back = {}
        for moment, name, payload in reader.online:
            if name in lost and moment > killed and payload == "online":
                back.setdefault(name, moment - killed)
        times = sorted(back.values())
        if times:
            say(f"  {len(lost)} sites were at the node; online again: {len(times)}, median {times[len(times) // 2]:.1f} s, last {times[-1]:.1f} s")
        stale, wrong, total = set(), 0, 0
        for n, run in enumerate(runs):
            expected = lab.folder / f"expected-{n}.tsv"
            lab.expected(site, run, expected, **brokers.environment(n))
            newest = {}
            for line in expected.read_text().splitlines():
                serial, _, _, key, value, word, name = line.split("\t")
                newest[f"homes/{name}/{serial}/{key}"] = value if word == "\\N" else word
            total += len(newest)
            for topic, value in newest.items():
                arrived = reader.newest.get(topic)
                same = arrived == value or (arrived is not None and re.fullmatch(r"[-\d.]+", arrived) and float(arrived) == float(value))
                wrong += not same
                if not same:
                    stale.add(topic.split("/")[1])
        if stale:
            for n in (1, 2):
                log = (lab.folder / f"nats-{n}.log").read_text()
                say("\n".join(line[:200] for line in log.splitlines() if ("WRN" in line or "ERR" in line) and "connect to route" not in line)[-800:])
            say((lab.folder / "fleet.log").read_text()[-600:])
            say(f"  {len(stale)} sites with old values, {len(stale & back.keys())} of them were at the node: {sorted(stale)[:5]}")
        say(f"  newest value right on {total - wrong:,} of {total:,} topics; the reader received {reader.count:,} messages, {reader.repeated:,} of them repeated")


class Centre:
    """Gateways that read a consumer and write to one database."""

    def __init__(self, lab, cluster, database):
        self.lab, self.cluster, self.database = lab, cluster, database
        self.configuration = (FILES / "nats/centre.yaml").read_text()
        self.count = 0

    def start(self, consumer, decoders=""):
        """One more, with more in its section of decoders."""
        self.count += 1
        folder = self.lab.folder / f"centre-{self.count}"
        folder.mkdir()
        file = folder / "config.yaml"
        keep = "  plausibility: keep\n"
        assert keep in self.configuration
        file.write_text(self.configuration.replace(keep, keep + decoders))
        environment = {**self.lab.environment, **self.cluster.environment(self.count), **self.database.environment()}
        environment |= {"CONSUMER": consumer, "STATE_DIRECTORY": str(folder)}
        return self.lab.start([GATEWAY, "run", "-c", file], log="centre", cwd=folder, env=environment)


def as_at_the_centre(lab):
    """A configuration of a site whose frames are decoded as the centre does."""
    file = lab.folder / "site.yaml"
    file.write_text((FILES / "nats/site.yaml").read_text() + "\ndecoders: {plausibility: keep}\n")
    return file


def jetstream(options):
    with Lab() as lab:
        cluster, database = Cluster(lab, options.sites, "nats"), Database(lab, replica=False)
        database.roles(["centre"])
        operator = Operator(cluster, 0)
        operator.make_stream()
        operator.make_consumer("readings")
        centre = Centre(lab, cluster, database)
        gateways = [centre.start("readings") for _ in range(2)]
        servers = cluster.processes() | {"postgres": database.processes[0].pid}
        servers |= {f"centre {n}": gateway.pid for n, gateway in enumerate(gateways)}
        before = {name: cpu(pid) for name, pid in servers.items()}
        fleets, runs = cluster.fleets(options, FILES / "nats/site.yaml")
        time.sleep(options.kill)
        lost = operator.leader()
        used = cpu(servers[f"nats {lost}"]) - before[f"nats {lost}"]
        servers.pop(f"nats {lost}")
        Lab.kill(cluster.nodes[lost])
        reports = [ended(fleet, servers if n == 2 else {}, before) for n, fleet in enumerate(fleets)]
        for n, report in enumerate(reports):
            say(f"  fleet {n}: {described(report)}")
        say(f"  killed: node {lost}, the stream's leader, which had {used:.0f} s of the CPU")
        operator, begun = Operator(cluster, (lost + 1) % 3), time.monotonic()
        until("the centre has read everything", lambda: operator.waiting("readings") == 0, 600)
        say(f"  the centre has everything {time.monotonic() - begun:.1f} s after the sites' end")
        sent = sum(report["frames"] for report in reports)
        acknowledged = sum(report["sinks"]["nats"]["delivered"] for report in reports)
        state, frames = operator.frames()
        doubled = sum(count - 1 for count in frames.values())
        say(f"  sent {sent:,} frames, acknowledged {acknowledged:,}; the stream has {len(frames):,} in {state['messages']:,} messages "
            f"of {state['bytes']:,} bytes, {doubled:,} of them twice")
        site, expected = as_at_the_centre(lab), lab.folder / "expected.tsv"
        with open(expected, "wb") as output:
            for n, run in enumerate(runs):
                part = lab.folder / f"expected-{n}.tsv"
                lab.expected(site, run, part, **cluster.environment(0))
                output.write(part.read_bytes())
        missing, surplus, readings = database.compare(expected, "centre")
        say(f"  the database beside local decoding: missing {missing:,} values of {readings:,} readings, surplus {surplus:,} values")

        rows = int(database.ask("SELECT count(*) FROM reading"))
        keys = "SELECT string_agg(DISTINCT key, ',' ORDER BY key) FROM reading"
        old = database.ask(keys)
        operator.make_consumer("research")
        begun = time.monotonic()
        gateway = centre.start("research", '  experimental: {"0x27": true, "0x36": true}\n')
        until("the second consumer has read everything", lambda: operator.waiting("research") == 0, 900)
        took = time.monotonic() - begun
        kept = int(database.ask(f"SELECT count(*) FROM reading WHERE key = ANY(string_to_array('{old}', ','))"))
        added = int(database.ask("SELECT count(*) FROM reading")) - rows
        new = sorted(set(database.ask(keys).split(",")) - set(old.split(",")))
        say(f"  a second consumer, two more decoders, one gateway: {len(frames):,} frames in {took:.0f} s ({len(frames) / took:,.0f}/s, "
            f"CPU {cpu(gateway.pid):.0f} s); rows of old keys {rows:,} -> {kept:,}, added {added:,} of {len(new)} new keys: {', '.join(new)}")


def blackout(options):
    """All nodes of the stream killed at once."""
    with Lab() as lab:
        cluster = Cluster(lab, options.sites, "nats")
        operator = Operator(cluster, 0)
        operator.make_stream()
        fleets, _ = cluster.fleets(options, FILES / "nats/site.yaml")
        time.sleep(options.kill)
        for node in cluster.nodes:
            node.send_signal(signal.SIGKILL)
        time.sleep(5)
        cluster.nodes = [cluster.node(index) for index in range(3)]
        reports = [json.loads(fleet.communicate()[0].strip().splitlines()[-1]) for fleet in fleets]
        until("the leader of JetStream", lambda: all(map(cluster.has_leader, range(3))))
        counts = {name: sum(report["sinks"]["nats"][name] for report in reports) for name in ("delivered", "waiting", "rejected")}
        state, frames = Operator(cluster, 0).frames()
        doubled = sum(count - 1 for count in frames.values())
        say(f"  sent {sum(report['frames'] for report in reports):,} frames; the sites: {counts}; the stream has {len(frames):,} in {state['messages']:,} "
            f"messages, {doubled:,} of them twice: {counts['delivered'] - len(frames):,} acknowledged frames are lost")


def offline(options):
    """A site that was offline for a week, beside all others."""
    with Lab() as lab:
        database = Database(lab)
        database.sites(options.sites)
        site = FILES / "postgres/site.yaml"
        week = ["--sites", 1, "--for", "90s", "--speed", 6720, "--ramp", "0s", "--start", START, "--drain", "1s"]
        away = lab.fleet(site, week, DATABASE_HOSTS="127.0.0.1:1", DATABASE_SSLMODE="disable")
        report = json.loads(away.communicate()[0].strip().splitlines()[-1])
        sink = report["sinks"]["postgres"]
        say(f"  a week of a site: {report['readings']:,} readings, {sink['waiting']:,} wait in its queue, lagged {sink['lagged']:,}")
        database.ask("ALTER TABLE reading ADD received timestamptz DEFAULT clock_timestamp()")
        run = ["--sites", options.sites, "--for", f"{options.seconds}s", "--drain", "2m"]
        servers = {f"postgres {index}": process.pid for index, process in enumerate(database.processes)}
        before = {name: cpu(pid) for name, pid in servers.items()}
        say(f"  {described(ended(lab.fleet(site, run, **database.environment()), servers, before))}")
        old = f"FROM reading WHERE time < now() - interval '1 day' AND site = 'site-0001'"
        say(f"  the week: {database.ask(f'SELECT count(DISTINCT (serial, time, packet)) {old}')} readings in "
            f"{database.ask(f'SELECT round(extract(epoch FROM max(received) - min(received))) {old}')} s")
        late = "extract(epoch FROM received - time)"
        delays = database.ask(
            f"SELECT round(percentile_cont(0.5) WITHIN GROUP (ORDER BY {late})::numeric, 1), round(max({late})::numeric, 1), "
            f"count(*) FILTER (WHERE {late} > 10), "
            f"count(*) FILTER (WHERE {late} > 10 AND time > (SELECT min(received) FROM reading) + interval '20 s') "
            "FROM reading WHERE site <> 'site-0001'"
        )
        say(f"  delay of the others in seconds (median|largest|values over 10 s late|of those later than 20 s after the start): {delays}")


def rates(options):
    """The highest speed at which everything arrives in time, a minute each."""
    for name in options.only or ("jetstream", "postgres", "victoria", "mqtt"):
        for speed in options.speeds:
            with Lab() as lab:
                if name == "postgres":
                    database = Database(lab)
                    database.sites(options.sites)
                    servers = {f"postgres {index}": it.pid for index, it in enumerate(database.processes)}
                    site, environment = FILES / "postgres/site.yaml", database.environment()
                elif name == "victoria":
                    metrics = Metrics(lab, options.sites)
                    servers, site, environment = metrics.processes(), FILES / "victoria-metrics/site.yaml", metrics.environment()
                else:
                    kind = "mqtt" if name == "mqtt" else "nats"
                    cluster = Cluster(lab, options.sites, kind)
                    if kind == "nats":
                        Operator(cluster, 0).make_stream()
                    servers, site, environment = cluster.processes(), FILES / kind / "site.yaml", cluster.environment(0)
                before = {name: cpu(pid) for name, pid in servers.items()}
                run = ["--sites", options.sites, "--for", f"{options.seconds}s", "--speed", speed, "--start", START, "--drain", "15s"]
                report = ended(lab.fleet(site, run, **environment), servers, before)
                sink = next(iter(report["sinks"].values()))
                kept = not (report["unfinished"] or sink["lagged"] or sink["waiting"] or sink["rejected"] or report["late_ms"] > 5000)
                frames, readings = (report[what] / (options.seconds + 10) for what in ("frames", "readings"))
                verdict = "kept" if kept else "NOT kept"
                say(f"  {name} at {speed:g} times: {verdict}, {frames:,.0f} frames/s, {readings:,.0f} readings/s; {described(report)}")
                if not kept:
                    break


SCENARIOS = {
    "jetstream": jetstream,
    "blackout": blackout,
    "postgres": postgres,
    "asynchronous": lambda options: postgres(options, synchronous=False),
    "victoria": victoria,
    "mqtt": mqtt,
    "offline": offline,
    "rates": rates,
}


class Options(argparse.Namespace):
    def arguments(self, sites=None, first=1):
        """Arguments of a fleet whose readings can be worked out again."""
        arguments = ["--sites", sites or self.sites, "--first", first, "--for", f"{self.seconds}s", "--start", START]
        return [*arguments, "--drain", "2m"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenario", nargs="*", metavar="SCENARIO", choices=[[], *SCENARIOS], default=[])
    parser.add_argument("--sites", type=int, default=1000)
    parser.add_argument("--for", type=int, default=300, dest="seconds")
    parser.add_argument("--kill", type=int, default=120, help="seconds after which a server is killed")
    parser.add_argument("--speeds", type=lambda text: [*map(float, text.split(","))], default=[20, 40, 80])
    parser.add_argument("--only", type=lambda text: text.split(","), help="the servers whose rates are wanted, such as postgres,mqtt")
    options = parser.parse_args(namespace=Options())
    for name in options.scenario or SCENARIOS:
        say(f"{name}: {options.sites} sites, {options.seconds} s, a server killed after {options.kill} s")
        try:
            SCENARIOS[name](options)
        except (AssertionError, OSError, subprocess.CalledProcessError) as error:
            say(f"  failed: {error!r}")


if __name__ == "__main__":
    main()
