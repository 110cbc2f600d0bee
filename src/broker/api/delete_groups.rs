//! DeleteGroups, versions 0 to 2: groups of both protocols, with their offsets, gone from disk when answered. Refused:
//! NON_EMPTY_GROUP while someone is in it.

use std::sync::Arc;

use super::group_access::may;
use super::group_code::outcome;
use crate::auth::acl::Operation;
use crate::broker::{Broker, Peer};
use crate::wire::frame::RequestHeader;
use crate::wire::messages::delete_groups::{DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse};

/// Answers a DeleteGroups.
pub async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    _header: &RequestHeader,
    request: DeleteGroupsRequest,
) -> DeleteGroupsResponse {
    let mut results: Vec<DeletableGroupResult> = Vec::with_capacity(request.groups_names.len());
    for id in request.groups_names {
        // A name given twice is answered once, as Kafka does.
        if results.iter().any(|done| done.group_id == id) {
            continue;
        }
        let error_code = match may(broker, peer, Operation::Delete, &id) {
            Err(refusal) => refusal,
            Ok(()) => outcome(broker.groups().delete(broker, &id).await),
        };
        results.push(DeletableGroupResult { group_id: id, error_code });
    }
    DeleteGroupsResponse { results, ..DeleteGroupsResponse::default() }
}
