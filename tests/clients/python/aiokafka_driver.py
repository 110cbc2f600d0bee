"""aiokafka as the scenarios see it: its event loop runs in a thread, and each call waits for its answer."""

import asyncio
import logging
import threading

import aiokafka
from aiokafka import errors
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.helpers import create_ssl_context

import rig
import scenarios
from rig import Record, Refused

LOOP = asyncio.new_event_loop()
threading.Thread(target=LOOP.run_forever, daemon=True).start()


def wait(coroutine, seconds=30):
    """The answer of a coroutine; Kafka's errors as Refused."""
    future = asyncio.run_coroutine_threadsafe(coroutine, LOOP)
    try:
        return future.result(seconds)
    except errors.KafkaError as wrong:
        raise Refused(getattr(wrong, "errno", -1), repr(wrong)) from None


async def calling(function, *arguments, **named):
    """What is no coroutine but wants to run beside them."""
    return function(*arguments, **named)


def told(code, text=""):
    if code:
        raise Refused(code, text)


class Admin:
    def __init__(self, settings):
        async def start():
            client = AIOKafkaAdminClient(**settings)
            await client.start()
            return client

        self.client = wait(start())

    def close(self):
        wait(self.client.close())

    def create_topic(self, name, partitions, settings=None, replication=1, validate_only=False):
        topic = NewTopic(name, partitions, replication, topic_configs=settings or {})
        answer = wait(self.client.create_topics([topic], validate_only=validate_only))
        for _, code, text in answer.topic_errors:
            told(code, text)

    def delete_topic(self, name):
        answer = wait(self.client.delete_topics([name]))
        for _, code in answer.topic_error_codes:
            told(code)

    def list_topics(self):
        return set(wait(self.client.list_topics()))

    def partitions(self, name):
        (described,) = wait(self.client.describe_topics([name]))
        told(described["error_code"])
        assert all(p["leader"] == 1 and p["isr"] == [1] for p in described["partitions"]), described
        return len(described["partitions"])

    def create_partitions(self, name, total):
        wait(self.client.create_partitions({name: NewPartitions(total)}))

    def describe(self, kind, name):
        (answer,) = wait(self.client.describe_configs([ConfigResource(kind, name)]))
        ((code, text, _, _, entries),) = answer.resources
        told(code, text)
        return entries

    def describe_topic(self, name):
        return {entry[0]: (entry[1], entry[3] == 5) for entry in self.describe(ConfigResourceType.TOPIC, name)}

    def describe_broker(self, node):
        return {entry[0]: entry[1] for entry in self.describe(ConfigResourceType.BROKER, str(node))}

    def alter_topic(self, name, settings, delete=()):
        """The older call: it replaces all settings, so what is set already goes along."""
        kept = {key: value for key, (value, default) in self.describe_topic(name).items() if not default}
        kept = {key: value for key, value in {**kept, **settings}.items() if key not in delete}
        answers = wait(self.client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, kept)]))
        for answer in answers:
            for code, text, *_ in answer.resources:
                told(code, text)

    def cluster(self):
        found = wait(self.client.describe_cluster())
        brokers = [b["node_id"] for b in found["brokers"]]
        return {"id": found.get("cluster_id"), "controller": found["controller_id"], "brokers": brokers}

    def list_groups(self):
        return {group[0] for group in wait(self.client.list_consumer_groups())}

    def describe_group(self, name):
        (answer,) = wait(self.client.describe_consumer_groups([name]))
        (group,) = answer.groups
        told(group[0])
        return {"state": group[2], "members": len(group[5])}

    def group_offsets(self, name):
        found = wait(self.client.list_consumer_group_offsets(name))
        return {(p.topic, p.partition): o.offset for p, o in found.items()}

    def delete_records(self, offsets):
        wanted = {aiokafka.TopicPartition(*p): RecordsToDelete(o) for p, o in offsets.items()}
        return {(p.topic, p.partition): low for p, low in wait(self.client.delete_records(wanted)).items()}


class Producer:
    def __init__(self, settings):
        async def start():
            client = aiokafka.AIOKafkaProducer(**settings)
            await client.start()
            return client

        self.client = wait(start())
        self.sent = []

    def send(self, topic, value, key=None, partition=None, headers=(), timestamp=None):
        async def send():
            try:
                return await self.client.send(
                    topic, value, key=key, partition=partition, headers=list(headers), timestamp_ms=timestamp
                )
            except errors.KafkaError as wrong:
                return wrong

        self.sent.append(wait(send()))

    def flush(self):
        async def flush():
            await self.client.flush()
            results = []
            for future in self.sent:
                try:
                    if isinstance(future, errors.KafkaError):
                        raise future
                    done = await future
                    # With acks=0 there is nothing to know.
                    results.append(None if done is None else done.offset)
                except errors.KafkaError as wrong:
                    results.append(Refused(getattr(wrong, "errno", -1), repr(wrong)))
            self.sent = []
            return results

        return wait(flush())

    def close(self):
        wait(self.client.stop())


class Transactional:
    """A producer in transactions: each value goes to a partition of its own."""

    def __init__(self, settings):
        async def start():
            client = aiokafka.AIOKafkaProducer(**settings)
            await client.start()
            return client

        self.client = wait(start())

    def begin(self):
        wait(self.client.begin_transaction())

    def send(self, topic, values):
        for partition, value in enumerate(values):
            wait(self.client.send_and_wait(topic, value, partition=partition))

    def offsets(self, offsets, group):
        places = {aiokafka.TopicPartition(*place): offset for place, offset in offsets.items()}
        wait(self.client.send_offsets_to_transaction(places, group))

    def end(self, commit):
        wait(self.client.commit_transaction() if commit else self.client.abort_transaction())

    def close(self):
        wait(self.client.stop())


class Listener(aiokafka.ConsumerRebalanceListener):
    def __init__(self, events):
        self.events = events

    def on_partitions_revoked(self, revoked):
        self.events.append(("revoked", {(p.topic, p.partition) for p in revoked}))

    def on_partitions_assigned(self, assigned):
        self.events.append(("assigned", {(p.topic, p.partition) for p in assigned}))


class Consumer:
    # How long a poll of a group member waits, in seconds.
    patience = 0.1

    def __init__(self, settings, assign, topics):
        self.group, self.events = settings["group_id"], []

        async def start():
            client = aiokafka.AIOKafkaConsumer(**settings)
            if assign is not None:
                client.assign([aiokafka.TopicPartition(t, p) for t, p, _ in assign])
            else:
                client.subscribe(topics, listener=Listener(self.events))
            await client.start()
            for topic, partition, offset in assign or []:
                place = aiokafka.TopicPartition(topic, partition)
                if offset == "earliest":
                    await client.seek_to_beginning(place)
                elif offset == "latest":
                    await client.seek_to_end(place)
                else:
                    client.seek(place, offset)
            return client

        self.starting = None
        if assign is not None:
            self.client = wait(start())
        else:
            # Joining waits for the other members, which the scenario polls.
            self.client = None
            self.starting = asyncio.run_coroutine_threadsafe(start(), LOOP)

    def ready(self, seconds=30):
        if self.client is None:
            try:
                self.client = self.starting.result(seconds)
            except TimeoutError:
                return False
            except errors.KafkaError as wrong:
                raise Refused(getattr(wrong, "errno", -1), repr(wrong)) from None
        return True

    def poll(self, seconds):
        if not self.ready(seconds):
            return []
        polled = wait(self.client.getmany(timeout_ms=int(seconds * 1000)))
        return [
            Record(
                *(r.topic, r.partition, r.offset, r.key, r.value),
                *([tuple(h) for h in r.headers], r.timestamp, r.timestamp_type),
            )
            for records in polled.values()
            for r in records
        ]

    def assignment(self):
        return {(p.topic, p.partition) for p in self.client.assignment()} if self.client else set()

    def commit(self, offsets=None):
        self.ready()
        wanted = offsets and {aiokafka.TopicPartition(*p): value for p, value in offsets.items()}
        wait(self.client.commit(wanted))

    def committed(self, topic, partition):
        found = wait(self.client.committed(aiokafka.TopicPartition(topic, partition)))
        return found

    def position(self, topic, partition):
        return wait(self.client.position(aiokafka.TopicPartition(topic, partition)))

    def bound(self, ask, topic, partition):
        place = aiokafka.TopicPartition(topic, partition)
        return wait(ask([place]))[place]

    def beginning(self, topic, partition):
        return self.bound(self.client.beginning_offsets, topic, partition)

    def end(self, topic, partition):
        return self.bound(self.client.end_offsets, topic, partition)

    def at_time(self, topic, partition, moment):
        place = aiokafka.TopicPartition(topic, partition)
        found = wait(self.client.offsets_for_times({place: moment}))[place]
        return None if found is None else found.offset

    def pause(self, topic, partition):
        wait(calling(self.client.pause, aiokafka.TopicPartition(topic, partition)))

    def resume(self, topic, partition):
        wait(calling(self.client.resume, aiokafka.TopicPartition(topic, partition)))

    def seek(self, topic, partition, offset):
        wait(calling(self.client.seek, aiokafka.TopicPartition(topic, partition), offset))

    def close(self):
        self.ready()
        wait(self.client.stop())


class AioKafka:
    codecs = ["none", "gzip", "snappy", "lz4", "zstd"]
    features = {"validate_only", "duplicate_headers", "null_headers"}
    lacks = {
        "group_next": "aiokafka speaks the classic group protocol only",
        "cooperative": "aiokafka has eager assignors only (its sticky one too)",
    }

    def __init__(self):
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
        self.world = rig.World()

    def settings(self, security):
        return security or {"bootstrap_servers": self.world.plain}

    def admin(self, security=None):
        return Admin(self.settings(security))

    def producer(self, security=None, codec=None, acks="all", idempotent=False, linger_ms=0, max_request=1_000_000):
        more = {"compression_type": None if codec == "none" else codec, "acks": acks}
        more |= {"enable_idempotence": idempotent, "linger_ms": linger_ms, "max_request_size": max_request}
        return Producer({**self.settings(security), **more, "request_timeout_ms": 10000})

    def transactional(self, name):
        return Transactional({**self.settings(None), "transactional_id": name})

    def consumer(self, group=None, topics=None, assign=None, reset="earliest", protocol=None, instance=None, **more):
        settings = {
            **self.settings(more.get("security")),
            "group_id": group,
            "auto_offset_reset": reset,
            "enable_auto_commit": False,
            "fetch_max_wait_ms": 100,
            "isolation_level": more.get("isolation", "read_uncommitted"),
        }
        if group:
            settings |= {"session_timeout_ms": 8000, "heartbeat_interval_ms": 300, "max_poll_interval_ms": 20000}
        if instance:
            settings["group_instance_id"] = instance
        return Consumer(settings, assign, topics)

    def sasl(self, mechanism, user=None, password=None, over_tls=False):
        security = {
            "bootstrap_servers": self.world.sasl_tls if over_tls else self.world.sasl,
            "security_protocol": "SASL_SSL" if over_tls else "SASL_PLAINTEXT",
            "sasl_mechanism": mechanism,
            "sasl_plain_username": user or self.world.user,
            "sasl_plain_password": password or self.world.password,
        }
        return security | ({"ssl_context": create_ssl_context(cafile=self.world.ca)} if over_tls else {})

    def tls(self, ca=None, certified=False):
        files = {"certfile": self.world.client_cert, "keyfile": self.world.client_key} if certified else {}
        context = create_ssl_context(cafile=ca or self.world.ca, **files)
        return {"bootstrap_servers": self.world.tls, "security_protocol": "SSL", "ssl_context": context}

    def shut_out(self, security):
        """The error is only that of a bootstrap that failed: why, is in the client's log."""
        said = []
        handler = logging.Handler()
        handler.emit = lambda record: said.append(record.getMessage())
        log = logging.getLogger("aiokafka")
        log.addHandler(handler), log.setLevel(logging.WARNING)
        log.propagate = False
        try:
            Admin(security)
        except Refused as wrong:
            wanted = "CERTIFICATE_VERIFY_FAILED" if security["security_protocol"] == "SSL" else "uthentication"
            assert wanted in " ".join([*said, str(wrong)]), (said, wrong)
        else:
            raise AssertionError("it came in")
        finally:
            log.removeHandler(handler)


if __name__ == "__main__":
    client = AioKafka()
    rig.main(scenarios.of(client, transactions=scenarios.transactions))
