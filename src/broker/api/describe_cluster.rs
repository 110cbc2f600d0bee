//! DescribeCluster (60), versions 0 to 2: the one node, as brokers are told of (KIP-700, KIP-919). Refuses to speak for
//! controllers, which clients reach through it.

use std::sync::Arc;

use super::operations;
use crate::auth::acl::{CLUSTER, Operation, ResourceType};
use crate::broker::{Broker, Peer};
use crate::wire::error::ErrorCode;
use crate::wire::messages::describe_cluster::{
    DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
};

/// Kafka's numbers of what an address is for.
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    version: i16,
    request: DescribeClusterRequest,
) -> DescribeClusterResponse {
    let refused = |error_code, text: String| DescribeClusterResponse {
        error_code,
        error_message: Some(text),
        ..Default::default()
    };
    match request.endpoint_type {
        BROKERS => {}
        _ if version == 0 => {}
        CONTROLLERS => {
            let text = "this address is a broker's, not a controller's".to_owned();
            return refused(ErrorCode::MISMATCHED_ENDPOINT_TYPE, text);
        }
        other => {
            return refused(
                ErrorCode::UNSUPPORTED_ENDPOINT_TYPE,
                format!("there is no endpoint type {other}"),
            );
        }
    }
    let (host, port) = peer.address();
    let cluster_authorized_operations = if !request.include_cluster_authorized_operations {
        i32::MIN
    } else if operations::cluster(broker, peer, Operation::Describe).is_ok() {
        operations::allowed(broker, peer, ResourceType::Cluster, CLUSTER)
    } else {
        0
    };
    DescribeClusterResponse {
        cluster_id: broker.cluster_id().to_owned(),
        controller_id: broker.node_id(),
        brokers: vec![DescribeClusterBroker {
            broker_id: broker.node_id(),
            host: host.to_owned(),
            port,
            rack: broker.settings().text("broker.rack").map(str::to_owned),
            is_fenced: false,
        }],
        cluster_authorized_operations,
        ..Default::default()
    }
}
