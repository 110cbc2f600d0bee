//! Access rules and what they say about a request, as Kafka's own authoriser judges; it must never allow what a rule
//! denies, and needs no memory to say yes.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use super::acl::{Operation, PatternType, Permission, ResourceType};

/// A rule's own id (Kafka gives each one 16 random bytes).
pub type RuleId = [u8; 16];

/// Every name, every host.
pub const ANY: &str = "*";
/// Every principal.
pub const EVERYONE: &str = "User:*";

/// One rule: who may, or may not, do what with which resources from where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule {
    /// The kind of resource.
    pub resource: ResourceType,
    /// How `name` is held against a resource's.
    pub pattern: PatternType,
    /// The name, the beginning of names, or `*`.
    pub name: String,
    /// Whom it is about, `User:alice`; `User:*` is everyone.
    pub principal: String,
    /// From where, an address; `*` is everywhere.
    pub host: String,
    /// What may be done.
    pub operation: Operation,
    /// Or not.
    pub permission: Permission,
}

/// What a filter asks of a pattern's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatternFilter {
    /// Any type; a name is the pattern's own.
    Any,
    /// Whatever pattern covers the name.
    Match,
    /// This type; a name is the pattern's own.
    Exactly(PatternType),
}

/// Which rules are meant; `None` is any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// The kind of resource.
    pub resource: Option<ResourceType>,
    /// The type of pattern, and what `name` is.
    pub pattern: PatternFilter,
    /// A name.
    pub name: Option<String>,
    /// Whom the rule is about.
    pub principal: Option<String>,
    /// From where.
    pub host: Option<String>,
    /// The operation, as the rule says it.
    pub operation: Option<Operation>,
    /// What it says.
    pub permission: Option<Permission>,
}

impl Filter {
    /// Whether `rule` is meant.
    pub fn takes(&self, rule: &Rule) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|one| one == found);
        self.resource.is_none_or(|resource| resource == rule.resource)
            && self.takes_pattern(rule)
            && is(&self.principal, &rule.principal)
            && is(&self.host, &rule.host)
            && self.operation.is_none_or(|operation| operation == rule.operation)
            && self.permission.is_none_or(|permission| permission == rule.permission)
    }

    fn takes_pattern(&self, rule: &Rule) -> bool {
        let name = self.name.as_deref();
        match (self.pattern, rule.pattern) {
            (PatternFilter::Exactly(wanted), found) if wanted != found => false,
            (PatternFilter::Any | PatternFilter::Exactly(_), _) => name.is_none_or(|name| name == rule.name),
            (PatternFilter::Match, PatternType::Literal) => {
                name.is_none_or(|name| name == rule.name || rule.name == ANY)
            }
            (PatternFilter::Match, PatternType::Prefixed) => {
                name.is_none_or(|name| name.starts_with(&rule.name))
            }
        }
    }
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// Whom he has shown to be, `User:alice`.
    pub principal: &'a str,
    /// His address.
    pub host: &'a str,
}

/// What the rules say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A rule allows it and none denies it.
    Allowed,
    /// A rule denies it, or there are rules for the resource and none allows it.
    Denied,
    /// No rule is about the resource at all.
    NoRule,
}

/// From where a rule is about.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Any,
    Address(IpAddr),
    Other(String),
}

impl Host {
    fn of(text: &str) -> Self {
        match text.parse::<IpAddr>() {
            _ if text == ANY => Self::Any,
            Ok(address) => Self::Address(address.to_canonical()),
            Err(_) => Self::Other(text.to_owned()),
        }
    }

    fn covers(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Address(address) => host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical() == *address),
            Self::Other(text) => text == host,
        }
    }
}

/// A rule where it is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    id: RuleId,
    principal: String,
    host: Host,
    operation: Operation,
    permission: Permission,
}

impl Entry {
    /// Whether the rule is about the caller.
    fn about(&self, caller: Caller<'_>) -> bool {
        (self.principal == caller.principal || self.principal == EVERYONE) && self.host.covers(caller.host)
    }

    /// Whether the rule is about the operation. What is allowed implies that it may be seen; what is denied implies
    /// nothing.
    fn says(&self, operation: Operation) -> bool {
        use Operation::{All, Alter, AlterConfigs, Delete, Describe, DescribeConfigs, Read, Write};
        match (self.permission, operation) {
            _ if self.operation == All || self.operation == operation => true,
            (Permission::Allow, Describe) => matches!(self.operation, Read | Write | Delete | Alter),
            (Permission::Allow, DescribeConfigs) => self.operation == AlterConfigs,
            _ => false,
        }
    }
}

/// The rules for one kind of resource, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Kind {
    literal: HashMap<String, Vec<Entry>>,
    prefixed: HashMap<String, Vec<Entry>>,
    /// How many prefixes there are of each length: only these are looked up.
    lengths: BTreeMap<usize, usize>,
}

impl Kind {
    /// All rules that are about a name.
    fn about<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Entry> {
        let every = if name == ANY { None } else { self.literal.get(ANY) };
        let prefixes = self.lengths.range(..=name.len()).filter_map(move |(len, _)| name.get(..*len));
        let prefixed = prefixes.filter_map(|prefix| self.prefixed.get(prefix));
        self.literal.get(name).into_iter().chain(every).chain(prefixed).flatten()
    }
}

/// All rules, each under its id, and where to find those about a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    all: BTreeMap<RuleId, Rule>,
    kinds: HashMap<ResourceType, Kind>,
}

impl Rules {
    /// All rules with their ids.
    pub fn all(&self) -> impl Iterator<Item = (&RuleId, &Rule)> {
        self.all.iter()
    }

    /// Whether there is that very rule.
    pub fn holds(&self, rule: &Rule) -> bool {
        self.place(rule).into_iter().flatten().any(|entry| self.all.get(&entry.id) == Some(rule))
    }

    fn place(&self, rule: &Rule) -> Option<&Vec<Entry>> {
        let kind = self.kinds.get(&rule.resource)?;
        match rule.pattern {
            PatternType::Literal => kind.literal.get(&rule.name),
            PatternType::Prefixed => kind.prefixed.get(&rule.name),
        }
    }

    /// Adds a rule; one of the same id makes way.
    pub fn add(&mut self, id: RuleId, rule: Rule) {
        self.remove(&id);
        let kind = self.kinds.entry(rule.resource).or_default();
        let entry = Entry {
            id,
            principal: rule.principal.clone(),
            host: Host::of(&rule.host),
            operation: rule.operation,
            permission: rule.permission,
        };
        let entries = match rule.pattern {
            PatternType::Literal => kind.literal.entry(rule.name.clone()).or_default(),
            PatternType::Prefixed => {
                let entries = kind.prefixed.entry(rule.name.clone()).or_default();
                if entries.is_empty() {
                    *kind.lengths.entry(rule.name.len()).or_default() += 1;
                }
                entries
            }
        };
        entries.push(entry);
        self.all.insert(id, rule);
    }

    /// Takes a rule away.
    pub fn remove(&mut self, id: &RuleId) -> Option<Rule> {
        let rule = self.all.remove(id)?;
        let kind = self.kinds.get_mut(&rule.resource)?;
        let places = match rule.pattern {
            PatternType::Literal => &mut kind.literal,
            PatternType::Prefixed => &mut kind.prefixed,
        };
        if let Some(entries) = places.get_mut(&rule.name) {
            entries.retain(|entry| entry.id != *id);
            if entries.is_empty() {
                places.remove(&rule.name);
                if rule.pattern == PatternType::Prefixed
                    && let Some(count) = kind.lengths.get_mut(&rule.name.len())
                {
                    *count -= 1;
                    if *count == 0 {
                        kind.lengths.remove(&rule.name.len());
                    }
                }
            }
        }
        Some(rule)
    }

    /// What the rules say to `caller` doing `operation` on a resource.
    pub fn verdict(
        &self,
        caller: Caller<'_>,
        operation: Operation,
        resource: ResourceType,
        name: &str,
    ) -> Verdict {
        let mut verdict = Verdict::NoRule;
        for entry in self.kinds.get(&resource).into_iter().flat_map(|kind| kind.about(name)) {
            if verdict == Verdict::NoRule {
                verdict = Verdict::Denied;
            }
            if entry.says(operation) && entry.about(caller) {
                match entry.permission {
                    Permission::Deny => return Verdict::Denied,
                    Permission::Allow => verdict = Verdict::Allowed,
                }
            }
        }
        verdict
    }

    /// Whether there is any resource of the kind on which `caller` may do `operation`: an allowing rule that no denying
    /// one covers whole.
    pub fn allows_some(&self, caller: Caller<'_>, operation: Operation, resource: ResourceType) -> bool {
        let Some(kind) = self.kinds.get(&resource) else { return false };
        let says = |entries: &[Entry], permission| {
            let mut speaking = entries.iter().filter(|entry| entry.permission == permission);
            speaking.any(|entry| entry.says(operation) && entry.about(caller))
        };
        let denied = |name: &str| {
            let mut about = kind.about(name).filter(|entry| entry.permission == Permission::Deny);
            about.any(|entry| entry.says(operation) && entry.about(caller))
        };
        // A prefix is denied whole by itself, by a shorter one and by `*`; a literal rule of the same text is about
        // one name only.
        let whole = |prefix: &str| {
            let every = kind.literal.get(ANY).is_some_and(|entries| says(entries, Permission::Deny));
            let prefixes = kind.lengths.range(..=prefix.len()).filter_map(|(len, _)| prefix.get(..*len));
            every
                || prefixes
                    .filter_map(|prefix| kind.prefixed.get(prefix))
                    .any(|entries| says(entries, Permission::Deny))
        };
        let literal = kind.literal.iter().any(|(name, entries)| {
            says(entries, Permission::Allow) && if name == ANY { !whole("") } else { !denied(name) }
        });
        literal
            || kind
                .prefixed
                .iter()
                .any(|(prefix, entries)| says(entries, Permission::Allow) && !whole(prefix))
    }
}
