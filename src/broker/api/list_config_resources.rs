//! ListConfigResources (74), versions 0 and 1: what settings can be asked of (KIP-1142): all topics, this node and its
//! loggers, groups on which anything is set. There are no client metrics, which is all that version 0 asks for.
//! Refuses other kinds of resources.

use std::sync::Arc;

use super::configs::resource;
use super::operations;
use crate::auth::acl::Operation;
use crate::broker::catalog::ResourceKind;
use crate::broker::{Broker, Peer};
use crate::wire::error::ErrorCode;
use crate::wire::messages::list_config_resources::{
    ConfigResource, ListConfigResourcesRequest, ListConfigResourcesResponse,
};

/// All kinds, in Kafka's order.
const ALL: &[i8] =
    &[resource::GROUP, resource::CLIENT_METRICS, resource::BROKER_LOGGER, resource::BROKER, resource::TOPIC];

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    version: i16,
    request: ListConfigResourcesRequest,
) -> ListConfigResourcesResponse {
    let failed = |error_code| ListConfigResourcesResponse { error_code, ..Default::default() };
    if let Err((code, _)) = operations::cluster(broker, peer, Operation::DescribeConfigs) {
        return failed(code);
    }
    if version == 0 {
        return ListConfigResourcesResponse::default();
    }
    if request.resource_types.iter().any(|kind| !ALL.contains(kind)) {
        return failed(ErrorCode::UNSUPPORTED_VERSION);
    }
    let wanted = |kind: &&i8| request.resource_types.is_empty() || request.resource_types.contains(kind);
    let mut config_resources = Vec::new();
    for &resource_type in ALL.iter().filter(wanted) {
        let names = match resource_type {
            resource::TOPIC => broker.topics().iter().map(|topic| topic.name().to_string()).collect(),
            resource::BROKER | resource::BROKER_LOGGER => vec![broker.node_id().to_string()],
            resource::GROUP => broker.with_settings(ResourceKind::Group),
            _ => Vec::new(),
        };
        config_resources
            .extend(names.into_iter().map(|resource_name| ConfigResource { resource_name, resource_type }));
    }
    ListConfigResourcesResponse { config_resources, ..Default::default() }
}
