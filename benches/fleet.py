#!/usr/bin/env python3
"""A thousand simulated sites into replicated servers of which one is killed: what arrives, and at what cost.

    cargo build --release --features postgres,nats --example fleet --bin energi-gateway
    sudo python3 benches/fleet.py [--sites 1000] [--for 300] [--kill 120] [SCENARIO...]

Scenarios: jetstream, blackout, postgres, asynchronous, victoria, mqtt, offline, rates. Servers are those of Debian, with the
files of examples/fleet/, on loopback, in folders of their own; each scenario ends what it has begun.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import time

from clusters import (
    FILES,
    START,
    Centre,
    Cluster,
    Database,
    Lab,
    Metrics,
    Operator,
    Subscriber,
    cpu,
    say,
    until,
)


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
        old = "FROM reading WHERE time < now() - interval '1 day' AND site = 'site-0001'"
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
