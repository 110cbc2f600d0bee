"""Exactly once through kills: consume, transform and produce in transactions, by the clients that have them.

    exactly_once.py --klog BINARY [--client librdkafka|java|franz-go|all] [--records N] [--kills N] [--long] [--seed N]

An input topic holds the numbers 0 to N-1, number n in partition n % 4. Two workers of one group, each with a transactional
id of its own, write "n n*n" to the same partition of an output topic, in transactions that carry the group's offsets.
Meanwhile a worker or the daemon is killed with SIGKILL at moments drawn by the seed and started again, or a worker is held
up for longer than its session, so that another takes over what it has begun. Then a reader at read_committed must find in
each partition the results of its numbers, each once and in order; the group must stand at the end of the input, no
transaction may be open, and no partition may be held up.

A worker is called `WORKER work` and works until it is ended; `WORKER read` writes "partition value" of each committed
record of the output, and "end partition offset" where it came to its end. What they must know is a JSON object in KLOG_EXACTLY_ONCE:

    address, input, output, group, partitions
    id               the transactional id
    batch            the most records of a transaction
    pause_ms         how long a transaction waits before its end, with all its records sent, so that kills find it open
    session_ms       the member's session time-out
    transaction_ms   the transaction's time-out
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from brokers import free_ports

HERE = os.path.dirname(os.path.abspath(__file__))
TARGET = os.path.join(os.path.dirname(os.path.dirname(HERE)), "target", "clients")
PARTITIONS = 4
INPUT, OUTPUT, GROUP = "numbers", "squares", "workers"
SESSION_MS = 2000
# Client: its worker, and where tests/clients/install says whether it is there.
CLIENTS = {
    "librdkafka": (
        [os.path.join(TARGET, "python", "bin", "python"), os.path.join(HERE, "python", "exactly_once_worker.py")],
        "confluent-kafka",
    ),
    "java": ([os.path.join(TARGET, "java", "worker")], "java"),
    "franz-go": ([os.path.join(TARGET, "go", "franz-worker")], "franz-go"),
}
# By default, and with --long.
RECORDS, KILLS = 5_000, 3
LONG_RECORDS, LONG_KILLS = 1_000_000, 30


class Daemon:
    """A klog daemon on one port and one folder, which may be killed and started again."""

    def __init__(self, klog, folder, settings=None):
        self.klog, self.folder, self.log = klog, folder, os.path.join(folder, "daemon.log")
        (port,) = free_ports(1)
        self.address = f"127.0.0.1:{port}"
        self.settings = {
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            "group.consumer.min.session.timeout.ms": "1000",
            **(settings or {}),
        }
        self.process = None
        self.start()

    def start(self):
        command = [self.klog, "broker", "run", "--data", os.path.join(self.folder, "data"), "--listen", self.address]
        for setting in self.settings.items():
            command += ["-c", "=".join(setting)]
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self):
        ended = self.process.poll()
        assert ended is None, f"the daemon ended by itself with {ended}"
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)

    def run(self, *arguments, stdin=b"", patience=60, well=(0,)):
        """The answer of a klog command over TCP, which is asked again while the daemon does not answer."""
        deadline = time.monotonic() + patience
        while True:
            command = [self.klog, "-b", self.address, *arguments]
            done = subprocess.run(command, input=stdin, capture_output=True, timeout=120)
            if done.returncode in well:
                return done.stdout
            assert time.monotonic() < deadline, (arguments, done.returncode, done.stderr.decode())
            time.sleep(0.2)

    def committed(self, group):
        """The committed offsets of a group by topic and partition."""
        return {(row["topic"], row["partition"]): row["committed"] or 0 for row in self.lag(group)}

    def settled(self, topics, seconds=45):
        """Waits until no transaction is open in these topics: what a killed worker left is ended by its time-out."""
        deadline = time.monotonic() + seconds
        while True:
            rows = json.loads(self.run("topic", "offsets", *topics, "-o", "json"))
            held = [(row["topic"], row["partition"], row["stable"], row["end"]) for row in rows if row["stable"] != row["end"]]
            if not held:
                return
            assert time.monotonic() < deadline, f"still held up, as (topic, partition, stable, end): {held}"
            time.sleep(0.2)

    def lag(self, group):
        """What `klog group lag` has of a group, which may not be there yet."""
        return json.loads(self.run("group", "lag", group, "-o", "json", well=(0, 3)) or "[]")


class Worker:
    """A process of a client, started again under the same name when it ends or is killed."""

    def __init__(self, command, told, log, variable="KLOG_EXACTLY_ONCE"):
        self.command, self.log, self.variable = command, log, variable
        self.environment = {**os.environ, variable: json.dumps(told), "PYTHONDONTWRITEBYTECODE": "1"}
        self.process, self.held_until = None, None
        self.start()

    def start(self):
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment
            )

    def kill(self):
        self.process.kill()
        self.process.wait()

    def hold(self, seconds):
        self.process.send_signal(signal.SIGSTOP)
        self.held_until = time.monotonic() + seconds

    def tend(self):
        """Lets it go on when it was held long enough."""
        if self.held_until is not None and time.monotonic() > self.held_until:
            self.process.send_signal(signal.SIGCONT)
            self.held_until = None
        assert self.process.poll() is None, f"a worker ended with {self.process.returncode}"


class Strikes:
    """What happens to workers and daemon, at points of the way to the end that the seed draws."""

    def __init__(self, draw, daemon, workers, total, count):
        self.draw, self.daemon, self.workers = draw, daemon, workers
        # One of each first, so that a short run has them too.
        kinds = [self.kill_worker, self.kill_daemon, self.hold_worker]
        kinds += draw.choices([self.kill_worker, self.kill_daemon, self.hold_worker, self.kill_both], k=max(0, count - 3))
        kinds = kinds[:count]
        draw.shuffle(kinds)
        points = sorted(draw.randrange(total // 20, total * 9 // 10) for _ in kinds)
        self.coming = list(zip(points, kinds))

    def kill_worker(self):
        worker = self.draw.choice(self.workers)
        if worker.held_until is None:
            worker.kill()
            worker.start()

    def kill_daemon(self):
        self.daemon.kill()
        self.daemon.start()

    def kill_both(self):
        self.daemon.kill()
        self.kill_worker()
        self.daemon.start()

    def hold_worker(self):
        worker = self.draw.choice(self.workers)
        if worker.held_until is None:
            worker.hold(SESSION_MS / 1000 + 1 + self.draw.random())

    def tend(self, done):
        for worker in self.workers:
            worker.tend()
        if self.coming and done >= self.coming[0][0]:
            point, strike = self.coming.pop(0)
            time.sleep(self.draw.random() * 0.3)
            print(f"  at {done} of which {point} was drawn: {strike.__name__}", flush=True)
            strike()


def fill(daemon, records):
    for topic in (INPUT, OUTPUT):
        daemon.run("topic", "create", topic, "-p", str(PARTITIONS))
    for partition in range(PARTITIONS):
        lines = "".join(f"{n}\n" for n in range(partition, records, PARTITIONS))
        daemon.run("produce", "-p", str(partition), INPUT, stdin=lines.encode())


def check(records, daemon, output):
    """Sees that `output`, what a reader wrote, holds each result once and in order, up to the end of each partition."""
    seen, ends = {partition: [] for partition in range(PARTITIONS)}, {}
    for line in output.splitlines():
        if line.startswith("end "):
            ends.update([tuple(map(int, line.split()[1:]))])
            continue
        partition, value, square = map(int, line.split())
        assert square == value * value, f"partition {partition} has {value} {square}"
        seen[partition].append(value)
    for partition, values in seen.items():
        wanted = list(range(partition, records, PARTITIONS))
        if values != wanted:
            missing, twice = set(wanted) - set(values), len(values) - len(set(values))
            first = next((at for at, pair in enumerate(zip(values, wanted)) if pair[0] != pair[1]), None)
            raise AssertionError(
                f"partition {partition}: {len(values)} results of {len(wanted)}, {len(missing)} missing such as "
                f"{sorted(missing)[:5]}, {twice} twice, the first that is out of place at {first}"
            )
    committed = daemon.committed(GROUP)
    for partition in range(PARTITIONS):
        assert committed[INPUT, partition] == len(range(partition, records, PARTITIONS)), committed
    # A transaction that nobody ended would hold up who reads committed.
    high = {row["partition"]: row["end"] for row in json.loads(daemon.run("topic", "offsets", OUTPUT, "-o", "json"))}
    assert ends == high, f"read to {ends} of {high}"
    return sum(high.values())


def one(client, options, folder):
    command, _ = CLIENTS[client]
    draw = random.Random(options.seed)
    daemon, workers = Daemon(options.klog, folder), []
    began = time.monotonic()
    try:
        fill(daemon, options.records)
        told = {
            **{"address": daemon.address, "input": INPUT, "output": OUTPUT, "group": GROUP, "partitions": PARTITIONS},
            **{"batch": options.batch, "pause_ms": 10, "session_ms": SESSION_MS, "transaction_ms": 10_000},
        }
        for n in range(2):
            log = os.path.join(folder, f"worker-{n}.log")
            workers.append(Worker([*command, "work"], {**told, "id": f"worker-{n}"}, log))
        strikes = Strikes(draw, daemon, workers, options.records, options.kills)
        last, moved = -1, time.monotonic()
        while True:
            done = sum(daemon.committed(GROUP).values())
            if done != last:
                last, moved = done, time.monotonic()
            assert time.monotonic() - moved < 90, f"nothing moves at {done} of {options.records}"
            if done == options.records and not strikes.coming:
                break
            strikes.tend(done)
            time.sleep(0.1)
        for worker in workers:
            worker.kill()
        daemon.settled([OUTPUT])
        took = time.monotonic() - began
        environment = {**os.environ, "KLOG_EXACTLY_ONCE": json.dumps(told)}
        read = subprocess.run([*command, "read"], capture_output=True, text=True, timeout=600, env=environment)
        assert read.returncode == 0, read.stderr[-2000:]
        offsets = check(options.records, daemon, read.stdout)
        return f"{took:.0f} s, {offsets} offsets for {options.records} results"
    finally:
        for worker in workers:
            worker.kill()
        daemon.stop()


def installed(name):
    """None where what tests/clients/install knows by this name can be run, else why not."""
    try:
        said = open(os.path.join(TARGET, "state", name)).read().strip()
    except FileNotFoundError:
        return "not installed: tests/clients/install does it"
    return None if said == "ready" else said


def arguments(about, records, kills):
    options = argparse.ArgumentParser(description=about)
    options.add_argument("--klog", required=True)
    options.add_argument("--records", type=int, help=f"{records[0]} by default, {records[1]} with --long")
    options.add_argument("--kills", type=int, help=f"{kills[0]} by default, {kills[1]} with --long")
    options.add_argument("--long", action="store_true")
    options.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options.add_argument("--keep", action="store_true", help="keep the folder of a run that went wrong")
    return options


def finished(options, records, kills):
    options = options.parse_args()
    options.klog = os.path.abspath(options.klog)
    options.records = options.records or records[options.long]
    options.kills = kills[options.long] if options.kills is None else options.kills
    print(f"seed {options.seed}, {options.records} records, {options.kills} strikes", flush=True)
    return options


def tail(folder):
    for name in sorted(os.listdir(folder)):
        if name.endswith(".log"):
            text = open(os.path.join(folder, name), errors="replace").read()
            print(f"--- {name}\n{text[-3000:]}", flush=True)


def run(name, case, options):
    """Whether a case went well; says so."""
    folder = tempfile.mkdtemp(prefix="klog-once-")
    try:
        took = case(folder)
    except (AssertionError, subprocess.TimeoutExpired) as wrong:
        print(f"{name}: NOT WELL: {wrong}", flush=True)
        tail(folder)
        if options.keep:
            print(f"kept: {folder}", flush=True)
            return False
        shutil.rmtree(folder)
        return False
    print(f"{name}: well: {took}", flush=True)
    shutil.rmtree(folder)
    return True


def main():
    records, kills = (RECORDS, LONG_RECORDS), (KILLS, LONG_KILLS)
    options = arguments(__doc__.splitlines()[0], records, kills)
    options.add_argument("--client", choices=[*CLIENTS, "all"], default="all")
    options.add_argument("--batch", type=int, help="the most records of a transaction")
    options = finished(options, records, kills)
    options.batch = options.batch or max(20, options.records // 1000)
    passed = failed = skipped = 0
    for client in [options.client] if options.client != "all" else CLIENTS:
        why = installed(CLIENTS[client][1])
        if why:
            print(f"skipped: {client} ({why})", flush=True)
            skipped += 1
        elif run(client, lambda folder: one(client, options, folder), options):
            passed += 1
        else:
            failed += 1
    print(f"exactly once: {passed} passed; {failed} failed; {skipped} skipped")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
