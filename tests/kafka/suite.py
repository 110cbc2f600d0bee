"""Apache Kafka 4.3 and klog against each other.

klog's commands against a real Kafka, Kafka's own command-line clients against klog, and Kafka's file tools on the
folders that klog wrote. Prints one line a test and "N passed; M failed" at the end.
"""

import argparse
import glob
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))


def until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class World:
    """One Kafka and one klog daemon, both on loopback, both in folders of their own."""

    def __init__(self, klog, libs):
        self.klog = os.path.abspath(klog)
        self.libs = os.path.abspath(libs)
        self.folder = tempfile.mkdtemp(prefix="klog-kafka-")
        self.data = os.path.join(self.folder, "klog")
        self.lines = b"".join(b"%d some value of a line\n" % n for n in range(20000))

    def java(self, main, *arguments, stdin=b"", check=True):
        command = ["java", "-Xmx512M", "-cp", os.path.join(self.libs, "*"), main, *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=180)
        assert not check or done.returncode == 0, (main, done.stdout.decode()[-2000:], done.stderr.decode()[-2000:])
        return done.stdout.decode()

    def start(self):
        port, control = free_port(), free_port()
        self.kafka_address = f"127.0.0.1:{port}"
        settings = os.path.join(self.folder, "server.properties")
        with open(settings, "w") as out:
            out.write(
                f"""process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{control}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{control}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={self.folder}/kafka
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
"""
            )
        self.java("kafka.tools.StorageTool", "format", "--standalone", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", settings)
        log = open(os.path.join(self.folder, "kafka.log"), "wb")
        self.kafka = subprocess.Popen(
            ["java", "-Xmx1G", "-cp", os.path.join(self.libs, "*"), "kafka.Kafka", settings], stdout=log, stderr=log
        )
        daemon = open(os.path.join(self.folder, "klog.log"), "wb")
        self.daemon = subprocess.Popen(
            [self.klog, "--data", self.data, "broker", "run", "--listen", "127.0.0.1:0"], stdout=daemon, stderr=daemon
        )
        until(self.klog_ready, 20, "klog is ready")
        until(lambda: self.run("topic", "list", check=False).returncode == 0, 60, "Kafka is ready")

    def klog_ready(self):
        done = subprocess.run([self.klog, "--data", self.data, "broker", "status", "-o", "json"], capture_output=True)
        if done.returncode != 0:
            return False
        self.klog_address = next(a for a in json.loads(done.stdout)[0]["addresses"] if not a.startswith("unix:"))
        return True

    def run(self, *arguments, stdin=b"", check=True, to=None):
        command = [self.klog, "-b", to or self.kafka_address, *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=120)
        assert not check or done.returncode == 0, (arguments, done.returncode, done.stderr.decode())
        return done

    def stop(self):
        for process in (getattr(self, "daemon", None), getattr(self, "kafka", None)):
            if process and process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in (getattr(self, "daemon", None), getattr(self, "kafka", None)):
            if process:
                process.wait(60)
        shutil.rmtree(self.folder)


def test_klog_produces_to_kafka_and_consumes_from_it(world):
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"]:
        topic = f"from-klog-{codec}"
        world.run("topic", "create", topic, "-p", "1")
        world.run("produce", topic, "-z", codec, stdin=world.lines)
        assert world.run("consume", topic, "-e").stdout == world.lines, codec


def test_klog_groups_on_kafka(world):
    world.run("topic", "create", "grouped", "-p", "3")
    world.run("produce", "grouped", "-K", " ", stdin=world.lines)
    first = world.run("consume", "grouped", "-g", "kg", "-e").stdout
    assert len(first.splitlines()) == 20000
    assert world.run("consume", "grouped", "-g", "kg", "-e").stdout == b""
    lag = json.loads(world.run("group", "lag", "kg", "-o", "json").stdout)
    assert sorted(row["partition"] for row in lag) == [0, 1, 2] and all(row["lag"] == 0 for row in lag), lag
    assert "kg" in world.run("group", "list", "-o", "name").stdout.decode().split()


def test_klog_administers_kafka(world):
    world.run("topic", "create", "made", "-p", "2", "-c", "retention.ms=7777777")
    assert "made" in world.run("topic", "list", "-o", "name").stdout.decode().split()
    assert b"7777777" in world.run("topic", "describe", "made", "-o", "json").stdout
    world.run("topic", "delete", "made", "-y")
    assert world.run("topic", "describe", "made", check=False).returncode == 3
    assert world.run("consume", "made", "-e", check=False).returncode == 3


def test_kafkas_console_clients_on_klog(world):
    world.run("topic", "create", "console", to=world.klog_address)
    address = ["--bootstrap-server", world.klog_address]
    world.java("org.apache.kafka.tools.ConsoleProducer", *address, "--topic", "console", stdin=world.lines)
    text = world.java(
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
        *address,
        *["--topic", "console", "--from-beginning", "--max-messages", "20000", "--timeout-ms", "60000"],
    )
    assert text.encode() == world.lines


def test_kafkas_admin_tools_on_klog(world):
    address = ["--bootstrap-server", world.klog_address]
    world.java("org.apache.kafka.tools.TopicCommand", *address, *"--create --topic java-made --partitions 3".split())
    text = world.java("org.apache.kafka.tools.TopicCommand", *address, *"--describe --topic java-made".split())
    assert "PartitionCount: 3" in text and "Leader: 1" in text, text
    world.run("produce", "java-made", "-p", "2", stdin=b"a\nb\n", to=world.klog_address)
    text = world.java("org.apache.kafka.tools.GetOffsetShell", *address, "--topic", "java-made")
    assert sorted(text.split()) == ["java-made:0:0", "java-made:1:0", "java-made:2:2"], text
    world.run("consume", "java-made", "-g", "seen", "-e", to=world.klog_address)
    text = world.java(
        "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", *address, *"--describe --group seen".split()
    )
    rows = [line.split()[2:6] for line in text.splitlines() if line.startswith("seen")]
    assert ["2", "2", "2", "0"] in rows, text


def test_kafka_consumer_and_klog_share_a_group(world):
    world.run("topic", "create", "shared", "-p", "2", to=world.klog_address)
    world.run("produce", "shared", "-K", " ", stdin=world.lines, to=world.klog_address)
    text = world.java(
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
        *["--bootstrap-server", world.klog_address, "--topic", "shared", "--group", "both"],
        *["--from-beginning", "--max-messages", "20000", "--timeout-ms", "60000"],
    )
    assert len(text.splitlines()) == 20000
    assert world.run("consume", "shared", "-g", "both", "-e", to=world.klog_address).stdout == b""


def test_kafka_reads_klogs_files(world):
    topic = "dumped"
    world.run("topic", "create", topic, "-c", "segment.bytes=1048576", to=world.klog_address)
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"]:
        world.run("produce", topic, "-z", codec, "--batch-bytes", "16K", stdin=world.lines, to=world.klog_address)
    folder = os.path.join(world.data, f"{topic}-0")
    logs = sorted(glob.glob(os.path.join(folder, "*.log")))
    assert len(logs) > 1, "the topic has several segments"
    records = 0
    for log in logs:
        text = world.java("org.apache.kafka.tools.DumpLogSegments", "--deep-iteration", "--files", log)
        assert "isvalid: false" not in text and "Found" not in text, text[-2000:]
        records += text.count("| offset:")
    assert records == 100000, records
    for index in glob.glob(os.path.join(folder, "*.index")) + glob.glob(os.path.join(folder, "*.timeindex")):
        for check in ["--index-sanity-check", "--verify-index-only"]:
            text = world.java("org.apache.kafka.tools.DumpLogSegments", check, "--files", index)
            assert "Mismatches" not in text and "not match" not in text and "Found" not in text, (index, text[-2000:])
    text = world.java(
        "org.apache.kafka.tools.DumpLogSegments",
        *["--offsets-decoder", "--files"],
        ",".join(glob.glob(os.path.join(world.data, "__consumer_offsets-*", "*.log"))),
    )
    assert '"group":"both"' in text.replace(" ", ""), text[-2000:]
    text = world.java(
        "org.apache.kafka.tools.DumpLogSegments",
        *["--cluster-metadata-decoder", "--files"],
        ",".join(glob.glob(os.path.join(world.data, "__cluster_metadata-0", "*.log"))),
    )
    assert '"name":"dumped"' in text and "skipping" not in text.lower(), text[-2000:]


def dumped(world, files, *options):
    """What DumpLogSegments says of each file: its lines that hold fields."""
    text = world.java("org.apache.kafka.tools.DumpLogSegments", *options, "--files", ",".join(files))
    return sections(text)


def sections(text):
    found = {}
    for section in text.split("Dumping ")[1:]:
        name, _, lines = section.partition("\n")
        found[name] = [line for line in lines.splitlines() if ": " in line]
    return found


def fields(line):
    """The `name: value` words of a line, numbers as numbers."""
    words = re.findall(r"(\w+): (\S+)", line)
    return {name: int(word) if re.fullmatch(r"-?\d+", word) else word for name, word in words}


def rolled_topic(world, topic):
    """A topic of klog's with batches of every codec in several segments; returns its folder. The active segment
    has no index files yet: klog writes them when it rolls."""
    world.run("topic", "create", topic, "-c", "segment.bytes=1048576", to=world.klog_address)
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"]:
        world.run("produce", topic, "-z", codec, "--batch-bytes", "16K", stdin=5 * world.lines, to=world.klog_address)
    return os.path.join(world.data, f"{topic}-0")


def jsonl(world, *arguments):
    done = subprocess.run([world.klog, "segment", *arguments, "-J"], capture_output=True, timeout=60)
    assert done.returncode == 0, (arguments, done.returncode, done.stderr.decode())
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_klog_decodes_its_indexes_as_kafka_does(world):
    folder = rolled_topic(world, "indexed")
    for ending, names in [(".index", ["offset", "position"]), (".timeindex", ["timestamp", "offset"])]:
        files = sorted(glob.glob(os.path.join(folder, "*" + ending)))
        assert len(files) > 1, "the topic has several segments"
        entries = 0
        for file, lines in dumped(world, files).items():
            theirs = [[fields(line)[name] for name in names] for line in lines]
            ours = [[row[name] for name in names] for row in jsonl(world, "decode", file)]
            assert ours == theirs, (file, ours[:5], theirs[:5])
            entries += len(ours)
        assert entries > 10, (ending, entries)


def test_klog_decodes_its_internal_topics_as_kafka_does(world):
    world.run("produce", "decoded", stdin=b"a\nb\n", to=world.klog_address)
    world.run("consume", "decoded", "-g", "decoders", "-e", to=world.klog_address)
    for topic, decoder in [("__consumer_offsets", "--offsets-decoder"), ("__cluster_metadata", "--cluster-metadata-decoder")]:
        files = glob.glob(os.path.join(world.data, f"{topic}-*", "*.log"))
        seen = 0
        for file, lines in dumped(world, files, decoder).items():
            lines = [line for line in lines if line.startswith("| offset")]
            rows = jsonl(world, "decode", file)
            assert [row["offset"] for row in rows] == [fields(line)["offset"] for line in lines], file
            for row, line in zip(rows, lines):
                payload = line.partition(" payload: ")[2]
                if payload.startswith("{"):
                    payload = json.loads(payload)
                    assert snake(payload["data"]) == plain(row["value"]), (row, payload)
                    assert int(payload["version"]) == row["version"], (row, payload)
                else:
                    assert row["value"] is None and "<DELETE>" in payload, (row, line)
                seen += 1
        assert seen > 2, (topic, seen)


def plain(value):
    """klog's JSON with its bytes as Kafka writes them."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return value["base64"] if list(value) == ["base64"] else {name: plain(one) for name, one in value.items()}
    return value


def snake(value):
    """Kafka's JSON with its names in snake case."""
    if isinstance(value, list):
        return [snake(one) for one in value]
    if isinstance(value, dict):
        return {re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower(): snake(one) for name, one in value.items()}
    return value


BATCH = {
    "base_offset": "baseOffset",
    "last_offset": "lastOffset",
    "count": "count",
    "position": "position",
    "size": "size",
    "crc": "crc",
    "codec": "compresscodec",
    "epoch": "partitionLeaderEpoch",
    "producer_id": "producerId",
    "producer_epoch": "producerEpoch",
    "sequence": "baseSequence",
}


def test_klog_lists_batches_as_kafka_does(world):
    known = subprocess.run([world.klog, "segment", "dump", "--help"], capture_output=True)
    if known.returncode != 0:
        print("left out: this klog has no segment dump")
        return
    fixtures = os.path.join(HERE, "../fixtures/kafka")
    theirs = dumped(world, sorted(glob.glob(os.path.join(rolled_topic(world, "batches"), "*.log"))))
    for text in sorted(glob.glob(os.path.join(fixtures, "dumps", "*.txt"))):
        with open(text) as text:
            theirs.update({os.path.join(fixtures, "data", file): lines for file, lines in sections(text.read()).items()})
    batches = 0
    for file, lines in theirs.items():
        if not file.endswith(".log"):
            continue
        lines = [fields(line) for line in lines if line.startswith("baseOffset")]
        rows = jsonl(world, "dump", "--batches", file)
        assert len(rows) == len(lines), (file, len(rows), len(lines))
        for row, line in zip(rows, lines):
            for ours, name in BATCH.items():
                assert row[ours] == line[name], (file, ours, row, line)
            for ours, name in [("valid", "isvalid"), ("transactional", "isTransactional"), ("control", "isControl")]:
                assert row[ours] == (line[name] == "true"), (file, ours, row, line)
            assert row["max_timestamp"] == line.get("CreateTime", line.get("LogAppendTime")), (file, row, line)
            batches += 1
    assert batches > 100, batches


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--klog", default="target/debug/klog")
    options.add_argument("--libs", default="target/kafka-libs")
    options.add_argument("only", nargs="*")
    options = options.parse_args()
    if not glob.glob(os.path.join(options.libs, "kafka_2.13-*.jar")):
        command = ["mvn", "-q", "-B", "-f", os.path.join(HERE, "pom.xml"), "dependency:copy-dependencies"]
        subprocess.run([*command, f"-DoutputDirectory={os.path.abspath(options.libs)}"], check=True)
    passed = failed = 0
    world = World(options.klog, options.libs)
    try:
        world.start()
        for name, test in list(globals().items()):
            if not name.startswith("test_") or (options.only and name not in options.only):
                continue
            start = time.monotonic()
            try:
                test(world)
                passed += 1
                print(f"{name}: well ({time.monotonic() - start:.1f} s)", flush=True)
            except Exception:
                failed += 1
                traceback.print_exc()
                print(f"{name}: NOT WELL", flush=True)
    finally:
        world.stop()
    print(f"kafka: {passed} passed; {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
