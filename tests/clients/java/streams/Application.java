import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.TimeWindows;

/**
 * The Kafka Streams application of tests/clients/streams.py, and the reader of what it wrote. `work` runs it until it is
 * ended; `read` writes "topic TAB key TAB value" of every committed record of the outputs. It must never know what the
 * results should be.
 */
public final class Application {
    static final List<String> OUTPUTS = List.of("pairs", "named", "counts", "totals");
    // Nothing comes too late, whatever was begun again.
    private static final Duration GRACE = Duration.ofDays(7);

    private Application() {}

    public static void main(String[] arguments) throws Exception {
        JsonNode told = new ObjectMapper().readTree(System.getenv("KLOG_STREAMS"));
        if (arguments[0].equals("read")) {
            read(told.get("address").asText());
        } else {
            work(told);
        }
    }

    private static void work(JsonNode told) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, told.get("application").asText());
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, told.get("address").asText());
        settings.put(StreamsConfig.STATE_DIR_CONFIG, told.get("state").asText());
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, told.get("threads").asText());
        settings.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class.getName());
        settings.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class.getName());
        // Without a cache every change of a count is a record, so that one that counts twice is seen.
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, "0");
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, told.get("commit_ms").asText());
        settings.put(StreamsConfig.consumerPrefix("session.timeout.ms"), told.get("session_ms").asText());
        settings.put(StreamsConfig.consumerPrefix("heartbeat.interval.ms"), "500");
        // Many small polls: there is always something under way that a kill can hit.
        settings.put(StreamsConfig.consumerPrefix("max.poll.records"), told.get("batch").asText());
        settings.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, told.get("batch").asText());
        KafkaStreams streams = new KafkaStreams(topology(), settings);
        streams.setUncaughtExceptionHandler(wrong -> {
            System.err.println("a thread begins again: " + wrong);
            return StreamThreadExceptionResponse.REPLACE_THREAD;
        });
        streams.setStateListener((now, before) -> System.err.println(before + " -> " + now));
        streams.start();
    }

    private static Topology topology() {
        StreamsBuilder builder = new StreamsBuilder();
        KStream<String, String> left = builder.stream("left");
        KStream<String, String> right = builder.stream("right");
        KTable<String, String> names = builder.table("names");
        JoinWindows close = JoinWindows.ofTimeDifferenceAndGrace(Duration.ofSeconds(6), GRACE);
        left.join(right, (l, r) -> l + "-" + r, close).to("pairs");
        left.join(names, (l, name) -> l + ":" + name).to("named");
        left.groupByKey().windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofMinutes(1), GRACE)).count().toStream()
                .map((window, count) -> KeyValue.pair(window.key() + "@" + window.window().start(), "" + count)).to("counts");
        // By the last digit of the value: through a topic of its own, for the key is another.
        right.selectKey((key, value) -> value.substring(value.length() - 1)).groupByKey().count().toStream()
                .mapValues(count -> "" + count).to("totals");
        return builder.build();
    }

    private static void read(String address) {
        Properties settings = new Properties();
        settings.putAll(Map.of("bootstrap.servers", address, "isolation.level", "read_committed", "enable.auto.commit", "false"));
        PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), false);
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
            List<TopicPartition> partitions = new ArrayList<>();
            for (String topic : OUTPUTS) {
                for (PartitionInfo partition : consumer.partitionsFor(topic)) {
                    partitions.add(new TopicPartition(topic, partition.partition()));
                }
            }
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            StringBuilder lines = new StringBuilder();
            while (partitions.stream().anyMatch(partition -> consumer.position(partition) < ends.get(partition))) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(500))) {
                    lines.append(record.topic()).append('\t').append(record.key()).append('\t').append(record.value()).append('\n');
                }
                out.print(lines);
                lines.setLength(0);
            }
        }
        out.flush();
    }
}
