import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.header.Header;

/** What is produced and read back: codecs, keys, headers, sizes, trimming, compaction. */
final class Records {
    private Records() {}

    static void codecs(World w) throws Exception {
        List<String> sent = World.numbers(300);
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            for (String acks : List.of("0", "1", "all")) {
                String topic = w.topic("codec-" + codec + "-" + acks, 1);
                try (KafkaProducer<byte[], byte[]> producer = w.producer("compression.type", codec, "acks", acks,
                        "enable.idempotence", "false", "max.in.flight.requests.per.connection", "1", "linger.ms", "5")) {
                    for (String text : sent) {
                        producer.send(new ProducerRecord<>(topic, "k".getBytes(), text.getBytes()));
                    }
                    producer.flush();
                }
                World.same(codec + " acks " + acks, World.texts(w.whole(topic, sent.size())), sent);
            }
        }
    }

    static void records(World w) throws Exception {
        String topic = w.topic("records", 1, "retention.ms", "-1");
        byte[] every = new byte[256];
        for (int i = 0; i < every.length; i++) {
            every[i] = (byte) i;
        }
        long when = 1_700_000_000_123L;
        List<ProducerRecord<byte[], byte[]>> sent = List.of(
                new ProducerRecord<>(topic, 0, when, "key".getBytes(), "value".getBytes()),
                new ProducerRecord<>(topic, 0, when + 1000, null, "no key".getBytes()),
                new ProducerRecord<>(topic, 0, when - 3_600_000, "tombstone".getBytes(), (byte[]) null),
                new ProducerRecord<>(topic, 0, when, new byte[0], new byte[0]),
                new ProducerRecord<>(topic, 0, when, every, every));
        sent.get(0).headers().add("a", "1".getBytes()).add("a", "2".getBytes()).add("null", null)
                .add("empty", new byte[0]).add("", every);
        try (KafkaProducer<byte[], byte[]> producer = w.producer()) {
            long offset = 0;
            for (ProducerRecord<byte[], byte[]> record : sent) {
                RecordMetadata answer = producer.send(record).get();
                World.same("the answer's offset", answer.offset(), offset++);
                World.same("the answer's time", answer.timestamp(), record.timestamp());
            }
        }
        List<ConsumerRecord<byte[], byte[]>> got = w.whole(topic, sent.size());
        for (int i = 0; i < sent.size(); i++) {
            World.same("key of " + i, got.get(i).key(), sent.get(i).key());
            World.same("value of " + i, got.get(i).value(), sent.get(i).value());
            World.same("time of " + i, got.get(i).timestamp(), sent.get(i).timestamp());
            Header[] headers = got.get(i).headers().toArray(), wanted = sent.get(i).headers().toArray();
            World.same("headers of " + i, headers.length, wanted.length);
            for (int h = 0; h < wanted.length; h++) {
                World.same("header key", headers[h].key(), wanted[h].key());
                World.same("header value", headers[h].value(), wanted[h].value());
            }
        }
    }

    static void large(World w) throws Exception {
        String topic = w.topic("large", 1);
        byte[] first = World.noise(1_000_000), second = World.noise(1_000_000), third = World.noise(2 << 20);
        try (KafkaProducer<byte[], byte[]> producer = w.producer("max.request.size", "4000000")) {
            producer.send(new ProducerRecord<>(topic, first)).get();
            World.fails("2 MB are too large", RecordTooLargeException.class,
                    () -> producer.send(new ProducerRecord<>(topic, third)).get());
            producer.send(new ProducerRecord<>(topic, second)).get();
            List<ConsumerRecord<byte[], byte[]>> got = w.whole(topic, 2);
            World.same("1 MB comes back", got.get(0).value(), first);
            World.same("1 MB comes back", got.get(1).value(), second);
            String roomy = w.topic("roomy", 1, "max.message.bytes", "3000000");
            producer.send(new ProducerRecord<>(roomy, third)).get();
            World.same("2 MB where the topic allows it", w.whole(roomy, 1).get(0).value(), third);
        }
    }

    static void idempotent(World w) throws Exception {
        String topic = w.topic("idempotent", 2);
        List<String> sent = World.numbers(3000);
        // The default producer: idempotent, five requests in flight.
        try (KafkaProducer<byte[], byte[]> producer = w.producer("batch.size", "1000")) {
            List<Future<RecordMetadata>> answers = new ArrayList<>();
            for (String text : sent) {
                for (int partition = 0; partition < 2; partition++) {
                    answers.add(producer.send(new ProducerRecord<>(topic, partition, null, text.getBytes())));
                }
            }
            for (Future<RecordMetadata> answer : answers) {
                answer.get();
            }
        }
        try (KafkaConsumer<byte[], byte[]> consumer = w.consumer(); Admin admin = w.admin()) {
            for (int partition = 0; partition < 2; partition++) {
                TopicPartition place = new TopicPartition(topic, partition);
                consumer.assign(List.of(place));
                World.same("each once and in order", World.texts(World.read(consumer, sent.size())), sent);
                List<ProducerState> active =
                        admin.describeProducers(List.of(place)).partitionResult(place).get().activeProducers();
                World.same("producers", active.size(), 1);
                World.same("the last sequence", active.get(0).lastSequence(), 2999);
            }
        }
    }

    static void deleteRecords(World w) throws Exception {
        String topic = w.topic("trimmed", 2);
        TopicPartition zero = new TopicPartition(topic, 0), one = new TopicPartition(topic, 1);
        w.values(topic, 0, World.numbers(100));
        w.values(topic, 1, List.of("kept"));
        try (Admin admin = w.admin(); KafkaConsumer<byte[], byte[]> consumer = w.consumer("auto.offset.reset", "none")) {
            long low = admin.deleteRecords(Map.of(zero, RecordsToDelete.beforeOffset(40))).lowWatermarks().get(zero)
                    .get().lowWatermark();
            World.same("low watermark", low, 40L);
            World.same("starts", consumer.beginningOffsets(List.of(zero, one)), Map.of(zero, 40L, one, 0L));
            consumer.assign(List.of(zero));
            consumer.seekToBeginning(List.of(zero));
            World.same("what is left", World.texts(World.read(consumer, 60)), World.numbers(100).subList(40, 100));
            consumer.seek(zero, 3);
            World.fails("a deleted offset", OffsetOutOfRangeException.class, () -> consumer.poll(Duration.ofSeconds(5)));
            World.fails("beyond the end", org.apache.kafka.common.errors.OffsetOutOfRangeException.class,
                    () -> admin.deleteRecords(Map.of(zero, RecordsToDelete.beforeOffset(101))).all().get());
            low = admin.deleteRecords(Map.of(zero, RecordsToDelete.beforeOffset(-1))).lowWatermarks().get(zero).get()
                    .lowWatermark();
            World.same("to the end", low, 100L);
        }
    }

    static void compaction(World w) throws Exception {
        String topic = w.topic("compacted", 1, "cleanup.policy", "compact", "segment.ms", "200",
                "min.cleanable.dirty.ratio", "0.01", "delete.retention.ms", "0");
        TopicPartition place = new TopicPartition(topic, 0);
        Map<String, String> last = new HashMap<>();
        try (KafkaProducer<byte[], byte[]> producer = w.producer(); Admin admin = w.admin()) {
            for (int round = 0; round < 20; round++) {
                for (int key = 0; key < 20; key++) {
                    last.put("key " + key, "value " + round);
                    producer.send(new ProducerRecord<>(topic, ("key " + key).getBytes(), ("value " + round).getBytes()));
                }
                producer.flush();
            }
            producer.send(new ProducerRecord<>(topic, "key 0".getBytes(), null)).get();
            last.remove("key 0");
            boolean[] cleaned = {false};
            World.until("one record a key is left", () -> {
                // A record after segment.ms closes the segment before it: the open one is never cleaned. Once all
                // but these are cleaned, nothing more is written.
                World.rest(250);
                if (!cleaned[0]) {
                    World.must(() -> producer.send(new ProducerRecord<>(topic, "filler".getBytes(), new byte[1])).get());
                }
                long end = World.must(
                        () -> admin.listOffsets(Map.of(place, OffsetSpec.latest())).partitionResult(place).get()).offset();
                Map<String, String> seen = new HashMap<>();
                int count = 0, fillers = 0;
                try (KafkaConsumer<byte[], byte[]> consumer = w.consumer()) {
                    consumer.assign(List.of(place));
                    while (consumer.position(place) < end) {
                        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
                            if (new String(record.key()).equals("filler")) {
                                fillers++;
                            } else {
                                count++;
                                seen.put(new String(record.key()), record.value() == null ? null : new String(record.value()));
                            }
                        }
                    }
                }
                cleaned[0] = count == last.size();
                if (cleaned[0] && fillers <= 2) {
                    World.same("the last values", seen, last);
                    return true;
                }
                return false;
            });
        }
    }

    static void pauseSeek(World w) throws Exception {
        String topic = w.topic("paused", 2);
        TopicPartition zero = new TopicPartition(topic, 0), one = new TopicPartition(topic, 1);
        w.values(topic, 0, World.numbers(100));
        try (KafkaConsumer<byte[], byte[]> consumer = w.consumer()) {
            consumer.assign(List.of(zero, one));
            World.same("all of it", World.texts(World.read(consumer, 100)), World.numbers(100));
            consumer.pause(List.of(zero));
            w.values(topic, 0, List.of("paused"));
            w.values(topic, 1, List.of("flows"));
            World.same("only the other partition", World.texts(World.read(consumer, 1)), List.of("flows"));
            consumer.resume(List.of(zero));
            World.same("after the pause", World.texts(World.read(consumer, 1)), List.of("paused"));
            consumer.seek(zero, 42);
            List<ConsumerRecord<byte[], byte[]>> again = World.read(consumer, 59);
            World.same("from the middle", again.get(0).offset(), 42L);
            World.same("to the end", again.get(58).offset(), 100L);
            consumer.seekToBeginning(List.of(zero));
            World.same("from the start", World.read(consumer, 101).get(0).offset(), 0L);
            consumer.seek(zero, 7);
            consumer.seekToEnd(List.of(zero));
            World.same("the end", consumer.position(zero), 101L);
            w.values(topic, 0, List.of("newest"));
            World.same("from the end", World.texts(World.read(consumer, 1)), List.of("newest"));
        }
    }
}
