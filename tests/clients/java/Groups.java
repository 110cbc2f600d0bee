import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;

/** Consumer groups of both protocols. */
final class Groups {
    private Groups() {}

    /** A member that polls and commits in a thread of its own. */
    static final class Member implements ConsumerRebalanceListener {
        private final KafkaConsumer<byte[], byte[]> consumer;
        private final Thread thread;
        private final Set<Integer> owned = new TreeSet<>();
        private final List<String> got = new ArrayList<>();
        private volatile boolean leaving;
        private volatile Throwable failure;
        private int lost;
        private int changes;

        Member(World w, String group, Object topics, String... pairs) {
            String[] all = Stream.concat(Arrays.stream(pairs),
                    Stream.of("group.id", group, "enable.auto.commit", "false", "metadata.max.age.ms", "1000"))
                    .toArray(String[]::new);
            consumer = w.consumer(all);
            if (topics instanceof SubscriptionPattern pattern) {
                consumer.subscribe(pattern, this);
            } else {
                consumer.subscribe(List.of((String) topics), this);
            }
            thread = new Thread(this::run);
            thread.start();
        }

        private void run() {
            try {
                while (!leaving) {
                    List<String> texts = new ArrayList<>();
                    consumer.poll(Duration.ofMillis(50)).forEach(record -> texts.add(new String(record.value())));
                    synchronized (this) {
                        got.addAll(texts);
                    }
                    if (!texts.isEmpty()) {
                        commit();
                    }
                }
                commit();
                consumer.close();
            } catch (Throwable reason) {
                failure = reason;
            }
        }

        private void commit() {
            try {
                consumer.commitSync();
            } catch (RebalanceInProgressException joining) {
                // The next poll completes the rebalance, the next commit covers these records too.
                return;
            }
        }

        @Override
        public synchronized void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            partitions.forEach(partition -> owned.add(partition.partition()));
            changes += partitions.size();
        }

        @Override
        public synchronized void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            commit();
            partitions.forEach(partition -> owned.remove(partition.partition()));
            lost += partitions.size();
            changes += partitions.size();
        }

        int count() {
            return owned().size();
        }

        synchronized Set<Integer> owned() {
            World.that(failure == null, "a member goes on: " + failure);
            return new TreeSet<>(owned);
        }

        synchronized int lost() {
            return lost;
        }

        synchronized int changes() {
            return changes;
        }

        synchronized List<String> read() {
            return new ArrayList<>(got);
        }

        void leave() throws Exception {
            leaving = true;
            thread.join();
            World.that(failure == null, "a member leaves: " + failure);
        }
    }

    /** Sends numbered records to all partitions of a topic until it is stopped. */
    static final class Feeder {
        private final List<String> sent = new ArrayList<>();
        private final Thread thread;
        private volatile boolean ending;

        Feeder(World w, String topic, int partitions) {
            thread = new Thread(() -> {
                try (KafkaProducer<byte[], byte[]> producer = w.producer()) {
                    for (int n = 0; !ending; n++) {
                        String text = String.format("%06d", n);
                        int partition = n % partitions;
                        World.must(() -> producer.send(new ProducerRecord<>(topic, partition, null, text.getBytes())).get());
                        sent.add(text);
                        World.rest(2);
                    }
                }
            });
            thread.start();
        }

        List<String> end() throws Exception {
            ending = true;
            thread.join();
            return sent;
        }
    }

    static boolean share(int partitions, Member... members) {
        int each = partitions / members.length;
        return Arrays.stream(members).allMatch(member -> member.count() == each);
    }

    /** Waits until the members together have read what was sent, each once. */
    static void reads(List<String> sent, Member... members) {
        World.until("everything is read", () -> Arrays.stream(members).mapToInt(m -> m.read().size()).sum() >= sent.size());
        List<String> got = new ArrayList<>();
        Arrays.stream(members).forEach(member -> got.addAll(member.read()));
        World.same("everything once", got.stream().sorted().toList(), sent);
    }

    static void classic(World w) throws Exception {
        of(w, "group", "range", GroupType.CLASSIC);
    }

    private static Optional<GroupListing> listing(Admin admin, String group, ListGroupsOptions options) {
        return World.must(() -> admin.listGroups(options).all().get()).stream()
                .filter(listed -> listed.groupId().equals(group)).findFirst();
    }

    private static ConsumerGroupDescription describe(Admin admin, String group) {
        return World.must(() -> admin.describeConsumerGroups(List.of(group)).all().get()).get(group);
    }

    private static void of(World w, String base, String assignor, GroupType type, String... pairs) throws Exception {
        String topic = w.topic(base, 6), group = w.name(base);
        Feeder feeder = new Feeder(w, topic, 6);
        Member first = new Member(w, group, topic, pairs);
        World.until("one member owns all", () -> share(6, first));
        Member second = new Member(w, group, topic, pairs), third = new Member(w, group, topic, pairs);
        World.until("three members share", () -> share(6, first, second, third));
        try (Admin admin = w.admin()) {
            World.until("the group is stable", () -> describe(admin, group).groupState() == GroupState.STABLE);
            ConsumerGroupDescription described = describe(admin, group);
            World.same("type", described.type(), type);
            World.same("assignor", described.partitionAssignor(), assignor);
            World.same("members", described.members().size(), 3);
            Set<TopicPartition> assigned = described.members().stream()
                    .flatMap(member -> member.assignment().topicPartitions().stream()).collect(Collectors.toSet());
            World.same("assigned", assigned.size(), 6);
            GroupListing listed = listing(admin, group, new ListGroupsOptions()).orElseThrow();
            World.same("listed", List.of(listed.protocol(), listed.type().orElseThrow()), List.of("consumer", type));
            World.that(listing(admin, group, new ListGroupsOptions().inGroupStates(Set.of(GroupState.STABLE)).withTypes(Set.of(type))).isPresent(), "listed by state and type");
            World.that(listing(admin, group, new ListGroupsOptions().inGroupStates(Set.of(GroupState.DEAD))).isEmpty(), "not dead");
            second.leave();
            World.until("two members share", () -> share(6, first, third));
            List<String> sent = feeder.end();
            reads(sent, first, second, third);
            first.leave();
            third.leave();
            long committed = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().values().stream()
                    .mapToLong(offset -> offset.offset()).sum();
            World.same("committed", committed, (long) sent.size());
            World.until("the group is empty", () -> describe(admin, group).groupState() == GroupState.EMPTY);
        }
        w.values(topic, 3, List.of("later"));
        Member late = new Member(w, group, topic, pairs);
        reads(List.of("later"), late);
        late.leave();
    }

    static void staticMembers(World w) throws Exception {
        staticOf(w, "static", "group.protocol", "classic", "heartbeat.interval.ms", "300");
    }

    private static void staticOf(World w, String base, String... pairs) throws Exception {
        String topic = w.topic(base, 4), group = w.name(base);
        String[] a = Stream.concat(Arrays.stream(pairs), Stream.of("group.instance.id", "a")).toArray(String[]::new);
        String[] b = Stream.concat(Arrays.stream(pairs), Stream.of("group.instance.id", "b")).toArray(String[]::new);
        Member first = new Member(w, group, topic, a), second = new Member(w, group, topic, b);
        World.until("two members share", () -> share(4, first, second));
        try (Admin admin = w.admin()) {
            World.until("the group is stable", () -> describe(admin, group).groupState() == GroupState.STABLE);
            Map<String, String> before = instances(admin, group);
            Set<Integer> owned = second.owned();
            int changes = first.changes();
            second.leave();
            Member again = new Member(w, group, topic, b);
            World.until("the same partitions again", () -> again.owned().equals(owned));
            World.same("the other saw nothing", first.changes(), changes);
            World.same("instances", instances(admin, group).keySet(), Set.of("a", "b"));
            World.same("a's member id", instances(admin, group).get("a"), before.get("a"));
            List<String> sent = List.of("0", "1", "2", "3");
            for (int partition = 0; partition < 4; partition++) {
                w.values(topic, partition, List.of(sent.get(partition)));
            }
            reads(sent, first, again);
            again.leave();
            admin.removeMembersFromConsumerGroup(group, new RemoveMembersFromConsumerGroupOptions(
                    List.of(new MemberToRemove("b")))).all().get();
            World.until("a owns all when b is removed", () -> share(4, first));
        }
        first.leave();
    }

    private static Map<String, String> instances(Admin admin, String group) {
        Map<String, String> found = new HashMap<>();
        describe(admin, group).members()
                .forEach(member -> found.put(member.groupInstanceId().orElseThrow(), member.consumerId()));
        return found;
    }

    static void cooperative(World w) throws Exception {
        String topic = w.topic("cooperative", 4), group = w.name("cooperative");
        String[] settings = {"partition.assignment.strategy", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
            "heartbeat.interval.ms", "300"};
        Feeder feeder = new Feeder(w, topic, 4);
        Member first = new Member(w, group, topic, settings);
        World.until("one member owns all", () -> share(4, first));
        Member second = new Member(w, group, topic, settings);
        World.until("two members share", () -> share(4, first, second));
        World.same("the first gave up two and kept two", first.lost(), 2);
        World.same("the second gave up none", second.lost(), 0);
        second.leave();
        World.until("the first owns all again", () -> share(4, first));
        World.same("the first gave up nothing more", first.lost(), 2);
        reads(feeder.end(), first, second);
        first.leave();
        for (String name : List.of("RangeAssignor", "RoundRobinAssignor", "StickyAssignor")) {
            String[] eager = {"partition.assignment.strategy", "org.apache.kafka.clients.consumer." + name,
                "heartbeat.interval.ms", "300"};
            Member m = new Member(w, group + name, topic, eager), n = new Member(w, group + name, topic, eager);
            World.until(name + " shares", () -> share(4, m, n));
            m.leave();
            n.leave();
        }
    }

    static void next(World w) throws Exception {
        String[] next = {"group.protocol", "consumer"};
        of(w, "next", "uniform", GroupType.CONSUMER, next);
        of(w, "next-range", "range", GroupType.CONSUMER, "group.protocol", "consumer", "group.remote.assignor", "range");
        staticOf(w, "next-static", next);
        // The broker resolves a regular expression, also for topics that come later.
        String topic = w.topic("matched-1", 1), group = w.name("matched");
        w.values(topic, 0, List.of("one"));
        Member matching = new Member(w, group, new SubscriptionPattern(w.name("matched") + "-.*"), next);
        reads(List.of("one"), matching);
        w.values(w.topic("matched-2", 1), 0, List.of("two"));
        reads(List.of("one", "two"), matching);
        matching.leave();
        over(w);
    }

    /** A live group goes from the classic protocol to the new one and back. */
    private static void over(World w) throws Exception {
        String topic = w.topic("over", 4), group = w.name("over");
        String[] classic = {"heartbeat.interval.ms", "300"}, next = {"group.protocol", "consumer"};
        try (Admin admin = w.admin()) {
            Feeder feeder = new Feeder(w, topic, 4);
            Member old = new Member(w, group, topic, classic);
            World.until("the old one owns all", () -> share(4, old));
            World.same("type", describe(admin, group).type(), GroupType.CLASSIC);
            Member fresh = new Member(w, group, topic, next);
            World.until("old and new share", () -> share(4, old, fresh));
            World.same("type", describe(admin, group).type(), GroupType.CONSUMER);
            old.leave();
            World.until("the new one owns all", () -> share(4, fresh));
            Member back = new Member(w, group, topic, classic);
            World.until("new and old share", () -> share(4, back, fresh));
            fresh.leave();
            World.until("the old one owns all again", () -> share(4, back));
            World.same("type", describe(admin, group).type(), GroupType.CLASSIC);
            reads(feeder.end(), old, fresh, back);
            back.leave();
        }
    }
}
