//! IncrementalAlterConfigs (44), versions 0 and 1: settings of topics, groups and brokers, each set, deleted, or as a
//! list added to or taken from (KIP-339). Durable and in force when answered. Refuses what AlterConfigs refuses, and
//! operations that there are not.

use std::sync::Arc;

use super::alter::{self, Wanted};
use super::operations::Refused;
use crate::broker::{Broker, Change, Peer};
use crate::wire::error::ErrorCode;
use crate::wire::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterConfigsResourceResponse, AlterableConfig, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let wanted = request.resources.into_iter().map(wanted).collect();
    let done = alter::alter(broker, peer, wanted, false, request.validate_only).await;
    let responses = done.into_iter().map(|(one, result)| {
        let (error_code, error_message) = match result {
            Ok(()) => (ErrorCode::NONE, None),
            Err((code, message)) => (code, Some(message)),
        };
        AlterConfigsResourceResponse {
            error_code,
            error_message,
            resource_type: one.resource_type,
            resource_name: one.resource_name,
        }
    });
    IncrementalAlterConfigsResponse { responses: responses.collect(), ..Default::default() }
}

fn wanted(asked: AlterConfigsResource) -> Wanted {
    Wanted {
        resource_type: asked.resource_type,
        resource_name: asked.resource_name,
        changes: asked.configs.into_iter().map(change).collect(),
    }
}

/// A change by Kafka's number of it (`AlterConfigOp.OpType`).
fn change(asked: AlterableConfig) -> Result<(String, Change), Refused> {
    let AlterableConfig { name, config_operation, value } = asked;
    let change = match (config_operation, value) {
        (1, _) => Change::Delete,
        (0, Some(value)) => Change::Set(value),
        (2, Some(value)) => Change::Append(value),
        (3, Some(value)) => Change::Subtract(value),
        (0 | 2 | 3, None) => return Err((ErrorCode::INVALID_REQUEST, format!("{name} has no value"))),
        (other, _) => {
            return Err((ErrorCode::INVALID_REQUEST, format!("there is no operation {other} on {name}")));
        }
    };
    Ok((name, change))
}
