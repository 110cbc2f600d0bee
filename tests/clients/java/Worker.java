import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.PrintStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** The worker and the reader of tests/clients/exactly_once.py in the Java client: see there for what they are told. */
public final class Worker {
    private final JsonNode told;

    private Worker(JsonNode told) {
        this.told = told;
    }

    public static void main(String[] arguments) throws Exception {
        Worker worker = new Worker(new ObjectMapper().readTree(System.getenv("KLOG_EXACTLY_ONCE")));
        if (arguments[0].equals("read")) {
            worker.read();
            return;
        }
        while (true) {
            try {
                worker.work();
            } catch (KafkaException wrong) {
                System.err.println("begins again: " + wrong);
                Thread.sleep(100);
            }
        }
    }

    private String text(String field) {
        return told.get(field).asText();
    }

    private KafkaConsumer<String, String> consumer(String... pairs) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", text("address"));
        settings.put("isolation.level", "read_committed");
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", "false");
        for (int i = 0; i < pairs.length; i += 2) {
            settings.put(pairs[i], pairs[i + 1]);
        }
        return new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
    }

    /** Transactions of one producer and one group member, until something goes wrong. */
    private void work() {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", text("address"));
        settings.put("transactional.id", text("id"));
        settings.put("transaction.timeout.ms", text("transaction_ms"));
        settings.put("max.block.ms", "20000");
        settings.put("reconnect.backoff.max.ms", "500");
        try (KafkaProducer<byte[], String> producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new StringSerializer());
                KafkaConsumer<String, String> consumer = consumer("group.id", text("group"), "session.timeout.ms", text("session_ms"),
                        "heartbeat.interval.ms", "300", "max.poll.records", text("batch"), "fetch.max.wait.ms", "100",
                        "reconnect.backoff.max.ms", "500")) {
            producer.initTransactions();
            consumer.subscribe(List.of(text("input")));
            while (true) {
                ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(100));
                if (!records.isEmpty()) {
                    transact(producer, consumer, records);
                }
            }
        }
    }

    private void transact(KafkaProducer<byte[], String> producer, KafkaConsumer<String, String> consumer, ConsumerRecords<String, String> records) {
        producer.beginTransaction();
        try {
            Map<TopicPartition, OffsetAndMetadata> ends = new HashMap<>();
            for (ConsumerRecord<String, String> record : records) {
                long value = Long.parseLong(record.value());
                producer.send(new ProducerRecord<>(text("output"), record.partition(), null, value + " " + value * value));
                ends.put(new TopicPartition(record.topic(), record.partition()), new OffsetAndMetadata(record.offset() + 1));
            }
            producer.flush();
            World.rest(told.get("pause_ms").asInt());
            producer.sendOffsetsToTransaction(ends, consumer.groupMetadata());
            producer.commitTransaction();
        } catch (KafkaException wrong) {
            try {
                producer.abortTransaction();
            } catch (KafkaException refused) {
                wrong.addSuppressed(refused);
            }
            throw wrong;
        }
    }

    private void read() {
        PrintStream out = new PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out), false);
        try (KafkaConsumer<String, String> consumer = consumer()) {
            List<TopicPartition> partitions = new ArrayList<>();
            for (int partition = 0; partition < told.get("partitions").asInt(); partition++) {
                partitions.add(new TopicPartition(text("output"), partition));
            }
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            StringBuilder lines = new StringBuilder();
            while (partitions.stream().anyMatch(partition -> consumer.position(partition) < ends.get(partition))) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(500))) {
                    lines.append(record.partition()).append(' ').append(record.value()).append('\n');
                }
                out.print(lines);
                lines.setLength(0);
            }
            for (TopicPartition partition : partitions) {
                out.println("end " + partition.partition() + " " + consumer.position(partition));
            }
        }
        out.flush();
    }
}
