//! DeleteAcls (31), versions 1 to 3: all rules that a filter takes are gone, on disk, when answered. Refuses numbers that
//! are none of Kafka's.

use std::sync::Arc;

use super::{access_words, error, operations};
use crate::auth::acl::Operation;
use crate::auth::rules::Rule;
use crate::broker::{Broker, Peer};
use crate::wire::error::ErrorCode;
use crate::wire::messages::delete_acls::{
    DeleteAclsFilterResult, DeleteAclsMatchingAcl, DeleteAclsRequest, DeleteAclsResponse,
};

type Refused = (ErrorCode, String);

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    request: DeleteAclsRequest,
) -> DeleteAclsResponse {
    let denied = operations::cluster(broker, peer, Operation::Alter).err();
    let mut filters = Vec::new();
    let mut refusals: Vec<Option<Refused>> = Vec::new();
    for asked in request.filters {
        let read = match &denied {
            Some(denied) => Err(denied.clone()),
            None => access_words::filter(asked).map_err(|text| (ErrorCode::INVALID_REQUEST, text)),
        };
        let (filter, refusal) = match read {
            Ok(filter) => (Some(filter), None),
            Err(refusal) => (None, Some(refusal)),
        };
        filters.push(filter);
        refusals.push(refusal);
    }
    let count = filters.len();
    let deleted = broker.blocking(move |broker| broker.delete_rules(&filters)).await.and_then(|done| done);
    let (taken, failed) = match deleted {
        Ok(taken) => (taken, None),
        Err(failed) => (vec![Vec::new(); count], Some((error::of_broker(&failed), failed.to_string()))),
    };
    let said =
        taken.into_iter().zip(refusals).map(|(rules, refusal)| result(rules, refusal.or(failed.clone())));
    DeleteAclsResponse { filter_results: said.collect(), ..DeleteAclsResponse::default() }
}

fn result(rules: Vec<Rule>, refusal: Option<Refused>) -> DeleteAclsFilterResult {
    let (error_code, error_message) =
        refusal.map_or((ErrorCode::NONE, None), |(code, text)| (code, Some(text)));
    let gone = rules.into_iter().map(|rule| DeleteAclsMatchingAcl {
        resource_type: rule.resource.code(),
        resource_name: rule.name,
        pattern_type: rule.pattern.code(),
        principal: rule.principal,
        host: rule.host,
        operation: rule.operation.code(),
        permission_type: rule.permission.code(),
        ..DeleteAclsMatchingAcl::default()
    });
    DeleteAclsFilterResult { error_code, error_message, matching_acls: gone.collect() }
}
