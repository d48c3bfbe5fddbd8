"""Servers of Debian on loopback for the fleet of `fleet.py`: how they are started, asked and killed."""

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
