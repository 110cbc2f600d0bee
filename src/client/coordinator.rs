//! Finding the coordinator of a group or a transactional id, and what its error codes mean for the next attempt;
//! keeps no membership and no transaction.

use super::cluster::{Coordinated, Lane};
use super::connection::Connection;
use super::{Client, ClientError};
use crate::wire::api::ApiKey;
use crate::wire::error::ErrorCode;
use crate::wire::messages::find_coordinator::FindCoordinatorRequest;
use std::fmt;
use std::sync::Arc;

impl Coordinated {
    /// Kafka's code of the kind, and the key.
    fn key(&self) -> (i8, &str) {
        match self {
            Self::Group(name) => (0, name),
            Self::Transaction(id) => (1, id),
        }
    }
}

impl fmt::Display for Coordinated {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(name) => write!(out, "group {name}"),
            Self::Transaction(id) => write!(out, "transactional id {id}"),
        }
    }
}

impl Client {
    /// The coordinator of a group, from memory or asked for, and a connection to it.
    pub(super) async fn coordinator(
        &self,
        group: &str,
        lane: Lane,
    ) -> Result<(i32, Arc<Connection>), ClientError> {
        self.coordinator_of(&Coordinated::Group(group.to_owned()), lane).await
    }

    /// The coordinator of a group or a transactional id, from memory or asked for, and a connection to it.
    pub(super) async fn coordinator_of(
        &self,
        of: &Coordinated,
        lane: Lane,
    ) -> Result<(i32, Arc<Connection>), ClientError> {
        let (node, address) = match self.known_coordinator(of) {
            Some(known) => known,
            None => self.find_coordinator(of).await?,
        };
        let connection = self.connection(&address, lane).await;
        if connection.is_err() {
            self.forget_coordinator(of);
        }
        Ok((node, connection?))
    }

    async fn find_coordinator(&self, of: &Coordinated) -> Result<(i32, crate::net::Address), ClientError> {
        let connection = self.any().await?;
        let version = connection.version(ApiKey::FindCoordinator)?;
        let (key_type, key) = of.key();
        let request = match version >= 4 {
            true => FindCoordinatorRequest {
                key_type,
                coordinator_keys: vec![key.to_owned()],
                ..Default::default()
            },
            false => FindCoordinatorRequest { key_type, key: key.to_owned(), ..Default::default() },
        };
        let answer = connection.call_in(&request, version, self.options().request_timeout).await?;
        let what = format!("coordinator of {of}");
        let (code, message, node, host, port) = match version >= 4 {
            true => match answer.coordinators.into_iter().next() {
                Some(one) => (one.error_code, one.error_message, one.node_id, one.host, one.port),
                None => (ErrorCode::COORDINATOR_NOT_AVAILABLE, None, -1, String::new(), -1),
            },
            false => (answer.error_code, answer.error_message, answer.node_id, answer.host, answer.port),
        };
        if !code.is_ok() {
            return Err(ClientError::broker(code, what, message));
        }
        let address = self.address(&host, port);
        let address = address.ok_or(ClientError::broker(ErrorCode::COORDINATOR_NOT_AVAILABLE, what, None))?;
        self.keep_coordinator(of, node, address.clone());
        Ok((node, address))
    }

    /// A coordinator's error code about a group; where it is not the coordinator any more, it is forgotten.
    pub(super) fn coordinator_error(
        &self,
        group: &str,
        code: ErrorCode,
        message: Option<String>,
    ) -> ClientError {
        self.coordinator_error_of(&Coordinated::Group(group.to_owned()), code, message)
    }

    /// A coordinator's error code; where it is not the coordinator any more, it is forgotten.
    pub(super) fn coordinator_error_of(
        &self,
        of: &Coordinated,
        code: ErrorCode,
        message: Option<String>,
    ) -> ClientError {
        if matches!(code, ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE) {
            self.forget_coordinator(of);
        }
        ClientError::broker(code, of.to_string(), message)
    }
}
