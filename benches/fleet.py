#!/usr/bin/env python3
"""A thousand simulated sites into replicated servers of which one is killed: what arrives, and at what cost.

    cargo build --release --features postgres --example fleet
    sudo python3 benches/fleet.py [--sites 1000] [--for 300] [--kill 120] [SCENARIO...]

Scenarios: postgres, asynchronous, victoria, mqtt, offline, rates. Servers are those of Debian, with the
files of examples/fleet/, on loopback, in folders of their own; each scenario ends what it has begun.
"""

import argparse
import contextlib
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

from lab import ROOT, TARGET

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

    def __init__(self, lab, synchronous=True):
        self.lab, self.synchronous = lab, synchronous
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
        source = f"host=127.0.0.1 port={self.ports[0]} user=owner password=owner"
        self.program("pg_basebackup", "-D", self.data(1), "-R", "-X", "stream", "-c", "fast", "-d", source)
        self.include(1, "replica.conf")
        self.processes[1] = self.run(1)
        streams = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
        streams += " AND sync_state = 'sync'" if synchronous else ""
        until("the replica", lambda: self.ask(streams, database="postgres") == "1")
        self.ask("CREATE DATABASE energy", database="postgres")
        self.sql(SCHEMA, FILES / "postgres/roles.sql")

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
        """A role for each site, as site.sql makes it."""
        (create,) = re.findall(r"^CREATE ROLE .*", (FILES / "postgres/site.sql").read_text(), re.MULTILINE)
        roles = [create.replace(':"site"', f'"site-{n:04}"').replace(":'password'", f"'{SECRET}'") for n in range(1, count + 1)]
        self.psql("-1", input="\n".join(roles))

    def fail_over(self):
        """Kills the primary, and promotes the replica five seconds later, as somebody who was called does."""
        Lab.kill(self.processes[0])
        killed = time.monotonic()
        time.sleep(5)
        self.program("pg_ctl", "promote", "-w", "-D", self.data(1))
        self.current = 1
        return time.monotonic() - killed

    def compare(self, file):
        """What is missing and what is there without reason, in values."""
        self.ask(
            "CREATE UNLOGGED TABLE expected (serial bigint, time timestamptz, packet text, key text, "
            "value double precision, text text, site text)"
        )
        self.psql("-c", f"\\copy expected FROM '{file}'")
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
        say(f"  missing {missing:,} values of {readings:,} readings; surplus {surplus:,} values")


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


class Brokers:
    """Three nodes of NATS with MQTT."""

    def __init__(self, lab, sites):
        self.lab = lab
        names = ["CLIENTS", "MONITORING", "CLUSTER", "MQTT"]
        ports = iter(free_ports(12))
        self.ports = [{name: next(ports) for name in names} for _ in range(3)]
        accounts = (FILES / "mqtt/accounts.conf").read_text().replace("change-me", SECRET)
        (first,) = re.findall(r"      \{user: mill-lane-4(?:.*\n)+?.*\}\}\n", accounts)
        users = [first.replace("mill-lane-4", f"site-{n:04}") for n in range(1, sites + 1)]
        (lab.folder / "accounts.conf").write_text(accounts.replace(first, "".join(users)))
        shutil.copy(FILES / "mqtt/node.conf", lab.folder)
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
        order = [self.ports[(first + turn) % 3]["MQTT"] for turn in range(3)]
        return {f"BROKER_{turn + 1}": f"127.0.0.1:{port}" for turn, port in enumerate(order)}


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
        brokers = Brokers(lab, options.sites)
        reader = Subscriber(brokers.ports[2]["MQTT"])
        site, servers = FILES / "mqtt/site.yaml", {f"nats {n}": node.pid for n, node in enumerate(brokers.nodes)}
        before = {name: cpu(pid) for name, pid in servers.items()}
        shares = [(1 + options.sites * n // 3, options.sites * (n + 1) // 3) for n in range(3)]
        runs = [options.arguments(sites=last - first + 1, first=first) for first, last in shares]
        fleets = [lab.fleet(site, run, **brokers.environment(n)) for n, run in enumerate(runs)]
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
            f"SELECT round(percentile_cont(0.5) WITHIN GROUP (ORDER BY {late})::numeric, 1), round(max({late})::numeric, 1) "
            "FROM reading WHERE site <> 'site-0001'"
        )
        say(f"  delay of the others (median|largest): {delays} s")


def rates(options):
    """The highest speed at which everything arrives in time, a minute each."""
    for name, speeds in (("postgres", options.speeds), ("victoria", options.speeds), ("mqtt", options.speeds)):
        for speed in speeds:
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
                    brokers = Brokers(lab, options.sites)
                    servers = {f"nats {n}": node.pid for n, node in enumerate(brokers.nodes)}
                    site, environment = FILES / "mqtt/site.yaml", brokers.environment(0)
                before = {name: cpu(pid) for name, pid in servers.items()}
                run = ["--sites", options.sites, "--for", f"{options.seconds}s", "--speed", speed, "--start", START, "--drain", "15s"]
                report = ended(lab.fleet(site, run, **environment), servers, before)
                sink = next(iter(report["sinks"].values()))
                kept = not (report["unfinished"] or sink["lagged"] or sink["waiting"] or sink["rejected"] or report["late_ms"] > 2000)
                rate = report["readings"] / (options.seconds + 10)
                say(f"  {name} at {speed} times: {'kept' if kept else 'NOT kept'}, {rate:,.0f} readings/s; {described(report)}")
                if not kept:
                    break


SCENARIOS = {
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
    parser.add_argument("--speeds", type=lambda text: [*map(float, text.split(","))], default=[10, 20, 40, 80])
    options = parser.parse_args(namespace=Options())
    for name in options.scenario or SCENARIOS:
        say(f"{name}: {options.sites} sites, {options.seconds} s, a server killed after {options.kill} s")
        try:
            SCENARIOS[name](options)
        except (AssertionError, OSError, subprocess.CalledProcessError) as error:
            say(f"  failed: {error!r}")


if __name__ == "__main__":
    main()
