//! DescribeClientQuotas (48), versions 0 and 1: the quotas of users and clients (KIP-546). There are none here, so that
//! what is asked well gets an empty list; Kafka's own tools ask besides the settings of users. Refuses filters that say
//! nothing or twice the same, and entities that are none (UNSUPPORTED_VERSION, as Kafka does).

use std::sync::Arc;

use super::operations::{self, Refused};
use crate::auth::acl::Operation;
use crate::broker::{Broker, Peer};
use crate::wire::error::ErrorCode;
use crate::wire::messages::describe_client_quotas::{
    ComponentData, DescribeClientQuotasRequest, DescribeClientQuotasResponse,
};

/// The kinds of parts that an entity with quotas has (`ClientQuotaEntity`).
const KINDS: [&str; 3] = [USER, CLIENT, IP];
const USER: &str = "user";
const CLIENT: &str = "client-id";
const IP: &str = "ip";

/// How a part is matched (`DescribeClientQuotasRequest.MATCH_TYPE_*`).
const EXACT: i8 = 0;
const DEFAULT: i8 = 1;
const SPECIFIED: i8 = 2;

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    request: DescribeClientQuotasRequest,
) -> DescribeClientQuotasResponse {
    let permitted = operations::cluster(broker, peer, Operation::DescribeConfigs);
    match permitted.and_then(|()| check(&request.components)) {
        Ok(()) => DescribeClientQuotasResponse {
            entries: Some(Vec::new()),
            ..DescribeClientQuotasResponse::default()
        },
        Err((error_code, message)) => DescribeClientQuotasResponse {
            error_code,
            error_message: Some(message),
            entries: None,
            ..DescribeClientQuotasResponse::default()
        },
    }
}

/// Whether the filter is one.
fn check(components: &[ComponentData]) -> Result<(), Refused> {
    let invalid = |text: String| Err((ErrorCode::INVALID_REQUEST, text));
    for (index, part) in components.iter().enumerate() {
        let kind = part.entity_type.as_str();
        if kind.is_empty() {
            return invalid("a part of the filter has no entity type".to_owned());
        }
        if components.iter().take(index).any(|before| before.entity_type == kind) {
            return invalid(format!("the filter names the entity type {kind} more than once"));
        }
        match (part.match_type, &part.r#match) {
            (EXACT, Some(_)) | (DEFAULT | SPECIFIED, None) => {}
            (EXACT, None) => return invalid(format!("which {kind} is meant exactly is not said")),
            (DEFAULT | SPECIFIED, Some(_)) => {
                return invalid(format!("a name of a {kind} is given where none is matched"));
            }
            (other, _) => return invalid(format!("there is no match type {other}")),
        }
    }
    let named = |kind: &str| components.iter().any(|part| part.entity_type == kind);
    if named(IP) && (named(USER) || named(CLIENT)) {
        return invalid("quotas of addresses are not of users or clients".to_owned());
    }
    match components.iter().find(|part| !KINDS.contains(&part.entity_type.as_str())) {
        Some(other) => {
            Err((ErrorCode::UNSUPPORTED_VERSION, format!("there is no entity type {}", other.entity_type)))
        }
        None => Ok(()),
    }
}
