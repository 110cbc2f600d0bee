//! DescribeAcls (29), versions 1 to 3: the rules that a filter takes, whether or not rules count yet. Refuses numbers
//! that are none of Kafka's.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{access_words, operations};
use crate::auth::acl::Operation;
use crate::broker::{Broker, Peer};
use crate::wire::error::ErrorCode;
use crate::wire::messages::describe_acls::{
    AclDescription, DescribeAclsRequest, DescribeAclsResource, DescribeAclsResponse,
};

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    request: DescribeAclsRequest,
) -> DescribeAclsResponse {
    let refused = |(error_code, message)| DescribeAclsResponse {
        error_code,
        error_message: Some(message),
        ..DescribeAclsResponse::default()
    };
    if let Err(denied) = operations::cluster(broker, peer, Operation::Describe) {
        return refused(denied);
    }
    let filter = match access_words::described(request) {
        Ok(filter) => filter,
        Err(message) => return refused((ErrorCode::INVALID_REQUEST, message)),
    };
    let mut resources: BTreeMap<_, Vec<AclDescription>> = BTreeMap::new();
    for rule in broker.rules(&filter) {
        resources.entry((rule.resource, rule.pattern, rule.name)).or_default().push(AclDescription {
            principal: rule.principal,
            host: rule.host,
            operation: rule.operation.code(),
            permission_type: rule.permission.code(),
        });
    }
    let said = resources.into_iter().map(|((resource, pattern, name), acls)| DescribeAclsResource {
        resource_type: resource.code(),
        resource_name: name,
        pattern_type: pattern.code(),
        acls,
    });
    DescribeAclsResponse { resources: said.collect(), ..DescribeAclsResponse::default() }
}
