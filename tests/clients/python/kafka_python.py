"""kafka-python as the scenarios see it."""

import contextlib
import logging
import signal
import ssl
import subprocess

import kafka
from kafka import errors
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ConfigResource,
    OffsetSpec,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor

import rig
import scenarios
from rig import Record, Refused, until


@contextlib.contextmanager
def asking():
    try:
        yield
    except errors.KafkaError as wrong:
        raise Refused(getattr(wrong, "errno", -1), repr(wrong)) from None


def told(error, text=""):
    """Raises what an answer holds as an error class or a code."""
    code = error if isinstance(error, int) else getattr(error, "errno", 0)
    if code:
        raise Refused(code, f"{error} {text}")


class Admin:
    def __init__(self, settings):
        self.client = kafka.KafkaAdminClient(**settings)

    def close(self):
        self.client.close()

    def create_topic(self, name, partitions, settings=None, replication=1, validate_only=False):
        topic = {"num_partitions": partitions, "replication_factor": replication, "configs": settings or {}}
        with asking():
            self.client.create_topics({name: topic}, validate_only=validate_only)

    def delete_topic(self, name):
        with asking():
            self.client.delete_topics([name])

    def list_topics(self):
        return set(self.client.list_topics())

    def partitions(self, name):
        (described,) = self.client.describe_topics([name])
        told(described["error_code"])
        assert all(p["leader_id"] == 1 and p["isr_nodes"] == [1] for p in described["partitions"]), described
        return len(described["partitions"])

    def create_partitions(self, name, total):
        with asking():
            self.client.create_partitions({name: total})

    def describe(self, kind, name):
        with asking():
            return self.client.describe_configs([ConfigResource(kind, name)], config_filter="all")[kind][str(name)]

    def describe_topic(self, name):
        found = self.describe("topic", name)
        if not found:
            raise Refused(3, "the client hides the error: no settings at all")
        return {k: (v["value"], v["config_source"] == "DEFAULT_CONFIG") for k, v in found.items()}

    def describe_broker(self, node):
        return {key: entry["value"] for key, entry in self.describe("broker", str(node)).items()}

    def alter_topic(self, name, settings, delete=()):
        changes = {**settings, **{key: ("DELETE", None) for key in delete}}
        resource = ConfigResource("topic", name, changes)
        with asking():
            answer = self.client.alter_configs([resource], raise_on_unknown=False)
        (result,) = answer["topic"].values()
        if "error" in str(result).lower():
            for code_name in ["INVALID_CONFIG", "UNKNOWN_TOPIC_OR_PARTITION"]:
                if code_name.replace("_", "").lower() in str(result).replace("_", "").lower():
                    raise Refused(rig.CODES[code_name], str(result))
            raise AssertionError(result)

    def cluster(self):
        found = self.client.describe_cluster()
        brokers = [b.get("broker_id", b.get("node_id")) for b in found["brokers"]]
        return {"id": found["cluster_id"], "controller": found["controller_id"], "brokers": brokers}

    def list_groups(self):
        return {group["group_id"] for group in self.client.list_groups()}

    def describe_group(self, name):
        found = self.client.describe_groups([name])[name]
        assert not found["error"] or "GroupIdNotFound" in found["error"], found
        return {"state": found["group_state"], "members": len(found["members"])}

    def group_offsets(self, name):
        found = self.client.list_group_offsets(name)[name]
        return {(p.topic, p.partition): o.offset for p, o in found.items()}

    def alter_group_offsets(self, name, offsets):
        wanted = {kafka.TopicPartition(*p): kafka.OffsetAndMetadata(o, "", -1) for p, o in offsets.items()}
        for error in self.client.alter_group_offsets(name, wanted).values():
            told(error)

    def delete_group_offsets(self, name, places):
        with asking():
            answer = self.client.delete_group_offsets(name, [kafka.TopicPartition(*p) for p in places])
        for error in answer.values():
            told(error)

    def delete_group(self, name):
        with asking():
            answer = self.client.delete_groups([name])
        if answer[name] != "OK":
            told(getattr(errors, answer[name]))

    def list_offsets(self, specs):
        words = {"earliest": OffsetSpec.EARLIEST, "latest": OffsetSpec.LATEST}
        words["max_timestamp"] = OffsetSpec.MAX_TIMESTAMP
        wanted = {kafka.TopicPartition(*place): words.get(spec, spec) for place, spec in specs.items()}
        found = self.client.list_partition_offsets(wanted)
        return {(p.topic, p.partition): answer.offset for p, answer in found.items()}

    def delete_records(self, offsets):
        with asking():
            done = self.client.delete_records({kafka.TopicPartition(*p): o for p, o in offsets.items()})
        return {(p.topic, p.partition): answer["low_watermark"] for p, answer in done.items()}

    def acl_filter(self, principal):
        pattern = ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)
        return ACLFilter(principal, None, ACLOperation.ANY, ACLPermissionType.ANY, pattern)

    def rules(self, found):
        return [
            {
                "principal": a.principal,
                "topic": a.resource_pattern.resource_name,
                "operation": a.operation.name,
                "permission": a.permission_type.name,
                "host": a.host,
            }
            for a in found
        ]

    def acls(self, principal):
        found, error = self.client.describe_acls(self.acl_filter(principal))
        told(error)
        return self.rules(found)

    def create_acl(self, rule):
        pattern = ResourcePattern(ResourceType.TOPIC, rule["topic"])
        what = (ACLOperation[rule["operation"]], ACLPermissionType[rule["permission"]])
        answer = self.client.create_acls([ACL(rule["principal"], rule["host"], *what, pattern)])
        assert len(answer["succeeded"]) == 1 and not answer["failed"], answer

    def delete_acls(self, principal):
        ((_, found, error),) = self.client.delete_acls([self.acl_filter(principal)])
        told(error)
        return self.rules(found[0] if found and isinstance(found[0], list) else [getattr(a, "acl", a) for a in found])

    def scram_users(self):
        return set(self.client.describe_user_scram_credentials())

    def scram_mechanisms(self, user):
        found = self.client.describe_user_scram_credentials([user])[user]
        if found["error"] is not None:
            raise Refused(91, found["error"])
        return {i["mechanism"].name.replace("_", "-"): i["iterations"] for i in found["credential_infos"]}

    def add_scram(self, user, mechanism, password, iterations):
        change = UserScramCredentialUpsertion(user, mechanism, password, iterations)
        assert self.client.alter_user_scram_credentials([change]) == {user: None}

    def remove_scram(self, user, mechanism):
        assert self.client.alter_user_scram_credentials([UserScramCredentialDeletion(user, mechanism)]) == {user: None}


class Transactional:
    """A producer in transactions: each value goes to a partition of its own."""

    def __init__(self, settings):
        with asking():
            self.client = kafka.KafkaProducer(**settings)
            self.client.init_transactions()

    def begin(self):
        with asking():
            self.client.begin_transaction()

    def send(self, topic, values):
        with asking():
            for partition, value in enumerate(values):
                self.client.send(topic, value, partition=partition).get(20)

    def offsets(self, offsets, group):
        places = {kafka.TopicPartition(*p): kafka.OffsetAndMetadata(o, "", -1) for p, o in offsets.items()}
        with asking():
            self.client.send_offsets_to_transaction(places, group)

    def end(self, commit):
        with asking():
            self.client.commit_transaction() if commit else self.client.abort_transaction()

    def close(self):
        self.client.close()


class Producer:
    def __init__(self, settings):
        with asking():
            self.client = kafka.KafkaProducer(**settings)
        self.acks = settings["acks"]
        self.sent = []

    def send(self, topic, value, key=None, partition=None, headers=(), timestamp=None):
        try:
            self.sent.append(
                self.client.send(
                    topic, value, key=key, partition=partition, headers=list(headers), timestamp_ms=timestamp
                )
            )
        except errors.KafkaError as wrong:
            self.sent.append(wrong)

    def flush(self):
        self.client.flush(30)
        sent, self.sent = self.sent, []
        results = []
        for future in sent:
            try:
                if isinstance(future, errors.KafkaError):
                    raise future
                results.append(future.get(20).offset)
            except errors.KafkaError as wrong:
                results.append(Refused(getattr(wrong, "errno", -1), repr(wrong)))
        return results

    def close(self):
        self.client.close()


class Consumer:
    # How long a poll of a group member waits, in seconds.
    patience = 0.4

    def __init__(self, settings, assign, topics):
        self.group, self.events = settings["group_id"], []
        with asking():
            self.client = kafka.KafkaConsumer(**settings)
        if assign is not None:
            self.client.assign([kafka.TopicPartition(t, p) for t, p, _ in assign])
            for topic, partition, offset in assign:
                place = kafka.TopicPartition(topic, partition)
                if offset == "earliest":
                    self.client.seek_to_beginning(place)
                elif offset == "latest":
                    self.client.seek_to_end(place)
                else:
                    self.client.seek(place, offset)
        else:
            self.client.subscribe(topics, listener=Listener(self.events))
            # A leader that joined before it knew the topics joins again once it does, and stalls when a poll ends amid
            # that: FINDINGS.md. It knows them from here on.
            for topic in topics:
                self.client.partitions_for_topic(topic)

    def poll(self, seconds):
        with asking():
            polled = self.client.poll(int(seconds * 1000))
        return [
            Record(
                *(r.topic, r.partition, r.offset, r.key, r.value),
                *([(h[0], h[1]) for h in r.headers], r.timestamp, r.timestamp_type),
            )
            for records in polled.values()
            for r in records
        ]

    def assignment(self):
        return {(p.topic, p.partition) for p in self.client.assignment()}

    def commit(self, offsets=None):
        wanted = None
        if offsets:
            given = {kafka.TopicPartition(*place): value for place, value in offsets.items()}
            wanted = {place: kafka.OffsetAndMetadata(offset, note, -1) for place, (offset, note) in given.items()}
        with asking():
            self.client.commit(wanted)

    def committed(self, topic, partition):
        found = self.client.committed(kafka.TopicPartition(topic, partition), metadata=True)
        return None if found is None or found.offset is None or found.offset < 0 else (found.offset, found.metadata)

    def position(self, topic, partition):
        return self.client.position(kafka.TopicPartition(topic, partition))

    def bound(self, ask, topic, partition):
        place = kafka.TopicPartition(topic, partition)
        return ask([place])[place]

    def beginning(self, topic, partition):
        return self.bound(self.client.beginning_offsets, topic, partition)

    def end(self, topic, partition):
        return self.bound(self.client.end_offsets, topic, partition)

    def at_time(self, topic, partition, moment):
        place = kafka.TopicPartition(topic, partition)
        found = self.client.offsets_for_times({place: moment})[place]
        return None if found is None or found.offset < 0 else found.offset

    def pause(self, topic, partition):
        self.client.pause(kafka.TopicPartition(topic, partition))

    def resume(self, topic, partition):
        self.client.resume(kafka.TopicPartition(topic, partition))

    def seek(self, topic, partition, offset):
        self.client.seek(kafka.TopicPartition(topic, partition), offset)

    def close(self):
        self.client.close(autocommit=False)


class Listener(kafka.ConsumerRebalanceListener):
    def __init__(self, events):
        self.events = events

    def on_partitions_revoked(self, revoked):
        self.events.append(("revoked", {(p.topic, p.partition) for p in revoked}))

    def on_partitions_assigned(self, assigned):
        self.events.append(("assigned", {(p.topic, p.partition) for p in assigned}))


class KafkaPython:
    codecs = ["none", "gzip", "snappy", "lz4", "zstd"]
    features = {
        *["validate_only", "duplicate_headers", "metadata", "list_offsets", "max_timestamp", "fencing"],
        *["cluster_id", "delete_groups", "alter_group_offsets", "delete_group_offsets", "acls", "scram", "more_admin"],
    }
    lacks = {"group_next": "kafka-python speaks the classic group protocol only"}

    def __init__(self):
        logging.getLogger("kafka").setLevel(logging.CRITICAL)
        self.world = rig.World()

    def settings(self, security):
        return security or {"bootstrap_servers": self.world.plain}

    def admin(self, security=None):
        return Admin(self.settings(security))

    def producer(self, security=None, codec=None, acks="all", idempotent=False, linger_ms=0, max_request=1_000_000):
        more = {"compression_type": None if codec == "none" else codec, "acks": acks}
        more |= {"enable_idempotence": idempotent, "linger_ms": linger_ms, "max_request_size": max_request}
        more |= {"delivery_timeout_ms": 20000, "request_timeout_ms": 10000}
        return Producer({**self.settings(security), **more})

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
        if protocol == "cooperative":
            settings["partition_assignment_strategy"] = [CooperativeStickyAssignor]
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
        return security | ({"ssl_cafile": self.world.ca} if over_tls else {})

    def tls(self, ca=None, certified=False):
        security = {"bootstrap_servers": self.world.tls, "security_protocol": "SSL", "ssl_cafile": ca or self.world.ca}
        if certified:
            security |= {"ssl_certfile": self.world.client_cert, "ssl_keyfile": self.world.client_key}
        return security

    def shut_out(self, security):
        """The error is only that of a bootstrap that took too long: what the broker said is in the client's log."""
        said = []
        handler = logging.Handler()
        handler.emit = lambda record: said.append(record.getMessage())
        log = logging.getLogger("kafka.net")
        log.addHandler(handler), log.setLevel(logging.WARNING)
        log.propagate = False
        try:
            kafka.KafkaAdminClient(**security, bootstrap_timeout_ms=1500)
        except (errors.KafkaError, ssl.SSLError):
            certificate = security["security_protocol"] == "SSL"
            wanted = ["CERTIFICATE_VERIFY_FAILED"] if certificate else ["SaslAuthenticationFailed", "disconnected"]
            assert any(word in " ".join(said) for word in wanted), said
        else:
            raise AssertionError("it came in")
        finally:
            log.removeHandler(handler)

    def more_admin(self):
        """The calls that no other client has."""
        client = self.admin().client
        topic = self.world.name("more")
        client.create_topics({topic: {"num_partitions": 2}}, wait_for_metadata=True)
        found = client.describe_topic_partitions([topic])
        assert [len(t["partitions"]) for t in found["topics"]] == [2], found
        assert client.list_partition_reassignments() == {}
        client.elect_leaders(0, {topic: [0, 1]})
        (dirs,) = client.describe_log_dirs([topic])
        assert dirs, dirs
        versions = client.api_versions()
        assert versions
        features = client.describe_features()
        assert "group.version" in str(features), features
        quorum = client.describe_metadata_quorum()
        assert quorum, quorum
        assert topic in client.list_config_resources(["TOPIC"])["topic"], "the topic is a resource"
        client.close()


def mixed():
    """A group of klog's own consumer and kafka-python's."""
    c = KafkaPython()
    world = c.world
    topic, group = world.name("mixed"), world.name("group")
    world.run_klog("topic", "create", topic, "-p", "4")
    mate = subprocess.Popen(
        [world.klog, "-b", world.plain, "consume", topic, "-g", group, "-f", "%p %v\n"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    python = c.consumer(group=group, topics=[topic])
    try:
        until(lambda: python.poll(0.1) or len(python.assignment()) == 2, 40, "two partitions each")
        for partition in range(4):
            world.run_klog("produce", topic, "-p", str(partition), stdin=b"%d\n" % partition)
        got = []
        until(lambda: got.extend(int(r.value) for r in python.poll(0.2)) or len(got) == 2, 20, "its own records")
        theirs = sorted(int(mate.stdout.readline().split()[1]) for _ in range(2))
        assert sorted(got + theirs) == [0, 1, 2, 3]
    finally:
        python.close()
        mate.send_signal(signal.SIGTERM)
        code = mate.wait(15)
    assert code in (-signal.SIGTERM, 143), code


if __name__ == "__main__":
    client = KafkaPython()
    rig.main({**scenarios.of(client, transactions=scenarios.transactions), "mixed": mixed})
