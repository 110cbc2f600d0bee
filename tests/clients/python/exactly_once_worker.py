"""The worker and the reader of `exactly_once.py` in confluent-kafka (librdkafka): see there for what they are told."""

import json
import os
import sys
import time

import confluent_kafka as ck

TOLD = json.loads(os.environ["KLOG_EXACTLY_ONCE"])


class Life:
    """One producer and one group member, until something goes wrong."""

    def __init__(self):
        self.batch, self.group = [], None
        producer = {
            "bootstrap.servers": TOLD["address"],
            "transactional.id": TOLD["id"],
            "transaction.timeout.ms": TOLD["transaction_ms"],
            "linger.ms": 2,
            # After a bootstrap anew it sends the offsets to a broker's handle that is no more, and waits for ever.
            "metadata.recovery.strategy": "none",
            "log_level": 0,
        }
        consumer = {
            "bootstrap.servers": TOLD["address"],
            "group.id": TOLD["group"],
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "session.timeout.ms": TOLD["session_ms"],
            "heartbeat.interval.ms": 300,
            "fetch.wait.max.ms": 100,
            "reconnect.backoff.max.ms": 500,
            "partition.assignment.strategy": "range",
            "log_level": 0,
        }
        self.producer, self.consumer = ck.Producer(producer), ck.Consumer(consumer)

    def assigned(self, consumer, _):
        # Of the generation in which the batch's records come, whatever the client makes of its membership later.
        self.batch.clear()
        self.group = consumer.consumer_group_metadata()

    def revoked(self, *_):
        self.batch.clear()
        self.group = None

    def gather(self):
        """Polls until a batch is full or nothing more comes; a rebalance empties it again."""
        last = time.monotonic() + 0.1
        while len(self.batch) < TOLD["batch"] and (time.monotonic() < last or not self.batch):
            message = self.consumer.poll(0.02)
            if message is not None and message.error() is None:
                self.batch.append(message)

    def transact(self):
        self.gather()
        self.producer.begin_transaction()
        ends = {}
        for message in self.batch:
            value, partition = int(message.value()), message.partition()
            self.producer.produce(TOLD["output"], value=f"{value} {value * value}", partition=partition)
            ends[partition] = message.offset() + 1
        offsets = [ck.TopicPartition(TOLD["input"], partition, end) for partition, end in ends.items()]
        self.producer.flush(20)
        time.sleep(TOLD["pause_ms"] / 1000)
        self.producer.send_offsets_to_transaction(offsets, self.group, 20)
        self.producer.commit_transaction(20)
        self.batch.clear()

    def run(self):
        try:
            self.producer.init_transactions(20)
            self.consumer.subscribe([TOLD["input"]], on_assign=self.assigned, on_revoke=self.revoked, on_lost=self.revoked)
            while True:
                self.transact()
        except ck.KafkaException as wrong:
            print("begins again:", wrong, file=sys.stderr, flush=True)
            if wrong.args[0].txn_requires_abort():
                try:
                    self.producer.abort_transaction(20)
                except ck.KafkaException as refused:
                    print("not aborted:", refused, file=sys.stderr, flush=True)
        finally:
            self.consumer.close()


def work():
    while True:
        Life().run()
        time.sleep(0.1)


def read():
    consumer = ck.Consumer(
        {
            "bootstrap.servers": TOLD["address"],
            "group.id": "reader",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    consumer.assign([ck.TopicPartition(TOLD["output"], p, 0) for p in range(TOLD["partitions"])])
    ended = set()
    while len(ended) < TOLD["partitions"]:
        for message in consumer.consume(1000, 0.5):
            if message.error() is None:
                print(message.partition(), message.value().decode())
            elif message.error().code() == ck.KafkaError._PARTITION_EOF:
                ended.add(message.partition())
            else:
                raise ck.KafkaException(message.error())
    for place in consumer.position([ck.TopicPartition(TOLD["output"], p) for p in range(TOLD["partitions"])]):
        print("end", place.partition, place.offset)
    consumer.close()


{"work": work, "read": read}[sys.argv[1]]()
