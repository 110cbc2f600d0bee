//! What to tell somebody who was refused: the narrowest rule that would help; it never names one that gives the
//! cluster away.

use super::context::Context;
use super::exit::Failure;
use crate::client::admin::{Operation, ResourceType, USER};
use crate::client::{Client, ClientError};

/// Kafka's codes of a refusal, by what kind of resource it was about.
const REFUSALS: [(i16, ResourceType); 4] = [
    (29, ResourceType::Topic),
    (30, ResourceType::Group),
    (CLUSTER_REFUSED, ResourceType::Cluster),
    (53, ResourceType::TransactionalId),
];

/// Kafka's code of what the whole cluster guards.
const CLUSTER_REFUSED: i16 = 31;

/// What a command was about to do with a resource. Write, Read, Delete and Alter give Describe besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need<'a> {
    /// The kind of resource.
    pub resource: ResourceType,
    /// What is done with it, all of it; none is empty.
    pub operations: &'a [Operation],
    /// Its name; empty where only the refusal may know it.
    pub name: &'a str,
}

impl<'a> Need<'a> {
    /// Operations on a topic.
    pub const fn topic(operations: &'a [Operation], name: &'a str) -> Self {
        Self { resource: ResourceType::Topic, operations, name }
    }

    /// Operations on a group.
    pub const fn group(operations: &'a [Operation], name: &'a str) -> Self {
        Self { resource: ResourceType::Group, operations, name }
    }

    /// Operations on a transactional id.
    pub const fn transaction(operations: &'a [Operation], name: &'a str) -> Self {
        Self { resource: ResourceType::TransactionalId, operations, name }
    }
}

impl Context {
    /// As [`Context::explain`], with the rule that a refusal lacks by what the command `needs`.
    pub fn explain_need(&self, error: &ClientError, needs: &[Need<'_>]) -> Failure {
        let user = self.settings.client.security.user();
        needing(self.explain(error), error, user, needs)
    }
}

/// As `Failure::from(error)`, with the rule that a refusal lacks by what the command `needs`.
pub fn refusal(client: &Client, error: &ClientError, needs: &[Need<'_>]) -> Failure {
    needing(Failure::from(error), error, client.options().security.user(), needs)
}

/// Gives a failure the rule that it lacks, where it is a refusal.
fn needing(failure: Failure, error: &ClientError, user: Option<&str>, needs: &[Need<'_>]) -> Failure {
    match advice(error, user, needs) {
        Some(next) => Failure { next, ..failure },
        None => failure,
    }
}

/// What would allow what was refused: by the broker's words where they say it, else by what the command needs.
/// Nothing where the error is no refusal.
pub fn advice(error: &ClientError, user: Option<&str>, needs: &[Need<'_>]) -> Option<String> {
    let code = error.code()?.code();
    let (_, kind) = *REFUSALS.iter().find(|(refused, _)| *refused == code)?;
    let (what, message) = match error {
        ClientError::Broker { what, message, .. } => (what.as_str(), message.as_deref()),
        _ => ("", None),
    };
    if let Some(said) = message.and_then(said) {
        let known = said.principal.strip_prefix(USER).filter(|name| !name.is_empty());
        // What else the command needs of the same resource is asked for at once.
        let more = needs.iter().find(|need| {
            need.resource == said.resource && covers(need, said.operation) && need.name == said.name
        });
        let operations = more.map_or(std::slice::from_ref(&said.operation), |need| need.operations);
        let need = Need { resource: said.resource, operations, name: said.name };
        return Some(missing(known.or(user), &need));
    }
    let Some(need) = needs.iter().find(|need| need.resource == kind) else { return Some(unknown(user)) };
    let name = subject(what, kind).filter(|name| !name.is_empty()).unwrap_or(need.name);
    Some(missing(user, &Need { name, ..*need }))
}

/// Whether it is a refusal of what the whole cluster guards.
pub fn is_of_cluster(error: &ClientError) -> bool {
    error.code().is_some_and(|code| code.code() == CLUSTER_REFUSED)
}

/// The command that gives `user` what is needed; without a user or a resource's name a word in capitals stands there.
pub fn missing(user: Option<&str>, need: &Need<'_>) -> String {
    let flag = match need.resource {
        ResourceType::Topic => "topic",
        ResourceType::Group => "group",
        ResourceType::TransactionalId => "transactional-id",
        // Most of what the cluster guards is the right to give every other right.
        _ => return unknown(user),
    };
    // A rule for the name * is one for all names.
    let is_odd = |text: &str| text == "*" || text.chars().any(char::is_control);
    if is_odd(need.name) || user.is_some_and(is_odd) {
        return unknown(user.filter(|user| !is_odd(user)));
    }
    let user = word(user.unwrap_or("USER"));
    let operations: Vec<String> = need.operations.iter().map(|one| super::acl::kebab(one.name())).collect();
    let name = match need.name {
        "" => " NAME".to_owned(),
        // Else it would be taken for a flag.
        dashed if dashed.starts_with('-') => format!("={}", word(dashed)),
        name => format!(" {}", word(name)),
    };
    format!(
        "it needs a rule: klog acl add {user} --allow {} --{flag}{name}; a rule that denies it has to go first; see: \
         klog acl list {user}",
        operations.join(",")
    )
}

/// What there is to say where it is not known which rule is missing, or it is none to give away.
pub fn unknown(user: Option<&str>) -> String {
    let user = user.map_or_else(|| "USER".to_owned(), word);
    format!("ask whoever runs the broker; the rules are listed by: klog acl list {user}")
}

/// A refusal in klog's own words.
struct Said<'a> {
    principal: &'a str,
    operation: Operation,
    resource: ResourceType,
    name: &'a str,
}

/// Whether the operation comes with what is needed.
fn covers(need: &Need<'_>, operation: Operation) -> bool {
    const SEE: [Operation; 4] = [Operation::Read, Operation::Write, Operation::Delete, Operation::Alter];
    let sees = || need.operations.iter().any(|one| SEE.contains(one));
    need.operations.contains(&operation) || (operation == Operation::Describe && sees())
}

/// Reads `User:alice may not Create Topic events`.
fn said(message: &str) -> Option<Said<'_>> {
    let (principal, rest) = message.split_once(" may not ")?;
    let (operation, rest) = rest.split_once(' ')?;
    let (resource, name) = rest.split_once(' ')?;
    let operation = *Operation::ALL.iter().find(|one| one.name() == operation)?;
    let resource = *ResourceType::ALL.iter().find(|one| one.name() == resource)?;
    Some(Said { principal, operation, resource, name })
}

/// The resource's name in what an error is about: `topic t`, `t-0`, `coordinator of group g`.
fn subject(what: &str, kind: ResourceType) -> Option<&str> {
    let what = what.strip_prefix("coordinator of ").unwrap_or(what);
    match kind {
        ResourceType::Topic => what.strip_prefix("topic ").or_else(|| {
            let (topic, partition) = what.rsplit_once('-')?;
            let is_number = !partition.is_empty() && partition.bytes().all(|byte| byte.is_ascii_digit());
            (is_number && !topic.contains(' ')).then_some(topic)
        }),
        ResourceType::Group => what.strip_prefix("group "),
        ResourceType::TransactionalId => what.strip_prefix("transactional id "),
        _ => None,
    }
}

/// A word as a shell takes it.
fn word(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-:=,/@%+".contains(letter);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: &[Operation] = &[Operation::Read];

    #[test]
    fn names_are_found_in_what_an_error_is_about() {
        for (what, kind, name) in [
            ("topic t", ResourceType::Topic, Some("t")),
            ("a-b-12", ResourceType::Topic, Some("a-b")),
            ("fetch", ResourceType::Topic, None),
            ("group g h", ResourceType::Group, Some("g h")),
            ("coordinator of group g", ResourceType::Group, Some("g")),
            ("coordinator of transactional id x", ResourceType::TransactionalId, Some("x")),
            ("producer id", ResourceType::Cluster, None),
        ] {
            assert_eq!(subject(what, kind), name, "{what}");
        }
    }

    #[test]
    fn refusals_are_read_as_klog_writes_them() {
        let said = said("User:a b may not DescribeConfigs Topic t u").unwrap();
        assert_eq!((said.principal, said.name), ("User:a b", "t u"));
        assert_eq!((said.operation, said.resource), (Operation::DescribeConfigs, ResourceType::Topic));
        for text in [
            "",
            "Topic authorization failed.",
            "x may not",
            "x may not Sing Topic t",
            "x may not Read Tune t",
        ] {
            assert!(super::said(text).is_none(), "{text}");
        }
    }

    #[test]
    fn commands_are_fit_for_a_shell_and_never_about_the_cluster() {
        let add = |user, need: Need<'_>| {
            let text = missing(user, &need);
            let (_, command) = text.split_once("klog acl add ").unwrap();
            command.split(';').next().unwrap().to_owned()
        };
        assert_eq!(add(None, Need::topic(READ, "")), "USER --allow read --topic NAME");
        assert_eq!(add(Some("al"), Need::group(READ, "it's")), r"al --allow read --group 'it'\''s'");
        assert_eq!(add(Some("CN=a b"), Need::topic(READ, "-t")), "'CN=a b' --allow read --topic=-t");
        let cluster = Need { resource: ResourceType::Cluster, operations: &[Operation::Alter], name: "c" };
        for need in [cluster, Need::group(READ, "*"), Need::group(READ, "a\nb")] {
            assert_eq!(missing(Some("al"), &need), unknown(Some("al")));
        }
    }
}
