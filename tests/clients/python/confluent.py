"""confluent-kafka (librdkafka) as the scenarios see it."""

import threading
import time

import confluent_kafka as ck
from confluent_kafka import admin as ck_admin

import rig
import scenarios
from rig import Record, Refused, until

RESOURCE = ck_admin.ConfigResource.Type


def called(future):
    """The answer of an admin call's future, its error as Refused."""
    try:
        return future.result(20)
    except ck.KafkaException as wrong:
        raise Refused(wrong.args[0].code(), wrong.args[0].str()) from None


def one(futures):
    (future,) = futures.values()
    return called(future)


class Admin:
    def __init__(self, settings):
        self.client = ck_admin.AdminClient(settings)

    def close(self):
        self.client = None

    def create_topic(self, name, partitions, settings=None, replication=1, validate_only=False):
        topic = ck_admin.NewTopic(name, partitions, replication, config=settings or {})
        one(self.client.create_topics([topic], validate_only=validate_only))

    def delete_topic(self, name):
        one(self.client.delete_topics([name]))

    def list_topics(self):
        return set(self.client.list_topics(timeout=10).topics)

    def partitions(self, name):
        described = one(self.client.describe_topics(ck.TopicCollection([name])))
        assert all(p.leader.id == 1 and [n.id for n in p.isr] == [1] for p in described.partitions)
        return len(described.partitions)

    def create_partitions(self, name, total):
        one(self.client.create_partitions([ck_admin.NewPartitions(name, total)]))

    def configs(self, kind, name):
        return one(self.client.describe_configs([ck_admin.ConfigResource(kind, name)]))

    def describe_topic(self, name):
        return {key: (entry.value, entry.is_default) for key, entry in self.configs(RESOURCE.TOPIC, name).items()}

    def describe_broker(self, node):
        return {key: entry.value for key, entry in self.configs(RESOURCE.BROKER, str(node)).items()}

    def alter_topic(self, name, settings, delete=()):
        operation = ck_admin.AlterConfigOpType
        entries = [ck_admin.ConfigEntry(k, v, incremental_operation=operation.SET) for k, v in settings.items()]
        entries += [ck_admin.ConfigEntry(k, None, incremental_operation=operation.DELETE) for k in delete]
        resource = ck_admin.ConfigResource(RESOURCE.TOPIC, name, incremental_configs=entries)
        one(self.client.incremental_alter_configs([resource]))

    def cluster(self):
        found = called(self.client.describe_cluster())
        return {"id": found.cluster_id, "controller": found.controller.id, "brokers": [n.id for n in found.nodes]}

    def list_groups(self):
        listed = called(self.client.list_consumer_groups())
        assert not listed.errors, listed.errors
        return {group.group_id for group in listed.valid}

    def describe_group(self, name):
        found = one(self.client.describe_consumer_groups([name]))
        return {"state": found.state.name, "members": len(found.members), "type": found.type.name}

    def group_offsets(self, name):
        found = one(self.client.list_consumer_group_offsets([ck.ConsumerGroupTopicPartitions(name)]))
        return {(p.topic, p.partition): p.offset for p in found.topic_partitions}

    def alter_group_offsets(self, name, offsets):
        parts = [ck.TopicPartition(t, p, offset) for (t, p), offset in offsets.items()]
        done = one(self.client.alter_consumer_group_offsets([ck.ConsumerGroupTopicPartitions(name, parts)]))
        assert not any(p.error for p in done.topic_partitions), done.topic_partitions

    def delete_group(self, name):
        one(self.client.delete_consumer_groups([name]))

    def list_offsets(self, specs):
        words = {
            "earliest": ck_admin.OffsetSpec.earliest(),
            "latest": ck_admin.OffsetSpec.latest(),
            "max_timestamp": ck_admin.OffsetSpec.max_timestamp(),
        }
        wanted = {}
        for (topic, partition), spec in specs.items():
            spec = words[spec] if isinstance(spec, str) else ck_admin.OffsetSpec.for_timestamp(spec)
            wanted[ck.TopicPartition(topic, partition)] = spec
        found = self.client.list_offsets(wanted)
        return {(p.topic, p.partition): called(future).offset for p, future in found.items()}

    def delete_records(self, offsets):
        parts = [ck.TopicPartition(t, p, ck.OFFSET_END if o == -1 else o) for (t, p), o in offsets.items()]
        done = self.client.delete_records(parts)
        return {(p.topic, p.partition): called(future).low_watermark for p, future in done.items()}

    def acl_filter(self, principal):
        kinds, operation = ck_admin.ResourceType, ck_admin.AclOperation
        pattern, permission = ck_admin.ResourcePatternType, ck_admin.AclPermissionType
        return ck_admin.AclBindingFilter(
            kinds.ANY, None, pattern.ANY, principal, None, operation.ANY, permission.ANY
        )

    def rules(self, bindings):
        assert all(b.restype.name == "TOPIC" and b.resource_pattern_type.name == "LITERAL" for b in bindings)
        return [
            {
                "principal": b.principal,
                "topic": b.name,
                "operation": b.operation.name,
                "permission": b.permission_type.name,
                "host": b.host,
            }
            for b in bindings
        ]

    def acls(self, principal):
        return self.rules(called(self.client.describe_acls(self.acl_filter(principal))))

    def create_acl(self, rule):
        binding = ck_admin.AclBinding(
            ck_admin.ResourceType.TOPIC,
            rule["topic"],
            ck_admin.ResourcePatternType.LITERAL,
            rule["principal"],
            rule["host"],
            ck_admin.AclOperation[rule["operation"]],
            ck_admin.AclPermissionType[rule["permission"]],
        )
        one(self.client.create_acls([binding]))

    def delete_acls(self, principal):
        return self.rules(one(self.client.delete_acls([self.acl_filter(principal)])))

    def scram_users(self):
        return set(called(self.client.describe_user_scram_credentials()))

    def scram_mechanisms(self, user):
        found = one(self.client.describe_user_scram_credentials([user]))
        infos = found.scram_credential_infos
        return {i.mechanism.name.replace("_", "-"): i.iterations for i in infos}

    def add_scram(self, user, mechanism, password, iterations):
        info = ck_admin.ScramCredentialInfo(ck_admin.ScramMechanism[mechanism.replace("-", "_")], iterations)
        upsertion = ck_admin.UserScramCredentialUpsertion(user, info, password.encode())
        one(self.client.alter_user_scram_credentials([upsertion]))

    def remove_scram(self, user, mechanism):
        mechanism = ck_admin.ScramMechanism[mechanism.replace("-", "_")]
        deletion = ck_admin.UserScramCredentialDeletion(user, mechanism)
        one(self.client.alter_user_scram_credentials([deletion]))


class Producer:
    def __init__(self, settings):
        self.errors = []
        self.client = ck.Producer({**settings, "error_cb": self.errors.append})
        self.results = []

    def send(self, topic, value, key=None, partition=-1, headers=(), timestamp=None):
        place = len(self.results)
        self.results.append(None)

        def delivered(error, message):
            self.results[place] = Refused(error.code(), error.str()) if error else message.offset()

        more = {"timestamp": timestamp} if timestamp else {}
        self.client.produce(
            topic, value, key, partition=partition, headers=list(headers), on_delivery=delivered, **more
        )
        self.client.poll(0)

    def flush(self):
        assert self.client.flush(30) == 0, f"not all was delivered; errors: {self.errors}"
        results, self.results = self.results, []
        return results

    def close(self):
        self.flush()


class Consumer:
    # How long a poll of a group member waits, in seconds.
    patience = 0.1

    def __init__(self, settings, group, assign, topics):
        self.group, self.events, self.assigning = group, [], assign is not None
        self.client = ck.Consumer({"error_cb": self.failed, **settings})
        self.error = None
        if assign is not None:
            words = {"earliest": ck.OFFSET_BEGINNING, "latest": ck.OFFSET_END}
            self.client.assign([ck.TopicPartition(t, p, words.get(o, o)) for t, p, o in assign])
        else:
            self.client.subscribe(topics, on_assign=self.noted("assigned"), on_revoke=self.noted("revoked"))

    def failed(self, error):
        self.error = error

    def noted(self, kind):
        return lambda _, partitions: self.events.append((kind, {(p.topic, p.partition) for p in partitions}))

    def poll(self, seconds):
        got = []
        for message in self.client.consume(500, seconds):
            if message.error():
                code = message.error().code()
                if code == ck.KafkaError._PARTITION_EOF:
                    continue
                if code == ck.KafkaError._FATAL and "Static consumer fenced" in message.error().str():
                    code = rig.CODES["FENCED_INSTANCE_ID"]
                raise Refused(code, message.error().str())
            kind, timestamp = message.timestamp()
            place = (message.topic(), message.partition(), message.offset())
            # librdkafka counts CreateTime as 1.
            headers = message.headers() or []
            got.append(Record(*place, message.key(), message.value(), headers, timestamp, kind - 1))
        if self.error and self.error.fatal():
            raise Refused(self.error.code(), self.error.str())
        return got

    def assignment(self):
        return {(p.topic, p.partition) for p in self.client.assignment()}

    def commit(self, offsets=None):
        try:
            if offsets:
                parts = [ck.TopicPartition(t, p, o, metadata) for (t, p), (o, metadata) in offsets.items()]
                done = self.client.commit(offsets=parts, asynchronous=False)
            else:
                done = self.client.commit(asynchronous=False)
        except ck.KafkaException as wrong:
            if wrong.args[0].code() == ck.KafkaError._NO_OFFSET:
                return
            raise Refused(wrong.args[0].code(), wrong.args[0].str()) from None
        assert not any(p.error for p in done), done

    def committed(self, topic, partition):
        (found,) = self.client.committed([ck.TopicPartition(topic, partition)], 10)
        return None if found.offset < 0 else (found.offset, found.metadata)

    def position(self, topic, partition):
        (found,) = self.client.position([ck.TopicPartition(topic, partition)])
        if found.offset >= 0:
            return found.offset
        # No record has come yet, from a partition that may hold none.
        low, high = self.client.get_watermark_offsets(ck.TopicPartition(topic, partition), 10)
        return high if low == high or not self.assigning else -1

    def beginning(self, topic, partition):
        return self.client.get_watermark_offsets(ck.TopicPartition(topic, partition), 10)[0]

    def end(self, topic, partition):
        return self.client.get_watermark_offsets(ck.TopicPartition(topic, partition), 10)[1]

    def at_time(self, topic, partition, moment):
        (found,) = self.client.offsets_for_times([ck.TopicPartition(topic, partition, moment)], 10)
        return None if found.offset < 0 else found.offset

    def pause(self, topic, partition):
        self.client.pause([ck.TopicPartition(topic, partition)])

    def resume(self, topic, partition):
        self.client.resume([ck.TopicPartition(topic, partition)])

    def seek(self, topic, partition, offset):
        self.client.seek(ck.TopicPartition(topic, partition, offset))

    def close(self):
        self.client.close()


class Confluent:
    codecs = ["none", "gzip", "snappy", "lz4", "zstd"]
    features = {
        *["validate_only", "duplicate_headers", "neither", "null_headers", "metadata", "list_offsets", "max_timestamp"],
        *["fencing", "cluster_id", "delete_groups", "alter_group_offsets", "acls", "scram", "more_admin"],
    }
    lacks = {}

    def __init__(self):
        self.world = rig.World()

    def settings(self, security):
        return security or {"bootstrap.servers": self.world.plain}

    def admin(self, security=None):
        return Admin(self.settings(security))

    def producer(self, security=None, codec=None, acks="all", idempotent=False, linger_ms=0, max_request=1_000_000):
        return Producer(
            {
                **self.settings(security),
                "compression.type": codec or "none",
                "acks": acks,
                "enable.idempotence": idempotent,
                "linger.ms": linger_ms,
                "message.max.bytes": max_request,
                "delivery.timeout.ms": 20000,
            }
        )

    def consumer(self, group=None, topics=None, assign=None, reset="earliest", protocol=None, instance=None, **more):
        settings = {
            **self.settings(more.get("security")),
            "group.id": group or self.world.name("unused"),
            "auto.offset.reset": reset,
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 100,
        }
        if protocol == "next":
            settings["group.protocol"] = "consumer"
        else:
            settings |= {"session.timeout.ms": 8000, "heartbeat.interval.ms": 300}
            if protocol == "cooperative":
                settings["partition.assignment.strategy"] = "cooperative-sticky"
        if instance:
            settings["group.instance.id"] = instance
        return Consumer(settings, settings["group.id"], assign, topics)

    def sasl(self, mechanism, user=None, password=None, over_tls=False):
        security = {
            "bootstrap.servers": self.world.sasl_tls if over_tls else self.world.sasl,
            "security.protocol": "SASL_SSL" if over_tls else "SASL_PLAINTEXT",
            "sasl.mechanism": mechanism,
            "sasl.username": user or self.world.user,
            "sasl.password": password or self.world.password,
        }
        return security | ({"ssl.ca.location": self.world.ca} if over_tls else {})

    def tls(self, ca=None, certified=False):
        security = {
            "bootstrap.servers": self.world.tls,
            "security.protocol": "SSL",
            "ssl.ca.location": ca or self.world.ca,
        }
        if certified:
            security["ssl.certificate.location"] = self.world.client_cert
            security["ssl.key.location"] = self.world.client_key
        return security

    def shut_out(self, security):
        """Sees that these credentials do not come in, and that this is what the client says."""
        wanted = ck.KafkaError._SSL if security["security.protocol"] == "SSL" else ck.KafkaError._AUTHENTICATION
        told = threading.Event()
        client = ck.Producer({**security, "error_cb": lambda error: error.code() == wanted and told.set()})
        until(lambda: client.poll(0.05) or told.is_set(), 15, "the client is told that it is shut out")
        try:
            client.list_topics(timeout=1)
        except ck.KafkaException:
            return
        raise AssertionError("it came in")

    def more_admin(self):
        """Electing a leader where nothing is to be elected; describing topics with what one may do."""
        admin = self.admin()
        topic = self.world.name("elected")
        admin.create_topic(topic, 1)
        done = called(admin.client.elect_leaders(ck.ElectionType.PREFERRED, [ck.TopicPartition(topic, 0)]))
        (error,) = done.values()
        assert error is None or error.name() == "ELECTION_NOT_NEEDED", error
        described = one(
            admin.client.describe_topics(ck.TopicCollection([topic]), include_authorized_operations=True)
        )
        assert len(described.authorized_operations) >= 8, described.authorized_operations


def transactions():
    """Commits are seen whole and aborts not at all by who reads committed; who comes later shuts out who was before."""
    world = rig.World()
    topic, name = world.name("txn"), world.name("x")
    Admin({"bootstrap.servers": world.plain}).create_topic(topic, 2)

    def producer(**more):
        made = ck.Producer({"bootstrap.servers": world.plain, "transactional.id": name, **more})
        made.init_transactions(20)
        return made

    def send(producer, values):
        for value in values:
            producer.produce(topic, value=value, partition=len(value) % 2)
        producer.flush(20)

    first = producer()
    for committed in (True, False, True):
        first.begin_transaction()
        send(first, [f"first-{committed}-{'x' * n}" for n in range(10)])
        first.commit_transaction(20) if committed else first.abort_transaction(20)
    first.begin_transaction()
    send(first, ["torn", "torn-"])
    second = producer()
    second.begin_transaction()
    send(second, ["second", "second-"])
    second.commit_transaction(20)
    try:
        first.commit_transaction(20)
        raise AssertionError("the first producer was not shut out")
    except ck.KafkaException as refused:
        assert refused.args[0].fatal(), refused
    slow = producer(**{"transaction.timeout.ms": 1000})
    slow.begin_transaction()
    send(slow, ["slow", "slow-"])
    wanted = 2 * sorted(f"first-True-{'x' * n}" for n in range(10)) + ["second", "second-"]

    def read(isolation):
        consumer = ck.Consumer(
            {"bootstrap.servers": world.plain, "group.id": world.name("g"), "isolation.level": isolation}
        )
        consumer.assign([ck.TopicPartition(topic, partition, 0) for partition in range(2)])
        values, deadline = [], time.monotonic() + 20
        while time.monotonic() < deadline and len(values) < len(wanted):
            message = consumer.poll(0.2)
            if message is not None and message.error() is None:
                values.append(message.value().decode())
        more = consumer.poll(1)
        consumer.close()
        return values + ([more.value().decode()] if more is not None and more.error() is None else [])

    assert sorted(read("read_committed")) == sorted(wanted), read("read_committed")
    # What took too long is aborted by the broker: its producer hears of it, and nothing is seen of it.
    time.sleep(3 if world.kind == "klog" else 12)
    try:
        slow.commit_transaction(20)
        raise AssertionError("a transaction was committed that took too long")
    except ck.KafkaException as refused:
        assert refused.args[0].fatal() or refused.args[0].txn_requires_abort(), refused
    assert sorted(read("read_committed")) == sorted(wanted)


if __name__ == "__main__":
    client = Confluent()
    rig.main({**scenarios.of(client), "transactions": transactions})
