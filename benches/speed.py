"""klog's speed as ratios in one run: against the ceiling program, against kcat, against Apache Kafka 4.3.

    cargo build --release && cargo bench --no-run --bench ceiling
    python3 benches/speed.py [--rounds 5] [--mib 1024] [--batch 131072] [--kafka LIBS]

--kafka names a folder with Kafka's jars (tests/run leaves them in target/kafka-libs). Needs kcat for the kcat rows and
the confluent-kafka package for the latency rows. Medians of the rounds; everything in turn within a round, so that a
machine whose speed drifts moves all of them alike.
"""

import argparse
import glob
import json
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

# Medians of the prototypes on this class of machine (million lines a second, 128 KiB batches): a run whose ceiling
# stays below 0.8 of these does not count.
PROTOTYPE = {"ceiling produce": 21.3, "ceiling produce synced": 6.2, "ceiling consume": 29.8}


def make_input(path, mib):
    """Log-like text, 89 bytes a line on average with the newline."""
    random.seed(7)
    words = "GET POST /api/v1/orders /api/v1/items user=alice user=bob status=200 status=404 ms=12 cache=hit".split()
    lines = []
    for _ in range(200000):
        line = f"2026-11-24T{random.randrange(24):02}:{random.randrange(60):02}:11.{random.randrange(1000):03}Z INFO "
        length = random.randrange(56, 133)
        while len(line) < length - 8:
            line += random.choice(words) + " "
        lines.append(line[:length].rstrip() + "\n")
    blob = "".join(lines).encode()
    count = 0
    with open(path, "wb") as out:
        while out.tell() < mib << 20:
            out.write(blob)
            count += len(lines)
    return count


def warm_memory(gib=2):
    """First touch on a virtual machine can be 20 times slower: populate and free before writing new files."""
    block = bytearray(gib << 30)
    block[:: 4096] = b"\x01" * len(block[:: 4096])
    del block


class Bench:
    def __init__(self, options):
        self.options = options
        self.folder = tempfile.mkdtemp(prefix="klog-speed-", dir=options.dir)
        self.input = os.path.join(self.folder, "input")
        self.lines = make_input(self.input, options.mib)
        self.rates = {}
        self.data = os.path.join(self.folder, "data")
        self.daemon = self.run_daemon()

    def run_daemon(self):
        log = open(os.path.join(self.folder, "klog.log"), "wb")
        command = [self.options.klog, "--data", self.data, "broker", "run", "--listen", "127.0.0.1:0"]
        daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        while True:
            status = self.klog("broker", "status", "-o", "json", check=False)
            if status.returncode == 0:
                self.tcp = next(a for a in json.loads(status.stdout)[0]["addresses"] if not a.startswith("unix:"))
                return daemon
            assert daemon.poll() is None, open(log.name).read()
            time.sleep(0.02)

    def klog(self, *arguments, check=True, **more):
        more.setdefault("stdout", subprocess.PIPE)
        return subprocess.run([self.options.klog, "--data", self.data, *arguments], check=check, **more)

    def note(self, name, seconds):
        self.rates.setdefault(name, []).append(self.lines / seconds / 1e6)

    def timed(self, name, command, stdin=None, stdout=subprocess.DEVNULL):
        start = time.monotonic()
        subprocess.run(command, check=True, stdin=stdin and open(stdin), stdout=stdout, stderr=subprocess.DEVNULL)
        self.note(name, time.monotonic() - start)

    def ceiling(self, name, what, *more):
        command = [self.options.ceiling, what, self.input, "--dir", self.folder, "--batch", str(self.options.batch), *more]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        self.rates.setdefault(name, []).append(float(text.split("mlps=")[1]))

    def topic(self, name, *settings):
        self.klog("topic", "delete", name, "-y", check=False, stderr=subprocess.DEVNULL)
        self.klog("-q", "topic", "create", name, *(part for pair in settings for part in ("-c", pair)))

    def round(self):
        batch = str(self.options.batch)
        klog = [self.options.klog, "--data", self.data]
        self.ceiling("ceiling produce", "produce")
        self.topic("fast", "flush.messages=9223372036854775807")
        self.timed("klog produce unsynced", [*klog, "produce", "fast", "--batch-bytes", batch], self.input)
        self.ceiling("ceiling produce synced", "produce", "--sync")
        self.topic("safe")
        self.timed("klog produce synced", [*klog, "produce", "safe", "--batch-bytes", batch], self.input)
        self.ceiling("ceiling consume", "consume")
        self.timed("klog consume", [*klog, "consume", "safe", "-e"])
        if shutil.which("kcat"):
            self.topic("cat")
            self.timed("kcat produce to klog", ["kcat", "-b", self.tcp, "-P", "-t", "cat"], self.input)
            read = ["-C", "-e", "-q", "-t"]
            # librdkafka stops fetching for up to a second each time 100,000 messages wait in it: the faster the
            # broker, the more often. The rows "deep queue" show the brokers without that.
            deep = ["-X", "queued.min.messages=10000000", *read]
            self.timed("kcat consume from klog", ["kcat", "-b", self.tcp, *read, "cat"])
            self.timed("kcat, deep queue, from klog", ["kcat", "-b", self.tcp, *deep, "cat"])
        if self.options.kafka:
            name = f"k{len(self.rates.get('kcat produce to Kafka', []))}"
            self.timed("kcat produce to Kafka", ["kcat", "-b", self.kafka_address, "-P", "-t", name], self.input)
            self.timed("kcat consume from Kafka", ["kcat", "-b", self.kafka_address, *read, name])
            self.timed("kcat, deep queue, from Kafka", ["kcat", "-b", self.kafka_address, *deep, name])

    def start_kafka(self):
        def port():
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                return probe.getsockname()[1]

        broker, control = port(), port()
        self.kafka_address = f"127.0.0.1:{broker}"
        settings = os.path.join(self.folder, "server.properties")
        with open(settings, "w") as out:
            out.write(
                "process.roles=broker,controller\nnode.id=1\ncontroller.listener.names=CONTROLLER\n"
                f"controller.quorum.bootstrap.servers=127.0.0.1:{control}\n"
                f"listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{control}\n"
                f"advertised.listeners=PLAINTEXT://127.0.0.1:{broker}\ninter.broker.listener.name=PLAINTEXT\n"
                "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n"
                f"log.dirs={self.folder}/kafka\noffsets.topic.replication.factor=1\n"
                "transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n"
                "share.coordinator.state.topic.replication.factor=1\nshare.coordinator.state.topic.min.isr=1\n"
            )
        java = ["java", "-Xmx1G", "-cp", os.path.join(self.options.kafka, "*")]
        format_it = ["format", "--standalone", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", settings]
        subprocess.run([*java, "kafka.tools.StorageTool", *format_it], check=True, stdout=subprocess.DEVNULL)
        log = open(os.path.join(self.folder, "kafka.log"), "wb")
        self.kafka = subprocess.Popen([*java, "kafka.Kafka", settings], stdout=log, stderr=log)
        for _ in range(600):
            if subprocess.run(["kcat", "-b", self.kafka_address, "-L", "-m", "2"], capture_output=True).returncode == 0:
                return
            time.sleep(0.1)
        raise SystemExit("Kafka did not start: see " + log.name)

    def latencies(self, address, topic):
        """p50 and p99 in ms of one record at a time, linger 0, until it is acknowledged."""
        from confluent_kafka import Producer

        producer = Producer({"bootstrap.servers": address, "linger.ms": 0, "acks": "all"})
        taken = []
        for n in range(self.options.acks + 100):
            start = time.perf_counter()
            acked = []
            producer.produce(topic, b"x" * 90, callback=lambda e, m: acked.append(e))
            while not acked:
                producer.poll(1)
            assert acked == [None], acked
            if n >= 100:
                taken.append((time.perf_counter() - start) * 1e3)
        taken.sort()
        return taken[len(taken) // 2], taken[len(taken) * 99 // 100]

    def latency_rows(self):
        try:
            import confluent_kafka.admin as admin
        except ImportError:
            print("(no latency rows: the confluent-kafka package is not installed)")
            return
        rows = [("klog synced", self.tcp, "ls", "1"), ("klog unsynced", self.tcp, "lu", str(2**63 - 1))]
        if self.options.kafka:
            rows += [("Kafka synced", self.kafka_address, "ls", "1")]
            rows += [("Kafka unsynced", self.kafka_address, "lu", str(2**63 - 1))]
        for _, address, topic, flush in rows:
            client = admin.AdminClient({"bootstrap.servers": address})
            made = client.create_topics([admin.NewTopic(topic, 1, 1, config={"flush.messages": flush})])
            made[topic].result(10)
        print("\none record until acknowledged, librdkafka, linger 0 (ms): p50 p99, three rounds in turn")
        found = {}
        for _ in range(3):
            for name, address, topic, _ in rows:
                found.setdefault(name, []).append(self.latencies(address, topic))
        for name, rounds in found.items():
            middle = statistics.median(p50 for p50, _ in rounds)
            print(f"  {name:16} {middle:.3f}  {statistics.median(p99 for _, p99 in rounds):.3f}")

    def report(self):
        middle = {name: statistics.median(rates) for name, rates in self.rates.items()}
        print(f"{self.lines} lines, {os.path.getsize(self.input) / 1e6:.0f} MB, batches of {self.options.batch} bytes")
        print(f"{'million lines/s':28} median     min     max")
        for name, rates in self.rates.items():
            print(f"{name:28} {middle[name]:6.2f}  {min(rates):6.2f}  {max(rates):6.2f}")
        print()
        for name, figure in PROTOTYPE.items():
            word = "counts" if middle[name] >= 0.8 * figure else "DOES NOT COUNT"
            print(f"{name}: {middle[name] / figure:.2f} of the prototype's: the run {word}")
        pairs = [
            ("klog produce unsynced", "ceiling produce", 0.35),
            ("klog produce synced", "ceiling produce synced", 0.5),
            ("klog consume", "ceiling consume", 0.4),
            ("klog produce synced", "kcat produce to klog", 3),
            ("klog consume", "kcat consume from klog", 3),
            ("kcat produce to klog", "kcat produce to Kafka", 1),
            ("kcat consume from klog", "kcat consume from Kafka", 1),
            ("kcat, deep queue, from klog", "kcat, deep queue, from Kafka", 1),
        ]
        for ours, other, bar in pairs:
            if ours in middle and other in middle:
                ratio = statistics.median(a / b for a, b in zip(self.rates[ours], self.rates[other]))
                print(f"{ours} / {other}: {ratio:.2f} (bar {bar})" + ("" if ratio >= bar else "  BELOW THE BAR"))

    def close(self):
        for process in (self.daemon, getattr(self, "kafka", None)):
            if process:
                process.send_signal(signal.SIGTERM)
                process.wait()
        shutil.rmtree(self.folder)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--klog", default="target/release/klog")
    options.add_argument("--ceiling", default=None)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--mib", type=int, default=1024)
    options.add_argument("--batch", type=int, default=131072)
    options.add_argument("--acks", type=int, default=2000)
    options.add_argument("--kafka", help="folder with Apache Kafka's jars")
    options.add_argument("--dir", default="target")
    options = options.parse_args()
    options.klog = os.path.abspath(options.klog)
    if not options.ceiling:
        built = [path for path in glob.glob("target/release/deps/ceiling-*") if not path.endswith(".d")]
        options.ceiling = max(built, key=os.path.getmtime, default=None)
        assert options.ceiling, "build the ceiling program first: cargo bench --no-run --bench ceiling"
    bench = Bench(options)
    try:
        if options.kafka:
            bench.start_kafka()
        for number in range(options.rounds):
            warm_memory()
            bench.round()
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
        bench.report()
        bench.latency_rows()
    finally:
        bench.close()


if __name__ == "__main__":
    main()
