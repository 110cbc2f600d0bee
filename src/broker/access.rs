//! Whether a peer may do something: the one question that every API asks; it must never let a request through unasked.
//!
//! Rules are kept and listed at any time, so that they can be made before they count; they count on the whole broker
//! once a listener demands authentication, or where `authorizer.class.name` asks for it.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::catalog::{AlteredUsers, UserDeletion, UserUpsertion};
use super::refusals::Refusals;
use super::settings::Settings;
use super::{Broker, BrokerError, Peer};
use crate::auth::acl::{Operation, ResourceType};
use crate::auth::credential::{Credential, ScramMechanism};
use crate::auth::plain::Login;
use crate::auth::rules::{Caller, Filter, Rule, Verdict};

/// Passwords that are hashed at one time: each is milliseconds of a processor.
const HASHING: usize = 2;
/// Passwords that wait for their turn besides: a second or so of work. Whoever comes then is turned away.
const WAITING: usize = 200;

/// Bytes of a name that the log shows.
const LONGEST: usize = 256;

/// A refusal: what was missing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{principal} may not {operation} {resource} {name}")]
pub struct Denied {
    /// Who asked, e.g. `User:alice`.
    pub principal: String,
    /// What for.
    pub operation: Operation,
    /// On what kind of resource.
    pub resource: ResourceType,
    /// The resource's name.
    pub name: String,
}

/// How access is judged here.
pub(super) struct Judge {
    /// Whether rules count at all.
    in_force: bool,
    /// `super.users`: may do everything.
    super_users: HashSet<String>,
    /// `allow.everyone.if.no.acl.found`
    open_without_rules: bool,
    hashing: Semaphore,
    /// Places of those who hash or wait for it.
    queue: Semaphore,
    refusals: Refusals,
}

/// What became of a name and a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// They belong together.
    Yes,
    /// They do not.
    No,
    /// Nobody looked: there are too many logins.
    TooMany,
}

impl Judge {
    /// By the settings; `demanded` where a listener demands authentication.
    pub(super) fn new(settings: &Settings, demanded: bool) -> Self {
        let authorizer = settings.text("authorizer.class.name").is_some_and(|class| !class.is_empty());
        Self {
            in_force: demanded || authorizer,
            super_users: settings.super_users().map(str::to_owned).collect(),
            open_without_rules: settings.flag("allow.everyone.if.no.acl.found"),
            hashing: Semaphore::new(HASHING),
            queue: Semaphore::new(HASHING + WAITING),
            refusals: Refusals::default(),
        }
    }

    /// Whether `peer` need not be judged.
    fn passes(&self, peer: &Peer) -> bool {
        !self.in_force || peer.superuser || self.super_users.contains(peer.principal())
    }
}

fn caller(peer: &Peer) -> Caller<'_> {
    let host = peer.client_host.strip_prefix('/').unwrap_or(&peer.client_host);
    Caller { principal: peer.principal(), host }
}

/// What the log says of a refusal: an admin wants to see who lacks what, and from where.
fn report(peer: &Peer, denied: &Denied, verdict: Verdict, untold: u64) {
    // A name of the client's choosing may be long.
    let end = denied.name.floor_char_boundary(LONGEST);
    tracing::info!(
        principal = denied.principal.as_str(),
        operation = denied.operation.name(),
        resource = denied.resource.name(),
        name = denied.name.get(..end).unwrap_or_default(),
        client = %peer.client_host,
        client_id = peer.client_id(),
        rule = if verdict == Verdict::Denied { "denies" } else { "none allows" },
        untold,
        "refused"
    );
}

impl Broker {
    /// Whether `peer` may do `operation` on the resource. Without a listener that demands authentication everyone may
    /// do everything. The log tells of a refusal, though not of each of many that are the same: what is asked only to
    /// see what there is to show goes by [`Broker::would_let`].
    ///
    /// # Errors
    /// What was missing.
    pub fn may(
        &self,
        peer: &Peer,
        operation: Operation,
        resource: ResourceType,
        name: &str,
    ) -> Result<(), Denied> {
        let verdict = self.verdict(peer, operation, resource, name);
        if verdict == Verdict::Allowed {
            return Ok(());
        }
        let principal = peer.principal().to_owned();
        let denied = Denied { principal, operation, resource, name: name.to_owned() };
        if let Some(untold) = self.judge.refusals.tell(&denied, self.clock().monotonic()) {
            report(peer, &denied, verdict, untold);
        }
        Err(denied)
    }

    /// As [`Broker::may`], and nobody hears of it: no request is refused by it.
    pub fn would_let(&self, peer: &Peer, operation: Operation, resource: ResourceType, name: &str) -> bool {
        self.verdict(peer, operation, resource, name) == Verdict::Allowed
    }

    fn verdict(&self, peer: &Peer, operation: Operation, resource: ResourceType, name: &str) -> Verdict {
        if self.judge.passes(peer) {
            return Verdict::Allowed;
        }
        match self.state().catalog.access().rules().verdict(caller(peer), operation, resource, name) {
            Verdict::NoRule if self.judge.open_without_rules => Verdict::Allowed,
            verdict => verdict,
        }
    }

    /// Whether rules count here.
    pub fn demands_rights(&self) -> bool {
        self.judge.in_force
    }

    /// The topics that are there and that `peer` may not know of.
    pub fn hidden_topics(&self, peer: &Peer) -> BTreeSet<Arc<str>> {
        if self.judge.passes(peer) {
            return BTreeSet::new();
        }
        let hidden = |name: &Arc<str>| !self.would_let(peer, Operation::Describe, ResourceType::Topic, name);
        self.topics().iter().map(|topic| Arc::clone(topic.name())).filter(hidden).collect()
    }

    /// Whether `peer` may do `operation` on some resource of the kind.
    pub fn may_on_some(&self, peer: &Peer, operation: Operation, resource: ResourceType) -> bool {
        if self.judge.passes(peer) {
            return true;
        }
        let state = self.state();
        let rules = state.catalog.access().rules();
        // No resource has the empty name: only rules for all names are about it.
        let open = self.judge.open_without_rules
            && rules.verdict(caller(peer), operation, resource, "") == Verdict::NoRule;
        open || rules.allows_some(caller(peer), operation, resource)
    }

    /// The rules that a filter takes.
    pub fn rules(&self, filter: &Filter) -> Vec<Rule> {
        let state = self.state();
        let taken = state.catalog.access().rules().all().filter(|(_, rule)| filter.takes(rule));
        taken.map(|(_, rule)| rule.clone()).collect()
    }

    /// Adds rules; they are durable, and count, when this answers. Blocking.
    ///
    /// # Errors
    /// A failing disk: none was added.
    pub fn create_rules(&self, rules: Vec<Rule>) -> Result<(), BrokerError> {
        let named = rules.into_iter().map(|rule| Ok((self.random.id()?, rule)));
        let named: Vec<_> =
            named.collect::<Result<_, getrandom::Error>>().map_err(|_| BrokerError::NoRandom)?;
        self.change(|catalog| Ok(((), catalog.access().create_rules(named))))
    }

    /// Removes all rules that one of the filters takes, durably; answers what each takes. Blocking.
    ///
    /// # Errors
    /// A failing disk: none was removed.
    pub fn delete_rules(&self, filters: &[Option<Filter>]) -> Result<Vec<Vec<Rule>>, BrokerError> {
        self.change(|catalog| Ok(catalog.access().delete_rules(filters)))
    }

    /// Changes users, durably; answers for each what became of it. Blocking.
    ///
    /// # Errors
    /// A failing disk: nothing was changed.
    pub fn alter_users(
        &self,
        deletions: &[UserDeletion],
        upsertions: &[UserUpsertion],
    ) -> Result<AlteredUsers, BrokerError> {
        self.change(|catalog| Ok(catalog.access().alter_users(deletions, upsertions)))
    }

    /// All users with their mechanisms and rounds, or those of one.
    pub fn users(&self, name: Option<&str>) -> Vec<(String, Vec<(ScramMechanism, i32)>)> {
        let state = self.state();
        let users = state.catalog.access().users();
        users
            .filter(|(user, _)| name.is_none_or(|name| name == *user))
            .map(|(user, kept)| {
                let kept = kept.iter().map(|(mechanism, kept)| (*mechanism, kept.iterations));
                (user.clone(), kept.collect())
            })
            .collect()
    }

    /// What a user's proof is held against; something made up where there is no such user.
    pub(super) fn credential(&self, name: &str, mechanism: ScramMechanism) -> Credential {
        self.state().catalog.access().credential(name, mechanism)
    }

    /// Whether name and password belong together. It takes as long for a user who is none. Of more logins at once than
    /// there are places in the queue the later ones are not looked at.
    ///
    /// # Errors
    /// The broker is closing.
    pub(super) async fn knows(self: &Arc<Self>, login: Login) -> Result<Known, BrokerError> {
        let Ok(_place) = self.judge.queue.try_acquire() else { return Ok(Known::TooMany) };
        let _turn = self.judge.hashing.acquire().await.map_err(|_| BrokerError::Closing)?;
        self.blocking(move |broker| {
            let (mechanism, kept) = {
                let state = broker.state();
                state.catalog.access().plain_credential(&login.username)
            };
            if kept.opens_with(mechanism, login.password.as_bytes()) { Known::Yes } else { Known::No }
        })
        .await
    }

    /// 16 random bytes as a nonce's text.
    pub(super) fn nonce(&self) -> Result<String, BrokerError> {
        let bytes = self.random.bytes().map_err(|_| BrokerError::NoRandom)?;
        Ok(crate::auth::scram::nonce(&bytes))
    }
}
