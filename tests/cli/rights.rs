//! What a refusal tells an admin to do: the command it names is run, and the refused one works after it.

use super::World;

/// A world whose daemon lets in who has a password; `alice` may do nothing yet.
struct Guarded {
    world: World,
    address: String,
}

fn guarded() -> Guarded {
    let world = World::new();
    let said = world.klog(&["broker", "start", "--listen", "127.0.0.1:0,sasl"]).ok();
    let address = said.lines().find(|line| line.starts_with("127.0.0.1:")).unwrap().to_owned();
    world.klog(&["user", "add", "alice", "--iterations", "4096"]).stdin("secret\n").ok();
    for topic in ["t", "old", "trimmed"] {
        world.klog(&["topic", "create", topic]).ok();
        world.klog(&["produce", topic]).stdin("a\nb\n").ok();
    }
    world.klog(&["consume", "t", "-e", "-g", "gone"]).ok();
    world.klog(&["consume", "t", "-e", "-g", "seen"]).ok();
    Guarded { world, address }
}

impl Guarded {
    /// `klog` as alice, fed `a line`.
    fn alice(&self, arguments: &str) -> super::Done {
        let script = format!(
            "klog -b {} -X security.protocol=SASL_PLAINTEXT -X sasl.mechanism=SCRAM-SHA-256 -X sasl.username=alice \
             -X sasl.password=secret {arguments}",
            self.address
        );
        self.world.sh(&script).stdin("a line\n").done()
    }

    /// Follows the advice of a command's refusals until it works; `grants` are the ones that it takes.
    #[track_caller]
    fn follow(&self, arguments: &str, grants: &[&str]) {
        let mut found = Vec::new();
        let done = loop {
            let done = self.alice(arguments);
            if done.status != 4 || found.len() > grants.len() {
                break done;
            }
            let stderr = done.stderr_text();
            let Some(advice) = stderr.find("klog acl add ").map(|at| &stderr[at..]) else {
                panic!("{arguments}: no advice in {stderr}");
            };
            let advice = advice.split([';', '\n']).next().unwrap();
            found.push(advice.strip_prefix("klog acl add alice --allow ").unwrap_or(advice).to_owned());
            assert!(!advice.contains("--cluster"), "{arguments}: {advice}");
            self.world.sh(advice).ok();
        };
        assert_eq!(done.status, 0, "{arguments}: {}", done.stderr_text());
        assert_eq!(found, grants, "{arguments}");
        self.world.klog(&["acl", "remove", "alice", "-y"]).done();
    }
}

#[test]
fn following_the_advice_of_a_refusal_helps_and_gives_no_more_than_that() {
    let guarded = guarded();
    guarded.follow("produce t", &["write --topic t"]);
    guarded.follow("-X enable.idempotence=false produce t", &["write --topic t"]);
    guarded.follow("-X enable.idempotence=false -X acks=1 produce t", &["write --topic t"]);
    guarded.follow("produce t --txn 'my id'", &["write --transactional-id 'my id'", "write --topic t"]);
    guarded.follow("consume t -e", &["read --topic t"]);
    guarded.follow("consume t -e -g seen", &["read --topic t", "read --group seen"]);
    guarded.follow("topic describe t", &["describe,describe-configs --topic t"]);
    guarded.follow("topic offsets t", &["describe --topic t"]);
    guarded.follow("topic create new", &["create --topic new"]);
    guarded.follow("topic alter t -c retention.ms=5000", &["alter-configs --topic t"]);
    guarded.follow("topic alter t --partitions 2", &["alter --topic t"]);
    guarded.follow("topic trim trimmed --before end -y", &["delete --topic trimmed"]);
    guarded.follow("topic delete old -y", &["delete --topic old"]);
    guarded.follow("group describe seen", &["describe --group seen"]);
    guarded.follow("group delete gone -y", &["delete --group gone"]);
}

#[test]
fn a_rule_that_denies_is_named_and_no_refusal_gives_the_cluster_away() {
    let guarded = guarded();
    guarded.world.klog(&["acl", "add", "alice", "--deny", "read", "--topic", "t"]).ok();
    guarded.world.klog(&["acl", "add", "alice", "--allow", "describe", "--topic", "t"]).ok();
    let refused = guarded.alice("consume t -e").stderr_text();
    assert!(refused.contains("a rule that denies it has to go first; see: klog acl list alice"), "{refused}");
    for arguments in ["acl add alice --allow all --topic t", "user list", "user add bob --iterations 4096"] {
        let done = guarded.alice(arguments);
        assert_eq!(done.status, 4, "{arguments}: {}", done.stderr_text());
        assert!(!done.stderr_text().contains("klog acl add"), "{arguments}: {}", done.stderr_text());
    }
}
