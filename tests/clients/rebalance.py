"""Groups under change: members of librdkafka that join, leave and are killed, over a hundred partitions.

    rebalance.py --klog BINARY [--protocol consumer|classic|upgrade] [--changes N] [--long] [--seed N]

Three protocols: `consumer` (KIP-848), `classic`, and `upgrade`, in which classic members give way to consumers one by
one and come back. Each member is a process of its own, so that killing it is real. Looked at from outside: no partition
is owned by two at a time, none is without owner beyond the session time-out of a killed member (and the time it takes to
notice and to hand over; a partition may be on its way to a second member that is killed too), and no record is skipped. A run under CI has few changes; `--long` has fifty of each protocol.
"""

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

PARTITIONS = 100
MEMBERS = 6
SESSION = 3.0
HEARTBEAT = 0.5
# Beyond the session: a heartbeat to notice, one to be told, one to hand over, and a machine that has other work.
SLACK = 3.0
SETTINGS = {
    "group.consumer.min.session.timeout.ms": "3000",
    "group.consumer.session.timeout.ms": "3000",
    "group.consumer.min.heartbeat.interval.ms": "500",
    "group.consumer.heartbeat.interval.ms": "500",
    "group.min.session.timeout.ms": "3000",
    "group.consumer.assignment.interval.ms": "0",
}


def member(address, topic, group, protocol):
    """Runs as a process of its own: reads, commits, and says on stdout what it owns and what it has read."""
    from confluent_kafka import Consumer, KafkaException

    def say(what, **facts):
        print(json.dumps({"at": time.monotonic(), "what": what, **facts}), flush=True)

    conf = {
        "bootstrap.servers": address,
        "group.id": group,
        "group.protocol": protocol,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "max.poll.interval.ms": 20000,
    }
    if protocol == "classic":
        conf.update({"session.timeout.ms": int(SESSION * 1000), "heartbeat.interval.ms": int(HEARTBEAT * 1000)})
    read = {}

    def commit(consumer):
        if read:
            spans, told = dict(read), []
            read.clear()
            from confluent_kafka import TopicPartition

            told = [TopicPartition(topic, p, last + 1) for p, (_, last) in spans.items()]
            say("read", spans={str(p): span for p, span in spans.items()})
            try:
                consumer.commit(offsets=told, asynchronous=False)
            except KafkaException as error:
                say("commit", error=str(error))

    def assigned(consumer, partitions):
        say("assign", partitions=[p.partition for p in partitions])

    def revoked(consumer, partitions):
        commit(consumer)
        say("revoke", partitions=[p.partition for p in partitions])

    def lost(consumer, partitions):
        read.clear()
        say("revoke", partitions=[p.partition for p in partitions], lost=True)

    consumer = Consumer(conf)
    consumer.subscribe([topic], on_assign=assigned, on_revoke=revoked, on_lost=lost)
    ending = []
    signal.signal(signal.SIGTERM, lambda *_: ending.append(1))
    committed = time.monotonic()
    while not ending:
        message = consumer.poll(0.1)
        if message is not None and message.error():
            say("error", error=str(message.error()))
        elif message is not None:
            first, last = read.get(message.partition(), (message.offset(), message.offset() - 1))
            if message.offset() > last + 1 and message.partition() in read:
                say("skipped", partition=message.partition(), after=last, to=message.offset())
            read[message.partition()] = (first, message.offset())
        if time.monotonic() - committed > 0.3:
            commit(consumer)
            committed = time.monotonic()
    consumer.close()
    say("closed")


class Member:
    def __init__(self, field, name, protocol):
        self.name, self.protocol, self.field = name, protocol, field
        self.owned = {}
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--member", field.address, field.topic, field.group, protocol],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.reader = threading.Thread(target=self.listen, daemon=True)
        self.reader.start()

    def listen(self):
        for line in self.process.stdout:
            event = json.loads(line)
            with self.field.lock:
                self.take(event)

    def take(self, event):
        at, what = event["at"], event["what"]
        if what == "assign":
            for partition in event["partitions"]:
                self.owned[partition] = at
        elif what == "revoke":
            for partition in event["partitions"]:
                self.end(partition, at)
        elif what == "read":
            for partition, (first, last) in event["spans"].items():
                self.field.read.setdefault(int(partition), []).append((first, last))
        elif what in ("skipped", "commit", "error"):
            self.field.notes.append(f"{self.name}: {json.dumps(event)}")
            if what == "skipped":
                self.field.faults.append(f"{self.name} skipped: {event}")

    def end(self, partition, at):
        since = self.owned.pop(partition, None)
        if since is not None:
            self.field.spans.append((partition, since, at, self.name))

    def stop(self, kill):
        at = time.monotonic()
        if kill:
            self.field.kills.append(at)
        self.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        self.process.wait(30)
        self.reader.join(10)
        with self.field.lock:
            for partition in list(self.owned):
                self.end(partition, at if kill else time.monotonic())


class Field:
    """The topic, its writer, the members, and what was seen of them."""

    def __init__(self, address, protocol):
        from confluent_kafka.admin import AdminClient, NewTopic

        self.address, self.topic, self.group = address, f"rebalance-{protocol}", f"rebalance-{protocol}"
        self.lock, self.members, self.count = threading.Lock(), [], 0
        self.spans, self.read, self.notes, self.faults = [], {}, [], []
        self.kills = []
        admin = AdminClient({"bootstrap.servers": address})
        for made in admin.create_topics([NewTopic(self.topic, PARTITIONS, 1)]).values():
            made.result(30)
        self.ending = False
        self.written = [0] * PARTITIONS
        self.writer = threading.Thread(target=self.write, daemon=True)
        self.writer.start()

    def write(self):
        from confluent_kafka import Producer

        producer = Producer({"bootstrap.servers": self.address, "enable.idempotence": True, "linger.ms": 20})

        def done(error, message):
            if error is None:
                self.written[message.partition()] = max(self.written[message.partition()], message.offset() + 1)

        while not self.ending:
            for partition in range(PARTITIONS):
                producer.produce(self.topic, b"x", partition=partition, on_delivery=done)
            producer.poll(0)
            time.sleep(0.2)
        producer.flush(30)

    def start(self, protocol):
        self.count += 1
        self.members.append(Member(self, f"{protocol}-{self.count}", protocol))

    def change(self, rng, protocol):
        """One random join, leave or kill; the group is never empty and never above its size."""
        ways = []
        if len(self.members) < MEMBERS:
            ways += ["join", "join"]
        if len(self.members) > 2:
            ways += ["leave", "kill"]
        way = rng.choice(ways)
        if way == "join":
            self.start(protocol)
        else:
            gone = self.members.pop(rng.randrange(len(self.members)))
            gone.stop(way == "kill")
        return way

    def replace(self, rng, protocol):
        """A member of another protocol gives way to one of this: leaving, or killed."""
        others = [m for m in self.members if m.protocol != protocol]
        if others:
            gone = rng.choice(others)
            self.members.remove(gone)
            gone.stop(rng.random() < 0.3)
            self.start(protocol)

    def settled(self):
        with self.lock:
            owned = [p for m in self.members for p in m.owned]
            return sorted(owned) == list(range(PARTITIONS)) and all(m.owned for m in self.members)

    def settle(self, seconds):
        deadline = time.monotonic() + seconds
        while not self.settled():
            if time.monotonic() > deadline:
                with self.lock:
                    shares = {m.name: len(m.owned) for m in self.members}
                self.faults.append(f"the group did not settle within {seconds} s: {shares}")
                return
            time.sleep(0.05)

    def caught_up(self):
        with self.lock:
            return all(self.covered(p) >= self.written[p] for p in range(PARTITIONS))

    def covered(self, partition):
        """How far the partition was read without a gap."""
        end = 0
        for first, last in sorted(self.read.get(partition, [])):
            if first > end:
                return end
            end = max(end, last + 1)
        return end

    def finish(self):
        self.ending = True
        self.writer.join(30)
        deadline = time.monotonic() + 30
        while not self.caught_up() and time.monotonic() < deadline:
            time.sleep(0.1)
        now = time.monotonic()
        for one in list(self.members):
            with self.lock:
                for partition in list(one.owned):
                    self.end_open(one, partition, now)
            one.stop(False)
        for partition in range(PARTITIONS):
            if self.covered(partition) < self.written[partition]:
                self.faults.append(
                    f"partition {partition}: read to {self.covered(partition)} of {self.written[partition]}")
        self.judge()

    @staticmethod
    def end_open(one, partition, now):
        one.end(partition, now)

    def judge(self):
        longest, beyond = 0.0, 0.0
        for partition in range(PARTITIONS):
            spans = sorted((s, e, who) for p, s, e, who in self.spans if p == partition)
            end, owner = None, None
            for since, until, who in spans:
                if end is not None and since < end and who != owner:
                    self.faults.append(
                        f"partition {partition}: {who} had it {end - since:.3f} s before {owner} gave it up")
                if end is not None:
                    longest = max(longest, since - end)
                    beyond = max(beyond, self.unexcused(end, since))
                if end is None or until > end:
                    end, owner = until, who
        self.longest, self.beyond = longest, beyond
        if beyond > SLACK:
            self.faults.append(f"a partition was without owner for {beyond:.1f} s while nobody's session ran out")

    def unexcused(self, begin, end):
        """How much of a time without owner no killed member's session accounts for."""
        left, at = 0.0, begin
        for kill in sorted(self.kills):
            left += max(0.0, min(kill, end) - at)
            at = max(at, min(kill + SESSION, end))
        return left + max(0.0, end - at)


def play(address, protocol, changes, seed):
    rng = random.Random(seed)
    field = Field(address, protocol)
    first = "consumer" if protocol == "consumer" else "classic"
    for _ in range(4):
        field.start(first)
    field.settle(30)
    ways = []
    for turn in range(changes):
        time.sleep(rng.uniform(0.2, 2.5))
        if protocol == "upgrade":
            # The first half goes over to consumers, the second comes back.
            towards = "consumer" if turn < changes // 2 else "classic"
            if rng.random() < 0.6:
                field.replace(rng, towards)
                ways.append("replace")
                continue
            ways.append(field.change(rng, towards))
        else:
            ways.append(field.change(rng, first))
    field.settle(45)
    field.finish()
    print(f"{protocol}: {changes} changes ({', '.join(ways)}), seed {seed}: "
          f"longest without owner {field.longest:.1f} s, "
          f"{field.beyond:.1f} s of it beyond sessions, {sum(field.written)} records", flush=True)
    for note in field.notes[:20]:
        print("  note:", note)
    for fault in field.faults[:20]:
        print("  FAULT:", fault)
    return not field.faults


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def main():
    if sys.argv[1:2] == ["--member"]:
        return member(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--klog", default="target/debug/klog", help="the program under test")
    parser.add_argument("--address", help="a broker that runs already, instead")
    parser.add_argument("--protocol", choices=["consumer", "classic", "upgrade"], action="append")
    parser.add_argument("--changes", type=int, default=10)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    asked = parser.parse_args()
    changes = 50 if asked.long else asked.changes
    folder, daemon, address = tempfile.mkdtemp(prefix="klog-rebalance-"), None, asked.address
    if address is None:
        address = f"127.0.0.1:{free_port()}"
        settings = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        command = [asked.klog, "--data", os.path.join(folder, "data"), "broker", "run", "--listen", address]
        daemon = subprocess.Popen([*command, *settings], stdout=subprocess.DEVNULL,
                                  stderr=open(os.path.join(folder, "log"), "w"))
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(address.rsplit(":", 1), 1).close()
                break
            except OSError:
                if time.monotonic() > deadline or daemon.poll() is not None:
                    sys.exit(f"the broker did not start: see {folder}/log")
                time.sleep(0.1)
    try:
        protocols = asked.protocol or ["consumer", "classic", "upgrade"]
        passed = [play(address, protocol, changes, asked.seed) for protocol in protocols]
    finally:
        if daemon is not None:
            daemon.terminate()
            daemon.wait(30)
    print(f"rebalance: {sum(passed)} passed; {len(passed) - sum(passed)} failed", flush=True)
    if not all(passed):
        sys.exit(f"failed; the broker's log is {folder}/log")
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    main()
