"""Clients of other makers against klog: kcat, confluent-kafka (librdkafka) and kafka-python.

Each test is a function whose name begins with `test_`; it gets a Broker (a daemon of its own folder, on a free
port). The list only grows. Prints one line a test and "N passed; M failed" at the end.
"""

import argparse
import contextlib
import hashlib
import inspect
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


class Broker:
    """A klog daemon in the foreground, with a data folder of its own and a free TCP port."""

    def __init__(self, klog, *settings):
        self.klog = os.path.abspath(klog)
        self.place = tempfile.mkdtemp(prefix="klog-clients-")
        self.folder = os.path.join(self.place, "data")
        self.settings = settings
        self.names = 0
        self.process = None
        self.start()

    def start(self):
        command = [self.klog, "--data", self.folder, "broker", "run", "--listen", "127.0.0.1:0"]
        for setting in self.settings:
            command += ["-c", setting]
        log = open(os.path.join(self.place, "run.log"), "ab")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            status = subprocess.run(
                [self.klog, "--data", self.folder, "broker", "status", "-o", "json"], capture_output=True, text=True
            )
            if status.returncode == 0:
                addresses = json.loads(status.stdout)[0]["addresses"]
                self.tcp = next(a for a in addresses if not a.startswith("unix:"))
                return
            assert self.process.poll() is None, "the daemon ended: " + open(log.name).read()
            time.sleep(0.02)
        raise AssertionError("the daemon was not ready within 20 s")

    def topic(self, partitions=1, **settings):
        self.names += 1
        name = f"t{self.names}"
        command = ["topic", "create", name, "-p", str(partitions)]
        for key, value in settings.items():
            command += ["-c", f"{key.replace('_', '.')}={value}"]
        self.run(*command)
        return name

    def run(self, *arguments, stdin=b"", check=True):
        done = subprocess.run(
            [self.klog, "--data", self.folder, *arguments], input=stdin, capture_output=True, timeout=120
        )
        assert not check or done.returncode == 0, (arguments, done.returncode, done.stderr.decode())
        return done.stdout

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0, "the daemon did not end well"
        shutil.rmtree(self.place)


def until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
    raise AssertionError(f"not within {seconds} s: {what}")


# kcat


def kcat(broker, *arguments, stdin=b""):
    done = subprocess.run(["kcat", "-b", broker.tcp, *arguments], input=stdin, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_kcat_pipes_through(broker):
    lines = b"".join(b"line %d\n" % n for n in range(10000))
    for codec in CODECS:
        topic = broker.topic()
        kcat(broker, "-P", "-t", topic, "-z", codec, stdin=lines)
        assert kcat(broker, "-C", "-t", topic, "-e", "-q") == lines, codec
        assert broker.run("consume", topic, "-e") == lines, codec


def test_kcat_lists_and_queries(broker):
    topic = broker.topic(partitions=3)
    listing = kcat(broker, "-L").decode()
    assert f'topic "{topic}" with 3 partitions' in listing and "broker 1 at 127.0.0.1" in listing
    broker.run("produce", topic, "-p", "1", stdin=b"a\nb\n")
    assert kcat(broker, "-Q", "-t", f"{topic}:1:-1").split()[-1] == b"2"


def test_kcat_group(broker):
    topic = broker.topic(partitions=2)
    broker.run("produce", topic, stdin=b"1\n2\n3\n")
    got = subprocess.run(
        ["kcat", "-b", broker.tcp, "-G", "kg", "-c", "3", "-X", "auto.offset.reset=earliest", topic],
        capture_output=True,
        timeout=60,
    )
    assert sorted(got.stdout.split()) == [b"1", b"2", b"3"], got.stderr


# confluent-kafka


def test_librdkafka_round_trip(broker):
    from confluent_kafka import Consumer, Producer, TopicPartition

    payload = [(os.urandom(20), os.urandom(300)) for _ in range(5000)] + [(None, b"x"), (b"k", None), (b"", b"")]
    payload += [(bytes(range(256)), bytes(range(256)))]
    for codec in CODECS:
        topic = broker.topic()
        failures = []
        producer = Producer(
            {"bootstrap.servers": broker.tcp, "compression.type": codec, "enable.idempotence": True, "linger.ms": 5}
        )
        headers = [("a", b"1"), ("a", b"2"), ("n", None), ("e", b"")]
        for key, value in payload:
            producer.produce(topic, value, key, headers=headers, callback=lambda e, m: e and failures.append(e))
            producer.poll(0)
        assert producer.flush(30) == 0 and not failures, failures
        consumer = Consumer({"bootstrap.servers": broker.tcp, "group.id": "unused", "enable.partition.eof": False})
        consumer.assign([TopicPartition(topic, 0, 0)])
        got = []
        until(lambda: got.extend(consumer.consume(5000, 1)) or len(got) >= len(payload), 30, "all records back")
        assert [(m.key(), m.value()) for m in got] == payload, codec
        assert all(m.headers() == headers for m in got)
        consumer.close()


def test_librdkafka_admin(broker):
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

    admin = AdminClient({"bootstrap.servers": broker.tcp})
    created = admin.create_topics([NewTopic("made", 4, 1, config={"retention.ms": "1234567"})])
    created["made"].result(10)
    assert len(admin.list_topics("made", timeout=10).topics["made"].partitions) == 4
    found = admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, "made")])
    assert next(iter(found.values())).result(10)["retention.ms"].value == "1234567"
    try:
        admin.create_topics([NewTopic("made", 1, 1)])["made"].result(10)
        raise AssertionError("made twice")
    except KafkaException as refused:
        assert refused.args[0].name() == "TOPIC_ALREADY_EXISTS"
    admin.delete_topics(["made"])["made"].result(10)
    until(lambda: "made" not in admin.list_topics(timeout=10).topics, 10, "the topic is gone")


def test_librdkafka_group_rebalances(broker):
    from confluent_kafka import Consumer

    for strategy in ["range", "roundrobin", "cooperative-sticky"]:
        topic = broker.topic(partitions=6)
        settings = {
            "bootstrap.servers": broker.tcp,
            "group.id": f"g-{strategy}",
            "auto.offset.reset": "earliest",
            "session.timeout.ms": 6000,
            "partition.assignment.strategy": strategy,
        }
        first, second = Consumer(settings), Consumer(settings)
        first.subscribe([topic])
        until(lambda: first.poll(0.1) or len(first.assignment()) == 6, 20, "one member has all")
        second.subscribe([topic])

        def halves():
            first.poll(0.1), second.poll(0.1)
            return len(first.assignment()) == 3 and len(second.assignment()) == 3

        until(halves, 30, f"{strategy}: three partitions each")
        second.close()
        until(lambda: first.poll(0.1) or len(first.assignment()) == 6, 30, "the other one's come back")
        first.close()


def test_librdkafka_transactions_are_refused_for_good(broker):
    from confluent_kafka import KafkaException, Producer

    producer = Producer({"bootstrap.servers": broker.tcp, "transactional.id": "x"})
    try:
        producer.init_transactions(10)
        raise AssertionError("transactions are not there yet")
    except KafkaException as refused:
        assert refused.args[0].fatal() or not refused.args[0].retriable(), refused


# kafka-python


def test_kafka_python_round_trip(broker):
    from kafka import KafkaConsumer, KafkaProducer, TopicPartition

    for codec in [None, "gzip"]:
        topic = broker.topic()
        producer = KafkaProducer(bootstrap_servers=broker.tcp, compression_type=codec, acks="all")
        sent = [b"%d" % n for n in range(2000)]
        futures = [producer.send(topic, value, key=value[-1:]) for value in sent]
        producer.flush(30)
        assert [f.get(10).offset for f in futures] == list(range(2000))
        consumer = KafkaConsumer(bootstrap_servers=broker.tcp, auto_offset_reset="earliest", consumer_timeout_ms=10000)
        consumer.assign([TopicPartition(topic, 0)])
        got = []
        for message in consumer:
            got.append(message.value)
            if len(got) == len(sent):
                break
        assert got == sent
        producer.close(), consumer.close()


def test_group_of_klog_and_kafka_python(broker):
    from kafka import KafkaConsumer

    topic = broker.topic(partitions=4)
    mate = subprocess.Popen(
        [broker.klog, "--data", broker.folder, "consume", topic, "-g", "mixed", "-f", "%p %v\n"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    python = KafkaConsumer(
        topic,
        bootstrap_servers=broker.tcp,
        group_id="mixed",
        auto_offset_reset="earliest",
        session_timeout_ms=10000,
        max_poll_interval_ms=20000,
    )
    try:
        until(lambda: python.poll(100) or len(python.assignment()) == 2, 40, "two partitions each")
        for partition in range(4):
            broker.run("produce", topic, "-p", str(partition), stdin=b"%d\n" % partition)
        got = []

        def all_of_mine():
            for records in python.poll(200).values():
                got.extend(int(r.value) for r in records)
            return len(got) == 2

        until(all_of_mine, 20, "the python member's records")
        theirs = sorted(int(mate.stdout.readline().split()[1]) for _ in range(2))
        assert sorted(got + theirs) == [0, 1, 2, 3]
    finally:
        python.close()
        mate.send_signal(signal.SIGTERM)
        assert mate.wait(15) in (-signal.SIGTERM, 143)


def test_checksums_survive_every_mix(broker):
    """A million bytes through each producer, read by each consumer."""
    lines = b"".join(hashlib.sha256(b"%d" % n).hexdigest().encode() + b"\n" for n in range(20000))
    for writer in ["klog", "kcat"]:
        topic = broker.topic()
        if writer == "klog":
            broker.run("produce", topic, stdin=lines)
        else:
            kcat(broker, "-P", "-t", topic, stdin=lines)
        assert broker.run("consume", topic, "-e") == lines
        assert kcat(broker, "-C", "-t", topic, "-e", "-q") == lines


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--klog", default="target/debug/klog")
    options.add_argument("only", nargs="*")
    options = options.parse_args()
    passed = failed = 0
    with contextlib.ExitStack() as stack:
        broker = Broker(options.klog)
        stack.callback(lambda: broker.process.poll() is None and broker.process.kill())
        for name, test in inspect.getmembers(sys.modules[__name__], inspect.isfunction):
            if not name.startswith("test_") or (options.only and name not in options.only):
                continue
            if name.startswith("test_kcat") and not shutil.which("kcat"):
                print(f"{name}: left out, kcat is not installed")
                continue
            start = time.monotonic()
            try:
                test(broker)
                passed += 1
                print(f"{name}: well ({time.monotonic() - start:.1f} s)", flush=True)
            except Exception:
                failed += 1
                traceback.print_exc()
                print(f"{name}: NOT WELL", flush=True)
        broker.stop()
    print(f"clients: {passed} passed; {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
