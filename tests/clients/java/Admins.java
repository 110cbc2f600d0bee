import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.CreateTopicsResult;
import org.apache.kafka.clients.admin.DescribeClusterResult;
import org.apache.kafka.clients.admin.FeatureMetadata;
import org.apache.kafka.clients.admin.FeatureUpdate;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsSpec;
import org.apache.kafka.clients.admin.ListOffsetsResult;
import org.apache.kafka.clients.admin.LogDirDescription;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.QuorumInfo;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.admin.UpdateFeaturesOptions;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.ElectionNotNeededException;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.GroupSubscribedToTopicException;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidReplicaAssignmentException;
import org.apache.kafka.common.errors.InvalidReplicationFactorException;
import org.apache.kafka.common.errors.InvalidUpdateVersionException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicIdException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourcePatternFilter;
import org.apache.kafka.common.resource.ResourceType;

/** What an administrator does: topics, settings, offsets, groups, rules, the cluster. */
final class Admins {
    private Admins() {}

    static void topics(World w) throws Exception {
        String name = w.name("topics");
        try (Admin admin = w.admin()) {
            NewTopic plain = new NewTopic(name, 3, (short) 1).configs(Map.of("retention.ms", "1234567"));
            admin.createTopics(List.of(plain), new CreateTopicsOptions().validateOnly(true)).all().get();
            CreateTopicsResult made = admin.createTopics(List.of(plain));
            World.same("partitions", made.numPartitions(name).get(), 3);
            World.same("a setting in the answer", made.config(name).get().get("retention.ms").value(), "1234567");
            refused(admin, plain, TopicExistsException.class);
            refused(admin, new NewTopic("no/slash", 1, (short) 1), InvalidTopicException.class);
            refused(admin, new NewTopic(w.name("many"), 1, (short) 3), InvalidReplicationFactorException.class);
            refused(admin, new NewTopic(w.name("none"), 0, (short) 1), InvalidPartitionsException.class);
            refused(admin, new NewTopic(w.name("odd"), 1, (short) 1).configs(Map.of("no.such", "1")),
                    InvalidConfigurationException.class);
            TopicDescription described = described(admin, name);
            World.same("partitions", described.partitions().size(), 3);
            World.that(described.partitions().get(0).leader().id() == described.partitions().get(0).isr().get(0).id(), "leader");
            World.same("described by id", admin.describeTopics(TopicCollection.ofTopicIds(List.of(described.topicId())))
                    .topicIdValues().get(described.topicId()).get().name(), name);
            World.that(admin.listTopics().names().get().contains(name), "listed");
            World.fails("no such topic", UnknownTopicOrPartitionException.class, () -> described(admin, w.name("nowhere")));
            NewTopic assigned = new NewTopic(w.name("assigned"), Map.of(0, List.of(described.partitions().get(0).leader().id())));
            admin.createTopics(List.of(assigned)).all().get();
            admin.createTopics(List.of(new NewTopic(w.name("defaults"), Optional.empty(), Optional.empty()))).all().get();
            admin.createPartitions(Map.of(name, NewPartitions.increaseTo(5))).all().get();
            World.until("five partitions", () -> World.must(() -> described(admin, name)).partitions().size() == 5);
            World.fails("fewer partitions", InvalidPartitionsException.class,
                    () -> admin.createPartitions(Map.of(name, NewPartitions.increaseTo(2))).all().get());
            w.values(name, 4, List.of("x"));
            admin.deleteTopics(List.of(name)).all().get();
            World.fails("deleted twice", UnknownTopicOrPartitionException.class, () -> admin.deleteTopics(List.of(name)).all().get());
            World.fails("deleted twice, by id", UnknownTopicIdException.class,
                    () -> admin.deleteTopics(TopicCollection.ofTopicIds(List.of(described.topicId()))).all().get());
            World.until("it is gone", () -> World.must(() -> !admin.listTopics().names().get().contains(name)));
            World.until("made again", () -> made(admin, new NewTopic(name, 1, (short) 1)));
            World.until("seen again", () -> seen(admin, name));
            Uuid again = described(admin, name).topicId();
            World.that(!again.equals(described.topicId()) && !again.equals(Uuid.ZERO_UUID), "a new id");
            w.values(name, 0, List.of("fresh"));
            World.same("only what is new", World.texts(w.whole(name, 1)), List.of("fresh"));
            admin.deleteTopics(TopicCollection.ofTopicIds(List.of(again))).all().get();
        }
    }

    private static void refused(Admin admin, NewTopic topic, Class<? extends Exception> kind) {
        World.fails(topic.name(), kind, () -> admin.createTopics(List.of(topic)).all().get());
    }

    private static boolean made(Admin admin, NewTopic topic) {
        try {
            admin.createTopics(List.of(topic)).all().get();
            return true;
        } catch (ExecutionException notYet) {
            return false;
        } catch (InterruptedException ended) {
            throw new AssertionError(ended);
        }
    }

    private static boolean seen(Admin admin, String name) {
        try {
            return described(admin, name).partitions().size() == 1;
        } catch (Exception notYet) {
            return false;
        }
    }

    private static TopicDescription described(Admin admin, String name) throws Exception {
        return admin.describeTopics(List.of(name)).allTopicNames().get().get(name);
    }

    static void configs(World w) throws Exception {
        String name = w.topic("configs", 1, "retention.ms", "1000000");
        ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, name);
        try (Admin admin = w.admin(); KafkaProducer<byte[], byte[]> producer = w.producer()) {
            expect(admin, topic, "retention.ms", "1000000", ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG);
            expect(admin, topic, "cleanup.policy", "delete", ConfigEntry.ConfigSource.DEFAULT_CONFIG);
            alter(admin, topic, op("max.message.bytes", "2000", AlterConfigOp.OpType.SET),
                    op("cleanup.policy", "compact", AlterConfigOp.OpType.APPEND), op("retention.ms", "", AlterConfigOp.OpType.DELETE));
            expect(admin, topic, "max.message.bytes", "2000", ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG);
            expect(admin, topic, "cleanup.policy", "delete,compact", ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG);
            expect(admin, topic, "retention.ms", "604800000", ConfigEntry.ConfigSource.DEFAULT_CONFIG);
            alter(admin, topic, op("cleanup.policy", "delete", AlterConfigOp.OpType.SUBTRACT));
            expect(admin, topic, "cleanup.policy", "compact", ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG);
            World.fails("an unknown name", InvalidConfigurationException.class,
                    () -> alter(admin, topic, op("no.such", "1", AlterConfigOp.OpType.SET)));
            World.fails("a bad value", InvalidConfigurationException.class,
                    () -> alter(admin, topic, op("retention.ms", "soon", AlterConfigOp.OpType.SET)));
            World.fails("the setting holds at once", RecordTooLargeException.class,
                    () -> producer.send(new ProducerRecord<>(name, new byte[1], World.noise(3000))).get());
            Node node = admin.describeCluster().controller().get();
            ConfigResource broker = new ConfigResource(ConfigResource.Type.BROKER, node.idString());
            Config described = admin.describeConfigs(List.of(broker)).all().get().get(broker);
            World.same("the broker's id", described.get("node.id").value(), node.idString());
            World.that(described.get("node.id").isReadOnly(), "which can not be altered");
            World.that(described.entries().size() > 100, described.entries().size() + " broker settings");
            ConfigResource nowhere = new ConfigResource(ConfigResource.Type.TOPIC, w.name("nowhere"));
            World.fails("settings of no topic", UnknownTopicOrPartitionException.class,
                    () -> admin.describeConfigs(List.of(nowhere)).all().get());
            alter(admin, broker, op("message.max.bytes", "1048577", AlterConfigOp.OpType.SET));
            expect(admin, broker, "message.max.bytes", "1048577", ConfigEntry.ConfigSource.DYNAMIC_BROKER_CONFIG);
            alter(admin, broker, op("message.max.bytes", "", AlterConfigOp.OpType.DELETE));
            expect(admin, broker, "message.max.bytes", "1048588", ConfigEntry.ConfigSource.DEFAULT_CONFIG);
        }
    }

    private static AlterConfigOp op(String name, String value, AlterConfigOp.OpType kind) {
        return new AlterConfigOp(new ConfigEntry(name, value), kind);
    }

    private static Void alter(Admin admin, ConfigResource resource, AlterConfigOp... changes) throws Exception {
        return admin.incrementalAlterConfigs(Map.of(resource, List.of(changes))).all().get();
    }

    private static void expect(Admin admin, ConfigResource resource, String key, String value, ConfigEntry.ConfigSource source) {
        World.until(key + " is " + value, () -> {
            ConfigEntry entry = World.must(() -> admin.describeConfigs(List.of(resource)).all().get()).get(resource).get(key);
            return entry.value().equals(value) && entry.source() == source;
        });
    }

    static void offsets(World w) throws Exception {
        String topic = w.topic("offsets", 2, "retention.ms", "-1"), group = w.name("offsets");
        TopicPartition zero = new TopicPartition(topic, 0), one = new TopicPartition(topic, 1);
        try (Admin admin = w.admin(); KafkaProducer<byte[], byte[]> producer = w.producer()) {
            for (long n = 0; n < 10; n++) {
                producer.send(new ProducerRecord<>(topic, 0, 1_700_000_000_000L + 1000 * n, null, new byte[1])).get();
            }
            producer.send(new ProducerRecord<>(topic, 0, 1_600_000_000_000L, null, new byte[2])).get();
            at(admin, zero, "earliest", OffsetSpec.earliest(), 0, -1);
            at(admin, zero, "latest", OffsetSpec.latest(), 11, -1);
            at(admin, zero, "by time", OffsetSpec.forTimestamp(1_700_000_004_500L), 5, 1_700_000_005_000L);
            at(admin, zero, "a time nobody reached", OffsetSpec.forTimestamp(1_900_000_000_000L), -1, -1);
            at(admin, zero, "max timestamp", OffsetSpec.maxTimestamp(), 9, 1_700_000_009_000L);
            at(admin, zero, "earliest local", OffsetSpec.earliestLocal(), 0, -1);
            at(admin, one, "max timestamp of nothing", OffsetSpec.maxTimestamp(), -1, -1);
            at(admin, one, "latest", OffsetSpec.latest(), 0, -1);
            Map<TopicPartition, OffsetAndMetadata> commits = Map.of(zero, new OffsetAndMetadata(6, Optional.empty(), "a note"));
            admin.alterConsumerGroupOffsets(group, commits).all().get();
            Map<TopicPartition, OffsetAndMetadata> found = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
            World.same("committed", found, commits);
            ListConsumerGroupOffsetsSpec spec = new ListConsumerGroupOffsetsSpec().topicPartitions(List.of(one));
            World.same("nothing committed", admin.listConsumerGroupOffsets(Map.of(group, spec, group + "2", spec)).all().get().get(group).get(one), null);
        }
        try (KafkaConsumer<byte[], byte[]> consumer = w.consumer("group.id", group)) {
            consumer.subscribe(List.of(topic));
            List<ConsumerRecord<byte[], byte[]>> got = World.read(consumer, 5);
            World.same("from the committed offset", got.get(0).offset(), 6L);
            consumer.commitSync(Map.of(zero, new OffsetAndMetadata(9, Optional.of(0), "nine")));
            World.same("committed", consumer.committed(Set.of(zero)).get(zero).offset(), 9L);
            World.same("its note", consumer.committed(Set.of(zero)).get(zero).metadata(), "nine");
            World.same("by time", consumer.offsetsForTimes(Map.of(zero, 1_700_000_007_000L)).get(zero).offset(), 7L);
            World.same("ends", consumer.endOffsets(List.of(zero, one)), Map.of(zero, 11L, one, 0L));
        }
    }

    private static void at(Admin admin, TopicPartition where, String what, OffsetSpec spec, long offset, long time) throws Exception {
        ListOffsetsResult.ListOffsetsResultInfo found = admin.listOffsets(Map.of(where, spec)).partitionResult(where).get();
        World.same(what, List.of(found.offset(), found.timestamp()), List.of(offset, time));
    }

    static void admin(World w) throws Exception {
        String topic = w.topic("admin", 2), group = w.name("admin");
        TopicPartition zero = new TopicPartition(topic, 0), one = new TopicPartition(topic, 1);
        w.values(topic, 0, List.of("a", "b", "c"));
        try (Admin admin = w.admin()) {
            DescribeClusterResult cluster = admin.describeCluster();
            World.that(!cluster.clusterId().get().isEmpty() && cluster.nodes().get().size() == 1, "a cluster of one");
            int node = cluster.controller().get().id();
            Groups.Member member = new Groups.Member(w, group, topic);
            Groups.reads(List.of("a", "b", "c"), member);
            World.fails("a group with members stays", GroupNotEmptyException.class, () -> admin.deleteConsumerGroups(List.of(group)).all().get());
            World.fails("offsets of a subscribed topic stay", GroupSubscribedToTopicException.class,
                    () -> admin.deleteConsumerGroupOffsets(group, Set.of(zero)).all().get());
            member.leave();
            admin.deleteConsumerGroupOffsets(group, Set.of(zero)).all().get();
            World.that(!admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().containsKey(zero), "the offset is gone");
            admin.deleteConsumerGroups(List.of(group)).all().get();
            World.fails("deleted twice", GroupIdNotFoundException.class, () -> admin.deleteConsumerGroups(List.of(group)).all().get());
            World.fails("described", GroupIdNotFoundException.class, () -> admin.describeConsumerGroups(List.of(group)).all().get());
            // Rules and users are the secured broker's.
            try (Admin secure = w.admin(Secrets.auth(w, "sasl", "SASL_PLAINTEXT", "PLAIN", w.get("user"), w.get("password")))) {
                rules(w, secure);
                Secrets.scramUsers(w, secure);
            }
            Map<String, LogDirDescription> dirs = admin.describeLogDirs(List.of(node)).allDescriptions().get().get(node);
            World.same("log folders", dirs.size(), 1);
            LogDirDescription dir = dirs.values().iterator().next();
            World.that(dir.replicaInfos().get(zero).size() > 0 && dir.totalBytes().getAsLong() > dir.usableBytes().getAsLong(), "log folder: " + dir);
            World.same("reassignments", admin.listPartitionReassignments().reassignments().get().size(), 0);
            admin.alterPartitionReassignments(Map.of(zero, Optional.of(new NewPartitionReassignment(List.of(node))))).all().get();
            World.fails("reassign to nobody", InvalidReplicaAssignmentException.class, () -> admin.alterPartitionReassignments(
                    Map.of(zero, Optional.of(new NewPartitionReassignment(List.of(node + 70))))).all().get());
            Optional<Throwable> elected = admin.electLeaders(ElectionType.PREFERRED, Set.of(zero, one)).partitions().get().get(zero);
            World.that(elected.isPresent() && elected.get() instanceof ElectionNotNeededException, "elect: " + elected);
            cluster(w, admin, node);
        }
    }

    private static void cluster(World w, Admin admin, int node) throws Exception {
        FeatureMetadata features = admin.describeFeatures().featureMetadata().get();
        World.that(features.finalizedFeatures().get("metadata.version").maxVersionLevel() > 0, "features: " + features);
        World.same("group.version", (int) features.finalizedFeatures().get("group.version").maxVersionLevel(), 1);
        World.fails("an unknown feature", InvalidUpdateVersionException.class, () -> admin.updateFeatures(
                Map.of("no.such", new FeatureUpdate((short) 1, FeatureUpdate.UpgradeType.UPGRADE)),
                new UpdateFeaturesOptions().validateOnly(true)).all().get());
        QuorumInfo quorum = admin.describeMetadataQuorum().quorumInfo().get();
        World.that(quorum.leaderId() == node && quorum.voters().size() == 1, "a quorum of one: " + quorum);
        World.that(!admin.listConfigResources().all().get().isEmpty(), "config resources");
    }

    private static void rules(World w, Admin admin) throws Exception {
        ResourcePattern pattern = new ResourcePattern(ResourceType.TOPIC, w.name("ruled"), PatternType.PREFIXED);
        List<AclBinding> rules = new ArrayList<>();
        for (AclOperation operation : List.of(AclOperation.READ, AclOperation.WRITE)) {
            rules.add(new AclBinding(pattern, new AccessControlEntry("User:bob", "10.0.0.1", operation, AclPermissionType.ALLOW)));
        }
        rules.add(new AclBinding(pattern, new AccessControlEntry("User:eve", "*", AclOperation.ALL, AclPermissionType.DENY)));
        admin.createAcls(rules).all().get();
        AclBindingFilter filter = new AclBindingFilter(
                new ResourcePatternFilter(ResourceType.TOPIC, w.name("ruled"), PatternType.PREFIXED),
                org.apache.kafka.common.acl.AccessControlEntryFilter.ANY);
        World.until("three rules", () -> Set.copyOf(World.must(() -> admin.describeAcls(filter).values().get())).equals(Set.copyOf(rules)));
        AclBindingFilter matching = new AclBindingFilter(
                new ResourcePatternFilter(ResourceType.TOPIC, w.name("ruled-and-more"), PatternType.MATCH),
                org.apache.kafka.common.acl.AccessControlEntryFilter.ANY);
        World.that(admin.describeAcls(matching).values().get().containsAll(rules), "found by a name they match");
        Collection<AclBinding> gone = admin.deleteAcls(List.of(filter)).all().get();
        World.same("deleted", Set.copyOf(gone), Set.copyOf(rules));
        World.until("no rules", () -> World.must(() -> admin.describeAcls(filter).values().get()).isEmpty());
    }
}
