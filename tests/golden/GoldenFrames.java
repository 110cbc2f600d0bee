// Prints frames of Apache Kafka's own message classes: for each API and version given, bodies of drawn values.
// One line each: "request" or "response", API key, version, hex. Before them, for every API there is: "headers",
// key, version, version of the request's header, version of the response's. README.md says how to run it.

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.NavigableMap;
import java.util.Random;
import java.util.TreeMap;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.Struct;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;
import org.apache.kafka.common.record.internal.MemoryRecords;

public final class GoldenFrames {
    private final Random random;

    GoldenFrames(long seed) {
        random = new Random(seed);
    }

    // Arguments: frames a version, then API keys.
    public static void main(String[] args) {
        for (ApiMessageType api : ApiMessageType.values()) {
            for (short version = api.lowestSupportedVersion(); version <= api.highestSupportedVersion(false); version++) {
                System.out.println("headers " + api.apiKey() + " " + version + " " + api.requestHeaderVersion(version)
                    + " " + api.responseHeaderVersion(version));
            }
        }
        int frames = Integer.parseInt(args[0]);
        for (int place = 1; place < args.length; place++) {
            ApiMessageType api = ApiMessageType.fromApiKey(Short.parseShort(args[place]));
            for (short version = api.lowestSupportedVersion(); version <= api.highestSupportedVersion(false); version++) {
                for (int frame = 0; frame < frames; frame++) {
                    long seed = (api.apiKey() * 100L + version) * 100 + frame;
                    print("request", api, version, api.requestSchemas()[version], api.newRequest(), seed);
                    print("response", api, version, api.responseSchemas()[version], api.newResponse(), seed + 50);
                }
            }
        }
    }

    // Draws a body by its schema, lets the message class read it, and prints what that class then writes.
    private static void print(String kind, ApiMessageType api, short version, Schema schema, ApiMessage message, long seed) {
        Struct drawn = (Struct) new GoldenFrames(seed).draw(schema);
        ByteBuffer buffer = ByteBuffer.allocate(drawn.sizeOf());
        drawn.writeTo(buffer);
        buffer.flip();
        message.read(new ByteBufferAccessor(buffer), version);
        if (buffer.hasRemaining()) {
            throw new IllegalStateException(kind + " " + api + " " + version + " left bytes");
        }
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer written = ByteBuffer.allocate(message.size(cache, version));
        message.write(new ByteBufferAccessor(written), cache, version);
        System.out.println(kind + " " + api.apiKey() + " " + version + " " + HexFormat.of().formatHex(written.array()));
    }

    Object draw(Type type) {
        if (type instanceof Schema && type.isNullable() && random.nextInt(4) == 0) {
            return null;
        }
        if (type instanceof Schema schema) {
            Struct struct = new Struct(schema);
            for (BoundField field : schema.fields()) {
                struct.set(field, draw(field.def.type));
            }
            return struct;
        }
        if (type instanceof TaggedFields tagged) {
            NavigableMap<Integer, Object> drawn = new TreeMap<>();
            for (var entry : tagged.fields().entrySet()) {
                if (random.nextBoolean()) {
                    drawn.put(entry.getKey(), draw(entry.getValue().type));
                }
            }
            return drawn;
        }
        if (type.isNullable() && random.nextInt(4) == 0) {
            return null;
        }
        if (type.isArray()) {
            List<Object> elements = new ArrayList<>();
            for (int count = random.nextInt(3); count > 0; count--) {
                elements.add(draw(type.arrayElementType().orElseThrow()));
            }
            return elements.toArray();
        }
        return drawPlain(type);
    }

    private Object drawPlain(Type type) {
        String name = type.toString();
        return switch (name) {
            case "BOOLEAN" -> random.nextBoolean();
            case "INT8" -> (byte) random.nextInt();
            case "INT16" -> (short) random.nextInt();
            case "UINT16" -> random.nextInt(1 << 16);
            case "INT32" -> random.nextInt();
            case "UINT32" -> random.nextLong(1L << 32);
            case "INT64" -> random.nextLong();
            case "FLOAT64" -> random.nextDouble();
            case "UUID" -> new Uuid(random.nextLong(), random.nextLong());
            case "STRING", "NULLABLE_STRING", "COMPACT_STRING", "COMPACT_NULLABLE_STRING" -> text();
            case "BYTES", "NULLABLE_BYTES", "COMPACT_BYTES", "COMPACT_NULLABLE_BYTES" -> ByteBuffer.wrap(bytes());
            case "RECORDS", "NULLABLE_RECORDS", "COMPACT_RECORDS", "COMPACT_NULLABLE_RECORDS" ->
                MemoryRecords.readableRecords(ByteBuffer.wrap(bytes()));
            default -> throw new IllegalStateException("a field of type " + name);
        };
    }

    private byte[] bytes() {
        // Now and then past 127 bytes, where a compact length takes a second byte.
        byte[] drawn = new byte[random.nextInt(16) == 0 ? 130 + random.nextInt(9) : random.nextInt(9)];
        random.nextBytes(drawn);
        return drawn;
    }

    private String text() {
        String letters = "abcXYZ019._-é→𝄞";
        int[] points = letters.codePoints().toArray();
        StringBuilder drawn = new StringBuilder();
        for (int count = random.nextInt(16) == 0 ? 131 : random.nextInt(7); count > 0; count--) {
            drawn.appendCodePoint(points[random.nextInt(points.length)]);
        }
        return drawn.toString();
    }
}
