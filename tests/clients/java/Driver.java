import java.util.LinkedHashMap;
import java.util.Map;

/** The driver of tests/clients for the Java client: runs the scenario that the command line names. */
public final class Driver {
    /** A scenario: it returns when all was well. */
    interface Scenario {
        void run(World world) throws Exception;
    }

    static final Map<String, Scenario> SCENARIOS = new LinkedHashMap<>();

    static {
        SCENARIOS.put("topics", Admins::topics);
        SCENARIOS.put("configs", Admins::configs);
        SCENARIOS.put("codecs", Records::codecs);
        SCENARIOS.put("records", Records::records);
        SCENARIOS.put("large", Records::large);
        SCENARIOS.put("offsets", Admins::offsets);
        SCENARIOS.put("group", Groups::classic);
        SCENARIOS.put("static", Groups::staticMembers);
        SCENARIOS.put("cooperative", Groups::cooperative);
        SCENARIOS.put("group_next", Groups::next);
        SCENARIOS.put("pause_seek", Records::pauseSeek);
        SCENARIOS.put("admin", Admins::admin);
        SCENARIOS.put("delete_records", Records::deleteRecords);
        SCENARIOS.put("compaction", Records::compaction);
        SCENARIOS.put("idempotent", Records::idempotent);
        SCENARIOS.put("sasl", Secrets::sasl);
        SCENARIOS.put("tls", Secrets::tls);
        SCENARIOS.put("transactions", Transactions::transactions);
    }

    private Driver() {}

    public static void main(String[] arguments) throws Exception {
        Scenario scenario = arguments.length == 1 ? SCENARIOS.get(arguments[0]) : null;
        if (scenario == null) {
            System.out.println("this driver has no scenario " + String.join(" ", arguments));
            System.exit(77);
        }
        int code = 0;
        try {
            scenario.run(new World(System.getenv("KLOG_CLIENT_WORLD")));
        } catch (World.Skip skipped) {
            System.out.println(skipped.getMessage());
            code = 77;
        } catch (Throwable failed) {
            failed.printStackTrace();
            code = 1;
        }
        // Threads of a failed scenario may still run.
        Runtime.getRuntime().halt(code);
    }
}
