import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.errors.UnsupportedVersionException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.message.RequestHeaderData;
import org.apache.kafka.common.message.ResponseHeaderData;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.BaseRecords;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.SimpleRecord;

/**
 * Sends requests as Apache Kafka's own message classes write them and shows the answers as those classes read them.
 * It must never judge an answer.
 *
 * A line on stdin is a JSON object: `address`, `key`, `version`, `body` (fields that are not named have their defaults;
 * `records` is an object with `of` and what the batch shall be), or instead of the body `frame` (hex: all after the
 * length); with `cut`, that many bytes fewer at the end; with `extra`, these hex bytes more; with `fresh`, on a connection
 * of its own. A line on stdout says `answer`, or `closed`, `silent`, `unsupported` (by this version), `unreadable` (hex).
 */
public final class Answers {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final int PATIENCE_MS = 8000;

    private final Map<String, Socket> connections = new HashMap<>();
    private int correlation;

    private Answers() {}

    public static void main(String[] arguments) throws Exception {
        PrintStream out = System.out;
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        Answers answers = new Answers();
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            ObjectNode said;
            try {
                said = answers.ask(JSON.readTree(line));
            } catch (Exception failed) {
                said = JSON.createObjectNode().put("failed", String.valueOf(failed));
            }
            out.println(JSON.writeValueAsString(said));
            out.flush();
        }
        Runtime.getRuntime().halt(0);
    }

    private ObjectNode ask(JsonNode command) throws Exception {
        ObjectNode said = JSON.createObjectNode();
        byte[] frame;
        try {
            frame = frame(command);
        } catch (UnsupportedVersionException reason) {
            return said.put("unsupported", reason.getMessage());
        }
        String address = command.get("address").asText();
        boolean fresh = command.path("fresh").asBoolean();
        Socket socket = fresh ? connect(address) : connections.computeIfAbsent(address, Answers::connect);
        try {
            ByteBuffer whole = ByteBuffer.allocate(4 + frame.length).putInt(frame.length).put(frame);
            socket.getOutputStream().write(whole.array());
            socket.getOutputStream().flush();
            if (command.path("silent").asBoolean()) {
                socket.setSoTimeout(500);
            } else {
                socket.setSoTimeout(PATIENCE_MS);
            }
            DataInputStream in = new DataInputStream(socket.getInputStream());
            byte[] answer = new byte[in.readInt()];
            in.readFully(answer);
            show(command, answer, said);
            if (fresh) {
                socket.close();
            }
        } catch (SocketTimeoutException silence) {
            said.put("silent", true);
            drop(address, socket);
        } catch (EOFException | SocketException closed) {
            said.put("closed", true);
            drop(address, socket);
        }
        return said;
    }

    private void drop(String address, Socket socket) throws IOException {
        socket.close();
        connections.remove(address, socket);
    }

    private static Socket connect(String address) {
        int colon = address.lastIndexOf(':');
        try {
            return new Socket(address.substring(0, colon), Integer.parseInt(address.substring(colon + 1)));
        } catch (IOException refused) {
            throw new IllegalStateException(refused);
        }
    }

    private byte[] frame(JsonNode command) throws Exception {
        byte[] frame;
        if (command.has("frame")) {
            frame = HexFormat.of().parseHex(command.get("frame").asText());
        } else {
            frame = request((short) command.get("key").asInt(), (short) command.get("version").asInt(), command.path("body"));
        }
        byte[] extra = HexFormat.of().parseHex(command.path("extra").asText(""));
        byte[] whole = java.util.Arrays.copyOf(frame, frame.length - command.path("cut").asInt() + extra.length);
        System.arraycopy(extra, 0, whole, whole.length - extra.length, extra.length);
        return whole;
    }

    private byte[] request(short key, short version, JsonNode body) throws Exception {
        ApiMessageType type = ApiMessageType.fromApiKey(key);
        ApiMessage message = type.newRequest();
        fill(message, body);
        short headerVersion = type.requestHeaderVersion(version);
        RequestHeaderData header = new RequestHeaderData().setRequestApiKey(key).setRequestApiVersion(version)
                .setCorrelationId(++correlation).setClientId("answers");
        ByteBuffer head = MessageUtil.toByteBufferAccessor(header, headerVersion).buffer();
        ByteBuffer rest = MessageUtil.toByteBufferAccessor(message, version).buffer();
        return ByteBuffer.allocate(head.remaining() + rest.remaining()).put(head).put(rest).array();
    }

    /** Sets the fields of a message that the JSON object names. */
    private static void fill(Message message, JsonNode body) throws Exception {
        for (Map.Entry<String, JsonNode> field : body.properties()) {
            String setter = "set" + Character.toUpperCase(field.getKey().charAt(0)) + field.getKey().substring(1);
            boolean known = false;
            for (Method method : message.getClass().getMethods()) {
                if (method.getName().equals(setter) && method.getParameterCount() == 1) {
                    method.invoke(message, value(method.getGenericParameterTypes()[0], method.getParameterTypes()[0], field.getValue()));
                    known = true;
                }
            }
            if (!known) {
                throw new IllegalArgumentException(message.getClass().getSimpleName() + " has no field " + field.getKey());
            }
        }
    }

    private static Object value(Type generic, Class<?> type, JsonNode json) throws Exception {
        if (json.isNull()) {
            return null;
        }
        if (Collection.class.isAssignableFrom(type)) {
            return elements(generic, type, json);
        }
        if (Message.class.isAssignableFrom(type)) {
            Message made = (Message) type.getConstructor().newInstance();
            fill(made, json);
            return made;
        }
        return switch (type.getSimpleName()) {
            case "boolean" -> json.asBoolean();
            case "byte", "Byte" -> (byte) json.asInt();
            case "short", "Short" -> (short) json.asInt();
            case "int", "Integer" -> json.asInt();
            case "long", "Long" -> json.asLong();
            case "double" -> json.asDouble();
            case "String" -> json.asText();
            case "Uuid" -> Uuid.fromString(json.asText());
            case "byte[]" -> Base64.getDecoder().decode(json.asText());
            case "ByteBuffer" -> ByteBuffer.wrap(Base64.getDecoder().decode(json.asText()));
            case "BaseRecords" -> records(json);
            default -> throw new IllegalArgumentException("a field of type " + type);
        };
    }

    @SuppressWarnings("unchecked")
    private static Object elements(Type generic, Class<?> type, JsonNode json) throws Exception {
        Type of = generic instanceof ParameterizedType named ? named.getActualTypeArguments()[0]
                : ((ParameterizedType) type.getGenericSuperclass()).getActualTypeArguments()[0];
        Collection<Object> made = type.isInterface() ? new ArrayList<>() : (Collection<Object>) type.getConstructor().newInstance();
        for (JsonNode element : json) {
            made.add(value(of, (Class<?>) of, element));
        }
        return made;
    }

    /** A batch of what `of` lists as [key, value, timestamp], or the bytes in `hex`. */
    private static BaseRecords records(JsonNode json) {
        if (json.has("hex")) {
            return MemoryRecords.readableRecords(ByteBuffer.wrap(HexFormat.of().parseHex(json.get("hex").asText())));
        }
        List<SimpleRecord> of = new ArrayList<>();
        for (JsonNode record : json.get("of")) {
            of.add(new SimpleRecord(record.get(2).asLong(), bytes(record.get(0)), bytes(record.get(1)),
                    record.has(3) ? new Header[] {new RecordHeader(record.get(3).asText(), bytes(record.get(3)))} : new Header[0]));
        }
        Compression codec = Compression.of(CompressionType.forName(json.path("codec").asText("none"))).build();
        MemoryRecords batch = MemoryRecords.withRecords((byte) json.path("magic").asInt(2), 0, codec, TimestampType.CREATE_TIME,
                json.path("producerId").asLong(-1), (short) json.path("producerEpoch").asInt(-1), json.path("sequence").asInt(-1),
                -1, json.path("transactional").asBoolean(), of.toArray(new SimpleRecord[0]));
        if (json.has("damage")) {
            // One byte at this place is another.
            int place = json.get("damage").asInt();
            batch.buffer().put(place, (byte) (batch.buffer().get(place) ^ 1));
        }
        return batch;
    }

    private static byte[] bytes(JsonNode text) {
        return text.isNull() ? null : text.asText().getBytes(StandardCharsets.UTF_8);
    }

    private static void show(JsonNode command, byte[] answer, ObjectNode said) throws Exception {
        short key = (short) command.get("key").asInt(), version = (short) command.get("version").asInt();
        // ApiVersions in a version that the broker does not know is answered in version 0.
        for (short readAs : key == 18 && version > 0 ? new short[] {version, 0} : new short[] {version}) {
            try {
                ApiMessageType type = ApiMessageType.fromApiKey(key);
                ByteBufferAccessor bytes = new ByteBufferAccessor(ByteBuffer.wrap(answer));
                new ResponseHeaderData(bytes, type.responseHeaderVersion(readAs));
                ApiMessage message = type.newResponse();
                message.read(bytes, readAs);
                if (bytes.remaining() == 0) {
                    said.set("answer", plain(shown(message, readAs)));
                    return;
                }
            } catch (RuntimeException | InvocationTargetException unreadable) {
                said.put("why", String.valueOf(unreadable));
            }
        }
        said.put("unreadable", HexFormat.of().formatHex(answer));
    }

    private static JsonNode shown(ApiMessage message, short version) throws Exception {
        Class<?> converter = Class.forName(message.getClass().getName() + "JsonConverter");
        return (JsonNode) converter.getMethod("write", message.getClass(), short.class).invoke(null, message, version);
    }

    /** The answer with its record batches taken apart. */
    private static JsonNode plain(JsonNode node) throws IOException {
        if (node instanceof ArrayNode array) {
            for (JsonNode element : array) {
                plain(element);
            }
        } else if (node instanceof ObjectNode object) {
            for (Map.Entry<String, JsonNode> field : object.properties()) {
                if (field.getKey().equals("records") && field.getValue().isBinary()) {
                    ArrayNode records = JSON.createArrayNode();
                    for (Record record : MemoryRecords.readableRecords(ByteBuffer.wrap(field.getValue().binaryValue())).records()) {
                        records.add(JSON.createArrayNode().add(record.offset()).add(record.timestamp())
                                .add(text(record.key())).add(text(record.value())));
                    }
                    field.setValue(records);
                } else {
                    plain(field.getValue());
                }
            }
        }
        return node;
    }

    private static String text(ByteBuffer bytes) {
        return bytes == null ? null : StandardCharsets.UTF_8.decode(bytes.duplicate()).toString();
    }
}
