//! Users and access rules as the catalog knows them. Deciding is pure and answers records; only `apply` changes
//! anything, and a record that makes no sense changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::auth::acl::{Operation, PatternType, Permission, ResourceType};
use crate::auth::credential::{Credential, MAX_ITERATIONS, MIN_ITERATIONS, ScramMechanism};
use crate::auth::rules::{Filter, Rule, Rules};
use crate::model::id::TopicId;
use crate::schema::kraft::{
    AccessControlEntry, RemoveAccessControlEntry, RemoveUserScramCredential, UserScramCredential,
};
use crate::schema::metadata::MetadataRecord;

/// Who there is, and who may do what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    users: BTreeMap<String, BTreeMap<ScramMechanism, Credential>>,
    rules: Rules,
    /// Drawn once, at the node's first start, and told to nobody: what is made up for unknown users comes from it.
    secret: Option<TopicId>,
}

/// A credential that is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserDeletion {
    /// The user.
    pub name: String,
    /// The mechanism's number.
    pub mechanism: i8,
}

/// A credential that is to be made or replaced.
#[derive(Clone, PartialEq, Eq)]
pub struct UserUpsertion {
    /// The user.
    pub name: String,
    /// The mechanism's number.
    pub mechanism: i8,
    /// Rounds.
    pub iterations: i32,
    /// The salt.
    pub salt: Bytes,
    /// The password, salted.
    pub salted_password: Bytes,
}

/// Why nothing of what was asked for a user is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UserRefusal {
    /// No name.
    #[error("the user's name is empty")]
    NoName,
    /// Not a SCRAM mechanism.
    #[error("there is no SCRAM mechanism of that number; there are 1 (SCRAM-SHA-256) and 2 (SCRAM-SHA-512)")]
    Mechanism,
    /// Too few or too many rounds.
    #[error("{0} iterations were asked for; allowed are {MIN_ITERATIONS} to {MAX_ITERATIONS}")]
    Iterations(i32),
    /// No salt or no password.
    #[error("the salt or the salted password is empty")]
    Empty,
    /// The same credential twice in one request.
    #[error("a user's credential can not be altered twice in one request")]
    Twice,
    /// There is no such credential.
    #[error("the user has no such credential")]
    Missing,
}

/// What became of each user that a request alters, in the order in which it names them.
pub type AlteredUsers = Vec<(String, Result<(), UserRefusal>)>;

impl Access {
    /// All users and their credentials, by name.
    pub fn users(&self) -> impl Iterator<Item = (&String, &BTreeMap<ScramMechanism, Credential>)> {
        self.users.iter()
    }

    /// A user's credentials.
    pub fn user(&self, name: &str) -> Option<&BTreeMap<ScramMechanism, Credential>> {
        self.users.get(name)
    }

    /// The rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// A user's credential for the mechanism, or what is held against whoever says he is a user that there is not.
    pub fn credential(&self, name: &str, mechanism: ScramMechanism) -> Credential {
        if let Some(kept) = self.users.get(name).and_then(|user| user.get(&mechanism)) {
            return kept.clone();
        }
        let known = self.users.values().filter_map(|user| user.get(&mechanism));
        let like = self.alike(name, known.map(|kept| (mechanism, kept))).map(|(_, kept)| kept);
        Credential::made_up(mechanism, name, &self.secret.unwrap_or_default().0, like)
    }

    /// Which of the real credentials an unknown user's is like: each form (mechanism, rounds, length of the salt) as
    /// often as there are users of it, and for one name always the same while the forms and their shares stay.
    fn alike<'a>(
        &self,
        name: &str,
        known: impl Iterator<Item = (ScramMechanism, &'a Credential)>,
    ) -> Option<(ScramMechanism, &'a Credential)> {
        let mut forms: BTreeMap<_, (f64, &Credential)> = BTreeMap::new();
        for (mechanism, kept) in known {
            let form = (mechanism, kept.iterations, kept.salt.len());
            forms.entry(form).or_insert((0.0, kept)).0 += 1.0;
        }
        // Drawn for each form by itself, so that one more form takes over only its share of the names.
        let secret = self.secret.unwrap_or_default();
        let drawn = forms.into_iter().map(|((mechanism, rounds, salt), (share, kept))| {
            let bytes = (mechanism.code().to_be_bytes(), rounds.to_be_bytes(), salt.to_be_bytes());
            let words: [&[u8]; 5] = [b"form", &bytes.0, &bytes.1, &bytes.2, name.as_bytes()];
            // Of these the largest is each form's as often as its share says.
            let even = Credential::drawn(&secret.0, &words);
            (-share / even.ln(), mechanism, kept)
        });
        let (_, mechanism, kept) = drawn.max_by(|one, other| one.0.total_cmp(&other.0))?;
        Some((mechanism, kept))
    }

    /// The mechanism by whose credential a user's password is checked where it comes as it is (PLAIN).
    pub fn mechanism(&self, name: &str) -> ScramMechanism {
        self.plain_credential(name).0
    }

    /// What a user's password is held against where it comes as it is (PLAIN), and by which mechanism; something made up
    /// in the form of real ones where there is no such user, so that it takes as long.
    pub fn plain_credential(&self, name: &str) -> (ScramMechanism, Credential) {
        let first = |user: &'_ BTreeMap<ScramMechanism, Credential>| user.keys().next().copied();
        if let Some(mechanism) = self.users.get(name).and_then(first) {
            return (mechanism, self.credential(name, mechanism));
        }
        let known = self.users.values().filter_map(|user| user.iter().next());
        let like = self.alike(name, known.map(|(mechanism, kept)| (*mechanism, kept)));
        let mechanism = like.map_or(ScramMechanism::Sha256, |(mechanism, _)| mechanism);
        let secret = self.secret.unwrap_or_default();
        (mechanism, Credential::made_up(mechanism, name, &secret.0, like.map(|(_, kept)| kept)))
    }

    /// Decides on changes of users: for each user all of them or, where one is refused, none.
    pub fn alter_users(
        &self,
        deletions: &[UserDeletion],
        upsertions: &[UserUpsertion],
    ) -> (AlteredUsers, Vec<MetadataRecord>) {
        let mut answers = AlteredUsers::new();
        let mut records: Vec<(&str, MetadataRecord)> = Vec::new();
        let mut seen = BTreeSet::new();
        let deleted = deletions.iter().map(|one| (&one.name, self.delete_user(one)));
        let made = upsertions.iter().map(|one| (&one.name, made(one)));
        for (name, decided) in deleted.chain(made) {
            // Also in another mechanism, as in Kafka.
            let twice = !seen.insert(name);
            let decided = if twice { Err(UserRefusal::Twice) } else { decided };
            let done = decided.map(|record| records.push((name, record)));
            match answers.iter_mut().find(|(user, _)| user == name) {
                Some((_, before)) => *before = (*before).and(done),
                None => answers.push((name.clone(), done)),
            }
        }
        let refused: BTreeSet<&str> =
            answers.iter().filter(|(_, done)| done.is_err()).map(|(user, _)| user.as_str()).collect();
        records.retain(|(user, _)| !refused.contains(user));
        let records = records.into_iter().map(|(_, record)| record).collect();
        (answers, records)
    }

    fn delete_user(&self, asked: &UserDeletion) -> Result<MetadataRecord, UserRefusal> {
        if asked.name.is_empty() {
            return Err(UserRefusal::NoName);
        }
        let mechanism = ScramMechanism::from_code(asked.mechanism).ok_or(UserRefusal::Mechanism)?;
        if self.users.get(&asked.name).is_none_or(|user| !user.contains_key(&mechanism)) {
            return Err(UserRefusal::Missing);
        }
        Ok(MetadataRecord::RemoveUserScramCredential(RemoveUserScramCredential {
            name: asked.name.clone(),
            mechanism: asked.mechanism,
        }))
    }

    /// Decides to add rules, each under an id of its own; those that there are already stay as they are.
    pub fn create_rules(&self, rules: Vec<(TopicId, Rule)>) -> Vec<MetadataRecord> {
        let mut seen = BTreeSet::new();
        rules
            .into_iter()
            .filter(|(_, rule)| !self.rules.holds(rule) && seen.insert(rule.clone()))
            .map(|(id, rule)| {
                MetadataRecord::AccessControlEntry(AccessControlEntry {
                    id,
                    resource_type: rule.resource.code(),
                    resource_name: rule.name,
                    pattern_type: rule.pattern.code(),
                    principal: rule.principal,
                    host: rule.host,
                    operation: rule.operation.code(),
                    permission_type: rule.permission.code(),
                })
            })
            .collect()
    }

    /// Decides to remove all rules that one of the filters takes; answers what each takes. A filter that is none (it
    /// was refused) takes nothing.
    pub fn delete_rules(&self, filters: &[Option<Filter>]) -> (Vec<Vec<Rule>>, Vec<MetadataRecord>) {
        let mut gone = BTreeSet::new();
        let taken = filters.iter().map(|filter| {
            let taken =
                self.rules.all().filter(|(_, rule)| filter.as_ref().is_some_and(|one| one.takes(rule)));
            let taken: Vec<_> = taken.collect();
            gone.extend(taken.iter().map(|(id, _)| **id));
            taken.into_iter().map(|(_, rule)| rule.clone()).collect()
        });
        let taken = taken.collect();
        let record =
            |id| MetadataRecord::RemoveAccessControlEntry(RemoveAccessControlEntry { id: TopicId(id) });
        (taken, gone.into_iter().map(record).collect())
    }

    pub(super) fn apply(&mut self, record: &MetadataRecord) {
        match record {
            MetadataRecord::RegisterBroker(born) => {
                self.secret.get_or_insert(born.incarnation_id);
            }
            MetadataRecord::UserScramCredential(made) => {
                if let Some(mechanism) = ScramMechanism::from_code(made.mechanism) {
                    let credential = Credential {
                        salt: made.salt.to_vec(),
                        iterations: made.iterations,
                        stored_key: made.stored_key.to_vec(),
                        server_key: made.server_key.to_vec(),
                    };
                    self.users.entry(made.name.clone()).or_default().insert(mechanism, credential);
                }
            }
            MetadataRecord::RemoveUserScramCredential(gone) => {
                if let (Some(mechanism), Some(user)) =
                    (ScramMechanism::from_code(gone.mechanism), self.users.get_mut(&gone.name))
                {
                    user.remove(&mechanism);
                    if user.is_empty() {
                        self.users.remove(&gone.name);
                    }
                }
            }
            MetadataRecord::AccessControlEntry(made) => {
                if let Some(rule) = rule_of(made) {
                    self.rules.add(made.id.0, rule);
                }
            }
            MetadataRecord::RemoveAccessControlEntry(gone) => {
                self.rules.remove(&gone.id.0);
            }
            _ => {}
        }
    }
}

fn made(asked: &UserUpsertion) -> Result<MetadataRecord, UserRefusal> {
    if asked.name.is_empty() {
        return Err(UserRefusal::NoName);
    }
    let mechanism = ScramMechanism::from_code(asked.mechanism).ok_or(UserRefusal::Mechanism)?;
    if !(MIN_ITERATIONS..=MAX_ITERATIONS).contains(&asked.iterations) {
        return Err(UserRefusal::Iterations(asked.iterations));
    }
    if asked.salt.is_empty() || asked.salted_password.is_empty() {
        return Err(UserRefusal::Empty);
    }
    let credential = Credential::of_salted(mechanism, &asked.salted_password, &asked.salt, asked.iterations);
    Ok(MetadataRecord::UserScramCredential(UserScramCredential {
        name: asked.name.clone(),
        mechanism: asked.mechanism,
        salt: asked.salt.clone(),
        stored_key: credential.stored_key.into(),
        server_key: credential.server_key.into(),
        iterations: asked.iterations,
    }))
}

/// A record's rule; none where it holds a number that no rule has.
fn rule_of(record: &AccessControlEntry) -> Option<Rule> {
    Some(Rule {
        resource: ResourceType::from_code(record.resource_type)?,
        pattern: PatternType::from_code(record.pattern_type)?,
        name: record.resource_name.clone(),
        principal: record.principal.clone(),
        host: record.host.clone(),
        operation: Operation::from_code(record.operation)?,
        permission: Permission::from_code(record.permission_type)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upsert(name: &str, mechanism: i8, iterations: i32) -> UserUpsertion {
        UserUpsertion {
            name: name.to_owned(),
            mechanism,
            iterations,
            salt: Bytes::from_static(b"salt"),
            salted_password: Bytes::from_static(b"salted"),
        }
    }

    fn deletion(name: &str, mechanism: i8) -> UserDeletion {
        UserDeletion { name: name.to_owned(), mechanism }
    }

    fn with(access: &mut Access, records: &[MetadataRecord]) {
        records.iter().for_each(|record| access.apply(record));
    }

    #[test]
    fn users_come_and_go_by_records_alone() {
        let mut access = Access::default();
        for asked in [upsert("a", 1, 4096), upsert("a", 2, 16_384)] {
            let before = access.user("a").map_or(0, BTreeMap::len);
            let (answers, records) = access.alter_users(&[], &[asked]);
            assert_eq!(answers, [("a".to_owned(), Ok(()))]);
            assert_eq!(access.user("a").map_or(0, BTreeMap::len), before, "deciding changes nothing");
            with(&mut access, &records);
        }
        assert_eq!(access.user("a").unwrap().len(), 2);
        assert_eq!(access.credential("a", ScramMechanism::Sha512).iterations, 16_384);
        let (_, records) = access.alter_users(&[deletion("a", 1)], &[]);
        with(&mut access, &records);
        assert_eq!(access.mechanism("a"), ScramMechanism::Sha512);
        let (_, records) = access.alter_users(&[deletion("a", 2)], &[]);
        with(&mut access, &records);
        assert!(access.user("a").is_none());
    }

    #[test]
    fn one_refusal_keeps_all_of_a_user_and_nothing_of_others() {
        let access = Access::default();
        let asked = [
            upsert("a", 2, 4095),
            upsert("b", 1, 4096),
            upsert("c", 1, 16_385),
            upsert("", 1, 4096),
            upsert("d", 3, 4096),
            upsert("e", 1, 4096),
            upsert("e", 2, 4096),
            UserUpsertion { salt: Bytes::new(), ..upsert("f", 1, 4096) },
        ];
        let (answers, records) = access.alter_users(&[deletion("g", 1)], &asked);
        let expected: [(&str, Result<(), UserRefusal>); 8] = [
            ("g", Err(UserRefusal::Missing)),
            ("a", Err(UserRefusal::Iterations(4095))),
            ("b", Ok(())),
            ("c", Err(UserRefusal::Iterations(16_385))),
            ("", Err(UserRefusal::NoName)),
            ("d", Err(UserRefusal::Mechanism)),
            ("e", Err(UserRefusal::Twice)),
            ("f", Err(UserRefusal::Empty)),
        ];
        let answers: Vec<_> = answers.iter().map(|(user, done)| (user.as_str(), *done)).collect();
        assert_eq!(answers, expected);
        assert!(matches!(&records[..], [MetadataRecord::UserScramCredential(made)] if made.name == "b"));
    }

    #[test]
    fn rules_are_made_once_and_go_by_filters() {
        let mut access = Access::default();
        let rule = |name: &str| Rule {
            resource: ResourceType::Topic,
            pattern: PatternType::Literal,
            name: name.to_owned(),
            principal: "User:a".to_owned(),
            host: "*".to_owned(),
            operation: Operation::Read,
            permission: Permission::Allow,
        };
        let id = |byte| TopicId([byte; 16]);
        let records = access.create_rules(vec![(id(1), rule("x")), (id(2), rule("x")), (id(3), rule("y"))]);
        assert_eq!(records.len(), 2);
        with(&mut access, &records);
        assert!(access.create_rules(vec![(id(4), rule("y"))]).is_empty());
        let named = Filter {
            resource: None,
            pattern: crate::auth::rules::PatternFilter::Any,
            name: Some("x".to_owned()),
            principal: None,
            host: None,
            operation: None,
            permission: None,
        };
        let every = Filter { name: None, ..named.clone() };
        let (taken, records) = access.delete_rules(&[Some(named), None, Some(every)]);
        assert_eq!(taken, [vec![rule("x")], vec![], vec![rule("x"), rule("y")]]);
        assert_eq!(records.len(), 2);
        with(&mut access, &records);
        assert_eq!(access.rules().all().count(), 0);
    }

    #[test]
    fn unknown_users_look_like_known_ones_and_always_the_same() {
        let mut access = Access::default();
        let born = |byte| {
            MetadataRecord::RegisterBroker(crate::schema::metadata::RegisterBroker {
                incarnation_id: TopicId([byte; 16]),
                ..Default::default()
            })
        };
        with(&mut access, &[born(1)]);
        let (_, records) = access.alter_users(&[], &[upsert("a", 2, 5000)]);
        with(&mut access, &records);
        let first = access.credential("nobody", ScramMechanism::Sha512);
        assert_eq!((first.iterations, first.salt.len()), (5000, 4));
        with(&mut access, &[born(2)]);
        assert_eq!(access.credential("nobody", ScramMechanism::Sha512), first);
        assert_eq!(access.mechanism("nobody"), ScramMechanism::Sha512);
    }

    #[test]
    fn unknown_users_have_the_forms_of_known_ones_each_as_often() {
        let mut access = Access::default();
        with(
            &mut access,
            &[MetadataRecord::RegisterBroker(crate::schema::metadata::RegisterBroker {
                incarnation_id: TopicId([1; 16]),
                ..Default::default()
            })],
        );
        for (number, iterations) in [4096, 4096, 4096, 8192].into_iter().enumerate() {
            let (_, records) = access.alter_users(&[], &[upsert(&format!("user{number}"), 1, iterations)]);
            with(&mut access, &records);
        }
        let rounds = |access: &Access, name: usize| {
            access.credential(&format!("nobody{name}"), ScramMechanism::Sha256).iterations
        };
        let before: Vec<_> = (0..1000).map(|name| rounds(&access, name)).collect();
        let many = before.iter().filter(|rounds| **rounds == 8192).count();
        assert!((200..300).contains(&many), "a quarter of the users has 8192, of the unknown {many} in 1000");
        assert_eq!(before.len() - many, before.iter().filter(|rounds| **rounds == 4096).count());
        let plain: Vec<_> =
            (0..1000).map(|name| access.plain_credential(&format!("nobody{name}")).1.iterations).collect();
        assert_eq!(plain, before, "a password is hashed as often as its proof would be");
        // Another user changes little of what was said of unknown ones.
        let (_, records) = access.alter_users(&[], &[upsert("user4", 1, 8192)]);
        with(&mut access, &records);
        let changed = (0..1000).filter(|name| rounds(&access, *name) != before[*name]).count();
        assert!(changed < 250, "{changed}");
    }
}
