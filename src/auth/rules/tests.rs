//! Rules against a model that looks at each of them in turn, and Kafka's table of what implies what.

use proptest::prelude::*;

use super::*;

fn rule(pattern: PatternType, name: &str, principal: &str, operation: Operation, allow: bool) -> Rule {
    Rule {
        resource: ResourceType::Topic,
        pattern,
        name: name.to_owned(),
        principal: principal.to_owned(),
        host: ANY.to_owned(),
        operation,
        permission: if allow { Permission::Allow } else { Permission::Deny },
    }
}

fn of(rules: &[Rule]) -> Rules {
    let mut made = Rules::default();
    for (number, rule) in (0_u8..).zip(rules) {
        made.add([number; 16], rule.clone());
    }
    made
}

const ALICE: Caller<'_> = Caller { principal: "User:alice", host: "10.0.0.1" };

/// As the words of Kafka's documentation say it, one rule after the other.
fn model(
    rules: &[Rule],
    caller: Caller<'_>,
    operation: Operation,
    resource: ResourceType,
    name: &str,
) -> Verdict {
    let about: Vec<&Rule> = rules
        .iter()
        .filter(|rule| rule.resource == resource)
        .filter(|rule| match rule.pattern {
            PatternType::Literal => rule.name == "*" || rule.name == name,
            PatternType::Prefixed => name.starts_with(&rule.name),
        })
        .collect();
    if about.is_empty() {
        return Verdict::NoRule;
    }
    let mine = about.iter().filter(|rule| {
        (rule.principal == caller.principal || rule.principal == "User:*")
            && (rule.host == "*" || rule.host == caller.host)
    });
    let mut allowed = false;
    for rule in mine {
        let deny = rule.permission == Permission::Deny;
        let implied: &[Operation] = match operation {
            Operation::Describe if !deny => {
                &[Operation::Read, Operation::Write, Operation::Delete, Operation::Alter]
            }
            Operation::DescribeConfigs if !deny => &[Operation::AlterConfigs],
            _ => &[],
        };
        if rule.operation == Operation::All
            || rule.operation == operation
            || implied.contains(&rule.operation)
        {
            if deny {
                return Verdict::Denied;
            }
            allowed = true;
        }
    }
    if allowed { Verdict::Allowed } else { Verdict::Denied }
}

fn names() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["*", "a", "ab", "abc", "b", "\u{e9}", "\u{e9}x"]).prop_map(str::to_owned)
}

fn rules() -> impl Strategy<Value = Rule> {
    let resource = prop::sample::select(vec![ResourceType::Topic, ResourceType::Group]);
    let pattern = prop::sample::select(vec![PatternType::Literal, PatternType::Prefixed]);
    let principal = prop::sample::select(vec!["User:alice", "User:bob", "User:*"]);
    let host = prop::sample::select(vec!["*", "10.0.0.1", "10.0.0.2"]);
    let operation = prop::sample::select(Operation::ALL.to_vec());
    let permission = prop::sample::select(Permission::ALL.to_vec());
    (resource, pattern, names(), principal, host, operation, permission).prop_map(
        |(resource, pattern, name, principal, host, operation, permission)| Rule {
            resource,
            pattern,
            name,
            principal: principal.to_owned(),
            host: host.to_owned(),
            operation,
            permission,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_index_says_what_the_rules_say(
        rules in prop::collection::vec(rules(), 0..12),
        gone in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        name in names(),
    ) {
        let mut index = of(&rules);
        let mut left: Vec<(u8, Rule)> = (0..).zip(rules).collect();
        for gone in gone {
            if !left.is_empty() {
                let (number, rule) = left.remove(gone.index(left.len()));
                prop_assert_eq!(index.remove(&[number; 16]), Some(rule));
            }
        }
        let left: Vec<Rule> = left.into_iter().map(|(_, rule)| rule).collect();
        prop_assert_eq!(&index.all().map(|(_, rule)| rule.clone()).collect::<Vec<_>>(), &left);
        prop_assert!(left.iter().all(|rule| index.holds(rule)));
        for principal in ["User:alice", "User:bob", "User:ANONYMOUS"] {
            for host in ["10.0.0.1", "10.0.0.3"] {
                let caller = Caller { principal, host };
                for operation in Operation::ALL {
                    for resource in [ResourceType::Topic, ResourceType::Group] {
                        let said = index.verdict(caller, *operation, resource, &name);
                        prop_assert_eq!(said, model(&left, caller, *operation, resource, &name));
                        // Where one name is allowed, some is.
                        if said == Verdict::Allowed && name != "*" {
                            prop_assert!(index.allows_some(caller, *operation, resource));
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn deny_wins_over_every_allow() {
    use PatternType::{Literal, Prefixed};
    for (pattern, name) in [(Literal, "ab"), (Literal, "*"), (Prefixed, "a"), (Prefixed, "ab")] {
        let rules = of(&[
            rule(Literal, "ab", "User:alice", Operation::All, true),
            rule(pattern, name, "User:*", Operation::Read, false),
        ]);
        let verdict = |operation| rules.verdict(ALICE, operation, ResourceType::Topic, "ab");
        assert_eq!(verdict(Operation::Read), Verdict::Denied);
        assert_eq!(verdict(Operation::Write), Verdict::Allowed);
        assert_eq!(verdict(Operation::Describe), Verdict::Allowed, "denying Read denies no Describe");
    }
}

#[test]
fn hosts_are_compared_as_addresses() {
    let mut seen = rule(PatternType::Literal, "t", "User:alice", Operation::Read, true);
    for (said, asked, same) in [
        ("::1", "0:0:0:0:0:0:0:1", true),
        ("10.0.0.1", "::ffff:10.0.0.1", true),
        ("10.0.0.1", "10.0.0.2", false),
        ("10.0.0.1", "unix", false),
        ("unix", "unix", true),
    ] {
        seen.host = said.to_owned();
        let rules = of(std::slice::from_ref(&seen));
        let caller = Caller { host: asked, ..ALICE };
        let allowed = rules.verdict(caller, Operation::Read, ResourceType::Topic, "t") == Verdict::Allowed;
        assert_eq!(allowed, same, "{said} {asked}");
    }
}

#[test]
fn some_topic_is_enough_unless_all_of_it_is_denied() {
    use PatternType::{Literal, Prefixed};
    let some = |rules: &[Rule]| of(rules).allows_some(ALICE, Operation::Write, ResourceType::Topic);
    let write = |pattern, name, allow| rule(pattern, name, "User:alice", Operation::Write, allow);
    assert!(!some(&[]));
    assert!(some(&[write(Literal, "t", true)]));
    assert!(some(&[write(Prefixed, "t", true), write(Literal, "t", false)]));
    assert!(some(&[write(Literal, "*", true), write(Prefixed, "t", false)]));
    assert!(!some(&[write(Literal, "t", true), write(Literal, "t", false)]));
    assert!(!some(&[write(Literal, "tx", true), write(Prefixed, "t", false)]));
    assert!(!some(&[write(Prefixed, "tx", true), write(Prefixed, "t", false)]));
    assert!(!some(&[write(Literal, "*", true), write(Literal, "*", false)]));
    assert!(!some(&[rule(Literal, "t", "User:bob", Operation::Write, true)]));
    assert!(!some(&[rule(Literal, "t", "User:alice", Operation::Read, true)]));
}

#[test]
fn filters_take_what_kafkas_do() {
    use PatternType::{Literal, Prefixed};
    let all = [
        rule(Literal, "ab", "User:alice", Operation::Read, true),
        rule(Literal, "*", "User:alice", Operation::Read, true),
        rule(Prefixed, "a", "User:bob", Operation::Write, false),
        rule(Prefixed, "ab", "User:bob", Operation::Write, false),
    ];
    let open = Filter {
        resource: None,
        pattern: PatternFilter::Any,
        name: None,
        principal: None,
        host: None,
        operation: None,
        permission: None,
    };
    let taken =
        |filter: &Filter| -> Vec<usize> { (0..all.len()).filter(|at| filter.takes(&all[*at])).collect() };
    let named = |pattern, name: &str| Filter { pattern, name: Some(name.to_owned()), ..open.clone() };
    assert_eq!(taken(&open), [0, 1, 2, 3]);
    assert_eq!(taken(&named(PatternFilter::Any, "ab")), [0, 3]);
    assert_eq!(taken(&named(PatternFilter::Match, "ab")), [0, 1, 2, 3]);
    assert_eq!(taken(&named(PatternFilter::Match, "a")), [1, 2]);
    assert_eq!(taken(&named(PatternFilter::Exactly(Prefixed), "ab")), [3]);
    assert_eq!(taken(&Filter { principal: Some("User:bob".to_owned()), ..open.clone() }), [2, 3]);
    assert_eq!(taken(&Filter { operation: Some(Operation::All), ..open.clone() }), [] as [usize; 0]);
    assert_eq!(taken(&Filter { permission: Some(Permission::Allow), ..open.clone() }), [0, 1]);
    assert_eq!(taken(&Filter { resource: Some(ResourceType::Group), ..open.clone() }), [] as [usize; 0]);
    assert_eq!(taken(&Filter { host: Some("*".to_owned()), ..open }), [0, 1, 2, 3]);
}
