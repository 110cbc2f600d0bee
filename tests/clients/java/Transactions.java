import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.ProducerFencedException;

/** Transactions of a producer. */
final class Transactions {
    private Transactions() {}

    static void transactions(World w) throws Exception {
        String topic = w.topic("txn", 2), name = w.name("txn-group");
        ConsumerGroupMetadata group;
        try (KafkaConsumer<byte[], byte[]> reader = w.consumer("group.id", name)) {
            group = reader.groupMetadata();
        }
        try (KafkaProducer<byte[], byte[]> first = producer(w); KafkaProducer<byte[], byte[]> second = producer(w); Admin admin = w.admin()) {
            first.initTransactions();
            run(first, topic, group, 1, List.of("kept 1", "kept 2"), true);
            run(first, topic, group, 2, List.of("dropped 1", "dropped 2"), false);
            World.until("the group's offset", () -> World.must(() -> offset(admin, name, topic)).equals(1L));
            run(first, topic, group, 3, List.of("kept 3", "kept 4"), true);
            first.beginTransaction();
            send(first, topic, List.of("torn 1", "torn 2"));
            second.initTransactions();
            World.fails("the end of a producer that another came after", ProducerFencedException.class, () -> {
                first.commitTransaction();
                return null;
            });
            run(second, topic, group, 4, List.of("kept 5", "kept 6"), true);
            World.until("the group's offset at the end", () -> World.must(() -> offset(admin, name, topic)).equals(4L));
        }
        List<String> committed = List.of("kept 1", "kept 2", "kept 3", "kept 4", "kept 5", "kept 6");
        World.same("who reads committed", all(w, topic, "read_committed"), committed);
        List<String> everything = new ArrayList<>(List.of("dropped 1", "dropped 2"));
        everything.addAll(committed);
        everything.addAll(List.of("torn 1", "torn 2"));
        World.same("who reads all", all(w, topic, "read_uncommitted"), everything);
    }

    private static KafkaProducer<byte[], byte[]> producer(World w) {
        return w.producer("transactional.id", w.name("txn-id"), "max.block.ms", "20000");
    }

    /** A transaction of texts and of the group's offset, to its end. */
    private static void run(KafkaProducer<byte[], byte[]> producer, String topic, ConsumerGroupMetadata group, long offset, List<String> texts, boolean commit) throws Exception {
        producer.beginTransaction();
        send(producer, topic, texts);
        producer.sendOffsetsToTransaction(Map.of(new TopicPartition(topic, 0), new OffsetAndMetadata(offset)), group);
        if (commit) {
            producer.commitTransaction();
        } else {
            producer.abortTransaction();
        }
    }

    /** Sends each text to a partition of its own, until all are there. */
    private static void send(KafkaProducer<byte[], byte[]> producer, String topic, List<String> texts) throws Exception {
        List<Future<?>> answers = new ArrayList<>();
        for (int i = 0; i < texts.size(); i++) {
            answers.add(producer.send(new ProducerRecord<>(topic, i % 2, null, texts.get(i).getBytes())));
        }
        for (Future<?> answer : answers) {
            answer.get();
        }
    }

    private static Object offset(Admin admin, String group, String topic) throws Exception {
        return admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().get(new TopicPartition(topic, 0)).offset();
    }

    /** Every text of the topic's two partitions up to their ends, sorted. */
    private static List<String> all(World w, String topic, String isolation) {
        List<ConsumerRecord<byte[], byte[]>> got = new ArrayList<>();
        List<TopicPartition> both = List.of(new TopicPartition(topic, 0), new TopicPartition(topic, 1));
        Map<TopicPartition, Long> ends;
        // The end for one who reads committed may still be before the last transaction.
        try (KafkaConsumer<byte[], byte[]> any = w.consumer()) {
            ends = any.endOffsets(both);
        }
        try (KafkaConsumer<byte[], byte[]> consumer = w.consumer("isolation.level", isolation)) {
            consumer.assign(both);
            World.until("the ends", () -> {
                consumer.poll(java.time.Duration.ofMillis(200)).forEach(got::add);
                return both.stream().allMatch(one -> consumer.position(one) >= ends.get(one));
            });
        }
        return World.texts(got).stream().sorted().toList();
    }
}
