// Prints records of the internal topics as Apache Kafka's own classes write them and as its JSON converters show them:
// for each type and version there is, records of drawn values. One line each, nine words apart by spaces: topic, type,
// its name, version, key in hex, value in hex, key as JSON, value as JSON ("-" for no key). README.md says how to run it.

import com.fasterxml.jackson.databind.JsonNode;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.util.HexFormat;
import org.apache.kafka.common.message.KRaftVersionRecord;
import org.apache.kafka.common.message.LeaderChangeMessage;
import org.apache.kafka.common.message.SnapshotFooterRecord;
import org.apache.kafka.common.message.SnapshotHeaderRecord;
import org.apache.kafka.common.message.VotersRecord;
import org.apache.kafka.common.metadata.MetadataRecordType;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.Struct;
import org.apache.kafka.common.record.internal.ControlRecordType;

public final class GoldenRecords {
    private static long seed = 7;

    // The argument: records a version.
    public static void main(String[] args) throws Exception {
        int records = Integer.parseInt(args[0]);
        for (int turn = 0; turn < records; turn++) {
            for (var type : org.apache.kafka.coordinator.group.generated.CoordinatorRecordType.values()) {
                coordinated("offsets", type.id(), type, type.newRecordKey(), type.newRecordValue(), type.lowestSupportedVersion(), type.highestSupportedVersion());
            }
            for (var type : org.apache.kafka.coordinator.transaction.generated.CoordinatorRecordType.values()) {
                coordinated("transactions", type.id(), type, type.newRecordKey(), type.newRecordValue(), type.lowestSupportedVersion(), type.highestSupportedVersion());
            }
            for (var type : org.apache.kafka.coordinator.share.generated.CoordinatorRecordType.values()) {
                coordinated("share", type.id(), type, type.newRecordKey(), type.newRecordValue(), type.lowestSupportedVersion(), type.highestSupportedVersion());
            }
            for (MetadataRecordType type : MetadataRecordType.values()) {
                for (short version = type.lowestSupportedVersion(); version <= type.highestSupportedVersion(); version++) {
                    ApiMessage message = drawn(type.newMetadataRecord(), version);
                    ByteBuffer buffer = ByteBuffer.allocate(3 + size(message, version));
                    buffer.put((byte) 1).put((byte) type.id()).put((byte) version);
                    print("metadata", type.id(), type, version, null, write(message, version, buffer), null, json(message, version));
                }
            }
            control(ControlRecordType.LEADER_CHANGE, new LeaderChangeMessage());
            control(ControlRecordType.SNAPSHOT_HEADER, new SnapshotHeaderRecord());
            control(ControlRecordType.SNAPSHOT_FOOTER, new SnapshotFooterRecord());
            control(ControlRecordType.KRAFT_VERSION, new KRaftVersionRecord());
            control(ControlRecordType.KRAFT_VOTERS, new VotersRecord());
        }
    }

    private static void coordinated(String topic, short id, Enum<?> type, ApiMessage key, ApiMessage value, short from, short to) throws Exception {
        for (short version = from; version <= to; version++) {
            drawn(key, (short) 0);
            drawn(value, version);
            byte[] keyBytes = write(key, (short) 0, ByteBuffer.allocate(2 + size(key, (short) 0)).putShort(id));
            byte[] valueBytes = write(value, version, ByteBuffer.allocate(2 + size(value, version)).putShort(version));
            print(topic, id, type, version, keyBytes, valueBytes, json(key, (short) 0), json(value, version));
        }
    }

    // Raft's control records say their version in their first field.
    private static void control(ControlRecordType type, Message message) throws Exception {
        Schema[] schemas = (Schema[]) message.getClass().getField("SCHEMAS").get(null);
        for (short version = message.lowestSupportedVersion(); version <= message.highestSupportedVersion(); version++) {
            Struct struct = (Struct) new GoldenFrames(seed++).draw(schemas[version]);
            struct.set("version", version);
            read(message, struct, version);
            short id = type.type();
            byte[] key = ByteBuffer.allocate(4).putShort((short) 0).putShort(id).array();
            print("control", id, type, version, key, write(message, version, ByteBuffer.allocate(size(message, version))), null, json(message, version));
        }
    }

    private static <M extends Message> M drawn(M message, short version) throws Exception {
        Schema[] schemas = (Schema[]) message.getClass().getField("SCHEMAS").get(null);
        read(message, (Struct) new GoldenFrames(seed++).draw(schemas[version]), version);
        return message;
    }

    private static void read(Message message, Struct struct, short version) {
        ByteBuffer buffer = ByteBuffer.allocate(struct.sizeOf());
        struct.writeTo(buffer);
        buffer.flip();
        message.read(new ByteBufferAccessor(buffer), version);
    }

    private static int size(Message message, short version) {
        return message.size(new ObjectSerializationCache(), version);
    }

    private static byte[] write(Message message, short version, ByteBuffer buffer) {
        ObjectSerializationCache cache = new ObjectSerializationCache();
        message.size(cache, version);
        message.write(new ByteBufferAccessor(buffer), cache, version);
        return buffer.array();
    }

    private static JsonNode json(Message message, short version) throws Exception {
        Class<?> converter = Class.forName(message.getClass().getName() + "JsonConverter");
        Method write = converter.getMethod("write", message.getClass(), short.class);
        return (JsonNode) write.invoke(null, message, version);
    }

    private static void print(String topic, int id, Enum<?> type, short version, byte[] key, byte[] value, JsonNode keyJson, JsonNode valueJson) {
        String keyHex = key == null ? "-" : HexFormat.of().formatHex(key);
        System.out.println(String.join(" ", topic, Integer.toString(id), type.name(), Short.toString(version), keyHex,
            HexFormat.of().formatHex(value), keyJson == null ? "-" : keyJson.toString(), valueJson.toString()));
    }
}
