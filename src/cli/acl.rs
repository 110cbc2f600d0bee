//! `klog acl`: the rules that say who may do what; it only asks and changes them, the broker decides by them.

use std::net::IpAddr;

use super::context::{Context, block_on};
use super::exit::{Exit, Failure};
use super::output::rows::{Format, Output, Rows};
use super::topic::worse;
use super::{completions, output};
use crate::client::admin::{
    CLUSTER, Operation, PatternType, Permission, ResourceType, Rule, RuleFilter, USER,
};
use crate::client::{ClientError, ErrorKind};
use crate::model::name::check_topic;

/// Kafka's code for a broker that keeps no rules.
const SECURITY_DISABLED: i16 = 54;

/// The flags of `klog acl`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List rules
    List(ListArgs),
    /// Add rules
    Add(AddArgs),
    /// Remove the rules that fit
    Remove(RemoveArgs),
}

/// What rules are about; in `list` and `remove` a filter.
#[derive(Debug, clap::Args)]
struct About {
    /// Whom the rules are about: alice, User:alice, '*' for everyone
    #[arg(value_name = "PRINCIPAL")]
    principals: Vec<String>,
    /// Operations that are allowed: read, write, create, delete, alter, describe, cluster-action, describe-configs,
    /// alter-configs, idempotent-write, all
    #[arg(long, value_name = "OPS", value_delimiter = ',', value_parser = operation, conflicts_with = "deny")]
    allow: Vec<Operation>,
    /// Operations that are forbidden, whatever other rules allow
    #[arg(long, value_name = "OPS", value_delimiter = ',', value_parser = operation)]
    deny: Vec<Operation>,
    /// A topic, '*' for all (repeatable)
    #[arg(long, value_name = "NAME", add = completions::topics())]
    topic: Vec<String>,
    /// A group, '*' for all (repeatable)
    #[arg(long, value_name = "NAME", add = completions::groups())]
    group: Vec<String>,
    /// The cluster
    #[arg(long)]
    cluster: bool,
    /// A transactional id, '*' for all (repeatable)
    #[arg(long, value_name = "NAME")]
    transactional_id: Vec<String>,
    /// A user, whose delegation tokens are meant (repeatable)
    #[arg(long, value_name = "NAME")]
    user: Vec<String>,
    /// The names are beginnings of names
    #[arg(long)]
    prefixed: bool,
    /// The address requests come from [default: every]
    #[arg(long, value_name = "ADDR")]
    host: Option<String>,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    about: About,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    klog acl add alice --allow read,describe --topic events --group mailer\n  \
    klog acl add bob --allow write --topic app- --prefixed\n  \
    klog acl add '*' --deny delete --topic '*'")]
struct AddArgs {
    #[command(flatten)]
    about: About,
    /// Write the rules to stdout in this format [default: nothing]
    #[arg(short, long, value_name = "FORMAT", value_enum)]
    output: Option<Format>,
}

#[derive(Debug, clap::Args)]
struct RemoveArgs {
    #[command(flatten)]
    about: About,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Write the rules that went to stdout in this format [default: nothing]
    #[arg(short, long, value_name = "FORMAT", value_enum)]
    output: Option<Format>,
}

/// Runs `klog acl`.
pub fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    match args.command {
        Command::List(args) => block_on(list(context, args)),
        Command::Add(args) => block_on(add(context, args)),
        Command::Remove(args) => block_on(remove(context, args)),
    }
}

/// An operation by its name: `describe-configs`, and as Kafka writes it, `DescribeConfigs` or `DESCRIBE_CONFIGS`.
fn operation(text: &str) -> Result<Operation, String> {
    let plain = |text: &str| text.replace(['-', '_'], "").to_lowercase();
    let found = Operation::ALL.iter().find(|one| plain(one.name()) == plain(text));
    found.copied().ok_or_else(|| {
        let names: Vec<String> = Operation::ALL.iter().map(|one| kebab(one.name())).collect();
        format!("there is no operation {text:?}; allowed are {}", names.join(", "))
    })
}

/// `DescribeConfigs` as `describe-configs`.
pub(super) fn kebab(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !out.is_empty() {
            out.push('-');
        }
        out.extend(letter.to_lowercase());
    }
    out
}

/// Whether there are requests for which a broker asks about this operation on such a resource (Kafka's
/// `AclEntry.supportedOperations`).
fn applies(operation: Operation, kind: ResourceType) -> bool {
    use Operation as O;
    let of: &[Operation] = match kind {
        ResourceType::Topic => &[
            O::Read,
            O::Write,
            O::Create,
            O::Delete,
            O::Alter,
            O::Describe,
            O::DescribeConfigs,
            O::AlterConfigs,
        ],
        ResourceType::Group => &[O::Read, O::Describe, O::Delete, O::DescribeConfigs, O::AlterConfigs],
        ResourceType::Cluster => &[
            O::Create,
            O::ClusterAction,
            O::DescribeConfigs,
            O::AlterConfigs,
            O::IdempotentWrite,
            O::Alter,
            O::Describe,
        ],
        ResourceType::TransactionalId => &[O::Describe, O::Write, O::TwoPhaseCommit],
        ResourceType::DelegationToken => &[O::Describe],
        ResourceType::User => &[O::CreateTokens, O::DescribeTokens],
    };
    operation == O::All || of.contains(&operation)
}

fn principal(name: &str) -> String {
    if name.starts_with(USER) { name.to_owned() } else { format!("{USER}{name}") }
}

impl About {
    fn operations(&self) -> (Option<Permission>, &[Operation]) {
        match (self.allow.is_empty(), self.deny.is_empty()) {
            (false, _) => (Some(Permission::Allow), &self.allow),
            (true, false) => (Some(Permission::Deny), &self.deny),
            (true, true) => (None, &[]),
        }
    }

    /// The resources named, by type and name.
    fn resources(&self) -> Vec<(ResourceType, String)> {
        let named = [
            (ResourceType::Topic, &self.topic),
            (ResourceType::Group, &self.group),
            (ResourceType::TransactionalId, &self.transactional_id),
        ];
        let mut found: Vec<_> = named
            .into_iter()
            .flat_map(|(kind, names)| names.iter().map(move |name| (kind, name.clone())))
            .collect();
        found.extend(self.user.iter().map(|name| (ResourceType::User, principal(name))));
        if self.cluster {
            found.push((ResourceType::Cluster, CLUSTER.to_owned()));
        }
        found
    }

    fn is_empty(&self) -> bool {
        let (permission, _) = self.operations();
        self.principals.is_empty()
            && permission.is_none()
            && self.resources().is_empty()
            && !self.prefixed
            && self.host.is_none()
    }

    /// The rules that are to be made.
    fn rules(&self) -> Result<Vec<Rule>, Failure> {
        let wrong = |what: &str, next: &str| Err(Failure::usage(what, next));
        let (permission, operations) = self.operations();
        let resources = self.resources();
        if self.principals.is_empty() {
            return wrong("the rule is about nobody: found no PRINCIPAL", "name a user, or '*' for everyone");
        }
        if permission.is_none() {
            return wrong("found neither --allow nor --deny", "such as --allow read,write");
        }
        if resources.is_empty() {
            return wrong(
                "the rule is about nothing",
                "give --topic, --group, --cluster, --transactional-id or --user",
            );
        }
        self.check_that_it_can_fit(operations, &resources)?;
        let mut rules = Vec::new();
        for name in &self.principals {
            for (kind, resource) in &resources {
                let prefixed = self.prefixed && *kind != ResourceType::Cluster;
                rules.extend(operations.iter().map(|operation| Rule {
                    resource_type: Some(*kind),
                    name: resource.clone(),
                    pattern: Some(if prefixed { PatternType::Prefixed } else { PatternType::Literal }),
                    principal: principal(name),
                    host: self.host.clone().unwrap_or_else(|| "*".to_owned()),
                    operation: Some(*operation),
                    permission,
                }));
            }
        }
        Ok(rules)
    }

    /// A rule that no request ever fits protects nothing, and its owner does not know.
    fn check_that_it_can_fit(
        &self,
        operations: &[Operation],
        resources: &[(ResourceType, String)],
    ) -> Result<(), Failure> {
        for (kind, name) in resources {
            if self.prefixed && name == "*" {
                return Err(Failure::usage(
                    format!("--prefixed: that is a {} whose name begins with '*'", kebab(kind.name())),
                    "leave --prefixed out: '*' stands for all",
                ));
            }
            if *kind == ResourceType::Topic && name != "*" {
                // The beginning of a name has the letters of one.
                check_topic(name).map_err(|bad| {
                    Failure::usage(
                        bad.to_string(),
                        "several topics: --topic a --topic b; all of them: --topic '*'",
                    )
                })?;
            }
            if let Some(wrong) = operations.iter().find(|one| !applies(**one, *kind)) {
                let fitting = Operation::ALL.iter().filter(|one| applies(**one, *kind));
                let fitting: Vec<String> = fitting.map(|one| kebab(one.name())).collect();
                return Err(Failure::usage(
                    format!("{} is nothing that is done to a {}", kebab(wrong.name()), kebab(kind.name())),
                    format!("for a {}: {}", kebab(kind.name()), fitting.join(", ")),
                ));
            }
        }
        if let Some(host) =
            self.host.as_deref().filter(|host| *host != "*" && host.parse::<IpAddr>().is_err())
        {
            return Err(Failure::usage(
                format!("--host {host}: that is no IP address"),
                "requests are known by their address, such as 192.0.2.7; leave --host out for every address",
            ));
        }
        Ok(())
    }

    /// The filters that stand for what was given; `exact`: a name without `--prefixed` is no beginning of names.
    fn filters(&self, exact: bool) -> Vec<RuleFilter> {
        fn or_any<T: Clone>(values: &[T]) -> Vec<Option<T>> {
            if values.is_empty() { vec![None] } else { values.iter().cloned().map(Some).collect() }
        }
        let (permission, operations) = self.operations();
        let principals: Vec<String> = self.principals.iter().map(|name| principal(name)).collect();
        let mut filters = Vec::new();
        for principal in or_any(&principals) {
            for resource in or_any(&self.resources()) {
                for operation in or_any(operations) {
                    let (resource_type, name) = resource.clone().unzip();
                    let literal = exact && name.is_some();
                    let pattern = match self.prefixed {
                        true => Some(PatternType::Prefixed),
                        false => literal.then_some(PatternType::Literal),
                    };
                    filters.push(RuleFilter {
                        resource_type,
                        name,
                        pattern,
                        principal: principal.clone(),
                        host: self.host.clone(),
                        operation,
                        permission,
                    });
                }
            }
        }
        filters
    }
}

const COLUMNS: [&str; 7] = ["principal", "permission", "operation", "resource", "name", "pattern", "host"];

fn rows(rules: &[Rule]) -> Rows {
    let mut rows = Rows::new(&COLUMNS);
    let mut rules: Vec<&Rule> = rules.iter().collect();
    rules.sort_by(|a, b| a.principal.cmp(&b.principal).then(a.cmp(b)));
    for rule in rules {
        rows.push(vec![
            rule.principal.as_str().into(),
            rule.permission.map(|one| kebab(one.name())).into(),
            rule.operation.map(|one| kebab(one.name())).into(),
            rule.resource_type.map(|one| kebab(one.name())).into(),
            rule.name.as_str().into(),
            rule.pattern.map(|one| kebab(one.name())).into(),
            rule.host.as_str().into(),
        ]);
    }
    rows
}

async fn list(context: &Context, args: ListArgs) -> Result<Exit, Failure> {
    let client = context.client().await?;
    let mut found = Vec::new();
    for filter in args.about.filters(false) {
        found.extend(client.describe_acls(&filter).await.map_err(|error| explain(context, &error))?);
    }
    found.sort();
    found.dedup();
    rows(&found).write(args.output.output)
}

async fn add(context: &Context, args: AddArgs) -> Result<Exit, Failure> {
    let rules = args.about.rules()?;
    let client = context.client().await?;
    let outcomes = client.create_acls(&rules).await.map_err(|error| explain(context, &error))?;
    let mut exit = Exit::Done;
    let mut made = Vec::new();
    for (rule, outcome) in rules.into_iter().zip(outcomes) {
        match outcome {
            Ok(()) => {
                output::notice(context, &sentence(&rule));
                made.push(rule);
            }
            Err(error) => exit = worse(exit, output::failure(&explain(context, &error))),
        }
    }
    if let Some(format) = args.output {
        rows(&made).write(format)?;
    }
    Ok(exit)
}

async fn remove(context: &Context, args: RemoveArgs) -> Result<Exit, Failure> {
    if args.about.is_empty() {
        return Err(Failure::usage(
            "every rule would go: found nothing that says which",
            "name a principal, --topic, --allow ...; see them all with: klog acl list",
        ));
    }
    let filters = args.about.filters(true);
    let client = context.client().await?;
    let mut found = Vec::new();
    for filter in &filters {
        found.extend(client.describe_acls(filter).await.map_err(|error| explain(context, &error))?);
    }
    found.sort();
    found.dedup();
    if found.is_empty() {
        return Err(Failure::missing("no rule fits", "list the rules with: klog acl list"));
    }
    for rule in &found {
        output::notice(context, &format!("to remove: {}", sentence(rule)));
    }
    if !args.yes && !output::confirm(&format!("Remove {}?", count(found.len())), true) {
        return Err(Failure::failed("nothing removed", "answer y, or give -y"));
    }
    // Those that were shown, and no others that came meanwhile.
    let exact: Vec<_> = found.iter().map(exactly).collect();
    let gone = client.delete_acls(&exact).await.map_err(|error| explain(context, &error))?;
    output::notice(context, &format!("removed {}", count(gone.len())));
    if let Some(format) = args.output {
        rows(&gone).write(format)?;
    }
    Ok(Exit::Done)
}

/// The filter that takes this rule alone.
fn exactly(rule: &Rule) -> RuleFilter {
    RuleFilter {
        resource_type: rule.resource_type,
        name: Some(rule.name.clone()),
        pattern: rule.pattern,
        principal: Some(rule.principal.clone()),
        host: Some(rule.host.clone()),
        operation: rule.operation,
        permission: rule.permission,
    }
}

fn count(rules: usize) -> String {
    if rules == 1 { "1 rule".to_owned() } else { format!("{rules} rules") }
}

/// `User:alice may read topic events`
fn sentence(rule: &Rule) -> String {
    let unknown = || "unknown".to_owned();
    let may = if rule.permission == Some(Permission::Deny) { "may not" } else { "may" };
    let operation = match rule.operation {
        Some(Operation::All) => "do anything with".to_owned(),
        other => other.map_or_else(unknown, |one| kebab(one.name())),
    };
    let mut text = format!("{} {may} {operation}", rule.principal);
    match rule.resource_type {
        Some(ResourceType::Cluster) => text += " the cluster",
        kind => {
            text += &format!(" {}", kind.map_or_else(unknown, |one| kebab(one.name())));
            text += &format!(" {}", rule.name);
            if rule.pattern == Some(PatternType::Prefixed) {
                text += "...";
            }
        }
    }
    if rule.host != "*" {
        text += &format!(" from {}", rule.host);
    }
    text
}

/// A failure about rules, with the next thing to do.
fn explain(context: &Context, error: &ClientError) -> Failure {
    let failure = context.explain(error);
    if error.code().is_some_and(|code| code.code() == SECURITY_DISABLED) {
        return Failure {
            next: "klog keeps rules once a listener demands authentication (broker run --listen ADDR,sasl), Apache \
                   Kafka with authorizer.class.name"
                .to_owned(),
            ..failure
        };
    }
    match error.kind() {
        ErrorKind::NotAllowed if error.code().is_some() => Failure {
            next: "it needs a rule that allows alter (list: describe) of the cluster; on klog's own socket, run it \
                   as the daemon's user"
                .to_owned(),
            ..failure
        },
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about() -> About {
        About {
            principals: vec!["alice".into(), "User:bob".into()],
            allow: vec![Operation::Read, Operation::DescribeConfigs],
            deny: Vec::new(),
            topic: vec!["t".into()],
            group: vec!["g".into()],
            cluster: false,
            transactional_id: Vec::new(),
            user: Vec::new(),
            prefixed: false,
            host: None,
        }
    }

    #[test]
    fn operations_go_by_every_spelling() {
        for text in ["describe-configs", "DescribeConfigs", "DESCRIBE_CONFIGS", "describeconfigs"] {
            assert_eq!(operation(text), Ok(Operation::DescribeConfigs), "{text}");
        }
        for one in Operation::ALL {
            assert_eq!(operation(&kebab(one.name())), Ok(*one));
        }
        assert!(operation("fly").unwrap_err().contains("cluster-action"));
    }

    #[test]
    fn rules_are_everyone_times_everything() {
        let rules = about().rules().unwrap();
        assert_eq!(rules.len(), 8);
        assert_eq!(sentence(&rules[0]), "User:alice may read topic t");
        assert_eq!(sentence(&rules[7]), "User:bob may describe-configs group g");
        let none = About { topic: Vec::new(), group: Vec::new(), ..about() };
        assert_eq!(none.rules().unwrap_err().exit, Exit::Usage);
        let nobody = About { principals: Vec::new(), ..about() };
        assert_eq!(nobody.rules().unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn rules_that_no_request_fits_are_wrong() {
        let one = |change: fn(&mut About)| {
            let mut about = about();
            change(&mut about);
            about.rules().map(drop).map_err(|failure| failure.what)
        };
        let wrong = |change| one(change).unwrap_err();
        assert!(wrong(|about| about.topic = vec!["a,b".into()]).contains("the topic name holds ','"));
        assert!(wrong(|about| about.host = Some("nothost".into())).contains("no IP address"));
        assert_eq!(
            wrong(|about| about.allow = vec![Operation::Create]),
            "create is nothing that is done to a group"
        );
        assert_eq!(wrong(|about| about.cluster = true), "read is nothing that is done to a cluster");
        for change in [
            (|about| about.topic = vec!["*".into()]) as fn(&mut About),
            |about| about.host = Some("::1".into()),
            |about| about.host = Some("*".into()),
            |about| about.allow = vec![Operation::All],
        ] {
            assert_eq!(one(change), Ok(()));
        }
    }

    /// What removes must not reach further than what was named.
    #[test]
    fn names_to_remove_are_exact() {
        let filters = about().filters(true);
        assert_eq!(filters.len(), 8);
        assert!(filters.iter().all(|filter| filter.pattern == Some(PatternType::Literal)));
        assert!(about().filters(false).iter().all(|filter| filter.pattern.is_none()));
        let all = About { principals: vec!["a".into()], allow: Vec::new(), ..about() };
        let all = About { topic: Vec::new(), group: Vec::new(), ..all }.filters(true);
        let wanted = RuleFilter { principal: Some("User:a".into()), ..RuleFilter::default() };
        assert_eq!(all, [wanted]);
    }
}
