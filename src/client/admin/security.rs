//! Admin calls about users and access rules; a password never passes through here, only what was made of it.

use super::Each;
use crate::auth::acl::{Operation, PatternType, Permission, ResourceType};
use crate::client::{Client, ClientError};
use crate::wire::error::ErrorCode;
use crate::wire::messages::alter_user_scram_credentials::{
    AlterUserScramCredentialsRequest, ScramCredentialDeletion, ScramCredentialUpsertion,
};
use crate::wire::messages::create_acls::{AclCreation, CreateAclsRequest};
use crate::wire::messages::delete_acls::{DeleteAclsFilter, DeleteAclsRequest};
use crate::wire::messages::describe_acls::DescribeAclsRequest;
use crate::wire::messages::describe_user_scram_credentials::{DescribeUserScramCredentialsRequest, UserName};
use bytes::Bytes;

/// Matches every value, in a filter.
const ANY: i8 = 1;

/// A user's SCRAM credentials as a broker tells of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserCredentials {
    /// The user's name, without `User:`.
    pub user: String,
    /// Mechanism by Kafka's number (1 SCRAM-SHA-256, 2 SCRAM-SHA-512) and iterations.
    pub credentials: Vec<(i8, i32)>,
}

/// One credential that comes or goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScramChange {
    /// It is made, or replaces the one there was.
    Set {
        /// The user's name, without `User:`.
        user: String,
        /// Kafka's number of the mechanism.
        mechanism: i8,
        /// 4096 to 16384.
        iterations: i32,
        /// Random bytes.
        salt: Vec<u8>,
        /// What PBKDF2 makes of password, salt and iterations.
        salted_password: Vec<u8>,
    },
    /// It goes.
    Delete {
        /// The user's name, without `User:`.
        user: String,
        /// Kafka's number of the mechanism.
        mechanism: i8,
    },
}

impl ScramChange {
    fn user(&self) -> &str {
        match self {
            Self::Set { user, .. } | Self::Delete { user, .. } => user,
        }
    }
}

/// An access rule. Numbers that this client does not know are kept as `None`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// What it is about.
    pub resource_type: Option<ResourceType>,
    /// The name, the beginning of names, or `*`.
    pub name: String,
    /// How the name is held against a resource's.
    pub pattern: Option<PatternType>,
    /// Whom it is about, like `User:alice`.
    pub principal: String,
    /// From where, an address or `*`.
    pub host: String,
    /// What is to be done.
    pub operation: Option<Operation>,
    /// Whether it allows or forbids.
    pub permission: Option<Permission>,
}

/// Which rules are meant; `None` is any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RuleFilter {
    /// What they are about.
    pub resource_type: Option<ResourceType>,
    /// The pattern's own name.
    pub name: Option<String>,
    /// How the name is held against a resource's.
    pub pattern: Option<PatternType>,
    /// Whom they are about.
    pub principal: Option<String>,
    /// From where.
    pub host: Option<String>,
    /// What is to be done.
    pub operation: Option<Operation>,
    /// Whether they allow or forbid.
    pub permission: Option<Permission>,
}

impl Client {
    /// Users and which credentials they have; all of them where `names` is empty. [`ClientError::Broker`] with
    /// RESOURCE_NOT_FOUND for a name that has none.
    ///
    /// # Errors
    /// What the broker says; failures of the connection, after `api_timeout`.
    pub async fn describe_users(&self, names: &[String]) -> Result<Each<UserCredentials>, ClientError> {
        let users: Vec<UserName> = names.iter().map(|name| UserName { name: name.clone() }).collect();
        let request = DescribeUserScramCredentialsRequest { users: (!users.is_empty()).then_some(users) };
        let answer = self.call_any(&request).await?;
        if !answer.error_code.is_ok() {
            return Err(ClientError::broker(answer.error_code, "users", answer.error_message));
        }
        let each = answer.results.into_iter().map(|result| match result.error_code {
            ErrorCode::NONE => Ok(UserCredentials {
                user: result.user,
                credentials: result
                    .credential_infos
                    .iter()
                    .map(|info| (info.mechanism, info.iterations))
                    .collect(),
            }),
            code => Err(ClientError::broker(code, format!("user {}", result.user), result.error_message)),
        });
        Ok(each.collect())
    }

    /// Changes credentials; gives one result a user, with the name. What fails for a user ends that user's changes.
    ///
    /// # Errors
    /// Failures of the connection, after `api_timeout`.
    pub async fn alter_users(
        &self,
        changes: &[ScramChange],
    ) -> Result<Vec<(String, Result<(), ClientError>)>, ClientError> {
        let mut outcomes: Vec<(String, Result<(), ClientError>)> = Vec::new();
        let mut left: Vec<&ScramChange> = changes.iter().collect();
        // A request may name a user once.
        while !left.is_empty() {
            let mut round: Vec<&ScramChange> = Vec::new();
            left.retain(|change| {
                let first = !round.iter().any(|other| other.user() == change.user());
                if first {
                    round.push(change);
                }
                !first
            });
            for (user, outcome) in self.alter_users_once(&round).await? {
                if outcome.is_err() {
                    left.retain(|change| change.user() != user);
                }
                match outcomes.iter_mut().find(|(name, _)| *name == user) {
                    Some((_, so_far)) => *so_far = outcome,
                    None => outcomes.push((user, outcome)),
                }
            }
        }
        Ok(outcomes)
    }

    async fn alter_users_once(
        &self,
        changes: &[&ScramChange],
    ) -> Result<Vec<(String, Result<(), ClientError>)>, ClientError> {
        let mut request = AlterUserScramCredentialsRequest::default();
        for change in changes {
            match change {
                ScramChange::Set { user, mechanism, iterations, salt, salted_password } => {
                    request.upsertions.push(ScramCredentialUpsertion {
                        name: user.clone(),
                        mechanism: *mechanism,
                        iterations: *iterations,
                        salt: Bytes::copy_from_slice(salt),
                        salted_password: Bytes::copy_from_slice(salted_password),
                    });
                }
                ScramChange::Delete { user, mechanism } => request
                    .deletions
                    .push(ScramCredentialDeletion { name: user.clone(), mechanism: *mechanism }),
            }
        }
        let answer = self.call_controller(&request).await?;
        let each = answer.results.into_iter().map(|result| {
            let outcome = match result.error_code {
                ErrorCode::NONE => Ok(()),
                code => Err(ClientError::broker(code, format!("user {}", result.user), result.error_message)),
            };
            (result.user, outcome)
        });
        Ok(each.collect())
    }

    /// The rules that a filter means, in order.
    ///
    /// # Errors
    /// What the broker says (SECURITY_DISABLED where it keeps none); failures of the connection, after
    /// `api_timeout`.
    pub async fn describe_acls(&self, filter: &RuleFilter) -> Result<Vec<Rule>, ClientError> {
        let wanted = numbers(filter);
        let request = DescribeAclsRequest {
            resource_type_filter: wanted.resource_type_filter,
            resource_name_filter: wanted.resource_name_filter,
            pattern_type_filter: wanted.pattern_type_filter,
            principal_filter: wanted.principal_filter,
            host_filter: wanted.host_filter,
            operation: wanted.operation,
            permission_type: wanted.permission_type,
        };
        let answer = self.call_any(&request).await?;
        if !answer.error_code.is_ok() {
            return Err(ClientError::broker(answer.error_code, "access rules", answer.error_message));
        }
        let mut rules = Vec::new();
        for resource in answer.resources {
            rules.extend(resource.acls.into_iter().map(|acl| Rule {
                resource_type: ResourceType::from_code(resource.resource_type),
                name: resource.resource_name.clone(),
                pattern: PatternType::from_code(resource.pattern_type),
                principal: acl.principal,
                host: acl.host,
                operation: Operation::from_code(acl.operation),
                permission: Permission::from_code(acl.permission_type),
            }));
        }
        rules.sort();
        Ok(rules)
    }

    /// Makes rules; one result each, in order. A rule that is there already is no error.
    ///
    /// # Errors
    /// Failures of the connection, after `api_timeout`.
    pub async fn create_acls(&self, rules: &[Rule]) -> Result<Each<()>, ClientError> {
        let creation = |rule: &Rule| AclCreation {
            resource_type: rule.resource_type.map_or(0, ResourceType::code),
            resource_name: rule.name.clone(),
            resource_pattern_type: rule.pattern.map_or(0, PatternType::code),
            principal: rule.principal.clone(),
            host: rule.host.clone(),
            operation: rule.operation.map_or(0, Operation::code),
            permission_type: rule.permission.map_or(0, Permission::code),
        };
        let request = CreateAclsRequest { creations: rules.iter().map(creation).collect() };
        let answer = self.call_controller(&request).await?;
        let mut results = answer.results.into_iter();
        let each = rules.iter().map(|rule| {
            let what = format!("rule for {}", rule.principal);
            let result = results.next().ok_or_else(|| super::missing(what.clone()))?;
            match result.error_code {
                ErrorCode::NONE => Ok(()),
                code => Err(ClientError::broker(code, what, result.error_message)),
            }
        });
        Ok(each.collect())
    }

    /// Deletes the rules that filters mean; gives those that went.
    ///
    /// # Errors
    /// What the broker says, the first of it; failures of the connection, after `api_timeout`.
    pub async fn delete_acls(&self, filters: &[RuleFilter]) -> Result<Vec<Rule>, ClientError> {
        let request = DeleteAclsRequest { filters: filters.iter().map(numbers).collect() };
        let answer = self.call_controller(&request).await?;
        let mut gone = Vec::new();
        for result in answer.filter_results {
            if !result.error_code.is_ok() {
                return Err(ClientError::broker(result.error_code, "access rules", result.error_message));
            }
            for acl in result.matching_acls {
                if !acl.error_code.is_ok() {
                    let what = format!("rule for {}", acl.principal);
                    return Err(ClientError::broker(acl.error_code, what, acl.error_message));
                }
                gone.push(Rule {
                    resource_type: ResourceType::from_code(acl.resource_type),
                    name: acl.resource_name,
                    pattern: PatternType::from_code(acl.pattern_type),
                    principal: acl.principal,
                    host: acl.host,
                    operation: Operation::from_code(acl.operation),
                    permission: Permission::from_code(acl.permission_type),
                });
            }
        }
        gone.sort();
        gone.dedup();
        Ok(gone)
    }
}

fn numbers(filter: &RuleFilter) -> DeleteAclsFilter {
    DeleteAclsFilter {
        resource_type_filter: filter.resource_type.map_or(ANY, ResourceType::code),
        resource_name_filter: filter.name.clone(),
        pattern_type_filter: filter.pattern.map_or(ANY, PatternType::code),
        principal_filter: filter.principal.clone(),
        host_filter: filter.host.clone(),
        operation: filter.operation.map_or(ANY, Operation::code),
        permission_type: filter.permission.map_or(ANY, Permission::code),
    }
}
