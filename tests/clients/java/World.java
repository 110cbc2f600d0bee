import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Where the brokers are and the words that scenarios are written in. It must never know what a scenario wants to see.
 */
final class World {
    static final Duration PATIENCE = Duration.ofSeconds(30);

    /** Ends a scenario with exit 77: this client can not do it. */
    static final class Skip extends RuntimeException {
        private static final long serialVersionUID = 1;

        Skip(String reason) {
            super(reason);
        }
    }

    /** A call that may throw anything. */
    interface Call<T> {
        T call() throws Exception;
    }

    private final Map<String, String> fields = new HashMap<>();

    World(String json) throws Exception {
        new com.fasterxml.jackson.databind.ObjectMapper().readTree(json).properties()
                .forEach(field -> fields.put(field.getKey(), field.getValue().asText()));
    }

    String get(String field) {
        return Objects.requireNonNull(fields.get(field), field);
    }

    /** A topic, group or user name of this run. */
    String name(String base) {
        return get("prefix") + "-" + base;
    }

    Properties settings(String... pairs) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", get("plain"));
        for (int i = 0; i < pairs.length; i += 2) {
            settings.put(pairs[i], pairs[i + 1]);
        }
        return settings;
    }

    Admin admin(String... pairs) {
        return Admin.create(settings(pairs));
    }

    KafkaProducer<byte[], byte[]> producer(String... pairs) {
        return new KafkaProducer<>(settings(pairs), new ByteArraySerializer(), new ByteArraySerializer());
    }

    KafkaConsumer<byte[], byte[]> consumer(String... pairs) {
        Properties settings = settings(pairs);
        settings.putIfAbsent("auto.offset.reset", "earliest");
        return new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    /** Makes a topic with one replica and gives its name. */
    String topic(String base, int partitions, String... settings) throws Exception {
        Map<String, String> configs = new HashMap<>();
        for (int i = 0; i < settings.length; i += 2) {
            configs.put(settings[i], settings[i + 1]);
        }
        try (Admin admin = admin()) {
            admin.createTopics(List.of(new NewTopic(name(base), partitions, (short) 1).configs(configs))).all().get();
        }
        return name(base);
    }

    /** Sends texts to a partition. */
    void values(String topic, int partition, List<String> texts) throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = producer()) {
            List<java.util.concurrent.Future<?>> answers = new ArrayList<>();
            for (String text : texts) {
                answers.add(producer.send(new ProducerRecord<>(topic, partition, null, text.getBytes())));
            }
            for (java.util.concurrent.Future<?> answer : answers) {
                answer.get();
            }
        }
    }

    /** The first n records that a consumer polls. */
    static List<ConsumerRecord<byte[], byte[]>> read(KafkaConsumer<byte[], byte[]> consumer, int n) {
        List<ConsumerRecord<byte[], byte[]>> got = new ArrayList<>();
        until(n + " records", () -> {
            consumer.poll(Duration.ofMillis(200)).forEach(got::add);
            return got.size() >= n;
        });
        return got;
    }

    /** All n records of a topic's partition 0 from its start, and no more than n. */
    List<ConsumerRecord<byte[], byte[]>> whole(String topic, int n, String... pairs) {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(pairs)) {
            consumer.assign(List.of(new TopicPartition(topic, 0)));
            List<ConsumerRecord<byte[], byte[]>> got = read(consumer, n);
            same("records of " + topic, got.size(), n);
            return got;
        }
    }

    static List<String> texts(List<ConsumerRecord<byte[], byte[]>> records) {
        return records.stream().map(record -> new String(record.value())).toList();
    }

    /** n texts that sort as they count. */
    static List<String> numbers(int n) {
        List<String> texts = new ArrayList<>();
        for (int i = 0; i < n; i++) {
            texts.add(String.format("%06d", i));
        }
        return texts;
    }

    static byte[] noise(int n) {
        byte[] bytes = new byte[n];
        new java.util.Random().nextBytes(bytes);
        return bytes;
    }

    static void that(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError("not so: " + what);
        }
    }

    static void same(String what, Object got, Object wanted) {
        if (!Objects.deepEquals(got, wanted)) {
            throw new AssertionError(what + ": got " + brief(got) + ", wanted " + brief(wanted));
        }
    }

    private static String brief(Object value) {
        String text = String.valueOf(value);
        return text.length() > 600 ? text.substring(0, 600) + "..." : text;
    }

    static void until(String what, BooleanSupplier holds) {
        long deadline = System.nanoTime() + PATIENCE.toNanos();
        while (!holds.getAsBoolean()) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError("not within " + PATIENCE + ": " + what);
            }
            rest(20);
        }
    }

    static void rest(int millis) {
        try {
            Thread.sleep(millis);
        } catch (InterruptedException ended) {
            throw new AssertionError(ended);
        }
    }

    /** The value of a call that must not fail. */
    static <T> T must(Call<T> call) {
        try {
            return call.call();
        } catch (Exception failed) {
            throw new AssertionError(failed);
        }
    }

    /** The error of a call that must fail with this kind of error. */
    static void fails(String what, Class<? extends Exception> kind, Call<?> call) {
        try {
            call.call();
        } catch (Exception failed) {
            Throwable reason = failed instanceof ExecutionException ? failed.getCause() : failed;
            if (kind.isInstance(reason)) {
                return;
            }
            throw new AssertionError(what + ": wanted " + kind.getSimpleName(), reason);
        }
        throw new AssertionError(what + ": wanted " + kind.getSimpleName() + ", and it went well");
    }
}
