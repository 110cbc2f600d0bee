//! AlterConfigs (33), versions 0 to 2: settings of topics, groups and brokers as a whole; what is not named loses its
//! value. Durable and in force when answered. Refuses loggers and client metrics, settings without a value or named
//! twice, and what the tables refuse.

use std::sync::Arc;

use super::alter::{self, Wanted};
use super::configs::resource;
use crate::broker::{Broker, Change, Peer};
use crate::wire::error::ErrorCode;
use crate::wire::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResource, AlterConfigsResourceResponse, AlterConfigsResponse,
    AlterableConfig,
};

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    request: AlterConfigsRequest,
) -> AlterConfigsResponse {
    let wanted = request.resources.into_iter().map(wanted).collect();
    let done = alter::alter(broker, peer, wanted, true, request.validate_only).await;
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
    AlterConfigsResponse { responses: responses.collect(), ..AlterConfigsResponse::default() }
}

fn wanted(asked: AlterConfigsResource) -> Wanted {
    let change = |AlterableConfig { name, value }| match value {
        Some(value) => Ok((name, Change::Set(value))),
        None => Err((ErrorCode::INVALID_REQUEST, format!("{name} has no value"))),
    };
    let changes = if asked.resource_type == resource::BROKER_LOGGER {
        Err((ErrorCode::INVALID_REQUEST, "loggers are changed by IncrementalAlterConfigs".to_owned()))
    } else {
        asked.configs.into_iter().map(change).collect()
    };
    Wanted { resource_type: asked.resource_type, resource_name: asked.resource_name, changes }
}
