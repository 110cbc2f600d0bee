import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs Apache Kafka's command-line tools one after another in one JVM, since each JVM costs more than the tool's work.
 *
 * A line on stdin is a JSON object with `main` (the tool's class), `args` and `stdin` (base64); a line on stdout
 * answers it with `code`, `out` and `err`. A tool that ends the process ends only itself.
 */
public final class Tools {
    /** Stands for the end of the process that a tool asked for. */
    private static final class Ended extends RuntimeException {
        private static final long serialVersionUID = 1;
        private final int code;

        Ended(int code) {
            super("exit " + code, null, false, false);
            this.code = code;
        }
    }

    /** What the tool at hand asked for first: some catch what its end throws and ask again, for 1. */
    private static Integer asked;

    /** What the tool at hand wants done at the end of the process. */
    private static final List<Runnable> HOOKS = new ArrayList<>();

    private Tools() {}

    private static void end(int code) {
        if (asked == null) {
            asked = code;
        }
        throw new Ended(code);
    }

    public static void main(String[] arguments) throws Exception {
        ObjectMapper json = new ObjectMapper();
        PrintStream answers = System.out;
        InputStream commands = System.in;
        Exit.setExitProcedure((code, message) -> end(code));
        Exit.setHaltProcedure((code, message) -> end(code));
        Exit.setShutdownHookAdder((name, hook) -> HOOKS.add(hook));
        BufferedReader lines = new BufferedReader(new InputStreamReader(commands, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            answers.println(json.writeValueAsString(answer(json, json.readTree(line))));
            answers.flush();
        }
        // Threads that a tool left behind do not keep the process.
        Runtime.getRuntime().halt(0);
    }

    private static ObjectNode answer(ObjectMapper json, JsonNode command) throws Exception {
        String[] arguments = new String[command.get("args").size()];
        for (int i = 0; i < arguments.length; i++) {
            arguments[i] = command.get("args").get(i).asText();
        }
        ByteArrayOutputStream out = new ByteArrayOutputStream(), err = new ByteArrayOutputStream();
        System.setIn(new ByteArrayInputStream(Base64.getDecoder().decode(command.get("stdin").asText())));
        System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(err, true, StandardCharsets.UTF_8));
        asked = null;
        int code = 0;
        try {
            Class<?> tool = Class.forName(command.get("main").asText());
            tool.getMethod("main", String[].class).invoke(null, (Object) arguments);
        } catch (InvocationTargetException thrown) {
            code = code(thrown.getCause());
        }
        code = asked == null ? code : asked;
        for (Runnable hook : HOOKS) {
            Thread last = new Thread(hook);
            last.start();
            last.join(10_000);
        }
        HOOKS.clear();
        System.out.flush();
        System.err.flush();
        return json.createObjectNode().put("code", code).put("out", out.toString(StandardCharsets.UTF_8))
                .put("err", err.toString(StandardCharsets.UTF_8));
    }

    /** The exit code of a tool that threw: what it asked for, or 1 with its reason on stderr. */
    private static int code(Throwable reason) {
        for (Throwable cause = reason; cause != null; cause = cause.getCause()) {
            if (cause instanceof Ended ended) {
                return ended.code;
            }
        }
        StringWriter text = new StringWriter();
        reason.printStackTrace(new PrintWriter(text));
        System.err.print(text);
        return 1;
    }
}
