"""Transactions of librdkafka while the daemon is killed: a decided end is carried out, nothing else is seen.

    transactions.py --klog BINARY [--rounds N] [--seed N]

Each round sends a transaction over four topics and commits or aborts it, while the daemon is killed at a moment drawn by
the seed and started again. Who reads committed must see each committed transaction whole and once, and nothing of the
others; a transaction whose end was not answered is either. No partition may be held up at the end.
"""

import argparse
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import confluent_kafka as ck
from brokers import free_ports, until
from confluent_kafka import admin

TOPICS = [f"t{n}" for n in range(4)]


class Daemon:
    def __init__(self, binary, folder):
        self.binary, self.folder = binary, folder
        (self.port,) = free_ports(1)
        self.address = f"127.0.0.1:{self.port}"
        self.process = None

    def start(self):
        log = open(os.path.join(self.folder, "daemon.log"), "a")
        command = [self.binary, "broker", "run", "--data", os.path.join(self.folder, "data")]
        command += ["--listen", self.address]
        self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def transaction(address, number, commit):
    """One transaction of a producer of its own; answers whether its end was answered as it was asked for."""
    producer = ck.Producer(
        {
            "bootstrap.servers": address,
            "transactional.id": "x",
            "transaction.timeout.ms": 20000,
            "log_level": 0,
        }
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    for topic in TOPICS:
        for n in range(3):
            producer.produce(topic, value=f"{number} {n}")
    producer.flush(30)
    producer.commit_transaction(30) if commit else producer.abort_transaction(30)


def read(address):
    """What a reader at read_committed sees, by topic; every partition is read to its end."""
    settings = {"bootstrap.servers": address, "group.id": "g", "isolation.level": "read_committed"}
    consumer = ck.Consumer({**settings, "enable.partition.eof": True})
    consumer.assign([ck.TopicPartition(topic, 0, 0) for topic in TOPICS])
    seen, ended = {topic: [] for topic in TOPICS}, set()
    deadline = time.monotonic() + 60
    while len(ended) < len(TOPICS):
        assert time.monotonic() < deadline, f"not read to the end: {set(TOPICS) - ended}"
        message = consumer.poll(0.5)
        if message is None:
            continue
        if message.error() is None:
            seen[message.topic()].append(message.value().decode())
        elif message.error().code() == ck.KafkaError._PARTITION_EOF:
            ended.add(message.topic())
    positions = {one.topic: one.offset for one in consumer.position([ck.TopicPartition(topic, 0) for topic in TOPICS])}
    for topic in TOPICS:
        _, high = consumer.get_watermark_offsets(ck.TopicPartition(topic, 0), timeout=10)
        assert positions[topic] == high, f"{topic} is held up at {positions[topic]} of {high}"
    consumer.close()
    return seen


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--klog", required=True)
    arguments.add_argument("--rounds", type=int, default=20)
    arguments.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    arguments = arguments.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    draw = random.Random(arguments.seed)
    folder = tempfile.mkdtemp(prefix="klog-txn-")
    daemon = Daemon(os.path.abspath(arguments.klog), folder)
    daemon.start()
    try:
        until(lambda: socket.socket().connect_ex(("127.0.0.1", daemon.port)) == 0, 20, "the daemon is up")
        client = admin.AdminClient({"bootstrap.servers": daemon.address})
        for made in client.create_topics([admin.NewTopic(topic, 1, 1) for topic in TOPICS]).values():
            made.result()
        committed, aborted, unsure = set(), set(), set()
        for number in range(arguments.rounds):
            commit = draw.random() < 0.7
            after = draw.random() * 0.4

            def strike():
                time.sleep(after)
                daemon.kill()
                daemon.start()

            striking = threading.Thread(target=strike)
            striking.start()
            try:
                transaction(daemon.address, number, commit)
                (committed if commit else aborted).add(number)
            except ck.KafkaException as refused:
                (unsure if commit else aborted).add(number)
                print(f"round {number}: {refused}", flush=True)
            striking.join()
        # Whatever is still open is ended by the next of the id.
        transaction(daemon.address, arguments.rounds, True)
        committed.add(arguments.rounds)
        seen = read(daemon.address)
        for topic in TOPICS:
            by_number = {}
            for value in seen[topic]:
                number, n = value.split()
                by_number.setdefault(int(number), []).append(int(n))
            for number, values in by_number.items():
                assert values == [0, 1, 2], f"{topic}: transaction {number} is torn: {values}"
                assert number not in aborted, f"{topic}: aborted transaction {number} is seen"
            lost = committed - set(by_number)
            assert not lost, f"{topic}: committed transactions {lost} are not seen"
        whole = [set(value.split()[0] for value in seen[topic]) for topic in TOPICS]
        assert all(one == whole[0] for one in whole), "a transaction is seen in some topics only"
        print(f"{len(committed)} committed, {len(aborted)} aborted, {len(unsure)} not answered")
    except BaseException:
        print(open(os.path.join(folder, "daemon.log")).read()[-8000:])
        raise
    finally:
        daemon.kill()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
