import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UserScramCredentialDeletion;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.clients.admin.UserScramCredentialsDescription;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.ResourceNotFoundException;
import org.apache.kafka.common.errors.SaslAuthenticationException;
import org.apache.kafka.common.errors.SslAuthenticationException;
import org.apache.kafka.common.errors.TopicAuthorizationException;

/** SASL and TLS: who comes in and who does not. */
final class Secrets {
    private Secrets() {}

    static String[] join(String[] first, String... second) {
        List<String> all = new ArrayList<>(Arrays.asList(first));
        all.addAll(Arrays.asList(second));
        return all.toArray(String[]::new);
    }

    static String[] auth(World w, String listener, String protocol, String mechanism, String user, String password) {
        String module = mechanism.equals("PLAIN") ? "plain.PlainLoginModule" : "scram.ScramLoginModule";
        return new String[] {
            "bootstrap.servers", w.get(listener), "security.protocol", protocol, "sasl.mechanism", mechanism,
            "sasl.jaas.config", "org.apache.kafka.common.security." + module + " required username=\"" + user
                    + "\" password=\"" + password + "\";"};
    }

    /** Asks a listener for the cluster. */
    static Object enter(World w, String... settings) throws Exception {
        Properties all = w.settings(join(settings, "request.timeout.ms", "5000", "default.api.timeout.ms", "5000"));
        try (Admin admin = Admin.create(all)) {
            return admin.describeCluster().clusterId().get();
        }
    }

    /** Makes a topic, sends records and reads them back, all through one listener. */
    static void carries(World w, String topic, String... settings) throws Exception {
        try (Admin admin = w.admin(settings)) {
            admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all().get();
        }
        List<String> sent = World.numbers(100);
        try (KafkaProducer<byte[], byte[]> producer = w.producer(settings)) {
            for (String text : sent) {
                producer.send(new ProducerRecord<>(topic, null, text.getBytes()));
            }
            producer.flush();
        }
        try (KafkaConsumer<byte[], byte[]> consumer = w.consumer(settings)) {
            consumer.assign(List.of(new TopicPartition(topic, 0)));
            World.same(topic, World.texts(World.read(consumer, sent.size())), sent);
        }
    }

    static void sasl(World w) throws Exception {
        for (String mechanism : List.of("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")) {
            String[] right = auth(w, "sasl", "SASL_PLAINTEXT", mechanism, w.get("user"), w.get("password"));
            carries(w, w.name("sasl-" + mechanism), right);
            World.fails(mechanism + " with a wrong password", SaslAuthenticationException.class,
                    () -> enter(w, auth(w, "sasl", "SASL_PLAINTEXT", mechanism, w.get("user"), "wrong")));
            World.fails(mechanism + " with a wrong user", SaslAuthenticationException.class,
                    () -> enter(w, auth(w, "sasl", "SASL_PLAINTEXT", mechanism, "nobody", w.get("password"))));
        }
        World.fails("nobody comes in without", Exception.class, () -> enter(w, "bootstrap.servers", w.get("sasl")));
    }

    static void tls(World w) throws Exception {
        String[] server = {"bootstrap.servers", w.get("tls"), "security.protocol", "SSL", "ssl.truststore.type", "PEM",
            "ssl.truststore.location", w.get("ca")};
        carries(w, w.name("tls"), server);
        carries(w, "cert-" + w.get("prefix"), join(server, "ssl.keystore.type", "PEM", "ssl.keystore.certificate.chain",
                Files.readString(Path.of(w.get("client_cert"))), "ssl.keystore.key", Files.readString(Path.of(w.get("client_key")))));
        try (KafkaProducer<byte[], byte[]> nobody = w.producer(server)) {
            World.fails("without a certificate", TopicAuthorizationException.class,
                    () -> nobody.send(new ProducerRecord<>("cert-" + w.get("prefix"), new byte[1])).get());
        }
        String[] both = {"security.protocol", "SASL_SSL", "ssl.truststore.type", "PEM", "ssl.truststore.location", w.get("ca")};
        carries(w, w.name("tls-sasl"), join(auth(w, "sasl_tls", "SASL_SSL", "SCRAM-SHA-512", w.get("user"), w.get("password")), both));
        World.fails("a wrong password", SaslAuthenticationException.class,
                () -> enter(w, join(auth(w, "sasl_tls", "SASL_SSL", "PLAIN", w.get("user"), "wrong"), both)));
        World.fails("an authority that signed nothing here", SslAuthenticationException.class,
                () -> enter(w, "bootstrap.servers", w.get("tls"), "security.protocol", "SSL", "ssl.truststore.type", "PEM",
                        "ssl.truststore.location", w.get("other_ca")));
        World.fails("no plain text on a TLS listener", Exception.class, () -> enter(w, "bootstrap.servers", w.get("tls")));
    }

    static void scramUsers(World w, Admin admin) throws Exception {
        String user = w.name("user");
        admin.alterUserScramCredentials(List.of(new UserScramCredentialUpsertion(user,
                new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096), "one"))).all().get();
        World.until("the user is there", () -> found(admin, user) == 1);
        World.until("the user comes in", () -> comesIn(w, user, "one"));
        World.that(!comesIn(w, user, "two"), "with no other password");
        admin.alterUserScramCredentials(List.of(new UserScramCredentialDeletion(user, ScramMechanism.SCRAM_SHA_256))).all().get();
        World.until("the user is gone", () -> found(admin, user) == 0);
        World.until("the user stays out", () -> !comesIn(w, user, "one"));
    }

    private static int found(Admin admin, String user) {
        try {
            UserScramCredentialsDescription found = admin.describeUserScramCredentials(List.of(user)).description(user).get();
            World.same("iterations", found.credentialInfos().get(0).iterations(), 4096);
            return found.credentialInfos().size();
        } catch (ExecutionException failed) {
            World.that(failed.getCause() instanceof ResourceNotFoundException, "describe a user: " + failed);
            return 0;
        } catch (InterruptedException ended) {
            throw new AssertionError(ended);
        }
    }

    private static boolean comesIn(World w, String user, String password) {
        try {
            enter(w, auth(w, "sasl", "SASL_PLAINTEXT", "SCRAM-SHA-256", user, password));
            return true;
        } catch (Exception failed) {
            Throwable reason = failed instanceof ExecutionException ? failed.getCause() : failed;
            World.that(reason instanceof SaslAuthenticationException, "comes in: " + reason);
            return false;
        }
    }
}
