//! Finding a group's coordinator, and what its error codes mean for the next attempt; keeps no membership.

use crate::client::cluster::Lane;
use crate::client::connection::Connection;
use crate::client::{Client, ClientError};
use crate::wire::api::ApiKey;
use crate::wire::error::ErrorCode;
use crate::wire::messages::find_coordinator::FindCoordinatorRequest;
use std::sync::Arc;

impl Client {
    /// The coordinator of a group, from memory or asked for, and a connection to it.
    pub(in crate::client) async fn coordinator(
        &self,
        group: &str,
        lane: Lane,
    ) -> Result<(i32, Arc<Connection>), ClientError> {
        let (node, address) = match self.known_coordinator(group) {
            Some(known) => known,
            None => self.find_coordinator(group).await?,
        };
        let connection = self.connection(&address, lane).await;
        if connection.is_err() {
            self.forget_coordinator(group);
        }
        Ok((node, connection?))
    }

    async fn find_coordinator(&self, group: &str) -> Result<(i32, crate::net::Address), ClientError> {
        let connection = self.any().await?;
        let version = connection.version(ApiKey::FindCoordinator)?;
        let request = match version >= 4 {
            true => FindCoordinatorRequest { coordinator_keys: vec![group.to_owned()], ..Default::default() },
            false => FindCoordinatorRequest { key: group.to_owned(), ..Default::default() },
        };
        let answer = connection.call_in(&request, version, self.options().request_timeout).await?;
        let what = format!("coordinator of group {group}");
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
        self.keep_coordinator(group, node, address.clone());
        Ok((node, address))
    }

    /// A coordinator's error code about a group; where it is not the coordinator any more, it is forgotten.
    pub(in crate::client) fn coordinator_error(
        &self,
        group: &str,
        code: ErrorCode,
        message: Option<String>,
    ) -> ClientError {
        if matches!(code, ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE) {
            self.forget_coordinator(group);
        }
        ClientError::broker(code, format!("group {group}"), message)
    }
}
